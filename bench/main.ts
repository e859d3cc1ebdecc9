// npm run bench -- SUITE [--layers NAMES] [--tasks NAMES] [--methods NAMES] [--seeds NUMBERS] [--threads N]
//   [--budget MS] [--json FILE] [--markdown] [--plot FILE]
import { writeFileSync } from 'node:fs';
import { setThreads } from 'cgfac';
import { Argument, Command, InvalidArgumentError } from 'commander';
import { startProgress } from './harness/progress';
import { heading, machine, table } from './harness/rows';
import { type Suite, type SuiteContext, usualBudget } from './harness/suite';
import { eventloop } from './suites/binding/eventloop';
import { overhead } from './suites/binding/overhead';
import { volume } from './suites/ranks/volume';
import { fv } from './suites/solver/fv';
import { scaling } from './suites/solver/scaling';
import { solve } from './suites/solver/solve';
import { threads } from './suites/solver/threads';
import { kernels } from './suites/tfjs/kernels';
import { step } from './suites/tfjs/step/step';
import { tasks } from './suites/training/tasks';

const suites: readonly Suite[] = [solve, fv, scaling, overhead, eventloop, threads, kernels, step, tasks, volume];

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('Expected a positive integer.');
  return value;
}

const list = (text: string): string[] => text.split(',').filter((name) => name !== '');
const numbers = (text: string): number[] => list(text).map(positive);

interface Options {
  readonly layers?: string[];
  readonly tasks?: string[];
  readonly methods?: string[];
  readonly seeds?: number[];
  readonly threads?: number;
  readonly budget?: number;
  readonly json?: string;
  readonly markdown?: true;
  readonly plot?: string;
}

const own = ['layers', 'tasks', 'methods', 'seeds', 'budget', 'markdown', 'plot'] as const;

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

const itself = (name: string) => name;

function contextOf(suite: Suite, options: Options): Omit<SuiteContext, 'progress'> {
  const groups = suite.methodGroups ?? {};
  const methods = options.methods?.flatMap((name) => groups[name] ?? name) ?? suite.usualMethods;
  return {
    layers: chosen(options.layers, suite.layers ?? [], ({ name }) => name, '--layers'),
    tasks: chosen(options.tasks, suite.tasks ?? [], itself, '--tasks'),
    methods: chosen(methods, suite.methods ?? [], itself, '--methods'),
    seeds: [...new Set(options.seeds ?? suite.seeds ?? [])],
    budget: options.budget ?? suite.budget ?? usualBudget,
    markdown: options.markdown ?? false,
    file: suite.resumes ? options.json : undefined,
    machine: machine(),
  };
}

async function run(name: string, options: Options): Promise<void> {
  const suite = suites.find((candidate) => candidate.name === name);
  if (!suite) throw new RangeError(`there is no suite ${name}`);
  checkOptions(suite, options);
  const context = contextOf(suite, options);
  if (options.threads !== undefined) setThreads(options.threads);
  console.log(`${suite.name}: ${suite.summary}\n${heading(context.machine)}\n`);
  const progress = startProgress(suite.name);
  try {
    const found = await suite.run({ ...context, progress });
    progress.stop();
    if ('text' in found) {
      console.log(found.text);
      if (found.failed) process.exitCode = 1;
      return;
    }
    console.log(table(found));
    if (options.json !== undefined)
      writeFileSync(options.json, `${JSON.stringify({ machine: context.machine, rows: found }, null, 1)}\n`);
    if (options.plot !== undefined && suite.plot)
      writeFileSync(options.plot, `${await suite.plot(found, context.machine)}\n`);
  } finally {
    progress.stop();
  }
}

const program = new Command('bench')
  .description('Measures cgfac. Every speed is a ratio of two things timed side by side in the same run.')
  .addArgument(new Argument('<suite>', 'what to measure').choices(suites.map((suite) => suite.name)))
  .option('--layers <names>', 'solve, fv: layers, m×n, separated by commas (default: all)', list)
  .option('--tasks <names>', 'tasks, step: programs, separated by commas (default: all)', list)
  .option(
    '--methods <names>',
    'solve: methods (default: all); tasks: contenders, or usual, variations, conditions (default: usual)',
    list,
  )
  .option('--seeds <numbers>', 'tasks: seeds, separated by commas (default: 1,2,3)', numbers)
  .option('--threads <n>', 'pool threads (default: the number of cores)', positive)
  .option(
    '--budget <ms>',
    `milliseconds to spend on a group of calls, as the methods of one layer (default: ${usualBudget})`,
    positive,
  )
  .option('--json <file>', 'write the rows to a file; tasks: each run as it ends, and go on with those that are there')
  .option('--markdown', 'tasks: print tables for a document')
  .option('--plot <file>', 'scaling: draw the rows into a file, SVG')
  .action(run);

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
