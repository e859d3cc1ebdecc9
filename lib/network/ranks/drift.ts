/** Whether the weights are the same on all ranks, as they stay where all of them start from the same ones. */
import type { Communicator } from '../../base/communicator';
import { CgfacError } from '../../base/errors';
import { describe } from '../../base/validate';
import { arraysOf } from '../../base/vectors';
import { callNative } from '../../native/call';
import { native } from '../../native/load';
import { isThere, type NetworkEntry } from '../registry';
import { type Phases, runNow } from '../step/phase';
import { allgatherv } from './collectives';

const arraysIn = (entry: NetworkEntry): readonly Float32Array[] =>
  entry.weights !== undefined && isThere(entry) ? arraysOf(entry.weights) : [];

/** A number that other weights would hardly have. */
export function weightsFingerprint(entries: readonly NetworkEntry[]): number {
  return callNative(() => native.fingerprint(entries.flatMap(arraysIn)));
}

/** What most ranks have; of several such values that of the lowest rank. */
function usual(values: readonly number[]): number | undefined {
  const count = (value: number) => values.filter((each) => each === value).length;
  return values.reduce((best, value) => (count(value) > count(best) ? value : best), values[0] ?? 0);
}

/** The arrays of something that has a name. */
interface Named {
  readonly name: string;
  readonly arrays: readonly Float32Array[];
}

/** Says what has other numbers on which rank. */
function* requireSame(communicator: Communicator, what: string, all: readonly Named[]): Phases<void> {
  const own = Float64Array.from(all, ({ arrays }) => callNative(() => native.fingerprint([...arrays])));
  const fingerprints = yield* allgatherv(communicator, own);
  for (const [index, { name }] of all.entries()) {
    const values = fingerprints.map((each) => each[index] ?? 0);
    const expected = usual(values);
    const others = values.flatMap((value, rank) => (value === expected ? [] : [rank]));
    if (others.length === 0) continue;
    throw new CgfacError(
      'ERR_CGFAC_COMMUNICATION',
      `Expected the same weights on all ranks but received others of ${what} ${describe(name)} on rank ` +
        `${others.join(', ')}; start all ranks from the same weights, and change them by steps alone`,
    );
  }
}

/**
 * Says which layer has other weights on which rank.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_COMMUNICATION` on all ranks, where there is one.
 */
export function requireSameWeights(communicator: Communicator, entries: readonly NetworkEntry[]): Phases<void> {
  return requireSame(
    communicator,
    'layer',
    entries.map((entry) => ({ name: entry.name, arrays: arraysIn(entry) })),
  );
}

/**
 * Compares the numbers of variables on all ranks, which call it together.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_COMMUNICATION` on all ranks, where one has others.
 */
export function requireSameVariables(communicator: Communicator, variables: readonly Named[]): void {
  runNow(requireSame(communicator, 'variable', variables));
}
