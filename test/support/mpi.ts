/** Programs under `mpirun`, of both MPIs that the tests know. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** The MPIs of Debian, by the ends of their launchers' names. */
export const mpis = ['openmpi', 'mpich'] as const;

/** One of the MPIs of Debian. */
export type Mpi = (typeof mpis)[number];

/** How a run ended, and what its ranks printed. */
export interface Run {
  /** The exit code of the launcher, 124 where it had to be stopped. */
  readonly code: number | null;
  readonly output: string;
  /** Processes of ranks that outlived their launcher. */
  readonly left: readonly number[];
}

/** What a run is started with. */
export interface RunOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** How long it may take; 20 s by default. */
  readonly seconds?: number;
  /** Called with all output so far whenever there is more, and with the launcher, which may be told to stop. */
  readonly listen?: (output: string, launcher: ChildProcess) => void;
}

const programs = resolve(__dirname, '../mpi/programs');

/** Fails where a launcher is not there: a test of MPI that cannot run has not passed. */
export function requireMpi(): void {
  const lacking = mpis.map((mpi) => `mpirun.${mpi}`).filter((name) => spawnSync(name, ['--version']).error);
  if (lacking.length > 0) {
    throw new Error(
      `There is no ${lacking.join(' and no ')} on PATH. On Debian \`sh scripts/setup.sh --test\` installs both MPIs; ` +
        'elsewhere install Open MPI and MPICH, and give their launchers these names.',
    );
  }
}

/** The environment of this process, without what a launcher around it has left there. */
export function mpiEnvironment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(OMPI_|PMI|MPI_|PMIX_|HYDRA_|CGFAC_MPI_)/.test(name));
  const root = { OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' };
  return { ...Object.fromEntries(own), ...root, NO_COLOR: '1', ...more };
}

/** The arguments that a launcher needs for more ranks than there are processors. */
const launcherArguments: Readonly<Record<Mpi, readonly string[]>> = { openmpi: ['--oversubscribe'], mpich: [] };

/** Whether a process runs; one that has ended and was not collected does not. */
function runs(pid: number): boolean {
  const stat = `/proc/${pid}/stat`;
  try {
    return existsSync(stat) && !/^\d+ \(.*\) Z/.test(readFileSync(stat, 'utf8'));
  } catch {
    return false;
  }
}

/** Which of some processes still run after two seconds, or others: whoever was ended has ended by then. */
export async function leftOf(pids: readonly number[], milliseconds = 2000): Promise<number[]> {
  const until = Date.now() + milliseconds;
  while (Date.now() < until && pids.some(runs)) await new Promise((settle) => setTimeout(settle, 10));
  return pids.filter(runs);
}

/**
 * Runs a program of test/mpi/programs on some ranks to the end. What a rank prints as `process N is …` is taken for one
 * of its processes.
 */
export async function startRanks(mpi: Mpi, ranks: number, program: string, options: RunOptions = {}): Promise<Run> {
  const { args = [], env = {}, seconds = 20, listen } = options;
  const words = [`mpirun.${mpi}`, ...launcherArguments[mpi], '-n', `${ranks}`, process.execPath, program, ...args];
  const child = spawn('timeout', ['-k', '2', `${seconds}`, ...words], {
    env: mpiEnvironment(env),
    cwd: programs,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      listen?.(output, child);
    });
  }
  const code = await new Promise<number | null>((settle, fail) => {
    child.once('error', fail);
    child.once('close', settle);
  });
  const pids = [...output.matchAll(/^process (\d+) is/gm)].map(([, pid]) => Number(pid));
  const left = await leftOf(pids);
  for (const pid of left) process.kill(pid, 'SIGKILL');
  return { code, output, left };
}
