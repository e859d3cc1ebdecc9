import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { type CgfacOptimizer, cgfac } from 'cgfac/tfjs';
import { PIXELS, type PictureSets, type Pictures } from '../../datasets/pictures';
import { startProgress } from '../shared/progress';
import { median } from '../shared/statistics';
import { batchOf, type DataName } from './data';

/** The optimizers that the classifier compares. */
export const OPTIMIZERS = ['cgfac', 'adam'] as const;
/** The name of one of the optimizers. */
export type OptimizerName = (typeof OPTIMIZERS)[number];

/** What a model has reached after some steps. */
export interface Evaluation {
  /** Training steps done. */
  readonly step: number;
  /** Mean cross-entropy on the held-out pictures, in nats, with averaged weights. */
  readonly loss: number;
  /** Share of the held-out pictures that are recognised, with averaged weights. */
  readonly accuracy: number;
  /** Training time so far, evaluations excluded. */
  readonly seconds: number;
}

/** A run of one optimizer, as the report has it. */
export interface Run {
  readonly optimizer: OptimizerName;
  readonly data: DataName;
  readonly seed: number;
  readonly steps: number;
  /** Median milliseconds of a step. */
  readonly stepMilliseconds: number;
  readonly evaluations: readonly Evaluation[];
}

const CLASSES = 10;
const WIDTHS = [500, 300, CLASSES];

/** Adam's learning rates are the best of 0.001, 0.003 and 0.005 with averaged weights. */
const ADAM: Record<DataName, number> = { digits: 0.005, fashion: 0.003 };

/** The classifier 784-500-300-10: relu, softmax. */
function createModel(seed: number): tfl.Sequential {
  const model = tfl.sequential();
  WIDTHS.forEach((units, i) => {
    model.add(
      tfl.layers.dense({
        units,
        activation: i === WIDTHS.length - 1 ? 'softmax' : 'relu',
        kernelInitializer: tfl.initializers.glorotUniform({ seed: seed * WIDTHS.length + i }),
        ...(i === 0 ? { inputShape: [PIXELS] } : {}),
      }),
    );
  });
  return model;
}

/** Averages of a model's weights as cgfac keeps them of its own: decay β_t = min(0.99, (1 + t)/(10 + t)). */
class WeightAverages {
  readonly #averages: tf.Variable[] = [];
  #steps = 0;

  constructor(readonly model: tfl.Sequential) {}

