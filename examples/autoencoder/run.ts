import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { CgfacOptimizer, type NetworkMemory } from 'cgfac/tfjs';
import { BATCH, BATCHES } from '../../datasets/digits';
import { PIXELS, type PictureSets } from '../../datasets/pictures';
import { createOptimizer, type OptimizerName } from '../shared/contenders';
import { startProgress } from '../shared/progress';
import { median } from '../shared/statistics';
import { type Errors, evaluate } from './evaluation';
import { createModel, type NetworkName } from './model';

/** The errors of the model after some steps. */
export interface Evaluation extends Errors {
  /** Training steps done. */
  readonly step: number;
  /** Training time so far, evaluations excluded. */
  readonly seconds: number;
  /** Whether it is of the optimizer's averages of the weights instead of the weights themselves. */
  readonly averaged: boolean;
}

/** What preconditioning took of a run: time and memory. */
export interface PreconditionerCost {
  /** Method, damping, step rule and factors, in words. */
  readonly recipe: string;
  /** The preconditioner's own part of a step's time, median over the steps. */
  readonly share: number;
  /** Bytes that the preconditioner keeps between steps. */
  readonly memory: NetworkMemory;
}

/** A run of one optimizer, as the report has it. */
export interface Run {
  readonly optimizer: OptimizerName;
  readonly network: NetworkName;
  readonly seed: number;
  readonly steps: number;
  /** Milliseconds of a training step, median. */
  readonly msPerStep: number;
  /** At every 5th step and after the last one, there with averaged weights too where the optimizer keeps them. */
  readonly evaluations: readonly Evaluation[];
  /** Bytes of the model's weights. */
  readonly weightBytes: number;
  /** What preconditioning took, where the optimizer tells it. */
  readonly preconditioner?: PreconditionerCost;
}

/** A run and the pictures that the trained model makes. */
export interface RunResult extends Run {
  /** The model's own version of the shown digits, (count × 784). */
  readonly reconstructions: Float32Array;
}

/** What a run trains and on what. */
export interface RunOptions {
  readonly network: NetworkName;
  readonly seed: number;
  readonly steps: number;
  readonly digits: PictureSets;
  /** Digits to reconstruct at the end, (count × 784). */
  readonly shown: Float32Array;
  /** Ends the run between two steps. */
  readonly signal: AbortSignal;
}

const EVALUATION_STEPS = 5;

/** A run whose loss rises above this multiple of the first step's loss has diverged. */
const DIVERGED = 1.5;

/** Ends a run that diverged, by an error that says where. */
export function checkLoss(name: OptimizerName, step: number, loss: number, start: number): void {
  if (!Number.isFinite(loss)) throw new Error(`${name} diverged: the loss at step ${step} is ${loss}.`);
  if (loss > DIVERGED * start) {
    throw new Error(
      `${name} diverged: the loss at step ${step} is ${loss.toFixed(4)}, ` +
        `more than ${DIVERGED} times the ${start.toFixed(4)} of the first step.`,
    );
  }
}

/** Milliseconds that the last step spent on preconditioning; `undefined` where the optimizer does not tell. */
function preconditioning(optimizer: tf.Optimizer): number | undefined {
  const summary = optimizer instanceof CgfacOptimizer ? optimizer.lastStep?.summary : undefined;
  return summary?.layers.reduce((sum, { microseconds }) => sum + microseconds / 1000, 0);
}

function costOf(optimizer: tf.Optimizer, shares: readonly number[]): PreconditionerCost | undefined {
  if (!(optimizer instanceof CgfacOptimizer)) return undefined;
  const report = optimizer.report();
  const memory = optimizer.memoryUsage();
  return report && memory && { recipe: `preset '${report.preset}', ${report.recipe}`, share: median(shares), memory };
}

/** What is known of the steps of a run when they are done. */
type Course = Pick<Run, 'evaluations' | 'msPerStep'> & { readonly shares: readonly number[] };

/** Takes the steps of a run, and evaluates the model on the way. */
async function takeSteps(
  model: tfl.Sequential,
  optimizer: OptimizerName,
  update: tf.Optimizer,
  { steps, digits, signal }: RunOptions,
): Promise<Course> {
  const evaluations: Evaluation[] = [];
  const times: number[] = [];
  const shares: number[] = [];
  let total = 0;
  let start = Number.NaN;
  const addEvaluation = async (step: number, averaged: boolean) => {
    const errors = await evaluate(model, digits);
    checkLoss(optimizer, step, errors.loss, start);
    evaluations.push({ step, ...errors, seconds: total / 1000, averaged });
  };
  const progress = startProgress(optimizer, steps);
  try {
    for (let step = 1; step <= steps; step++) {
      const first = ((step - 1) % BATCHES) * BATCH * PIXELS;
      const batch = tf.tensor2d(digits.training.pixels.subarray(first, first + BATCH * PIXELS), [BATCH, PIXELS]);
      const before = performance.now();
      const loss = (await model.trainOnBatch(batch, batch)) as number;
      const milliseconds = performance.now() - before;
      batch.dispose();

      times.push(milliseconds);
      total += milliseconds;
      const own = preconditioning(update);
      if (own !== undefined) shares.push(own / milliseconds);
      if (step === 1) start = loss;
      checkLoss(optimizer, step, loss, start);
      progress.update(step, loss, total / step);
      if (step % EVALUATION_STEPS === 0 || step === steps) await addEvaluation(step, false);
      // A step is one block of computation: give the display and Ctrl-C their turn.
      await setImmediate();
      signal.throwIfAborted();
    }
    if (update instanceof CgfacOptimizer && update.report())
      await update.withAveragedWeights(() => addEvaluation(steps, true));
  } finally {
    progress.stop();
  }
  return { evaluations, msPerStep: median(times), shares };
}

/**
 * Trains the autoencoder with one optimizer. Weights depend on the seed, batches on nothing, so runs of two optimizers
 * with one seed start alike and see the same data.
 */
export async function trainAutoencoder(optimizer: OptimizerName, options: RunOptions): Promise<RunResult> {
  const { network, seed, steps, shown } = options;
  const model = createModel(network, seed);
  const update = createOptimizer(optimizer, network, seed);
  model.compile({ optimizer: update, loss: 'binaryCrossentropy' });
  const { evaluations, msPerStep, shares } = await takeSteps(model, optimizer, update, options);
  const reconstructions = tf.tidy(
    () => model.apply(tf.tensor2d(shown, [shown.length / PIXELS, PIXELS])) as tf.Tensor2D,
  );
  const cost = costOf(update, shares);
  const result = {
    optimizer,
    network,
    seed,
    steps,
    msPerStep,
    evaluations,
    weightBytes: 4 * model.countParams(),
    ...(cost ? { preconditioner: cost } : {}),
    reconstructions: (await reconstructions.data()) as Float32Array,
  };
  reconstructions.dispose();
  model.dispose();
  update.dispose();
  return result;
}
