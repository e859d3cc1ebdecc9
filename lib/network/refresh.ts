/** When the factors of layers take in rows. */
import { at, type ResolvedPreconditionerOptions, scheduled } from './options';
import type { NetworkEntry } from './registry';
import type { StepCounts } from './step/decide';

type Every = Pick<ResolvedPreconditionerOptions, 'factorUpdateSteps'>;

/** So many first steps of a layer refresh its factors, where the others that do are 4 steps apart or more. */
const EARLY_STEPS = 10;

/** So many do where these are closer. */
const FIRST_STEPS = 2;

/**
 * Whether the factors of a layer that took part in `own` steps take in rows at its next one: every T steps, at the
 * first ones, and after a step that could not be taken. Each layer counts its own steps, so that layers which take
 * turns do not take each other's refreshes.
 */
function isRefreshDue(own: number, { skipped }: StepCounts, every: number): boolean {
  return skipped.inARow > 0 || own % every === 0 || own < (every >= 4 ? EARLY_STEPS : FIRST_STEPS);
}

/** T at the step to come, whose schedule is asked once. */
function everySo({ steps }: StepCounts, { factorUpdateSteps }: Every): number {
  return at(factorUpdateSteps, steps, 'factorUpdateSteps', scheduled.factorUpdateSteps);
}

/** Whether the factors of a layer that took part in `own` steps take in rows at its next one. */
export function refreshDueAfter(own: number, counts: StepCounts, options: Every): boolean {
  return isRefreshDue(own, counts, everySo(counts, options));
}

/** The layers that have rows, and whose factors take them in at the step to come. */
export function refreshing(entries: readonly NetworkEntry[], counts: StepCounts, options: Every): Set<NetworkEntry> {
  const every = everySo(counts, options);
  return new Set(
    entries.filter(({ layer, steps }) => layer.recorded && (!layer.started || isRefreshDue(steps, counts, every))),
  );
}

/** Whether any of all layers is refreshed at the step to come, as far as is known before its rows are. */
export function anyRefreshDue(entries: readonly NetworkEntry[], counts: StepCounts, options: Every): boolean {
  const every = everySo(counts, options);
  if (entries.length === 0) return isRefreshDue(counts.steps, counts, every);
  return entries.some(({ layer, registered, steps }) => {
    if (!layer.started && layer.recorded) return true;
    // one that has waited for its first step may wait on
    return steps === 0 && registered !== counts.steps ? counts.skipped.inARow > 0 : isRefreshDue(steps, counts, every);
  });
}
