import type { StepSummary } from '../../adapter-kit';
import type { HeadReport } from '../capture/head-report';
import type { LoneVariable } from '../capture/sites';

export type { HeadReport };

/** A variable that no layer has, so that its block of the Fisher matrix is a diagonal. */
export interface LoneReport {
  /** The name of the variable. */
  readonly name: string;
  /** The op that uses it and belongs to no kind of layer, or another reason. */
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
  /**
   * Where the layers enter the loss, and what the metric is there; none for a loss that is not finite. What the loss
   * cannot fall below is `summary.lossFloor`.
   */
  readonly heads: readonly HeadReport[];
  /** The variables that no layer has, each with a diagonal for its block. */
  readonly lone: readonly LoneReport[];
}

/** What a report tells of a step before it is taken. */
interface Reported {
  readonly iteration: number;
  readonly heads: readonly HeadReport[];
  readonly lone: readonly LoneVariable[];
}

/** The report of a step, with the summary of its layers where it has any. */
export function reportOf({ iteration, heads, lone }: Reported, summary?: StepSummary): StepReport {
  const named = lone.map(({ variable, reason }) => ({ name: variable.name, reason }));
  return {
    iteration,
    nu: summary?.stepSize ?? 0,
    innerProduct: summary?.innerProduct ?? 0,
    heads,
    lone: named,
    ...(summary && { summary }),
  };
}
