import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { cgfac } from 'cgfac/tfjs';
import { PIXELS, type PictureSets, type Pictures } from '../../datasets/pictures';
import { type Evaluation, trainSideBySide } from '../shared/side-by-side';
import { batchOf, type DataName } from './data';

/** The optimizers that the classifier compares. */
export const OPTIMIZERS = ['cgfac', 'adam'] as const;
/** The name of one of the optimizers. */
export type OptimizerName = (typeof OPTIMIZERS)[number];

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

function tensorsOf({ pixels, labels }: Pictures): [tf.Tensor2D, tf.Tensor2D] {
  return tf.tidy(() => [
    tf.tensor2d(pixels, [labels.length, PIXELS]),
    tf.cast<tf.Tensor2D>(tf.oneHot(tf.tensor1d(labels, 'int32'), CLASSES) as tf.Tensor2D, 'float32'),
  ]);
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

/** Trains the classifier with each of the optimizers, a step of each in turn. */
export async function trainClassifiers(
  optimizers: readonly OptimizerName[],
  { training, heldOut }: PictureSets,
  { data, seed, steps, evaluationSteps, signal }: TrainingOptions,
): Promise<Run[]> {
  const competitors = optimizers.map((name) => ({
    name,
    model: createModel(seed),
    optimizer: name === 'cgfac' ? cgfac({ seed }) : tf.train.adam(ADAM[data]),
  }));
  const outcomes = await trainSideBySide(competitors, {
    loss: 'categoricalCrossentropy',
    batch: (step) => tensorsOf(batchOf(training, step - 1)),
    heldOut: tensorsOf(heldOut),
    steps,
    evaluationSteps,
    signal,
  });
  return outcomes.map(({ name, evaluations, stepMilliseconds }) => ({
    optimizer: name,
    data,
    seed,
    steps,
    stepMilliseconds,
    evaluations,
  }));
}
