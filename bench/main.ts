// npm run bench -- SUITE [--layers NAMES] [--methods NAMES] [--threads N] [--budget MS] [--json FILE] [--plot FILE]
import { writeFileSync } from 'node:fs';
import { setThreads } from 'cgfac';
import { Argument, Command, InvalidArgumentError } from 'commander';
import { startProgress } from './harness/progress';
import { heading, machine, table } from './harness/rows';
import type { Suite } from './harness/suite';
import { eventloop } from './suites/binding/eventloop';
import { overhead } from './suites/binding/overhead';
import { fv } from './suites/solver/fv';
import { scaling } from './suites/solver/scaling';
import { solve } from './suites/solver/solve';
import { threads } from './suites/solver/threads';
import { kernels } from './suites/tfjs/kernels';
import { programs } from './suites/training/programs';
import { robustness } from './suites/training/robustness';
import { tasks } from './suites/training/tasks';

const suites: readonly Suite[] = [
  solve,
  fv,
  scaling,
  overhead,
  eventloop,
  threads,
  kernels,
  robustness,
  tasks,
  programs,
];

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('Expected a positive integer.');
  return value;
}

const list = (text: string): string[] => text.split(',').filter((name) => name !== '');

interface Options {
  readonly layers?: string[];
  readonly methods?: string[];
  readonly threads?: number;
  readonly budget: number;
  readonly json?: string;
  readonly plot?: string;
}

const own = ['layers', 'methods', 'plot'] as const;

/** Throws where an option was given that the suite has no use for. */
function checkOptions(suite: Suite, options: Options): void {
  for (const option of own) {
    if (options[option] === undefined || suite[option] !== undefined) continue;
    const takers = suites.filter((candidate) => candidate[option] !== undefined).map(({ name }) => name);
    throw new RangeError(
      `Expected no --${option} for the suite ${suite.name} but received one; it is for ${takers.join(', ')}`,
    );
  }
}

/** What was asked for of what there is, in its order; all of it where nothing was. */
function chosen<T>(
  names: readonly string[] | undefined,
  known: readonly T[],
  nameOf: (item: T) => string,
  option: string,
): readonly T[] {
  if (names === undefined) return known;
  const stranger = names.find((name) => !known.some((item) => nameOf(item) === name));
  if (stranger !== undefined) {
    throw new RangeError(`Expected one of ${known.map(nameOf).join(', ')} for ${option} but received '${stranger}'`);
  }
  return known.filter((item) => names.includes(nameOf(item)));
}

async function run(name: string, options: Options): Promise<void> {
  const suite = suites.find((candidate) => candidate.name === name);
  if (!suite) throw new RangeError(`there is no suite ${name}`);
  checkOptions(suite, options);
  const layers = chosen(options.layers, suite.layers ?? [], (layer) => layer.name, '--layers');
  const methods = chosen(options.methods, suite.methods ?? [], (method) => method, '--methods');
  if (options.threads !== undefined) setThreads(options.threads);
  const description = machine();
  console.log(`${suite.name}: ${suite.summary}\n${heading(description)}\n`);
  const progress = startProgress(suite.name);
  try {
    const rows = await suite.run({ layers, methods, budget: options.budget, progress });
    progress.stop();
    console.log(table(rows));
    if (options.json !== undefined)
      writeFileSync(options.json, `${JSON.stringify({ machine: description, rows }, null, 1)}\n`);
    if (options.plot !== undefined && suite.plot)
      writeFileSync(options.plot, `${await suite.plot(rows, description)}\n`);
  } finally {
    progress.stop();
  }
}

const program = new Command('bench')
  .description('Measures cgfac. Every speed is a ratio of two things timed side by side in the same run.')
  .addArgument(new Argument('<suite>', 'what to measure').choices(suites.map((suite) => suite.name)))
  .option('--layers <names>', 'solve, fv: layers, m×n, separated by commas (default: all)', list)
  .option(
    '--methods <names>',
    'solve: methods, robustness: variations, tasks, programs: contenders, separated by commas (default: all)',
    list,
  )
  .option('--threads <n>', 'pool threads (default: the number of cores)', positive)
  .option('--budget <ms>', 'milliseconds to spend on a group of calls, as the methods of one layer', positive, 3000)
  .option('--json <file>', 'write the rows to a file')
  .option('--plot <file>', 'scaling: draw the rows into a file, SVG')
  .action(run);

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
