/** What each rank recorded of each layer of a step. */
import type { Communicator } from '../../base/communicator';
import { callNative } from '../../native/call';
import { native } from '../../native/load';
import type { NetworkEntry } from '../registry';
import type { Phases } from '../step/phase';
import { countIn } from './checked';
import { allgatherv } from './collectives';
import type { RankCounts } from './travel';

/** By rank, and of each by layer. */
export type RankTable = readonly (readonly RankCounts[])[];

const places = ['inputs', 'lossGrads', 'outputGrads', 'inputRows', 'outputRows', 'samples', 'parts'] as const;

function countsIn(numbers: ArrayLike<number>, from: number): RankCounts {
  const named = Object.fromEntries(places.map((name, index) => [name, numbers[from + index] ?? 0]));
  return named as Record<(typeof places)[number], number>;
}

/** What was recorded here of a layer. */
export function countsOf({ layer }: Pick<NetworkEntry, 'layer'>): RankCounts {
  return countsIn(
    callNative(() => native.shareCounts(layer.native)),
    0,
  );
}

/** What all ranks recorded. */
export function* gatheredTable(communicator: Communicator, entries: readonly NetworkEntry[]): Phases<RankTable> {
  const own = Float64Array.from(
    entries.flatMap((entry) => {
      const counts = countsOf(entry);
      return places.map((name) => counts[name]);
    }),
  );
  const all = yield* allgatherv(communicator, own);
  return all.map((numbers) => {
    const counts = Float64Array.from(own, (_, index) => countIn(numbers[index], 'allgatherv'));
    return entries.map((_, index) => countsIn(counts, places.length * index));
  });
}
