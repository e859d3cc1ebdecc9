/** The addon that calls MPI, declared whole, and its loader; nothing is loaded before it is asked for. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Numbers } from '../base/communicator';
import { toCgfacError } from './errors';
import { here, mpiFile, packageRoot } from './folder';
import { loadError } from './load-error';

/** The place of this process among the ranks, and the library that was loaded. */
export interface NativeConnection {
  readonly rank: number;
  readonly size: number;
  readonly path: string;
  readonly version: string;
  readonly abi: 'open-mpi' | 'mpich' | 'standard';
}

/** How numbers are put together, by its number in the addon. */
export type NativeReduction = 0 | 1 | 2;

type Counts = readonly number[] | undefined;

/** All that the addon exports. Arrays are copied when a call is made; what comes back is new. */
export interface NativeMpi {
  /**
   * Loads the first of the libraries that there is, and starts MPI.
   *
   * @param timeout - What a collective has until it fails, in milliseconds.
   * @returns `undefined` where this process has a connection, or had one.
   */
  connect(libraries: readonly string[], timeout: number): Promise<NativeConnection> | undefined;
  /** What the run ends with where this process leaves without having finalized; 70 until it is told. */
  setExitCode(code: number): void;
  allreduce<T extends Numbers>(values: T, reduction: NativeReduction): Promise<T>;
  allreduceSync<T extends Numbers>(values: T, reduction: NativeReduction): T;
  alltoallv<T extends Numbers>(parts: readonly T[], counts: Counts): Promise<T[]>;
  alltoallvSync<T extends Numbers>(parts: readonly T[], counts: Counts): T[];
  allgatherv<T extends Numbers>(values: T, counts: Counts): Promise<T[]>;
  allgathervSync<T extends Numbers>(values: T, counts: Counts): T[];
  bcast<T extends Numbers>(values: T, root: number): Promise<T>;
  bcastSync<T extends Numbers>(values: T, root: number): T;
  barrier(): Promise<void>;
  barrierSync(): void;
  /** Waits for all ranks, and ends MPI. */
  finalize(): Promise<void>;
}

/** Loads the addon; from the second time on it is there. */
export function loadMpi(): NativeMpi {
  try {
    return createRequire(join(here, 'mpi.js'))(mpiFile()) as NativeMpi;
  } catch (cause) {
    const error = toCgfacError(cause);
    throw error === cause ? loadError(packageRoot(), here, cause) : error;
  }
}
