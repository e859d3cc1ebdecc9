import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { cgfac } from 'cgfac/tfjs';
import { BATCH, BATCHES, type Digits, PIXELS } from './digits';
import { startProgress } from './progress';

export const OPTIMIZERS = ['cgfac', 'adam', 'sgd'] as const;
export type OptimizerName = (typeof OPTIMIZERS)[number];

export interface Evaluation {
  /** Training steps done. */
  readonly step: number;
  /** Binary cross-entropy on the evaluation digits, mean over pixels, in nats. */
  readonly loss: number;
  /** Training time so far, evaluations excluded. */
  readonly seconds: number;
}

export interface Run {
  readonly optimizer: OptimizerName;
  readonly seed: number;
  readonly steps: number;
  readonly evaluations: readonly Evaluation[];
}

export interface RunResult extends Run {
  /** The model's own version of the shown digits, (count × 784). */
  readonly reconstructions: Float32Array;
}

/** Evaluations are on the first digits of the set, every few steps and after the last one. */
export const EVALUATION_DIGITS = 2000;
const EVALUATION_STEPS = 5;

/** A run whose loss rises above this multiple of the first step's loss has diverged. */
const DIVERGED = 1.5;

/** The learning rates of Adam and SGD are the best after 50 steps of 0.003, 0.01, 0.03 and of 1, 3, 10, 30. */
const CREATE: Record<OptimizerName, (seed: number) => tf.Optimizer> = {
  cgfac: (seed) => cgfac({ learningRate: 1, damping: 3e-4, maxIterations: 15, seed }),
  adam: () => tf.train.adam(0.01),
  sgd: () => tf.train.sgd(10),
};

/** The deep autoencoder 784-256-64-16-64-256-784: tanh, a linear code layer, sigmoid output. */
function createModel(seed: number): tfl.Sequential {
  const widths = [256, 64, 16, 64, 256, PIXELS];
  const code = 2;
  const model = tfl.sequential();
  widths.forEach((units, i) => {
    const activation = i === widths.length - 1 ? 'sigmoid' : i === code ? 'linear' : 'tanh';
    model.add(
      tfl.layers.dense({
        units,
        activation,
        kernelInitializer: tfl.initializers.glorotNormal({ seed: seed * widths.length + i }),
        ...(i === 0 ? { inputShape: [PIXELS] } : {}),
      }),
    );
  });
  return model;
}

async function evaluate(model: tfl.Sequential, digits: tf.Tensor2D): Promise<number> {
  const loss = model.evaluate(digits, digits, { batchSize: EVALUATION_DIGITS }) as tf.Scalar;
  const [value = Number.NaN] = await loss.data();
  loss.dispose();
  return value;
}

/** Ends a run that diverged, by an error that says where. */
export function checkLoss(name: OptimizerName, step: number, loss: number, start: number): void {
  if (!Number.isFinite(loss)) throw new Error(`${name} diverged: the loss at step ${step} is ${loss}.`);
  if (loss > DIVERGED * start) {
    throw new Error(
      `${name} diverged: the loss at step ${step} is ${loss.toFixed(4)}, more than ${DIVERGED} times the ${start.toFixed(4)} of the first step.`,
    );
  }
}

/**
 * Trains the autoencoder with one optimizer. Weights depend on the seed, batches on nothing, so runs of two optimizers
 * with one seed start alike and see the same data.
 *
 * @param shown - Digits to reconstruct at the end, (count × 784).
 * @param signal - Ends the run between two steps.
 */
export async function trainAutoencoder(
  optimizer: OptimizerName,
  { seed, steps, digits, shown, signal }: { seed: number; steps: number; digits: Digits; shown: Float32Array; signal: AbortSignal },
): Promise<RunResult> {
  const model = createModel(seed);
  const update = CREATE[optimizer](seed);
  model.compile({ optimizer: update, loss: 'binaryCrossentropy' });
  const evaluationDigits = tf.tensor2d(digits.pixels.subarray(0, EVALUATION_DIGITS * PIXELS), [EVALUATION_DIGITS, PIXELS]);

  const evaluations: Evaluation[] = [];
  let milliseconds = 0;
  let start = Number.NaN;
  const progress = startProgress(optimizer, steps);
  try {
    for (let step = 1; step <= steps; step++) {
      const first = ((step - 1) % BATCHES) * BATCH * PIXELS;
      const batch = tf.tensor2d(digits.pixels.subarray(first, first + BATCH * PIXELS), [BATCH, PIXELS]);
      const before = performance.now();
      const loss = (await model.trainOnBatch(batch, batch)) as number;
      milliseconds += performance.now() - before;
      batch.dispose();

      if (step === 1) start = loss;
      checkLoss(optimizer, step, loss, start);
      progress.update(step, loss, milliseconds / step);
      if (step % EVALUATION_STEPS === 0 || step === steps) {
        const evaluationLoss = await evaluate(model, evaluationDigits);
        checkLoss(optimizer, step, evaluationLoss, start);
        evaluations.push({ step, loss: evaluationLoss, seconds: milliseconds / 1000 });
      }
      // A step is one block of computation: give the display and Ctrl-C their turn.
      await setImmediate();
      signal.throwIfAborted();
    }
  } finally {
    progress.stop();
    evaluationDigits.dispose();
  }

  const reconstructions = tf.tidy(() => model.predict(tf.tensor2d(shown, [shown.length / PIXELS, PIXELS])) as tf.Tensor2D);
  const result = { optimizer, seed, steps, evaluations, reconstructions: (await reconstructions.data()) as Float32Array };
  reconstructions.dispose();
  model.dispose();
  update.dispose();
  return result;
}
