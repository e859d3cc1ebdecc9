import { CgfacError, isCgfacError } from '../base/errors';
import { positiveInteger, readOptions } from '../base/validate';
import { toCgfacError } from '../native/errors';
import { loadMpi, type NativeConnection, type NativeMpi } from '../native/mpi';
import { type MpiCommunicator, RanksOfMpi } from './communicator';
import { within } from './deadline';
import { type Launcher, launcherOf } from './launcher';
import { watchLeaving } from './leaving';

/** How a process is connected to the others. */
export interface ConnectOptions {
  /**
   * How long a collective may take, from its turn on this rank until all ranks have done their part, in milliseconds;
   * 600 000 by default.
   *
   * MPI does not notice a rank that hangs, or a link that is cut: without a deadline all others would wait until the
   * allotted time of the whole job is over. It has to be longer than whatever one rank does while the others are in the
   * next collective already, such as to write a checkpoint or to evaluate, for which ten minutes are plenty.
   */
  readonly timeout?: number;
}

const TEN_MINUTES = 600_000;

const failed = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** " on rank 1", where the launcher says which one this is. */
const here = ({ rank }: Launcher): string => (rank === undefined ? '' : ` on rank ${rank}`);

/** What keeps a process from being connected, with what can be done. */
function libraryError(error: unknown, named: string | undefined, launcher: Launcher): CgfacError {
  const wanted = named === undefined ? launcher.libraries.join(', ') : `'${named}' of CGFAC_MPI_LIBRARY`;
  return new CgfacError(
    'ERR_CGFAC_MPI',
    `Expected an MPI library (${wanted}; started by ${launcher.name})${here(launcher)} but ${failed(error)}. Install ` +
      'the MPI of the launcher (on Debian openmpi-bin, or mpich), or have CGFAC_MPI_LIBRARY name its library',
    { cause: error },
  );
}

/** The error of a library that does not know of the ranks that a launcher started. */
function mismatch(launcher: Launcher, { version, path }: NativeConnection): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_MPI',
    `Expected ${launcher.ranks} ranks, as ${launcher.name} says${here(launcher)}, but ${version} (${path}) knows of ` +
      'one: launcher and library are of different MPIs. Start the program with the mpirun of that library, or have ' +
      `CGFAC_MPI_LIBRARY name a library of this launcher, such as ${launcher.libraries[0]}, or unset it`,
  );
}

/** Begins to connect, unless this process has done so before. */
function begin(native: NativeMpi, libraries: readonly string[], timeout: number): Promise<NativeConnection> {
  const connecting = native.connect(libraries, timeout);
  if (connecting !== undefined) return connecting;
  throw new CgfacError(
    'ERR_CGFAC_MPI',
    'Expected one connectMpi() in a process but received another: MPI can be started once, by one of its threads. ' +
      'Pass the communicator on, and do not connect in several worker_threads',
  );
}

async function connected(
  connecting: Promise<NativeConnection>,
  launcher: Launcher,
  named: string | undefined,
  timeout: number,
): Promise<NativeConnection> {
  const late = () =>
    new CgfacError(
      'ERR_CGFAC_COMMUNICATION',
      `Expected all ranks in connectMpi() within ${timeout} ms${here(launcher)} but not all of them came`,
    );
  try {
    return await within(timeout, connecting, late);
  } catch (error) {
    const known = isCgfacError(error) ? error : toCgfacError(error);
    throw isCgfacError(known) && known.code === 'ERR_CGFAC_MPI' ? libraryError(known, named, launcher) : known;
  }
}

/**
 * Connects this process to the others that the launcher (`mpirun`, `mpiexec`, `srun`) started with it. All of them call
 * it, once, and end with {@link Communicator.finalize}. A process that was started by itself is the only rank.
 *
 * The MPI library is loaded here, not when this module is imported: that of the launcher, as its variables in the
 * environment tell, or the one that the environment variable CGFAC_MPI_LIBRARY names (a path, or a name that the system
 * finds). Open MPI, the MPICH family (MPICH, Intel MPI, MVAPICH, Cray MPICH) and libraries with the binary interface of
 * MPI 5.0 are known. MPI is called by one thread of its own, for the main thread or for a worker_thread, once in a
 * process. UCX_MEM_EVENTS=no and UCX_ERROR_SIGNALS= are set unless they are there, because UCX changes functions of
 * memory and signals beneath Node otherwise.
 *
 * A process that leaves without `finalize()`, however it does, ends the whole run: with its exit code, or with 70 where
 * that is 0.
 *
 * @throws {@link CgfacError} as a rejection: `ERR_CGFAC_MPI` where no library can be loaded, it is not the one of the
 * launcher, or this process has connected before; `ERR_CGFAC_COMMUNICATION` where not all ranks come;
 * `ERR_CGFAC_NATIVE_LOAD`, `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_UNKNOWN_OPTION`.
 */
export async function connectMpi(options: ConnectOptions = {}): Promise<MpiCommunicator> {
  const given = readOptions(options, 'connectMpi', ['timeout']);
  const timeout = given.timeout === undefined ? TEN_MINUTES : positiveInteger(given.timeout, 'timeout');
  const native = loadMpi();
  const named = process.env.CGFAC_MPI_LIBRARY || undefined;
  const launcher = launcherOf(process.env);
  const connecting = begin(native, named === undefined ? launcher.libraries : [named], timeout);
  const forget = watchLeaving(native);
  const connection = await connected(connecting, launcher, named, timeout).catch((error: unknown) => {
    if (isCgfacError(error) && error.code === 'ERR_CGFAC_MPI') forget(); // nothing was started
    throw error;
  });
  const communicator = new RanksOfMpi(native, connection, timeout, forget);
  if (connection.size === 1 && (launcher.ranks ?? 1) > 1) {
    await communicator.finalize();
    throw mismatch(launcher, connection);
  }
  return communicator;
}
