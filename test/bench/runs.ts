import type { Run } from '../../bench/suites/training/runs';

/** A run with one loss at each of the steps 10 and 25, or with what is given instead. */
export function run(contender: string, seed: number, losses: readonly (number | null)[], more: Partial<Run> = {}): Run {
  const steps = [10, 25];
  return {
    task: 'some-task',
    contender,
    seed,
    start: 9,
    told: steps.map((step, at) => {
      const loss = losses[at] ?? null;
      return { step, train: loss, heldOut: loss, averaged: loss };
    }),
    ms: 1,
    seconds: 1,
    ...more,
  };
}
