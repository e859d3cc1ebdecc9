/** The numbers that travel between the processes of a run. */
export type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;

/** How {@link Communicator.allreduce} puts the numbers of all ranks together. */
export type ReduceOperation = 'sum' | 'min' | 'max';

/** What a rank expects of the others, where it knows. */
export interface Expected {
  /** How many numbers come from each rank; without it the ranks tell each other first. */
  readonly counts?: readonly number[];
}

/**
 * The processes, called ranks, that train one model together, and what they tell each other.
 *
 * Every method is a collective: all ranks call the same ones in the same order, and a promise settles when this rank
 * has its result. Arguments are copied when the call is made, and what comes back belongs to the caller. Sums are taken
 * in the order of ranks, so that all ranks get the same bits, and so does the next run of as many ranks. The `…Sync`
 * twins wait on the calling thread.
 *
 * `connectMpi` of `cgfac/mpi` makes one of the processes that `mpirun` started; a program may bring its own. A
 * collective that cannot be finished rejects (or throws) with a {@link CgfacError} `ERR_CGFAC_COMMUNICATION` that names
 * the rank, and the communicator is of no more use.
 */
export interface Communicator {
  /** Which of the ranks this process is, from 0. */
  readonly rank: number;
  /** How many ranks there are. */
  readonly size: number;
  /**
   * Sums (or takes the least, or the largest of) the numbers of all ranks, element by element.
   *
   * @param values - As many on all ranks.
   * @param operation - 'sum' by default.
   */
  allreduce<T extends Numbers>(values: T, operation?: ReduceOperation): Promise<T>;
  /** Sums (or takes the least, or the largest of) the numbers of all ranks, and waits for it. */
  allreduceSync<T extends Numbers>(values: T, operation?: ReduceOperation): T;
  /**
   * Sends a part to each rank.
   *
   * @param parts - By the rank that they are for, `size` arrays of one type; any may be empty.
   * @param expected - What is known of the lengths of those that come.
   * @returns What each rank sent to this one, by rank.
   */
  alltoallv<T extends Numbers>(parts: readonly T[], expected?: Expected): Promise<T[]>;
  /** Sends a part to each rank, and waits for what comes from them. */
  alltoallvSync<T extends Numbers>(parts: readonly T[], expected?: Expected): T[];
  /**
   * Sends numbers to all ranks.
   *
   * @param values - Of any length, which may differ between ranks.
   * @param expected - What is known of the lengths of those that come.
   * @returns Those of each rank, by rank.
   */
  allgatherv<T extends Numbers>(values: T, expected?: Expected): Promise<T[]>;
  /** Sends numbers to all ranks, and waits for theirs. */
  allgathervSync<T extends Numbers>(values: T, expected?: Expected): T[];
  /**
   * Sends the numbers of one rank to all.
   *
   * @param values - Those of `root`; of other ranks as many, whose numbers do not matter.
   * @param root - 0 by default.
   */
  bcast<T extends Numbers>(values: T, root?: number): Promise<T>;
  /** Sends the numbers of one rank to all, and waits for them. */
  bcastSync<T extends Numbers>(values: T, root?: number): T;
  /** Waits until all ranks have come here. */
  barrier(): Promise<void>;
  /** Waits on the calling thread until all ranks have come here. */
  barrierSync(): void;
  /** Ends the communication, after all collectives; a process that leaves without it ends the whole run. */
  finalize(): Promise<void>;
}
