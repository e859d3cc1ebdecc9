/** What is saved of a recipe, out of its parts. */
import { digests } from '../saving/digest';
import { type SavedState, savedParts, withPending } from '../saving/saved-state';
import type { Averages } from './averages';
import type { RecipeLayers } from './layers';
import type { StatisticAverages } from './statistics';

/** The parts of a recipe that a state is made of. */
interface Parts {
  readonly layers: RecipeLayers;
  readonly averages: Averages;
  readonly statistics: StatisticAverages;
  /** What was loaded and is not taken over yet. */
  readonly loaded: SavedState | undefined;
}

/** The state, a copy; none before the first step. */
export function wholeState({ layers, averages, statistics, loaded }: Parts): SavedState | undefined {
  const state = layers.state();
  const { steps, skippedSteps, adaptation } = state ?? loaded ?? {};
  if (steps === undefined || skippedSteps === undefined) return undefined;
  const { options } = layers;
  const digestOf = digests();
  const own = savedParts(layers.stated(state), averages, digestOf);
  const running = statistics.saved(digestOf);
  return {
    steps,
    skippedSteps,
    averaged: averages.steps,
    soft: options ? options.preset === 'reconstruction' : loaded?.soft === true,
    ...(options ? { preset: options.preset } : loaded?.preset ? { preset: loaded.preset } : {}),
    ...(adaptation ? { adaptation } : {}),
    ...(running.length > 0 ? { statistics: running } : {}),
    ...withPending(own, loaded, averages.variables().length),
  };
}
