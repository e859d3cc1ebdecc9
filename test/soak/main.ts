// npm run soak -- --minutes M [--workers W] [--seed S] [--case SEED] [--json FILE]
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { info } from 'cgfac';
import { Command, InvalidArgumentError } from 'commander';
import { judgeMemory } from './memory';
import { startProgress } from './progress';
import { closing, reportOf } from './report';
import { Run } from './run';

interface Options {
  readonly minutes: number;
  readonly workers: number;
  readonly seed: number;
  readonly case?: number;
  readonly json?: string;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < Number.POSITIVE_INFINITY)) throw new InvalidArgumentError('Expected a positive number.');
  return value;
}

function positiveInteger(text: string): number {
  const value = positive(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('Expected a positive integer.');
  return value;
}

/** The exit code of a run that Ctrl-C has ended. */
const INTERRUPTED = 130;

async function soak({ minutes, workers, seed, case: only, json }: Options): Promise<void> {
  const seconds = 60 * minutes;
  const { blas, threads } = info();
  console.log(
    `soak: ${minutes} min, ${workers} workers, seed ${seed}; Node ${process.version}, ` +
      `OpenBLAS ${blas.version}, kernel ${blas.core}, pool threads: ${threads}`,
  );
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort()); // a second one ends the process
  const progress = startProgress('soak', seconds);
  const onState = (...[state, rested]: Parameters<ConstructorParameters<typeof Run>[0]['onState']>) =>
    rested ? progress.rested(state) : progress.show(state);
  const result = await new Run({ seconds, workers, seed, only, signal: controller.signal, onState }).toEnd();
  progress.stop();
  const cancelled = controller.signal.aborted;
  const memory = judgeMemory(result.memory, result.seconds);
  const { passed, failed } = closing(result, memory);
  const report = reportOf(result, memory);
  console.log(`${cancelled ? 'cancelled\n' : ''}${report}`);
  if (json !== undefined)
    writeFileSync(
      json,
      `${JSON.stringify({ seed, workers, cancelled, passed, failed, verdict: memory, ...result }, null, 1)}\n`,
    );
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : cancelled ? INTERRUPTED : 0;
}

new Command('soak')
  .description('Trains and solves in workers under aborts, transfers, terminations and bad input, and compares it all.')
  .requiredOption('--minutes <m>', 'how long, fractions of a minute among it', positive)
  .option(
    '--workers <w>',
    'worker threads; all but the first are terminated at random (default: the number of cores, and at least 2)',
    positiveInteger,
    Math.max(2, availableParallelism()),
  )
  .option(
    '--seed <s>',
    'what all choices follow from (default: another one each time)',
    positiveInteger,
    Date.now() % 1e6 || 1,
  )
  .option('--case <seed>', 'make one case alone, again and again: the seed that a fault was told with', positiveInteger)
  .option('--json <file>', 'write counts, faults and memory to a file')
  .action(soak)
  .parseAsync()
  .catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
