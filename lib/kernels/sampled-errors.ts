import { isFloat32Array } from 'node:util/types';
import type { UniformNumbers } from '../base/random';
import { callNative } from '../native/call';
import type { NativeSampling } from '../native/kernels';
import { native } from '../native/load';

/** The output distributions whose targets can be sampled; `'gaussian'` is of unit variance about the outputs. */
export type Distribution = NativeSampling['distribution'];

/**
 * Samples targets y from the model's own output distribution and returns the errors p − y, the gradient of the negative
 * log-likelihood with respect to the logits, each row times its factor.
 *
 * @param distribution - `'categorical'`: one of `width` classes a row; `'bernoulli'` and `'gaussian'`: every number on
 * its own.
 * @param probabilities - p, (rows × width), row-major; read only.
 * @param width - Numbers in a row.
 * @param factors - One factor for each of as many equal groups of rows as there are factors: one a sample.
 * @param uniform - Uniform numbers in [0, 1), which go on behind those that are drawn here.
 * @param errors - Where they go, as many numbers as p has. Default: a new array.
 * @returns `errors`.
 */
export function sampledErrors(
  distribution: Distribution,
  probabilities: ArrayLike<number>,
  width: number,
  factors: Float64Array,
  { state }: UniformNumbers,
  errors: Float32Array = new Float32Array(probabilities.length),
): Float32Array {
  const p = isFloat32Array(probabilities) ? probabilities : Float32Array.from(probabilities);
  callNative(() => native.sampleErrors({ distribution, probabilities: p, width, factors, state, errors }));
  return errors;
}
