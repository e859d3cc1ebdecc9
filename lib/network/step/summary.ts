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
  /**
   * What its direction is multiplied by, the learning rate among it and momentum apart: η, less where its change is
   * bounded, or, with the step rule 'quadratic', the layer's own. None of a step that is skipped.
   */
  readonly stepSize?: number;
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
  /**
   * φ as it came out: the part of L − L_min that η·Σ⟨v, x⟩/(1 − μ) is, where the step rule is 'polyak' or 'quadratic'
   * and so much of the loss is left that it is a number. Less than `polyakFraction` where η is 1, or where changes are
   * bounded.
   */
  readonly fraction?: number;
  /** (η − η²/2)·Σ⟨v, x⟩: what the damped quadratic model of the loss promises, momentum apart. */
  readonly predictedDecrease: number;
  /** Whether the factors took in this step's rows. */
  readonly refreshed: boolean;
  /** The layers, in the order of their registration; those without rows at this step are left out. */
  readonly layers: readonly LayerStepSummary[];
  /** What deserves attention, in words. */
  readonly diagnoses: readonly string[];
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
