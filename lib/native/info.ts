import { typeError, valueError } from '../base/validate';
import { callNative } from './call';
import { native } from './load';

/** What {@link info} reports. */
export interface Info {
  /** Version of this package. */
  readonly version: string;
  /** The BLAS that the addon was linked with. */
  readonly blas: {
    /** 'OpenBLAS'. */
    readonly vendor: string;
    /** The version of that BLAS. */
    readonly version: string;
    /** The kernel it chose for this processor, 'SkylakeX' or 'Haswell' for instance. */
    readonly core: string;
    /** BLAS threads: always 1; the package's own pool threads split the work. */
    readonly threads: number;
  };
  /**
   * Pool threads that take work: as many as {@link setThreads} or the environment variable CGFAC_NUM_THREADS says, or
   * as are allowed; fewer where the system refuses to start them.
   */
  readonly threads: number;
  /**
   * Threads that the system allows the process to run at once: the processors of its affinity mask (`taskset`, a
   * cpuset), and no more than the processor quota of its control group (a container's limit), rounded down, at least 1.
   */
  readonly threadsAllowed: number;
  /** Pool threads that were asked for and that the system did not start, under `ulimit -u` for instance; else 0. */
  readonly threadsRefused: number;
  /** Version of Node-API that the addon was built for. */
  readonly napi: number;
}

/** Versions, kernel and thread counts, for a bug report or the head of a benchmark. */
export function info(): Info {
  return native.info();
}

const maxThreads = 1024;

/**
 * Sets the number of pool threads of this process, for all of its worker_threads alike. Solves use that many threads at
 * most, the one that calls a synchronous method included; their results have the same bits with any number. Threads
 * that are no longer wanted finish what they run, then sleep. Where the system refuses to start some, the others do the
 * work, and {@link info} says how many are missing; without any, asynchronous calls run on the calling thread.
 *
 * @param threads - 1 to 1024. Default, without this call: the environment variable CGFAC_NUM_THREADS, else the threads
 * that are allowed, {@link Info.threadsAllowed}.
 * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`.
 */
export function setThreads(threads: number): void {
  const expected = `an integer from 1 to ${maxThreads}`;
  if (typeof threads !== 'number') throw typeError(expected, 'threads', threads);
  if (!Number.isInteger(threads) || threads < 1 || threads > maxThreads) throw valueError(expected, 'threads', threads);
  callNative(() => native.setThreads(threads));
}