  update(): void {
    const decay = Math.min(0.99, (1 + this.#steps) / (10 + this.#steps));
    this.#steps++;
    tf.tidy(() => {
      this.model.getWeights().forEach((weights, i) => {
        const average = this.#averages[i];
        if (average) average.assign(tf.add(tf.mul(average, decay), tf.mul(weights, 1 - decay)));
        else this.#averages[i] = tf.variable(weights, false);
      });
    });
  }

  async withAveragedWeights<T>(callback: () => Promise<T>): Promise<T> {
    const before = this.model.getWeights().map((weights) => weights.clone());
    this.model.setWeights(this.#averages);
    try {
      return await callback();
    } finally {
      this.model.setWeights(before);
      tf.dispose(before);
    }
  }

  dispose(): void {
    tf.dispose(this.#averages);
  }
}

function tensorsOf({ pixels, labels }: Pictures): [tf.Tensor2D, tf.Tensor2D] {
  return tf.tidy(() => [
    tf.tensor2d(pixels, [labels.length, PIXELS]),
    tf.cast<tf.Tensor2D>(tf.oneHot(tf.tensor1d(labels, 'int32'), CLASSES) as tf.Tensor2D, 'float32'),
  ]);
}

/** A model in training. */
class Trainer {
  readonly #model: tfl.Sequential;
  readonly #optimizer: tf.Optimizer;
  readonly #averages: CgfacOptimizer | WeightAverages;
  /** What keeps the averages, where the optimizer does not. */
  readonly #follower: WeightAverages | undefined;
  readonly #milliseconds: number[] = [];
  readonly evaluations: Evaluation[] = [];

  constructor(
    readonly name: OptimizerName,
    data: DataName,
    seed: number,
  ) {
    this.#model = createModel(seed);
    if (name === 'cgfac') {
      this.#optimizer = this.#averages = cgfac({ seed });
    } else {
      this.#optimizer = tf.train.adam(ADAM[data]);
      this.#averages = this.#follower = new WeightAverages(this.#model);
    }
    this.#model.compile({ optimizer: this.#optimizer, loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  }

  async step(x: tf.Tensor, y: tf.Tensor): Promise<number> {
    const before = performance.now();
    const [loss = Number.NaN] = (await this.#model.trainOnBatch(x, y)) as number[];
    this.#follower?.update();
    this.#milliseconds.push(performance.now() - before);
    return loss;
  }

  async evaluate(step: number, x: tf.Tensor2D, y: tf.Tensor2D): Promise<void> {
    const evaluate = async () => {
      const scalars = this.#model.evaluate(x, y, { batchSize: 1000 }) as tf.Scalar[];
      const values = await Promise.all(scalars.map(async (scalar) => (await scalar.data())[0] ?? Number.NaN));
      tf.dispose(scalars);
      return values;
    };
    const [loss = Number.NaN, accuracy = Number.NaN] = await this.#averages.withAveragedWeights(evaluate);
    if (!Number.isFinite(loss)) throw new Error(`${this.name} diverged: the loss at step ${step} is ${loss}.`);
    const seconds = this.#milliseconds.reduce((sum, milliseconds) => sum + milliseconds, 0) / 1000;
    this.evaluations.push({ step, loss, accuracy, seconds });
  }

  /** Median milliseconds of a step. */
  get stepMilliseconds(): number {
    return median(this.#milliseconds);
  }

  dispose(): void {
    this.#follower?.dispose();
    this.#model.dispose();
    this.#optimizer.dispose();
  }
}

/** What is trained, how long, and how often it is evaluated. */
export interface TrainingOptions {
  readonly data: DataName;
  readonly seed: number;
  readonly steps: number;
  /** Evaluations are every so many steps and after the last one. */
  readonly evaluationSteps: number;
  /** Ends the run between two steps. */
  readonly signal: AbortSignal;
}

/**
 * Trains the classifier with each of the optimizers, a step of each in turn: models that start alike and see the same
 * batches, and steps whose times can be compared, whatever else the machine does.
 */
export async function trainClassifiers(
  optimizers: readonly OptimizerName[],
  { training, heldOut }: PictureSets,
  { data, seed, steps, evaluationSteps, signal }: TrainingOptions,
): Promise<Run[]> {
  const trainers = optimizers.map((optimizer) => new Trainer(optimizer, data, seed));
  const evaluation = tensorsOf(heldOut);
  const progress = startProgress(optimizers.join(', '), steps);
  let milliseconds = 0;
  try {
    for (let step = 1; step <= steps; step++) {
      const [x, y] = tensorsOf(batchOf(training, step - 1));
      const before = performance.now();
      const losses: number[] = [];
      for (const trainer of trainers) losses.push(await trainer.step(x, y));
      milliseconds += performance.now() - before;
      tf.dispose([x, y]);
      progress.update(step, losses[0] ?? Number.NaN, milliseconds / step);
      if (step % evaluationSteps === 0 || step === steps) {
        for (const trainer of trainers) await trainer.evaluate(step, ...evaluation);
      }
      // A step is one block of computation: give the display and Ctrl-C their turn.
      await setImmediate();
      signal.throwIfAborted();
    }
    return trainers.map(({ name, evaluations, stepMilliseconds }) => ({
      optimizer: name,
      data,
      seed,
      steps,
      stepMilliseconds,
      evaluations,
    }));
  } finally {
    progress.stop();
    tf.dispose(evaluation);
    for (const trainer of trainers) trainer.dispose();
  }
}
