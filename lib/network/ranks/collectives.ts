/** The collectives of a communicator as phases of a step. */
import type { Communicator, Numbers } from '../../base/communicator';
import type { Phases } from '../step/phase';

function* collective<T>(now: () => T, later: (signal: AbortSignal | undefined) => Promise<T>): Phases<T> {
  let result: { readonly value: T } | undefined;
  yield {
    now: () => {
      result = { value: now() };
    },
    later: async (signal) => {
      result = { value: await later(signal) };
    },
  };
  if (result === undefined) throw new Error('Expected a phase that has run but received one that has not');
  return result.value;
}

/** Numbers of all ranks, by rank. */
export function* allgatherv<T extends Numbers>(communicator: Communicator, values: T): Phases<T[]> {
  return yield* collective(
    () => communicator.allgathervSync(values),
    () => communicator.allgatherv(values),
  );
}

/** What each rank sends to this one, by rank. */
export function* alltoallv<T extends Numbers>(communicator: Communicator, parts: readonly T[]): Phases<T[]> {
  return yield* collective(
    () => communicator.alltoallvSync(parts),
    () => communicator.alltoallv(parts),
  );
}

/** Numbers of all ranks that are made at the last moment, when it is known whether this one was aborted. */
export function* allgathervOf<T extends Numbers>(
  communicator: Communicator,
  make: (signal: AbortSignal | undefined) => T,
): Phases<T[]> {
  return yield* collective(
    () => communicator.allgathervSync(make(undefined)),
    (signal) => communicator.allgatherv(make(signal)),
  );
}

/** The numbers of one rank. */
export function* bcast<T extends Numbers>(communicator: Communicator, values: T, root = 0): Phases<T> {
  return yield* collective(
    () => communicator.bcastSync(values, root),
    () => communicator.bcast(values, root),
  );
}
