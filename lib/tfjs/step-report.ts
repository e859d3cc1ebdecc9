import type { StepSummary } from '../step-summary';

/** What one block did in a step. */
export interface BlockReport {
  /** Name of the kernel variable. */
  readonly kernel: string;
  /** Name of the bias variable in the same block. */
  readonly bias: string | undefined;
  /** Width of a row of inputs, without the bias. */
  readonly inFeatures: number;
  /** Width of a row of output gradients. */
  readonly outFeatures: number;
  /** Rows of the factors, those added from an earlier batch among them. */
  readonly rows: number;
  /** Rows that a short batch got from an earlier one. */
  readonly addedRows: number;
  /** Conjugate-gradient iterations of the last solve. */
  readonly iterations: number;
  /** ‖v − (F + λI)x‖/‖v‖ at its end. */
  readonly residual: number;
  /** The same at its start, which is 1 without a warm start. */
  readonly initialResidual: number;
  /**
   * Why the iterations ended; `'no-curvature'` when they could not begin, because F is zero and so is a damping relative to it (a
   * layer of dead rectifiers, for one): the direction is then zero.
   */
  readonly reason: 'converged' | 'max-iterations' | 'indefinite' | 'broken-down' | 'no-curvature';
  /** Where they took place; `undefined` without any. */
  readonly space: 'weight' | 'gram' | undefined;
  /** Whether the warm start led uphill (⟨v, x⟩ ≤ 0), and the block was solved again from zero. */
  readonly restarted: boolean;
  /** ⟨v, x⟩ of this block. */
  readonly innerProduct: number;
}

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
  /** ν, the factor that the bound on the step's size put on it, in (0, 1]; of every method but 'cg' η, the length of the step. */
  readonly nu: number;
  /** Σ⟨v, x⟩ over the blocks. */
  readonly innerProduct: number;
  /** The preconditioned blocks of method 'cg'. */
  readonly blocks: readonly BlockReport[];
  /** Of every other method, what the step was, its layers named by their kernels. */
  readonly summary?: StepSummary;
  /** The variables that took a plain gradient step. */
  readonly plain: readonly PlainReport[];
}
