/** Weights of a {@link Preconditioner} of which nothing is known but their gradients: options and rows. */
import { copyOf, lengthOf } from '../../base/float32';
import { checkRequired, positiveInteger, readOptions, valueError } from '../../base/validate';
import { checkSize, float32 } from '../../base/weight-vector';
import type { LayerKind, NetworkShape } from './layer-kind';
import { type LayerRole, withRole } from './role';
import { countIn } from './samples';

/** Weights that no other kind of layer covers, for {@link Preconditioner.registerDiagonal}. */
export interface DiagonalLayerOptions extends Omit<LayerRole, 'output'> {
  /** The number of weights. */
  readonly features: number;
  /**
   * Columns of the matrix that the weights are, where its rows are used now and then, as those of a table are that is
   * gathered from: D_ij becomes the mean of its row times that of its column over that of all. A divisor of `features`.
   * Default: none.
   */
  readonly columns?: number;
}

const names = ['features', 'columns', 'recurrent', 'attended', 'judged', 'weights'];

/** Whether rows are the one sum over all samples. */
const isSum = (rows: number, samples: number) => rows === 1 && samples > 1;

/** Rows of samples, each the sum over its positions; the sum over all samples stays what it is. */
function bySample(array: unknown, name: string, features: number, samples: number): Float32Array {
  const rows = countIn(array) / features;
  if (isSum(rows, samples)) return float32(array, name, features, `features ${features}`);
  const positions = Math.max(1, Math.floor(rows / samples));
  const extents = `samples ${samples} × positions ${positions} × features ${features}, or features ${features}`;
  const given = float32(array, name, samples * positions * features, extents);
  if (positions === 1) return given;
  const sums = new Float32Array(samples * features);
  copyOf(given).forEach((value, at) => {
    const place = Math.floor(at / (positions * features)) * features + (at % features);
    sums[place] = (sums[place] ?? 0) + value;
  });
  return sums;
}

/** A row for each sample, or one for their sum. */
export const diagonal: LayerKind = {
  required: { lossGrads: 'a Float32Array' },

  parse: (given) => {
    const options = readOptions(given as DiagonalLayerOptions, 'registerDiagonal', names);
    checkRequired(options, 'registerDiagonal', { features: 'a positive integer' });
    const features = positiveInteger(options.features, 'features');
    const columns = options.columns === undefined ? 0 : positiveInteger(options.columns, 'columns');
    if (columns > 0 && features % columns !== 0)
      throw valueError(`a divisor of features ${features}`, 'columns', options.columns);
    checkSize(1, features);
    const shape: NetworkShape = {
      kind: 'diagonal',
      inFeatures: 1,
      outFeatures: features,
      bias: false,
      kernelLayout: 'out-in',
      columns,
    };
    return withRole(shape, options);
  },

  rows: ({ outFeatures }, inputs, lossGrads, samples) => {
    if (inputs !== undefined) throw valueError('none for weights with a diagonal', 'inputs', inputs);
    const grads = bySample(lossGrads, 'lossGrads', outFeatures, samples);
    const rows = lengthOf(grads) / outFeatures;
    return { rows, inputs: new Float32Array(rows).fill(1), lossGrads: grads };
  },

  fisherRows: ({ outFeatures }, outputGrads, samples) => {
    const grads = bySample(outputGrads, 'outputGrads', outFeatures, samples);
    return { rows: lengthOf(grads) / outFeatures, outputGrads: grads };
  },

  describe: ({ outFeatures }) => `${outFeatures}, diagonal`,
};
