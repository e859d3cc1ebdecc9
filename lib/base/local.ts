import type { Communicator, Numbers } from './communicator';

function copyOfNumbers<T extends Numbers>(values: T): T {
  return values.slice() as T;
}

/**
 * The communicator of a process that trains by itself: `size` 1. With it a {@link Preconditioner} does what it does
 * without one, bit for bit, so that a program need not tell whether it was started alone.
 */
export function local(): Communicator {
  const own = <T extends Numbers>(parts: readonly T[]): T[] => parts.map(copyOfNumbers);
  return {
    rank: 0,
    size: 1,
    allreduce: async (values) => copyOfNumbers(values),
    allreduceSync: copyOfNumbers,
    alltoallv: async (parts) => own(parts),
    alltoallvSync: own,
    allgatherv: async (values) => [copyOfNumbers(values)],
    allgathervSync: (values) => [copyOfNumbers(values)],
    bcast: async (values) => copyOfNumbers(values),
    bcastSync: copyOfNumbers,
    barrier: async () => {},
    barrierSync: () => {},
    finalize: async () => {},
  };
}
