import type { LayerShape } from '../../base/weight-vector';
import type { PreparedStep } from './prepared';

/** What the length of a step is made of. */
type Measured = 'norm' | 'momentumProduct' | 'sampled' | 'samples';

/** What one layer's part of a step was. */
export interface LayerStepSummary extends Omit<PreparedStep, 'innerProduct' | 'lambdaMax' | 'bound' | Measured> {
  /** The name it was registered under. */
  readonly name: string;
  /** ⟨v, x⟩ of its gradient and its direction. */
  readonly innerProduct: number;
  /**
   * The largest eigenvalue of its F over λ (over γ_A·γ_G with factored damping): where it is below 1, damping
   * dominates.
   */
  readonly lambdaMaxOverDamping?: number;
  /** Bytes that it keeps between steps, momentum and averages apart. */
  readonly bytes: number;
}

/** Steps that were skipped. */
export interface SkippedSteps {
  /** All of them. */
  readonly total: number;
  /** The last ones, up to now without one between that was taken. */
  readonly inARow: number;
}

/** What a step did, or why it did nothing. */
export interface StepSummary {
  /** The number of the step, 0 for the first. */
  readonly step: number;
  /** Whether, and why, the step was skipped: weights, momentum and averages are as before, gradients are zero. */
  readonly skipped?: string;
  /** Whether a skipped step had nothing to do: Σ⟨v, x⟩ is 0. Three of these in a row are no error. */
  readonly idle?: true;
  /** Steps skipped so far, and of those the last ones in a row. */
  readonly skippedSteps: SkippedSteps;
  /** L and L_min, where they were given. */
  readonly loss?: number;
  /** L_min. */
  readonly lossFloor?: number;
  /** Σ⟨v, x⟩ over the layers. */
  readonly innerProduct: number;
  /** η, the length of the step. */
  readonly stepSize: number;
  /** (η − η²/2)·Σ⟨v, x⟩: what the damped quadratic model of the loss promises, momentum apart. */
  readonly predictedDecrease: number;
  /** Whether the factors took in this step's rows. */
  readonly refreshed: boolean;
  /** The layers, in the order of their registration; those without rows at this step are left out. */
  readonly layers: readonly LayerStepSummary[];
  /** What deserves attention, in words. */
  readonly diagnoses: readonly string[];
}

/**
 * Rows whose second moments lie within this of one direction are alike; sides with fewer features have few directions
 * by nature.
 */
const ALIKE = 1.05;
const FEWEST_FEATURES = 4;
const FEWEST_ROWS = 16;
/**
 * Directions that the damping leaves of a side with many features: where it is not the damping that leaves so few,
 * there are no more.
 */
const FEW = 3.5;
const MANY_FEATURES = 16;
const UNDAMPED = 10;

/** What deserves attention in a layer's step. */
export function diagnose(layer: LayerStepSummary, { inFeatures, outFeatures }: LayerShape): string[] {
  const found: string[] = [];
  const { name, lambdaMaxOverDamping: ratio, stableRank, effectiveRank, inputRows, outputRows, reason } = layer;
  if (reason === 'no-curvature')
    found.push(`no curvature in layer ${name}: all its inputs or output gradients are zero`);
  if (reason === 'indefinite' || reason === 'broken-down')
    found.push(
      `conjugate gradients ended early in layer ${name} (${reason}): the damping is near the rounding of float32`,
    );
  if (ratio !== undefined && ratio < 0.1) found.push(`damping dominates in layer ${name}: this is gradient descent`);
  const alike = (rank: number | undefined, rows: number, features: number, what: string) => {
    if (rank !== undefined && rank < ALIKE && rows >= FEWEST_ROWS && features >= FEWEST_FEATURES)
      found.push(`rank ${rank.toFixed(1)} of ${rows} in layer ${name}: all ${what} alike`);
  };
  alike(stableRank?.input, inputRows, inFeatures, 'inputs');
  alike(stableRank?.output, outputRows, outFeatures, 'output gradients');
  const few = (side: 'input' | 'output', rows: number, features: number, what: string) => {
    const rank = typeof effectiveRank === 'object' ? effectiveRank[side] : Number.NaN;
    const spread = stableRank?.[side] ?? 1;
    if (
      rank < FEW &&
      spread >= ALIKE &&
      ratio !== undefined &&
      ratio >= UNDAMPED &&
      rows >= FEWEST_ROWS &&
      features >= MANY_FEATURES
    )
      found.push(`rank ${rank.toFixed(1)} of ${rows} in layer ${name}: its ${what} lie in few directions`);
  };
  few('input', inputRows, inFeatures, 'inputs');
  few('output', outputRows, outFeatures, 'output gradients');
  return found;
}

/** A layer's summary of what was prepared. */
export function layerStepSummary(
  name: string,
  { lambdaMax, bound: _, norm: __, momentumProduct: ___, sampled: ____, samples: _____, ...step }: PreparedStep,
  bytes: number,
): LayerStepSummary {
  const { damping } = step;
  const lambda = typeof damping === 'object' ? damping.input * damping.output : damping;
  const known = lambdaMax !== undefined && lambda !== undefined;
  return { name, ...step, bytes, ...(known ? { lambdaMaxOverDamping: lambdaMax / lambda } : {}) };
}
