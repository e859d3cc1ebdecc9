/** The products that TensorFlow.js asks its wasm backend for, in terms of matrices. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { Activation, BroadcastNumbers, MatrixProducts } from '../../adapter-kit';
import { type Heap, size } from './heap';
import type { KernelCall, Thresholds } from './kernel';

const activations: readonly Activation[] = ['linear', 'relu', 'relu6', 'prelu', 'leakyrelu', 'sigmoid', 'elu'];

/** A product in terms of matrices. */
export interface Product
  extends Pick<
    MatrixProducts,
    'pairs' | 'countA' | 'countB' | 'rows' | 'cols' | 'inner' | 'transposeA' | 'transposeB'
  > {
  readonly shape: number[];
}

/** What a product results in. */
export type Results = Pick<Product, 'shape' | 'pairs' | 'rows' | 'cols'>;

/** An input for each place of the results, as TensorFlow.js broadcasts it. */
export interface BroadcastInput {
  readonly tensor: TensorInfo;
  readonly shape: BroadcastNumbers['shape'];
}

/** What follows a product. */
export interface Epilogue {
  readonly bias: BroadcastInput | undefined;
  readonly activation: Activation;
  readonly slope: number;
  readonly slopes: BroadcastInput | undefined;
}

/** A product that nothing follows. */
export const PLAIN: Epilogue = { bias: undefined, activation: 'linear', slope: 0, slopes: undefined };

/** The tensors of what follows a product. */
export const tensorsOf = ({ bias, slopes }: Epilogue): TensorInfo[] =>
  [bias, slopes].flatMap((input) => input?.tensor ?? []);

/** What follows a product, with its numbers where they lie. */
export function placed({ bias, activation, slope, slopes }: Epilogue, { floats }: Heap) {
  const numbers = (input: BroadcastInput | undefined) => input && { values: floats(input.tensor), shape: input.shape };
  return { bias: numbers(bias), activation, slope, slopes: numbers(slopes) };
}

/** The pairs of a product of one A with one B. */
export const ONE_PAIR = Uint32Array.of(0, 0);

/** The shape to which two batch shapes broadcast; undefined where they do not. */
function broadcastShape(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const shape = Array.from({ length: rank }, (_, axis) => {
    const [left, right] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    return left === right || right === 1 ? left : left === 1 ? right : -1;
  });
  return shape.includes(-1) ? undefined : shape;
}

/** For each matrix of a batch shape the index of the one of `own`, which broadcasts to it. */
function matrixIndices(own: readonly number[], shape: readonly number[]): number[] {
  return shape.reduce(
    (indices, extent, axis) => {
      const owned = own[axis - shape.length + own.length] ?? 1;
      return indices.flatMap((index) =>
        Array.from({ length: extent }, (_, i) => index * owned + (owned === 1 ? 0 : i)),
      );
    },
    [0],
  );
}

function pairsOf(a: readonly number[], b: readonly number[], shape: readonly number[]): Uint32Array {
  if (size(shape) === 1) return ONE_PAIR;
  const right = matrixIndices(b, shape);
  return Uint32Array.from(matrixIndices(a, shape).flatMap((index, at) => [index, right[at] ?? 0]));
}

