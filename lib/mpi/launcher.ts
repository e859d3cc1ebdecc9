/** Which MPI a process was started by, as its environment tells. */

/** What started this process, and the libraries that go with it. */
export interface Launcher {
  /** The launcher's name in messages, with the variable that gave it away. */
  readonly name: string;
  /** How many ranks it started, where it says. */
  readonly ranks: number | undefined;
  /** The number of this one, where it says. */
  readonly rank: number | undefined;
  /** The names of libraries that can talk to it, best first. */
  readonly libraries: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

const openMpi = ['libmpi.so.40'];
const mpich = ['libmpi.so.12', 'libmpich.so.12'];
const standard = ['libmpi_abi.so.1'];

/** Launchers by the variables that say how many ranks there are, the surest first. */
const launchers: readonly { name: string; size: string; rank: string; libraries: readonly string[] }[] = [
  {
    name: 'mpirun of Open MPI',
    size: 'OMPI_COMM_WORLD_SIZE',
    rank: 'OMPI_COMM_WORLD_RANK',
    libraries: [...openMpi, ...standard],
  },
  { name: 'a launcher of the MPICH family', size: 'PMI_SIZE', rank: 'PMI_RANK', libraries: [...mpich, ...standard] },
  {
    name: 'mpiexec of the MPICH family',
    size: 'MPI_LOCALNRANKS',
    rank: 'PMI_RANK',
    libraries: [...mpich, ...standard],
  },
  {
    name: 'srun',
    size: 'SLURM_STEP_NUM_TASKS',
    rank: 'SLURM_PROCID',
    libraries: [...openMpi, ...mpich, ...standard],
  },
];

/** A count that a variable holds, or nothing. */
function numberIn(env: Environment, name: string): number | undefined {
  const value = env[name];
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
}

/** The launcher of a process with these variables; one that was started by itself is one of one rank. */
export function launcherOf(env: Environment): Launcher {
  const found = launchers.find(({ size }) => numberIn(env, size) !== undefined);
  if (found === undefined) {
    return { name: 'no launcher', ranks: undefined, rank: undefined, libraries: [...openMpi, ...mpich, ...standard] };
  }
  return {
    name: `${found.name} (${found.size})`,
    ranks: numberIn(env, found.size),
    rank: numberIn(env, found.rank),
    libraries: found.libraries,
  };
}
