import type { Optimizer, Tensor, Variable } from '@tensorflow/tfjs-core';
import { CgfacError } from 'cgfac';
import type { CgfacOptimizer } from 'cgfac/tfjs';
import { median } from '../../harness/measure';
import type { Contender, Makers } from './contenders';
import type { Making, Program } from './programs/making';
import { divergence, type Figure, figure, type Run, type Told } from './runs';
import { type Trainable, trainable } from './trainable';

/** TensorFlow.js on its wasm backend with the package's kernels, and the package. */
export interface Tools extends Makers, Omit<Making, 'seed' | 'batchFactor'> {
  readonly CgfacOptimizer: typeof CgfacOptimizer;
  readonly uninstall: () => void;
}

/** Loads TensorFlow.js, which other suites have no use for. */
export async function loadTools(): Promise<Tools> {
  const tf = await import('@tensorflow/tfjs-core');
  const tfl = await import('@tensorflow/tfjs-layers');
  await import('@tensorflow/tfjs-backend-wasm');
  const own = await import('cgfac/tfjs');
  await tf.setBackend('wasm');
  await tf.ready();
  const kernels = own.installKernels(tf);
  return { tf, tfl, ...own, uninstall: () => kernels.uninstall() };
}

/** The β of averages of weights, as cgfac() has it by default. */
const DECAY = 0.99;

/**
 * Averages of weights by the formula that cgfac() has for its own, β_t = min(0.99, (1 + t)/(10 + t)): the first are the
 * weights after the first step.
 */
class Averages {
  readonly #tf: Tools['tf'];
  #means: Tensor[] = [];
  #steps = 0;

  constructor(tf: Tools['tf']) {
    this.#tf = tf;
  }

  absorb(weights: readonly Variable[]): void {
    const tf = this.#tf;
    const decay = Math.min(DECAY, (1 + this.#steps) / (10 + this.#steps));
    this.#steps++;
    const before = this.#means;
    this.#means = weights.map((weight, place) => {
      const mean = before[place];
      return mean ? tf.tidy(() => tf.add(tf.mul(mean, decay), tf.mul(weight, 1 - decay))) : weight.clone();
    });
    tf.dispose(before);
  }

