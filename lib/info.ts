import { native } from './native';

/** What {@link info} reports. */
export interface Info {
  /** Version of this package. */
  readonly version: string;
  /** The BLAS that the addon was linked with. */
  readonly blas: {
    /** 'OpenBLAS'. */
    readonly vendor: string;
    /** Its version. */
    readonly version: string;
    /** The kernel it chose for this processor, 'SkylakeX' or 'Haswell' for instance. */
    readonly core: string;
    /** BLAS threads: always 1; the package's own pool threads split the work. */
    readonly threads: number;
  };
  /** Pool threads. Set the environment variable CGFAC_NUM_THREADS to change it. Default: the number of cores. */
  readonly threads: number;
  /** Version of Node-API that the addon was built for. */
  readonly napi: number;
}

/** Versions, kernel and thread counts, for a bug report or the head of a benchmark. */
export function info(): Info {
  return native.info();
}
