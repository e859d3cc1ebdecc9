import type { FisherOperatorOptions, KernelLayout, WeightVector } from 'cgfac';
import { at } from './golden-case';

/** A generator of numbers in [−1, 1) that is the same on every platform. */
export function randomNumbers(count: number, seed: number): Float32Array {
  let state = Math.imul(seed, 0x9e3779b9) | 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}

/** A shape, and how much of each side is known of it. */
export interface Shape {
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly batch: number;
  readonly fisherRows: number;
  readonly bias: boolean;
}

/** Options of an operator with random rows, for tests that need some layer. */
export function randomOperator(shape: Shape, seed: number, damping = 0.5): FisherOperatorOptions {
  return {
    ...shape,
    damping,
    lossReduction: 'sum',
    inputs: randomNumbers(shape.batch * shape.inFeatures, seed),
    outputGrads: randomNumbers(shape.fisherRows * shape.outFeatures, seed + 1),
  };
}

/** A random vector of the layer. */
export function randomVector({ inFeatures, outFeatures, bias }: Shape, seed: number): WeightVector {
  const kernel = randomNumbers(inFeatures * outFeatures, seed);
  return bias ? { kernel, bias: randomNumbers(outFeatures, seed + 1) } : kernel;
}

/** The arrays of a vector, kernel first. */
export function arraysOf(x: WeightVector): Float32Array[] {
  return x instanceof Float32Array ? [x] : [x.kernel, x.bias];
}

/** The vector with its kernel in the other layout. */
export function transposed(x: WeightVector, outFeatures: number, from: KernelLayout): WeightVector {
  const kernel = x instanceof Float32Array ? x : x.kernel;
  const rows = from === 'out-in' ? outFeatures : kernel.length / outFeatures;
  const cols = kernel.length / rows;
  const other = Float32Array.from(kernel, (_, index) => at(kernel, (index % rows) * cols + Math.floor(index / rows)));
  return x instanceof Float32Array ? other : { kernel: other, bias: x.bias };
}
