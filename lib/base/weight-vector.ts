import { isFloat32Array } from 'node:util/types';
import { CgfacError } from './errors';
import { bufferOf, lengthOf } from './float32';
import { reading } from './reading';
import { describe, typeError, valueError } from './validate';

/** A vector of a layer with a bias: its kernel and, as an array of its own, its bias. */
export interface KernelAndBias {
  /** `outFeatures × inFeatures` ('out-in') or `inFeatures × outFeatures` ('in-out'), row-major. */
  readonly kernel: Float32Array;
  /** `outFeatures` numbers. */
  readonly bias: Float32Array;
}

/**
 * A vector of a layer's weight space (a gradient, a direction): {@link KernelAndBias} for a layer with a bias, else the
 * kernel alone as a row-major Float32Array. Results come in the form of the layer.
 */
export type WeightVector<Bias extends boolean = boolean> = Bias extends true ? KernelAndBias : Float32Array;

/**
 * How a kernel lies in memory: `'out-in'` is outFeatures × inFeatures (PyTorch), `'in-out'` inFeatures × outFeatures
 * (TensorFlow.js, Keras).
 */
export type KernelLayout = 'out-in' | 'in-out';

/**
 * What the given output gradients are gradients of. `'sum'`: the loss summed over the batch, so that each row is the
 * gradient of its own sample's loss. `'mean'`: the mean over the batch; the rows carry 1/B and are multiplied by
 * `batch`. Getting it wrong changes the meaning of the damping by B².
 */
export type LossReduction = 'sum' | 'mean';

/**
 * λ of F + λI: a number > 0, or `{ relative }`, a multiple of the mean eigenvalue of the layer's F, tr(A)·tr(G)/(n·m).
 * Both within the range of float32.
 */
export type Damping =
  | number
  | {
      /** > 0, the multiple of the mean eigenvalue. */
      readonly relative: number;
    };

/** The shape of a layer and its vectors, checked. */
export interface LayerShape {
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
}

/** The two arrays of a vector as the addon takes them. */
export interface VectorArrays {
  readonly kernel: Float32Array;
  readonly bias: Float32Array | undefined;
}

/** Whether a buffer was transferred away. */
export function detached(buffer: ArrayBufferLike): boolean {
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true; // the one reason for which a view of a whole buffer is refused
  }
}

/** Checks an array argument: its type, its buffer, its length in words of `extents`. */
export function float32(value: unknown, name: string, length: number, extents: string): Float32Array {
  if (!isFloat32Array(value)) throw typeError(`a Float32Array of length ${length} (${extents})`, name, value);
  const buffer = bufferOf(value);
  const received = lengthOf(value);
  // a detached array has no length left, so one of the right length needs no closer look
  if (received !== length && detached(buffer)) {
    throw new CgfacError(
      'ERR_CGFAC_DETACHED_BUFFER',
      `Expected a Float32Array of length ${length} (${extents}) for ${name} but received one whose buffer was detached`,
    );
  }
  const { resizable, growable } = buffer as { readonly resizable?: boolean; readonly growable?: boolean };
  if (resizable === true || growable === true) {
    throw new CgfacError(
      'ERR_CGFAC_DETACHED_BUFFER',
      `Expected a Float32Array on a buffer of fixed length for ${name} but received one on a resizable buffer`,
    );
  }
  if (received !== length) {
    throw new CgfacError(
      'ERR_CGFAC_SHAPE_MISMATCH',
      `Expected a Float32Array of length ${length} (${extents}) for ${name} but received ${describe(value)}`,
    );
  }
  return value;
}

/** Checks a vector argument of a layer. */
export function vectorArrays(
  value: unknown,
  name: string,
  { inFeatures, outFeatures, bias }: LayerShape,
): VectorArrays {
  const extents = `outFeatures ${outFeatures} × inFeatures ${inFeatures}`;
  if (!bias) return { kernel: float32(value, name, inFeatures * outFeatures, extents), bias: undefined };
  const parts = reading('{ kernel, bias } that can be read', name, () => {
    if (typeof value !== 'object' || value === null || !('kernel' in value) || !('bias' in value))
      throw typeError('{ kernel, bias } of a layer with a bias', name, value);
    return { kernel: value.kernel, bias: value.bias };
  });
  return {
    kernel: float32(parts.kernel, `${name}.kernel`, inFeatures * outFeatures, extents),
    bias: float32(parts.bias, `${name}.bias`, outFeatures, `outFeatures ${outFeatures}`),
  };
}

/** The arrays that a result goes to: those of `out` where it is given, else new ones. */
export function outputArrays(out: unknown, shape: LayerShape): VectorArrays {
  if (out !== undefined) return vectorArrays(out, 'out', shape);
  return {
    kernel: new Float32Array(shape.inFeatures * shape.outFeatures),
    bias: shape.bias ? new Float32Array(shape.outFeatures) : undefined,
  };
}

/** The result in the layer's form: `out` itself where it was given. */
export function resultVector<Bias extends boolean>(
  out: WeightVector<Bias> | undefined,
  { kernel, bias }: VectorArrays,
): WeightVector<Bias> {
  return out ?? ((bias === undefined ? kernel : { kernel, bias }) as WeightVector<Bias>);
}

/** Checks a pair of feature counts, whose product BLAS must be able to index. */
export function checkSize(inFeatures: number, outFeatures: number): void {
  if (inFeatures * outFeatures > 0x7fffffff)
    throw valueError('inFeatures × outFeatures below 2^31', 'inFeatures', inFeatures);
}
