/**
 * Programs on measurements: 4,096 samples with so much noise that most of what a batch's gradient says is of that batch
 * alone. Nothing can be learnt by heart in the steps that are told; who goes too far after each batch stands still.
 */
import type { Tensor } from '@tensorflow/tfjs-core';
import { feedForward, type Loss, type Making, normal, type Program, split, usualSteps } from './making';

const SAMPLES = 4096;
const HELD_OUT = 512;
const INPUTS = 12;

/** 2a + b·c of inputs a, b and c of twelve, with noise of a standard deviation of 2. */
function measured(making: Making): { readonly x: Tensor; readonly y: Tensor } {
  const { tf } = making;
  const x = normal(making, [SAMPLES + HELD_OUT, INPUTS], 1);
  const column = (place: number) => tf.slice(x, [0, place], [-1, 1]);
  const signal = tf.add(tf.mul(2, column(0)), tf.mul(column(1), column(2)));
  return { x, y: tf.add(signal, tf.mul(2, normal(making, [SAMPLES + HELD_OUT, 1], 2))) };
}

interface Fitted {
  readonly name: string;
  readonly about: string;
  readonly outputs?: number;
  readonly loss: (making: Making) => string | Loss;
}

/** Fits the measurements by two hidden layers; each output has the same target. */
const fitted = ({ name, about, outputs = 1, loss }: Fitted): Program => ({
  name,
  about,
  told: usualSteps,
  cost: 1,
  make: (making) => {
    const { x, y } = measured(making);
    return {
      kind: 'compiled',
      model: feedForward(making, INPUTS, [
        [40, 'relu'],
        [48, 'relu'],
        [outputs, 'linear'],
      ]),
      loss: loss(making),
      data: split(making, x, making.tf.tile(y, [1, outputs]), 64, HELD_OUT),
    };
  },
});

/** The pinball loss of the tenth, the median and the ninetieth percentile. */
const pinball =
  ({ tf }: Making): Loss =>
  (y, z) => {
    const shares = tf.tensor2d([[0.1, 0.5, 0.9]]);
    const above = tf.sub(y, z);
    return tf.mean(tf.maximum(tf.mul(shares, above), tf.mul(tf.sub(shares, 1), above)));
  };

/** Two classes by the sign of a sum of twenty inputs and noise that is as large. */
const classes: Program = {
  name: 'measurements-classes',
  about: 'two classes of measurements with noise, 32-32 relu, one sigmoid',
  told: usualSteps,
  cost: 1,
  make: (making) => {
    const { tf } = making;
    const x = normal(making, [SAMPLES + HELD_OUT, 20], 1);
    const sum = tf.matMul(x, normal(making, [20, 1], 2));
    const y = tf.greater(tf.add(sum, tf.mul(4, normal(making, [SAMPLES + HELD_OUT, 1], 3))), 0);
    return {
      kind: 'compiled',
      model: feedForward(making, 20, [
        [32, 'relu'],
        [32, 'relu'],
        [1, 'sigmoid'],
      ]),
      loss: 'binaryCrossentropy',
      data: split(making, x, tf.cast(y, 'float32'), 64, HELD_OUT),
    };
  },
};

/** Programs whose batches say little of each other. */
export const measurements: readonly Program[] = [
  fitted({
    name: 'measurements-squared',
    about: 'measurements with noise, 40-48 relu, squared error',
    loss: () => 'meanSquaredError',
  }),
  fitted({
    name: 'measurements-absolute',
    about: 'measurements with noise, 40-48 relu, absolute error',
    loss: () => 'meanAbsoluteError',
  }),
  fitted({
    name: 'measurements-quantiles',
    about: 'measurements with noise, 40-48 relu, three quantiles',
    outputs: 3,
    loss: pinball,
  }),
  classes,
];
