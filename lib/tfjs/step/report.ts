import type { StepSummary } from '../../network/step/summary';

/** A variable that took a plain gradient step. */
export interface PlainReport {
  /** Its name. */
  readonly name: string;
  /** The op that uses it and belongs to no kind of layer that is preconditioned, or another reason. */
  readonly reason: string;
}

/** What the optimizer did in its last step: {@link CgfacOptimizer.lastStep}. */
export interface StepReport {
  /** The steps before this one. */
  readonly iteration: number;
  /** η, the length of the step: with the step rule 'kl-clip' ν·learningRate. */
  readonly nu: number;
  /** Σ⟨v, x⟩ over the layers. */
  readonly innerProduct: number;
  /**
   * What the step was, its layers named by their kernels; `undefined` where there are none, and nothing was skipped.
   */
  readonly summary?: StepSummary;
  /** The variables that took a plain gradient step. */
  readonly plain: readonly PlainReport[];
}
