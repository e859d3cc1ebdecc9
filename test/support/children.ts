/** Programs in processes of their own, where a crash is an exit signal. */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';

/** How a process ended, and what it printed. */
export interface Ending {
  /** The exit code of the process, or the signal that ended it. */
  readonly end: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a program is started with. */
export interface Start {
  readonly args?: readonly string[];
  /** Options of Node. */
  readonly flags?: readonly string[];
  /** Variables besides those of this process; `undefined` takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** A command that the program is run under. */
  readonly under?: readonly string[];
}

const programs = resolve(__dirname, '../native/programs');

/** Whether the addon is that under AddressSanitizer, with which a run takes five times as long. */
export const sanitized = process.env.LD_PRELOAD?.includes('libasan') ?? false;

/** How often a row of the lifecycle table is run: `CGFAC_LIFECYCLE_RUNS`, or 20 times. */
export const lifecycleRuns = Number(process.env.CGFAC_LIFECYCLE_RUNS ?? (sanitized ? 2 : 20));

/** Runs a program of test/native/programs, or another one by its path, for a minute at most. */
export function run(program: string, { args = [], flags = [], env = {}, under = [] }: Start = {}): Promise<Ending> {
  const [command = '', ...words] = [...under, process.execPath, ...flags, resolve(programs, program), ...args];
  const child = spawn(command, words, {
    env: { ...process.env, ...env },
    cwd: programs,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((settle, fail) => {
    child.once('error', fail);
    child.once('close', (code, signal) => settle({ end: signal ?? code, stdout: stdout.trim(), stderr }));
  });
}

/** Runs a program so many times, as many at once as there are processors; what differs in how they ended, once each. */
export async function runOften(program: string, startOf: (time: number) => Start, times = lifecycleRuns) {
  const endings = new Set<string>();
  let next = 0;
  const lane = async () => {
    while (next < times) {
      const { end, stdout } = await run(program, startOf(next++));
      endings.add(`${end}: ${stdout}`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
  return [...endings].sort();
}
