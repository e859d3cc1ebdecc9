/**
 * The part of bench:check that times training steps: those of cgfac(), held against those of Adam beside them and the
 * ratios of bench/steps.json.
 *
 * The two take turns at blocks of steps, each of which has one refresh of the factors. What is compared is the lower
 * quartile of the ratios of neighbouring blocks: what others do on the same cores delays either.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lowerQuartile, median } from '../harness/measure';
import type { Progress } from '../harness/suite';
import { programs } from '../suites/training/programs/list';
import { type Trainable, trainable } from '../suites/training/trainable';
import { loadTools, type Tools } from '../suites/training/training';
import type { Outcome } from './outcome';

/** Programs of different losses and layers whose steps are short, and so many rounds of each. */
const ROUNDS: Readonly<Record<string, number>> = { digits: 9, 'addition-lstm': 9, autoencoder: 30 };
/** Factors are refreshed at each of the first ten steps, and then at every fifth. */
const [WARM, BLOCK] = [15, 5];
const MARGIN = 1.2;
/** Runs whose medians make the ratios that are compared with. */
const UPDATE_RUNS = 3;
const RATE = 1e-3;
const file = join(__dirname, '..', '..', '..', 'bench', 'steps.json');

/** Ratios by program. */
type Ratios = Readonly<Record<string, number>>;

/** Milliseconds of the next `count` steps. */
async function steps({ step, data }: Trainable, first: number, count: number): Promise<number> {
  const begin = performance.now();
  for (let at = first; at < first + count; at++) await step(at % data.batches.length);
  return performance.now() - begin;
}

async function ratioOf(tools: Tools, name: string, rounds: number, progress: Progress): Promise<number> {
  const program = programs.find((each) => each.name === name);
  if (program === undefined) throw new Error(`there is no ${name} in the suite tasks`);
  progress.next(name);
  const optimizers = [tools.tf.train.adam(RATE), tools.cgfac({ seed: 1 })] as const;
  const [adam, cgfac] = optimizers.map((each) =>
    trainable({ ...tools, seed: 1, batchFactor: 1 }, program, each, 1),
  ) as [Trainable, Trainable];
  try {
    for (const each of [adam, cgfac]) await steps(each, 0, WARM);
    const ratios: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const first = WARM + round * BLOCK;
      const reference = await steps(adam, first, BLOCK);
      ratios.push((await steps(cgfac, first, BLOCK)) / reference);
      progress.tick();
    }
    return lowerQuartile(ratios);
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
    for (const [name, rounds] of Object.entries(ROUNDS)) ratios[name] = await ratioOf(tools, name, rounds, progress);
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
  return Object.keys(ROUNDS).map((name) => stepOutcome(name, found[name] ?? Number.NaN, stored[name]));
}

/** Stores the medians of several runs. */
export async function updateSteps(progress: Progress): Promise<string> {
  const runs: Ratios[] = [];
  for (let run = 0; run < UPDATE_RUNS; run++) runs.push(await measured(progress));
  const middle = (name: string) => Number(median(runs.map((run) => run[name] ?? Number.NaN)).toFixed(2));
  const ratios = Object.fromEntries(Object.keys(ROUNDS).map((name) => [name, middle(name)]));
  writeFileSync(file, `${JSON.stringify(ratios, null, 2)}\n`);
  return `bench/steps.json: medians of ${UPDATE_RUNS} runs`;
}

/** What is compared here, and when it fails. */
export const stepsRule =
  `lower quartiles of the ratios of training steps of cgfac() to those of Adam, which fail past ${MARGIN} × those of ` +
  'bench/steps.json';
