/** Dense layers of a {@link Preconditioner}: their options, and the rows that they take. */
import { boolean, checkOptions, checkRequired, oneOf, positiveInteger } from '../../base/validate';
import { checkSize, float32, type VectorArrays, vectorArrays } from '../../base/weight-vector';
import type { NetworkShape } from '../registry';
import type { DenseLayerOptions } from '../types';

const denseNames = ['inFeatures', 'outFeatures', 'bias', 'kernelLayout', 'weights'];

/** Checks a dense layer's options. */
export function parseDense(options: DenseLayerOptions): {
  readonly shape: NetworkShape;
  readonly weights: VectorArrays | undefined;
} {
  checkOptions(options, 'registerDense', denseNames);
  checkRequired(options, 'registerDense', { inFeatures: 'a positive integer', outFeatures: 'a positive integer' });
  const shape: NetworkShape = {
    inFeatures: positiveInteger(options.inFeatures, 'inFeatures'),
    outFeatures: positiveInteger(options.outFeatures, 'outFeatures'),
    bias: boolean(options.bias ?? true, 'bias'),
    kernelLayout: oneOf(options.kernelLayout ?? 'out-in', 'kernelLayout', ['out-in', 'in-out']),
  };
  checkSize(shape.inFeatures, shape.outFeatures);
  const weights = options.weights === undefined ? undefined : vectorArrays(options.weights, 'weights', shape);
  return { shape, weights };
}

/** How many rows an array holds, a multiple of `samples`; what is no multiple is refused by its length. */
function countRows(array: unknown, features: number, samples: number): number {
  const length = ArrayBuffer.isView(array) && 'length' in array ? Number(array.length) : 0;
  const rows = Math.floor(length / features);
  const whole = rows > 0 && rows * features === length && rows % samples === 0;
  return whole ? rows : Math.max(samples, Math.floor(rows / samples) * samples);
}

/** Checks a batch's rows: one per sample, or per sample and position. */
export function denseRows({ inFeatures, outFeatures }: NetworkShape, inputs: unknown, grads: unknown, samples: number) {
  const rows = countRows(inputs, inFeatures, samples);
  return {
    rows,
    inputs: float32(inputs, 'inputs', rows * inFeatures, `rows ${rows} × inFeatures ${inFeatures}`),
    lossGrads: float32(grads, 'lossGrads', rows * outFeatures, `rows ${rows} × outFeatures ${outFeatures}`),
  };
}

/** Checks output gradients of sampled targets. */
export function denseFisherRows({ outFeatures }: NetworkShape, grads: unknown, samples: number) {
  const rows = countRows(grads, outFeatures, samples);
  return {
    rows,
    outputGrads: float32(grads, 'outputGrads', rows * outFeatures, `rows ${rows} × outFeatures ${outFeatures}`),
  };
}
