/** Scales and shifts of a {@link Preconditioner}, which normalisations have: their options, and the rows they take. */
import { checkRequired, positiveInteger, readOptions } from '../../base/validate';
import type { LayerKind, NetworkShape } from './layer-kind';
import { type LayerRole, roleNames, withRole } from './role';
import { ownGrads, wholeRows } from './samples';

/**
 * What is left of a normalisation, for {@link Preconditioner.registerScaleShift}: y = γ x̂ + β for each channel, with γ
 * the `kernel` of its vectors and β the `bias`.
 */
export interface ScaleShiftLayerOptions extends LayerRole {
  /** Channels. */
  readonly features: number;
}

/** Rows of one per sample, or per sample and position. */
export const scaleShift: LayerKind = {
  required: { inputs: 'a Float32Array' },

  parse: (given) => {
    const options = readOptions(given as ScaleShiftLayerOptions, 'registerScaleShift', ['features', ...roleNames]);
    checkRequired(options, 'registerScaleShift', { features: 'a positive integer' });
    const shape: NetworkShape = {
      kind: 'scaleShift',
      inFeatures: 1,
      outFeatures: positiveInteger(options.features, 'features'),
      bias: true,
      kernelLayout: 'in-out',
      columns: 0,
    };
    return withRole(shape, options);
  },

  rows: ({ outFeatures }, inputs, lossGrads, samples) => {
    const { rows, numbers } = wholeRows(inputs, 'inputs', outFeatures, `features ${outFeatures}`, samples);
    return { rows, inputs: numbers, lossGrads: ownGrads(lossGrads, rows, outFeatures, `features ${outFeatures}`) };
  },

  fisherRows: ({ outFeatures }, outputGrads, samples) => {
    const words = `features ${outFeatures}`;
    const { rows, numbers } = wholeRows(outputGrads, 'outputGrads', outFeatures, words, samples);
    return { rows, outputGrads: numbers };
  },

  describe: ({ outFeatures }) => `a scale and a shift of ${outFeatures}`,
};
