/** Embeddings of a {@link Preconditioner}: their options, and the ids that they take. */
import { boolean, checkRequired, positiveInteger, readOptions, valueError } from '../../base/validate';
import { checkSize } from '../../base/weight-vector';
import type { LayerKind, NetworkShape } from './layer-kind';
import { type LayerRole, roleNames, withRole } from './role';
import { idsOf, ownGrads, wholeRows } from './samples';

/** An embedding, for {@link Preconditioner.registerEmbedding}: a table of `inputDim` rows of `outputDim` numbers. */
export interface EmbeddingLayerOptions extends LayerRole {
  /** Rows of the table; ids are 0 … inputDim − 1. No more than 2²⁴. */
  readonly inputDim: number;
  /** Numbers of a row. */
  readonly outputDim: number;
  /** Whether the id 0 stands for no token, so that it is not counted. Default: false. */
  readonly maskZero?: boolean;
}

const names = ['inputDim', 'outputDim', 'maskZero', ...roleNames];

/** The ids that the core tells apart. */
const MOST_ROWS = 2 ** 24;

/** Tables of which each position takes a row. */
export const embedding: LayerKind = {
  required: { inputs: 'an Int32Array' },

  parse: (given) => {
    const options = readOptions(given as EmbeddingLayerOptions, 'registerEmbedding', names);
    checkRequired(options, 'registerEmbedding', { inputDim: 'a positive integer', outputDim: 'a positive integer' });
    const inFeatures = positiveInteger(options.inputDim, 'inputDim');
    if (inFeatures > MOST_ROWS) throw valueError(`no more than ${MOST_ROWS}`, 'inputDim', inFeatures);
    const shape: NetworkShape = {
      kind: 'embedding',
      inFeatures,
      outFeatures: positiveInteger(options.outputDim, 'outputDim'),
      bias: false,
      kernelLayout: 'in-out',
      columns: 0,
      maskZero: boolean(options.maskZero ?? false, 'maskZero'),
    };
    checkSize(shape.inFeatures, shape.outFeatures);
    return withRole(shape, options);
  },

  rows: ({ inFeatures, outFeatures }, inputs, lossGrads, samples) => {
    const ids = idsOf(inputs, samples, inFeatures);
    const grads = ownGrads(lossGrads, ids.length, outFeatures, `outputDim ${outFeatures}`);
    return { rows: ids.length, inputs: ids, lossGrads: grads };
  },

  fisherRows: ({ outFeatures }, outputGrads, samples) => {
    const words = `outputDim ${outFeatures}`;
    const { rows, numbers } = wholeRows(outputGrads, 'outputGrads', outFeatures, words, samples);
    return { rows, outputGrads: numbers };
  },

  describe: ({ inFeatures, outFeatures }) => `a table of ${inFeatures} rows of ${outFeatures}`,
};