/** The product of two tensors; undefined where there is nothing to compute, or nothing that can be. */
export function productOf(a: TensorInfo, b: TensorInfo, transposeA: boolean, transposeB: boolean): Product | undefined {
  if (a.dtype !== 'float32' || b.dtype !== 'float32' || a.shape.length < 2 || b.shape.length < 2) return undefined;
  const [batchA, batchB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const [rowsA = 0, colsA = 0] = a.shape.slice(-2);
  const [rowsB = 0, colsB = 0] = b.shape.slice(-2);
  const [rows, inner] = transposeA ? [colsA, rowsA] : [rowsA, colsA];
  const [innerB, cols] = transposeB ? [colsB, rowsB] : [rowsB, colsB];
  const batch = broadcastShape(batchA, batchB);
  if (batch === undefined || inner !== innerB || size(batch) * rows * cols === 0) return undefined;
  const pairs = pairsOf(batchA, batchB, batch);
  const [countA, countB] = [size(batchA), size(batchB)];
  return { shape: [...batch, rows, cols], pairs, countA, countB, rows, cols, inner, transposeA, transposeB };
}

/** How a tensor broadcasts to the results; undefined where it does not. */
function broadcastInput(tensor: TensorInfo, { pairs, rows, cols }: Results): BroadcastInput | undefined {
  const [batch = 1, height = 1, width = 1] = [
    ...Array<number>(Math.max(0, 3 - tensor.shape.length)).fill(1),
    ...tensor.shape,
  ];
  const fits = (own: number, extent: number) => own === 1 || own === extent;
  if (tensor.dtype !== 'float32' || tensor.shape.length > 3) return undefined;
  if (!fits(batch, pairs.length / 2) || !fits(height, rows) || !fits(width, cols)) return undefined;
  return { tensor, shape: [batch, height, width] };
}

/** What a fused product asks for after the product; undefined where it cannot be done here. */
export function epilogueOf({ inputs, attrs }: KernelCall, product: Results): Epilogue | undefined {
  const { bias, preluActivationWeights: weights } = inputs;
  const activation = activations.find((candidate) => candidate === attrs.activation);
  // beyond rank 3 a bias is not made for the tensor that the kernel gets
  if (activation === undefined || product.shape.length > 3) return undefined;
  const ownBias = bias ? broadcastInput(bias, product) : undefined;
  const slopes = activation === 'prelu' && weights ? broadcastInput(weights, product) : undefined;
  if ((bias && !ownBias) || (activation === 'prelu' && !slopes)) return undefined;
  return { bias: ownBias, activation, slope: Number(attrs.leakyreluAlpha ?? 0), slopes };
}

const perColumn = (input: BroadcastInput | undefined): boolean =>
  input === undefined || input.shape[0] * input.shape[1] === 1;

/**
 * Whether the stock kernel computes this. It takes matrix p modulo their number (wrong where two batch shapes broadcast
 * to each other), a bias for each column, and one slope or one for each column. What is no product of one matrix with
 * one, none of them transposed, it computes in blocks of 48 terms: after each block, not after the last alone, it adds
 * the bias, of which it takes the last number for all rows but the first, and cuts off what relu and relu6 do. Of a
 * product without terms it writes nothing.
 */
function stockComputes(product: Product, { bias, slopes, activation }: Epilogue): boolean {
  const { pairs, countA, countB, cols, inner, transposeA, transposeB } = product;
  const inTurns = pairs.every((index, at) => index === (at >> 1) % (at % 2 === 0 ? countA : countB));
  const ownBias = bias === undefined || (bias.tensor.shape.length === 1 && bias.shape[2] === cols);
  const inBlocks = countA > 1 || countB > 1 || transposeA || transposeB;
  const cutsOff = activation === 'relu' || activation === 'relu6';
  return inner > 0 && inTurns && ownBias && perColumn(slopes) && !(inBlocks && (bias !== undefined || cutsOff));
}

/** Several A with one B are one product with the rows of all of them. */
export function stacked(product: Product, { bias, slopes }: Epilogue): Product {
  const { countA, countB, transposeA, rows } = product;
  if (countA === 1 || countB > 1 || transposeA || !perColumn(bias) || !perColumn(slopes)) return product;
  return { ...product, pairs: ONE_PAIR, countA: 1, rows: countA * rows };
}

/** Whether a product is computed here: where it is large, or the stock kernel would not compute it. */
export function worthwhile(product: Product, epilogue: Epilogue, thresholds: Thresholds): boolean {
  const flops = 2 * size(product.shape) * product.inner;
  const least = product.transposeA || product.transposeB ? thresholds.transposedProduct : thresholds.product;
  return flops >= least || !stockComputes(product, epilogue);
}
