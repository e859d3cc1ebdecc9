/** What came of a run, and what is said of one by rules that need no framework. */

/** A loss, in the unit of its program; null where it was not finite. */
export type Figure = number | null;

/** The losses of a run after so many steps. */
export interface Told {
  readonly step: number;
  /** Over the batches that are trained on. */
  readonly train: Figure;
  readonly heldOut: Figure;
  /** Held out, with averages of the weights. */
  readonly averaged: Figure;
}

/** A program trained by a contender from a seed. */
export interface Run {
  readonly task: string;
  readonly contender: string;
  readonly seed: number;
  /** Loss over the batches that are trained on before the first step. */
  readonly start: Figure;
  readonly told: readonly Told[];
  /** Median milliseconds of a step. */
  readonly ms: number;
  /** Seconds that the run took, its evaluations included. */
  readonly seconds: number;
  /** Why it counts as diverged. */
  readonly diverged?: string;
  /** The message of an error that is no divergence. */
  readonly failed?: string;
  /** What the optimizer said on the console, each line once. */
  readonly notices?: readonly string[];
}

/** What happened to a run, as {@link divergence} judges it. */
export interface Events {
  readonly start: Figure;
  /** The loss over the batches that are trained on after the last step. */
  readonly last: Figure;
  /** The first step whose loss was not finite. */
  readonly notFinite?: number;
  /** Whether the optimizer gave up with `ERR_CGFAC_DIVERGED`. */
  readonly gaveUp?: boolean;
}

/** A number, or null where it is not finite. */
export const figure = (value: number): Figure => (Number.isFinite(value) ? value : null);

/**
 * Why a run diverged: a step was not finite, the optimizer gave up, or the loss over the training batches ended above
 * where it started. Undefined where it did not.
 */
export function divergence({ start, last, notFinite, gaveUp }: Events): string | undefined {
  if (gaveUp) return 'ERR_CGFAC_DIVERGED';
  if (notFinite !== undefined) return `step ${notFinite} was not finite`;
  if (start === null || last === null) return 'its loss is not finite';
  return last > start ? `ended at ${last.toPrecision(3)}, above its start ${start.toPrecision(3)}` : undefined;
}

/** The key of a run among all of them. */
export const keyOf = ({ task, contender, seed }: Pick<Run, 'task' | 'contender' | 'seed'>): string =>
  `${task}, ${contender}, seed ${seed}`;
