import { callNative } from '../native/call';
import type { NativeEpilogue } from '../native/kernels';
import { native } from '../native/load';

/** A function of one number; `prelu` and `leakyrelu` multiply what is negative by a slope. */
export type Activation = NativeEpilogue['activation'];

/** Numbers for each place of the results: an extent of 1 stands for all places along it. */
export interface BroadcastNumbers {
  /** As many as the extents multiply to. */
  readonly values: Float32Array;
  /** Results, rows, columns. */
  readonly shape: readonly [number, number, number];
}

/** Products of dense layers: what is multiplied, and what is done to it. */
export interface MatrixProducts {
  /**
   * Matrices A, `(countA × rows × inner)`, or `(countA × inner × rows)` where `transposeA`; row-major. Borrowed for the
   * call.
   */
  readonly a: Float32Array;
  /**
   * Matrices B, `(countB × inner × cols)`, or `(countB × cols × inner)` where `transposeB`; row-major. Borrowed for the
   * call.
   */
  readonly b: Float32Array;
  /** Where the results go, `(pairs × rows × cols)`, row-major; shares no memory with what is read. */
  readonly out: Float32Array;
  /** For each result the index of its A and that of its B. */
  readonly pairs: Uint32Array;
  readonly countA: number;
  readonly countB: number;
  readonly rows: number;
  readonly cols: number;
  readonly inner: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** Added before the activation. Default: nothing. */
  readonly bias: BroadcastNumbers | undefined;
  readonly activation: Activation;
  /** The slope of `leakyrelu`. */
  readonly slope: number;
  /** The slopes of `prelu`. */
  readonly slopes: BroadcastNumbers | undefined;
}

/** The shape of numbers as the addon takes it. */
export const shapeOf = (numbers: BroadcastNumbers | undefined): Uint32Array | undefined =>
  numbers === undefined ? undefined : new Uint32Array(numbers.shape);

function epilogueOf({ bias, activation, slope, slopes }: MatrixProducts): NativeEpilogue | undefined {
  if (bias === undefined && activation === 'linear') return undefined;
  const [biasShape, slopesShape] = [shapeOf(bias), shapeOf(slopes)];
  return { bias: bias?.values, biasShape, activation, slope, slopes: slopes?.values, slopesShape };
}

// Calls are synchronous and the addon keeps no array: one serves all of them.
const sizesOfCall = new Uint32Array(7);

/**
 * out ← φ(A B + bias) for a list of pairs of matrices, float32, on the calling thread with the help of idle pool
 * threads; the same bits with any number of them. Not part of the public face. 2·rows·cols·inner flops a result.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_INVALID_ARG_VALUE` for arrays that do not fit the
 * sizes; nothing is written then.
 */
export function matrixProducts(products: MatrixProducts): void {
  const { a, b, out, pairs, countA, countB, rows, cols, inner, transposeA, transposeB } = products;
  const sizes = sizesOfCall;
  [sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]] = [countA, countB, rows, cols, inner];
  [sizes[5], sizes[6]] = [Number(transposeA), Number(transposeB)];
  const epilogue = epilogueOf(products);
  callNative(() => native.matrixProducts(sizes, pairs, a, b, out, epilogue));
}
