/** Dense layers of a {@link Preconditioner}: their options, and the rows that they take. */
import { boolean, checkRequired, oneOf, positiveInteger, readOptions } from '../../base/validate';
import { checkSize, float32, type KernelLayout } from '../../base/weight-vector';
import type { LayerKind, NetworkShape } from './layer-kind';
import { type LayerRole, roleNames, withRole } from './role';
import { countIn } from './samples';

/** A dense layer, y = W [x 1], for {@link Preconditioner.registerDense}. */
export interface DenseLayerOptions extends LayerRole {
  /** Inputs per row, without the bias. */
  readonly inFeatures: number;
  /** Outputs per row. */
  readonly outFeatures: number;
  /** Whether it has a bias. Default: true. */
  readonly bias?: boolean;
  /** How its kernel lies in memory. Default: 'out-in'. */
  readonly kernelLayout?: KernelLayout;
}

const names = ['inFeatures', 'outFeatures', 'bias', 'kernelLayout', ...roleNames];

/** How many rows an array holds, a multiple of `samples`; what is no multiple is refused by its length. */
function countRows(array: unknown, features: number, samples: number): number {
  const length = countIn(array);
  const rows = Math.floor(length / features);
  const whole = rows > 0 && rows * features === length && rows % samples === 0;
  return whole ? rows : Math.max(samples, Math.floor(rows / samples) * samples);
}

/** Rows of one per sample, or per sample and position. */
export const dense: LayerKind = {
  required: { inputs: 'a Float32Array', lossGrads: 'a Float32Array' },

  parse: (given) => {
    const options = readOptions(given as DenseLayerOptions, 'registerDense', names);
    checkRequired(options, 'registerDense', { inFeatures: 'a positive integer', outFeatures: 'a positive integer' });
    const shape: NetworkShape = {
      kind: 'dense',
      inFeatures: positiveInteger(options.inFeatures, 'inFeatures'),
      outFeatures: positiveInteger(options.outFeatures, 'outFeatures'),
      bias: boolean(options.bias ?? true, 'bias'),
      kernelLayout: oneOf(options.kernelLayout ?? 'out-in', 'kernelLayout', ['out-in', 'in-out']),
      columns: 0,
    };
    checkSize(shape.inFeatures, shape.outFeatures);
    return withRole(shape, options);
  },

  rows: ({ inFeatures, outFeatures }, inputs, lossGrads, samples) => {
    const rows = countRows(inputs, inFeatures, samples);
    return {
      rows,
      inputs: float32(inputs, 'inputs', rows * inFeatures, `rows ${rows} × inFeatures ${inFeatures}`),
      lossGrads: float32(lossGrads, 'lossGrads', rows * outFeatures, `rows ${rows} × outFeatures ${outFeatures}`),
    };
  },

  fisherRows: ({ outFeatures }, outputGrads, samples) => {
    const rows = countRows(outputGrads, outFeatures, samples);
    const shape = `rows ${rows} × outFeatures ${outFeatures}`;
    return { rows, outputGrads: float32(outputGrads, 'outputGrads', rows * outFeatures, shape) };
  },

  describe: ({ inFeatures, outFeatures, bias }) => `${outFeatures}×${inFeatures}${bias ? ' + bias' : ''}`,
};
