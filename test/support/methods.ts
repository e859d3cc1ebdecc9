import { createHash } from 'node:crypto';
import { LayerPreconditioner, type LayerSummary, type WeightVector } from 'cgfac';
import { at, dot } from './golden-case';
import { arraysOf, randomNumbers, type Shape } from './layers';
import { methods, unitRoundoff } from './solvers';

export { methods, unitRoundoff };

/** The name of one of the methods. */
export type MethodName = keyof typeof methods;

/** The names of all methods, in order. */
export const methodNames = Object.keys(methods) as MethodName[];

/** A layer of a shape with one of the methods, λ = 0.5 and the reduction 'sum', and more options. */
export function layerWith(
  { inFeatures, outFeatures, bias }: Shape,
  name: MethodName,
  more: object = {},
): LayerPreconditioner<boolean> {
  return new LayerPreconditioner<boolean>({
    inFeatures,
    outFeatures,
    bias,
    lossReduction: 'sum',
    damping: 0.5,
    ...methods[name].options,
    ...more,
  });
}

/** A batch with the gradients that its own gradient is made of. */
export interface Rows {
  readonly inputs: Float32Array;
  readonly outputGrads: Float32Array;
  readonly lossGrads: Float32Array;
  readonly batch: number;
  readonly fisherRows: number;
}

/** Random rows; `empirical` makes the array of `outputGrads` the one of `lossGrads` as well. */
export function randomRows(shape: Shape, seed: number, empirical = false): Rows {
  const { batch, fisherRows, inFeatures, outFeatures } = shape;
  const outputGrads = randomNumbers(fisherRows * outFeatures, seed + 1);
  return {
    inputs: randomNumbers(batch * inFeatures, seed),
    outputGrads,
    lossGrads: empirical ? outputGrads : randomNumbers(batch * outFeatures, seed + 2),
    batch,
    fisherRows,
  };
}

/** The rows as `record` takes them. */
export function recordable({ inputs, outputGrads, batch, fisherRows }: Rows) {
  return { inputs, outputGrads, batch, fisherRows };
}

/** v = scale · lossGradsᵀ [inputs 1], summed in float64, in 'out-in' order. */
export function formedGradient(
  { inputs, lossGrads, batch }: Rows,
  { inFeatures, outFeatures, bias }: Shape,
  scale = 1 / batch,
): WeightVector {
  const kernel = new Float64Array(outFeatures * inFeatures);
  const sums = new Float64Array(outFeatures);
  for (let row = 0; row < batch; row++) {
    for (let i = 0; i < outFeatures; i++) {
      const g = at(lossGrads, row * outFeatures + i) * scale;
      sums[i] = at(sums, i) + g;
      for (let j = 0; j < inFeatures; j++)
        kernel[i * inFeatures + j] = at(kernel, i * inFeatures + j) + g * at(inputs, row * inFeatures + j);
    }
  }
  return bias ? { kernel: Float32Array.from(kernel), bias: Float32Array.from(sums) } : Float32Array.from(kernel);
}

/** The largest eigenvalue of scale · [R 1]ᵀ[R 1], by a power iteration in float64. */
export function largestEigenvalue(rows: Float32Array, count: number, homogeneous = false): number {
  const d = rows.length / count;
  let x = Float64Array.from({ length: d }, (_, j) => 1 + 0.1 * Math.cos(j));
  let last = homogeneous ? 1 : 0;
  let value = 0;
  for (let step = 0; step < 60; step++) {
    const next = new Float64Array(d);
    let nextLast = 0;
    for (let row = 0; row < count; row++) {
      let product = last;
      for (let j = 0; j < d; j++) product += at(rows, row * d + j) * at(x, j);
      for (let j = 0; j < d; j++) next[j] = at(next, j) + (product * at(rows, row * d + j)) / count;
      if (homogeneous) nextLast += product / count;
    }
    const length = Math.sqrt(dot(next, next) + nextLast ** 2);
    if (length === 0) return 0;
    value = length / Math.sqrt(dot(x, x) + last ** 2);
    x = next.map((element) => element / length);
    last = nextLast / length;
  }
  return value;
}

/** A digest of a vector's bits, for comparisons that allow no difference. */
export function bitsOf(x: WeightVector): string {
  const hash = createHash('sha256');
  for (const array of arraysOf(x)) hash.update(Buffer.from(array.buffer, array.byteOffset, array.byteLength));
  return hash.digest('hex');
}

/** All that a result says, its direction as bits and its spectrum as values. */
export function outcomeOf({ x, spectrum, ...summary }: LayerSummary & { readonly x?: WeightVector }) {
  return { ...summary, x: x && bitsOf(x), spectrum: spectrum?.at(0.3) };
}

/** Every element of a vector, as float64 numbers. */
export function elementsOf(x: WeightVector): Float64Array {
  return Float64Array.from(arraysOf(x).flatMap((array) => [...array]));
}

/** The same numbers in arrays of their own. */
export function copyOf(x: WeightVector): WeightVector {
  return x instanceof Float32Array ? x.slice() : { kernel: x.kernel.slice(), bias: x.bias.slice() };
}

/** Expects a number to be what it should be, to a relative error. */
export function close(actual: number | undefined, expected: number, relative: number): void {
  expect(Math.abs((actual ?? Number.NaN) - expected)).toBeLessThanOrEqual(relative * Math.abs(expected));
}
