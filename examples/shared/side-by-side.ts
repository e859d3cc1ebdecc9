/** Models of one kind that start alike and see the same batches, each with an optimizer of its own. */
import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { CgfacOptimizer } from 'cgfac/tfjs';
import { WeightAverages } from './averages';
import { startProgress } from './progress';
import { median } from './statistics';

/** A model and what trains it. */
export interface Competitor<Name extends string = string> {
  readonly name: Name;
  readonly model: LayersModel;
  readonly optimizer: tf.Optimizer;
}

/** Inputs and targets of several samples. */
export type Samples = readonly [x: tf.Tensor, y: tf.Tensor];

/** What is trained, how long, and how often it is evaluated. */
export interface Course {
  readonly loss: string;
  /** The samples of a step, the first step being 1; they are disposed after it. */
  readonly batch: (step: number) => Samples;
  readonly heldOut: Samples;
  readonly steps: number;
  /** Evaluations are every so many steps and after the last one. */
  readonly evaluationSteps: number;
  /** What to say of the evaluations of all, right after each of them. */
  readonly told?: (evaluations: readonly Evaluation[]) => string;
  /** Ends the run between two steps. */
  readonly signal: AbortSignal;
}

/** What a model has reached after some steps. */
export interface Evaluation {
  /** Training steps done. */
  readonly step: number;
  /** Mean loss on what is held out, with averaged weights. */
  readonly loss: number;
  /** Share of what is held out that is recognised, with averaged weights. */
  readonly accuracy: number;
  /** Training time so far, evaluations excluded. */
  readonly seconds: number;
}

/** What became of a competitor. */
export interface Outcome<Name extends string = string> {
  readonly name: Name;
  /** Median milliseconds of a step. */
  readonly stepMilliseconds: number;
  readonly evaluations: readonly Evaluation[];
}

/** Samples of an evaluation that go through a network at once. */
const EVALUATION_BATCH = 1000;

/** A model in training. */
class Trainer<Name extends string> {
  readonly #averages: CgfacOptimizer | WeightAverages;
  /** What keeps the averages, where the optimizer does not. */
  readonly #follower: WeightAverages | undefined;
  readonly #milliseconds: number[] = [];
  readonly #evaluations: Evaluation[] = [];

  constructor(
    readonly competitor: Competitor<Name>,
    loss: string,
  ) {
    const { model, optimizer } = competitor;
    if (optimizer instanceof CgfacOptimizer) this.#averages = optimizer;
    else this.#averages = this.#follower = new WeightAverages(model);
    model.compile({ optimizer, loss, metrics: ['accuracy'] });
  }

  async step([x, y]: Samples): Promise<number> {
    const before = performance.now();
    const [loss = Number.NaN] = (await this.competitor.model.trainOnBatch(x, y)) as number[];
    this.#follower?.update();
    this.#milliseconds.push(performance.now() - before);
    return loss;
  }

  async evaluate(step: number, [x, y]: Samples): Promise<Evaluation> {
    const { name, model } = this.competitor;
    const evaluate = async () => {
      const scalars = model.evaluate(x, y, { batchSize: EVALUATION_BATCH }) as tf.Scalar[];
      const values = await Promise.all(scalars.map(async (scalar) => (await scalar.data())[0] ?? Number.NaN));
      tf.dispose(scalars);
      return values;
    };
    const [loss = Number.NaN, accuracy = Number.NaN] = await this.#averages.withAveragedWeights(evaluate);
    if (!Number.isFinite(loss)) throw new Error(`${name} diverged: the loss at step ${step} is ${loss}.`);
    const seconds = this.#milliseconds.reduce((sum, milliseconds) => sum + milliseconds, 0) / 1000;
    const evaluation = { step, loss, accuracy, seconds };
    this.#evaluations.push(evaluation);
    return evaluation;
  }

  outcome(): Outcome<Name> {
    return {
      name: this.competitor.name,
      stepMilliseconds: median(this.#milliseconds),
      evaluations: this.#evaluations,
    };
  }

  dispose(): void {
    this.#follower?.dispose();
    this.competitor.model.dispose();
    this.competitor.optimizer.dispose();
  }
}

/**
 * Trains each of the models, a step of each in turn: steps whose times can be compared, whatever else the machine does.
 * Models and optimizers are disposed in the end, and what is held out.
 *
 * @param closing - Sees the trained models before they are disposed.
 */
export async function trainSideBySide<Name extends string>(
  competitors: readonly Competitor<Name>[],
  { loss, batch, heldOut, steps, evaluationSteps, told, signal }: Course,
  closing: (competitor: Competitor<Name>) => void = () => {},
): Promise<Outcome<Name>[]> {
  const trainers = competitors.map((competitor) => new Trainer(competitor, loss));
  const progress = startProgress(competitors.map(({ name }) => name).join(', '), steps);
  let milliseconds = 0;
  try {
    for (let step = 1; step <= steps; step++) {
      const samples = batch(step);
      const before = performance.now();
      const losses: number[] = [];
      for (const trainer of trainers) losses.push(await trainer.step(samples));
      milliseconds += performance.now() - before;
      tf.dispose([...samples]);
      progress.update(step, losses[0] ?? Number.NaN, milliseconds / step);
      if (step % evaluationSteps === 0 || step === steps) {
        const evaluations: Evaluation[] = [];
        for (const trainer of trainers) evaluations.push(await trainer.evaluate(step, heldOut));
        if (told) progress.say(told(evaluations));
      }
      // A step is one block of computation: give the display and Ctrl-C their turn.
      await setImmediate();
      signal.throwIfAborted();
    }
    competitors.forEach(closing);
    return trainers.map((trainer) => trainer.outcome());
  } finally {
    progress.stop();
    tf.dispose([...heldOut]);
    for (const trainer of trainers) trainer.dispose();
  }
}
