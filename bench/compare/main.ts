// npm run compare -- [--tasks NAMES] [--methods NAMES] [--seeds NUMBERS] [--quick] [--out FOLDER]
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { info } from 'cgfac';
import { Command, InvalidArgumentError } from 'commander';
import { heading, machine } from '../harness/rows';
import { Journal } from './journal';
import { methods, REFERENCE } from './methods';
import { startProgress } from './progress';
import { reportPage } from './report';
import { type Comparison, taskResult } from './result';
import { type Plan, runsOf, Session } from './session';
import { tasks } from './tasks';
import { closing } from './words';

interface Options {
  readonly tasks?: readonly string[];
  readonly methods?: readonly string[];
  readonly seeds?: readonly number[];
  readonly quick: boolean;
  readonly out?: string;
}

const list = (text: string): string[] => text.split(',').filter((name) => name !== '');

/** Reads names that there are. */
const among =
  (known: readonly { readonly name: string }[]) =>
  (text: string): string[] => {
    const names = list(text);
    const stranger = names.find((name) => !known.some((each) => each.name === name));
    if (stranger === undefined && names.length > 0) return names;
    throw new InvalidArgumentError(`Expected some of ${known.map(({ name }) => name).join(', ')}.`);
  };

function seeds(text: string): number[] {
  const numbers = list(text).map(Number);
  if (numbers.length > 0 && numbers.every((seed) => Number.isInteger(seed) && seed > 0 && seed <= 1_000_000))
    return [...new Set(numbers)];
  throw new InvalidArgumentError('Expected positive integers, separated by commas.');
}

/** A file that is there as a whole or as it was. */
function write(file: string, text: string): void {
  const beside = `${file}.${process.pid}.tmp`;
  writeFileSync(beside, text);
  renameSync(beside, file);
}

const tfjsVersion = (): string =>
  (JSON.parse(readFileSync(require.resolve('@tensorflow/tfjs-core/package.json'), 'utf8')) as { version: string })
    .version;

function planOf(options: Options): Plan {
  const { quick } = options;
  return {
    tasks: tasks.filter(({ name }) => options.tasks?.includes(name) ?? true),
    methods: methods.filter(({ name }) => options.methods?.includes(name) ?? true),
    seeds: options.seeds ?? (quick ? [1] : [1, 2, 3]),
    quick,
  };
}

/** What a run costs on the average, which the time left follows from. */
function meanCost({ tasks: chosen, quick }: Plan): number {
  const each = chosen.map((task) => {
    const { program, told, batchFactor } = quick ? task.quick : task.full;
    return program.cost * Math.max(...told) * batchFactor;
  });
  return each.reduce((sum, cost) => sum + cost, 0) / each.length;
}

async function main(options: Options): Promise<void> {
  const plan = planOf(options);
  const folder = resolve(options.out ?? (plan.quick ? 'out/quick' : 'out'));
  mkdirSync(folder, { recursive: true });
  console.log(`compare: ${runsOf(plan)} runs\n${heading(machine())}\n`);
  const progress = startProgress(runsOf(plan), meanCost(plan));
  const session = new Session(plan, new Journal(join(folder, 'compare.jsonl')), progress);
  const entries = await session.all().finally(() => progress.stop());
  const { version, threads } = info();
  const comparison: Comparison = {
    made: new Date().toISOString(),
    quick: plan.quick,
    machine: machine(),
    threads,
    versions: { cgfac: version, tfjs: tfjsVersion() },
    build: session.build,
    seeds: plan.seeds,
    reference: REFERENCE,
    tasks: entries.map(taskResult),
  };
  write(join(folder, 'compare.json'), `${JSON.stringify(comparison, null, 1)}\n`);
  write(join(folder, 'report.html'), await reportPage(comparison));
  console.log(closing(comparison));
  console.log(`\n${session.trained} runs trained now, the others taken from ${join(folder, 'compare.jsonl')}`);
  console.log(`Figures: ${join(folder, 'compare.json')}\nReport: ${join(folder, 'report.html')}`);
}

new Command('npm run compare --')
  .description(
    'Compares optimizers on five tasks, from the same initial weights and on the same batches, each at the best of ' +
      'its grid. A comparison that was cut off goes on where it was.',
  )
  .option('--tasks <names>', `some of ${tasks.map(({ name }) => name).join(', ')} (default: all)`, among(tasks))
  .option('--methods <names>', `some of ${methods.map(({ name }) => name).join(', ')} (default: all)`, among(methods))
  .option('--seeds <numbers>', 'seeds, separated by commas; the first is that of the grids (default: 1,2,3)', seeds)
  .option('--quick', 'smaller tasks, some steps, one seed: whether all of it works', false)
  .option('--out <folder>', 'where files are written (default: out, of a quick run out/quick)')
  .action(main)
  .parseAsync()
  .catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