  /** Evaluates with the averages in the place of the weights. */
  with<T>(weights: readonly Variable[], evaluate: () => T): T {
    const kept = weights.map((weight) => weight.clone());
    try {
      weights.forEach((weight, place) => {
        weight.assign(this.#means[place] ?? weight);
      });
      return evaluate();
    } finally {
      weights.forEach((weight, place) => {
        weight.assign(kept[place] ?? weight);
      });
      this.#tf.dispose(kept);
    }
  }

  dispose(): void {
    this.#tf.dispose(this.#means);
  }
}

/** A run of a program, and what is told of it. */
interface Course {
  readonly tools: Tools;
  readonly program: Program;
  readonly ready: Trainable;
  readonly optimizer: Optimizer;
  readonly averages: Averages;
  readonly steps: readonly number[];
  readonly onStep: () => void;
  readonly told: Told[];
  readonly times: number[];
}

async function evaluated(course: Course, step: number): Promise<Told> {
  const { tools, program, ready, optimizer, averages } = course;
  const { batches, figureBatches, heldOut } = ready.data;
  const loss = (part: Parameters<Trainable['loss']>[0]): Figure => figure(ready.loss(part) * (program.factor ?? 1));
  return {
    step,
    train: loss(batches.slice(0, figureBatches)),
    heldOut: loss(heldOut),
    averaged:
      optimizer instanceof tools.CgfacOptimizer
        ? await optimizer.withAveragedWeights(() => loss(heldOut))
        : averages.with(ready.weights, () => loss(heldOut)),
  };
}

/**
 * Trains to the last step that is told; the first step that was not finite, if one was. cgfac() skips such a step and
 * goes on; nothing brings weights of another optimizer back, and its run ends there.
 */
async function train(course: Course): Promise<number | undefined> {
  const { tools, ready, optimizer, averages, steps, told, times, onStep } = course;
  const skips = optimizer instanceof tools.CgfacOptimizer;
  let notFinite: number | undefined;
  for (let step = 1; step <= Math.max(...steps); step++) {
    const begin = performance.now();
    const loss = await ready.step((step - 1) % ready.data.batches.length);
    times.push(performance.now() - begin);
    if (!skips) averages.absorb(ready.weights);
    onStep();
    if (!Number.isFinite(loss)) notFinite ??= step;
    if (notFinite !== undefined && !skips) break;
    if (steps.includes(step)) told.push(await evaluated(course, step));
  }
  return notFinite;
}

/** What a program does, and what is said on the console meanwhile: it is kept for the table, and not printed. */
async function listening<T>(call: () => Promise<T>): Promise<{ readonly value: T; readonly lines: readonly string[] }> {
  const { warn, info } = console;
  const lines = new Set<string>();
  const keep = (...words: unknown[]) => void lines.add(words.map(String).join(' '));
  Object.assign(console, { warn: keep, info: keep });
  try {
    return { value: await call(), lines: [...lines] };
  } finally {
    Object.assign(console, { warn, info });
  }
}

/** What stopped a run before its end. */
function stopped(error: unknown): { readonly gaveUp: true } | { readonly failed: string } {
  if (error instanceof CgfacError && error.code === 'ERR_CGFAC_DIVERGED') return { gaveUp: true };
  if (!(error instanceof Error)) return { failed: String(error) };
  return { failed: 'code' in error ? `${error.code}: ${error.message}` : error.message };
}

/** How a program is trained: who does, from which seed, and after which steps its losses are told. */
export interface Order {
  readonly program: Program;
  readonly contender: Pick<Contender, 'name' | 'optimizer' | 'batchFactor' | 'lossFactor'>;
  readonly seed: number;
  readonly steps: readonly number[];
  readonly onStep: () => void;
  /** Looks at what was trained before it is let go of. */
  readonly closing?: (trained: Trained) => void | Promise<void>;
}

/** What a run leaves, while it is there. */
export interface Trained {
  readonly optimizer: Optimizer;
  readonly ready: Trainable;
  /** Milliseconds of each step. */
  readonly times: readonly number[];
}

/** Trains a program once; an error of the optimizer, and what it says, are part of what came of it. */
export async function runOf(tools: Tools, order: Order): Promise<Run> {
  const { value, lines } = await listening(() => silentRun(tools, order));
  return lines.length === 0 ? value : { ...value, notices: lines };
}

async function silentRun(tools: Tools, order: Order): Promise<Run> {
  const { program, contender, seed, steps, onStep } = order;
  const begin = performance.now();
  const { batchFactor, lossFactor } = contender;
  const optimizer = contender.optimizer(tools, seed);
  const ready = trainable({ ...tools, seed, batchFactor }, program, optimizer, lossFactor);
  const averages = new Averages(tools.tf);
  const [told, times]: [Told[], number[]] = [[], []];
  const { batches, figureBatches } = ready.data;
  const start = figure(ready.loss(batches.slice(0, figureBatches)) * (program.factor ?? 1));
  let events: { notFinite?: number; gaveUp?: true; failed?: string } = {};
  try {
    const notFinite = await train({
      tools,
      program,
      ready,
      optimizer,
      averages,
      steps,
      onStep,
      told,
      times,
    });
    if (notFinite !== undefined) events = { notFinite };
  } catch (error) {
    events = stopped(error);
  }
  try {
    await order.closing?.({ optimizer, ready, times });
  } finally {
    averages.dispose();
    ready.dispose();
  }
  const lost = { train: null, heldOut: null, averaged: null };
  const all = steps.map((step) => told.find((each) => each.step === step) ?? { step, ...lost });
  const { failed, ...rest } = events;
  const diverged = failed === undefined && divergence({ start, last: all.at(-1)?.train ?? null, ...rest });
  return {
    task: program.name,
    contender: contender.name,
    seed,
    start,
    told: all,
    ms: times.length === 0 ? Number.NaN : median(times),
    seconds: (performance.now() - begin) / 1000,
    ...(diverged ? { diverged } : {}),
    ...(failed === undefined ? {} : { failed }),
  };
}
