/**
 * The part of bench:check that times training steps: those of cgfac(), held against those of Adam beside them and the
 * ratios of bench/steps.json.
 *
 * The two take turns at blocks of steps, each of which has one refresh of the factors. What is compared is processor
 * time, that of all threads, over all blocks: where others use the same cores, the ratios of milliseconds differed by a
 * third between runs, and those of processor time by an eighth. What only waits is not seen.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { median } from '../harness/measure';
import type { Progress } from '../harness/suite';
import { programs } from '../suites/training/programs/list';
import { type Trainable, trainable } from '../suites/training/trainable';
import { loadTools, type Tools } from '../suites/training/training';
import type { Outcome } from './outcome';

/** Steps before any is timed, until code is compiled, and the blocks that are timed. */
interface Course {
  readonly warm: number;
  readonly rounds: number;
}

/** Programs of different losses and layers whose steps are short. */
const PROGRAMS: Readonly<Record<string, Course>> = {
  digits: { warm: 15, rounds: 5 },
  'addition-lstm': { warm: 100, rounds: 24 },
  autoencoder: { warm: 100, rounds: 30 },
};
const NAMES = Object.keys(PROGRAMS);
/** Factors are refreshed at each of the first ten steps, and then at every fifth. */
const BLOCK = 5;
const MARGIN = 1.25;
/** Runs whose medians make the ratios that are compared with. */
const UPDATE_RUNS = 3;
const RATE = 1e-3;
const file = join(__dirname, '..', '..', '..', 'bench', 'steps.json');

/** Ratios by program. */
type Ratios = Readonly<Record<string, number>>;

/** Processor time of the next `count` steps, in microseconds. */
async function steps({ step, data }: Trainable, first: number, count: number): Promise<number> {
  const begin = process.cpuUsage();
  for (let at = first; at < first + count; at++) await step(at % data.batches.length);
  const { user, system } = process.cpuUsage(begin);
  return user + system;
}

async function ratioOf(tools: Tools, name: string, { warm, rounds }: Course, progress: Progress): Promise<number> {
  const program = programs.find((each) => each.name === name);
  if (program === undefined) throw new Error(`there is no ${name} in the suite tasks`);
  progress.next(name);
  const ready = (optimizer: Parameters<typeof trainable>[2]) =>
    trainable({ ...tools, seed: 1, batchFactor: 1 }, program, optimizer, 1);
  const [adam, cgfac] = [ready(tools.tf.train.adam(RATE)), ready(tools.cgfac({ seed: 1 }))];
  try {
    for (const each of [adam, cgfac]) await steps(each, 0, warm);
    let [own, reference] = [0, 0];
    for (let round = 0; round < rounds; round++) {
      const first = warm + round * BLOCK;
      reference += await steps(adam, first, BLOCK);
      own += await steps(cgfac, first, BLOCK);
      progress.tick();
    }
    return own / reference;
  } finally {
    for (const each of [adam, cgfac]) each.dispose();
  }
}

async function measured(progress: Progress): Promise<Record<string, number>> {
  const tools = await loadTools();
  const { info } = console;
  console.info = () => {};
  const ratios: Record<string, number> = {};
  try {
    for (const [name, course] of Object.entries(PROGRAMS)) ratios[name] = await ratioOf(tools, name, course, progress);
    return ratios;
  } finally {
    console.info = info;
    tools.uninstall();
  }
}

/** Whether a step's ratio is at most what it was, and the margin; a figure that is missing fails. */
export function stepOutcome(name: string, ratio: number, before: number | undefined): Outcome {
  const stored = before ?? Number.NaN;
  const bound = MARGIN * stored;
  const figures = `${ratio.toFixed(2)} × Adam's, baseline ${stored.toFixed(2)}, at most ${bound.toFixed(2)}`;
  return { name: `a step of ${name}`, passed: ratio <= bound, figures };
}

/** Times steps and compares them with the ratios that are stored. */
export async function stepOutcomes(progress: Progress): Promise<Outcome[]> {
  const stored = JSON.parse(readFileSync(file, 'utf8')) as Ratios;
  const found = await measured(progress);
  return NAMES.map((name) => stepOutcome(name, found[name] ?? Number.NaN, stored[name]));
}

/** Stores the medians of several runs. */
export async function updateSteps(progress: Progress): Promise<string> {
  const runs: Ratios[] = [];
  for (let run = 0; run < UPDATE_RUNS; run++) runs.push(await measured(progress));
  const middle = (name: string) => Number(median(runs.map((run) => run[name] ?? Number.NaN)).toFixed(2));
  const ratios = Object.fromEntries(NAMES.map((name) => [name, middle(name)]));
  writeFileSync(file, `${JSON.stringify(ratios, null, 2)}\n`);
  return `bench/steps.json: medians of ${UPDATE_RUNS} runs`;
}

/** What is compared here, and when it fails. */
export const stepsRule =
  `the processor time of training steps of cgfac() as ratios to those of Adam, which fail past ${MARGIN} × those of ` +
  'bench/steps.json';
