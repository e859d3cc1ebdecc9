/** What deserves attention in a step, as sentences that say what to do. */
import type { LayerShape } from '../../base/weight-vector';
import type { InputRows } from '../input-rows';
import type { LayerStepSummary } from './summary';

/** Fewer rows may well be the same. */
const FEWEST_ROWS = 16;
/** So may rows of fewer features. */
const FEWEST_FEATURES = 4;
/** λ_max/λ below which the direction is that of the gradient. */
const DOMINATED = 0.1;

/** What a step that had nothing to do for any layer deserves to have said. */
export const NOTHING_TO_DO =
  'the gradients of all layers are zero, or those that curvature is made of: the outputs are saturated, or the loss ' +
  'is at its least; where it is not, scale the inputs down, or start from smaller weights';

/** What is known of a layer besides its summary. */
export interface DiagnosedLayer {
  readonly shape: Pick<LayerShape, 'inFeatures' | 'bias'>;
  /** The inputs that were recorded for the step. */
  readonly inputs: Pick<InputRows, 'common' | 'count'>;
}

/** What deserves attention in a layer's step. */
export function diagnose(layer: LayerStepSummary, { shape, inputs }: DiagnosedLayer): string[] {
  const { name, lambdaMaxOverDamping: ratio, reason } = layer;
  const { common, count } = inputs;
  const found: string[] = [];
  const noInputs = common === 'zero' && !shape.bias;
  if (common === 'zero' && (count >= FEWEST_ROWS || reason === 'no-curvature'))
    found.push(
      `all inputs of layer ${name} are zero: look at the data where it is the first, and else at the layer before ` +
        'it, all of whose units are dead',
    );
  if (common === 'same' && count >= FEWEST_ROWS && shape.inFeatures >= FEWEST_FEATURES)
    found.push(
      `all ${count} rows of inputs of layer ${name} are the same: look at the data where it is the first, and else ` +
        'at the layers before it, all of whose units are dead or saturated',
    );
  if (reason === 'no-curvature' && !noInputs)
    found.push(
      `all output gradients of layer ${name} are zero, or next to it: weights of zero, or dead or saturated units, ` +
        'stand between it and the loss; where that lasts, start from smaller weights, or take another activation',
    );
  if (reason === 'stagnated' || reason === 'indefinite' || reason === 'broken-down')
    found.push(
      `conjugate gradients ended early in layer ${name} (${reason}): the damping is near the rounding of float32; ` +
        'give a larger one',
    );
  if (ratio !== undefined && ratio < DOMINATED)
    found.push(`damping dominates in layer ${name}: this is gradient descent; give a smaller damping`);
  return found;
}
