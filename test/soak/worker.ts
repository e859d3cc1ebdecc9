/** A worker thread: cases that follow from seeds, several at a time, until it is told to rest. */
import { parentPort, workerData } from 'node:worker_threads';
import { droppedLayers } from './cases/dropped';
import { layerCalls } from './cases/layer';
import { networkSteps } from './cases/network';
import { refusedCalls } from './cases/refused';
import { heap } from './heap';
import type { Order, Word, WorkerData } from './protocol';
import { Random } from './random';
import { add, Report, type Tally } from './tally';

type Case = (report: Report, random: Random) => Promise<void>;

/** Cases under way at once: calls of several objects wait for each other's pool threads. */
const LANES = 3;
/** Milliseconds between what is told of calls. */
const TELL = 200;

const port = parentPort;
const { seed, references: given, only } = workerData as WorkerData;
let known = given;
// training says what it does not cover, and TensorFlow.js what it thinks of wasm
console.warn = () => undefined;
console.info = () => undefined;

const say = (word: Word) => port?.postMessage(word);

/** TensorFlow.js takes long to load: with the first program that trains. */
const training: Case = async (report, random) => {
  const module = await import('./cases/training.js');
  trains ??= module.training(known ?? {});
  await trains(report, random);
};
let trains: Case | undefined;

/** The cases, each as often as its number says. */
const cases: readonly (readonly [Case, number])[] = [
  [layerCalls, 50],
  [networkSteps, 30],
  [refusedCalls, 12],
  [droppedLayers, 4],
  [training, 4],
];
const weights = cases.reduce((sum, [, weight]) => sum + weight, 0);

function chosen(random: Random): Case {
  let left = random.next() * weights;
  for (const [each, weight] of cases) {
    left -= weight;
    if (left < 0) return each;
  }
  return layerCalls;
}

let resting: Promise<void> | undefined;
let wake: () => void = () => undefined;
const pending: Report[] = [];

async function oneCase(own: number): Promise<void> {
  const report = new Report(own);
  const random = new Random(own);
  const body = chosen(random);
  try {
    await body(report, random);
  } catch (error) {
    report.count(body.name, 'unexpected', error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  pending.push(report);
}

/** Cases one after another. */
async function lane(seeds: Random, busy: { lanes: number }): Promise<never> {
  for (;;) {
    if (resting !== undefined) {
      busy.lanes--;
      await resting;
      busy.lanes++;
    }
    await oneCase(only ?? seeds.seed());
    await new Promise(setImmediate);
  }
}

/** Tells of the cases that have ended. */
function tell(): void {
  if (pending.length === 0) return;
  const tally: Tally = {};
  const ended = pending.splice(0);
  for (const report of ended) add(tally, report.tally);
  say({ kind: 'counts', tally, faults: ended.flatMap(({ faults }) => faults).slice(0, 20) });
}

async function rest(busy: { lanes: number }): Promise<void> {
  resting = new Promise((resolve) => {
    wake = resolve;
  });
  while (busy.lanes > 0) await new Promise((resolve) => setTimeout(resolve, 2));
  tell();
  say({ kind: 'resting', heap: await heap() });
}

function work(): void {
  const busy = { lanes: LANES };
  const seeds = new Random(seed);
  port?.on('message', (order: Order) => {
    if (order === 'rest') {
      void rest(busy);
      return;
    }
    resting = undefined;
    wake();
  });
  setInterval(tell, TELL);
  for (let i = 0; i < LANES; i++) void lane(seeds, busy);
}

/** The first worker finds the weights that training ends with, while nobody else is at work, and works then itself. */
async function begin(): Promise<void> {
  if (known === undefined) {
    const report = new Report(seed);
    const { references } = await import('./cases/training.js');
    known = await references(report);
    say({ kind: 'references', references: known, tally: report.tally });
  }
  work();
}

void begin();
