/** The two sides of a layer as they travel: their dimensions, and the forms that their factors are kept in. */
import type { NetworkShape } from '../kinds/layer-kind';
import type { ResolvedPreconditionerOptions } from '../options';

/** The largest dimension of which a panel is a dense average: that of binding/core/factor/factor.h. */
export const DENSE_DIMENSION = 200;

/** How a factor is kept: rows, a panel, a matrix, or the numbers of a diagonal or of blocks. */
export type SideForm = 'rows' | 'panel' | 'dense' | 'numbers';

/** One side of a layer. */
export interface Side {
  /** The dimension of the factor, the 1 of a bias among it. */
  readonly dimension: number;
  /** Numbers of a row as it travels, the 1 not among them. */
  readonly features: number;
  /** Numbers of a diagonal or of blocks, where the factor is such. */
  readonly numbers?: number;
}

/** Both sides of a layer by its shape. */
export function sidesOf(shape: NetworkShape): { readonly input: Side; readonly output: Side } {
  const { kind, inFeatures, outFeatures, bias, patches, multiplier = 1 } = shape;
  const one = bias ? 1 : 0;
  const input = { dimension: inFeatures + one, features: inFeatures };
  const output = { dimension: outFeatures, features: outFeatures };
  switch (kind) {
    case 'diagonal':
      return { input: { dimension: 1, features: 1, numbers: 1 }, output: { ...output, numbers: outFeatures } };
    case 'embedding':
      return { input: { ...input, numbers: inFeatures }, output };
    case 'scaleShift':
      return {
        input: { dimension: 2 * outFeatures, features: 2 * outFeatures, numbers: 4 * outFeatures },
        output: { dimension: 1, features: 1, numbers: 1 },
      };
    case 'depthwiseConvolution': {
      const channels = patches?.channels ?? 1;
      return {
        input: { ...input, numbers: channels * input.dimension ** 2 },
        output: { ...output, numbers: channels * multiplier ** 2 },
      };
    }
    default:
      return { input, output };
  }
}

/** How the factor of a side is kept. */
export function sideForm(
  { dimension, numbers }: Side,
  { method, factorHistory }: Pick<ResolvedPreconditionerOptions, 'method' | 'factorHistory'>,
): SideForm {
  if (numbers !== undefined) return 'numbers';
  if (method === 'kfac' || factorHistory === 'dense') return 'dense';
  if (factorHistory === 'none') return 'rows';
  return dimension <= DENSE_DIMENSION ? 'dense' : 'panel';
}
