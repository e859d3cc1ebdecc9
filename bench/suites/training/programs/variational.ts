/** Variational autoencoders of digits: several outputs of a network enter one loss, which no head describes. */
import type { Scalar, Tensor, Variable } from '@tensorflow/tfjs-core';
import type { layers } from '@tensorflow/tfjs-layers';
import { PIXELS } from '../../../../datasets/pictures';
import { digits } from './digits';
import { dense, type Making, type Minimized, type Program, split, usualSteps } from './making';

const TRAINING = 2560;
const HELD_OUT = 512;
const CODE = 2;
const HIDDEN = 256;
const EPSILON = 1e-7;

type Dense = ReturnType<typeof layers.dense>;

/** The layers: pictures to the mean and to the logarithm of the variance of a code, and codes to pictures. */
interface Parts {
  readonly hidden: Dense;
  readonly mean: Dense;
  readonly logVariance: Dense;
  readonly wide: Dense;
  readonly pixels: Dense;
}

function partsOf(making: Making): Parts {
  return {
    hidden: dense(making, HIDDEN, 'relu', 0, { inputShape: [PIXELS] }),
    mean: dense(making, CODE, 'linear', 1),
    logVariance: dense(making, CODE, 'linear', 2),
    wide: dense(making, HIDDEN, 'relu', 3),
    pixels: dense(making, PIXELS, 'sigmoid', 4),
  };
}

const apply = (layer: Dense, input: Tensor) => layer.apply(input) as Tensor;

/** How far reconstructions are from pictures, summed over pixels. */
type Distance = (making: Making, x: Tensor, p: Tensor) => Tensor;

const crossEntropy: Distance = ({ tf }, x, p) => {
  const on = tf.mul(x, tf.log(tf.add(p, EPSILON)));
  const off = tf.mul(tf.sub(1, x), tf.log(tf.sub(1 + EPSILON, p)));
  return tf.neg(tf.sum(tf.add(on, off), -1));
};

const squaredError: Distance = ({ tf }, x, p) => tf.sum(tf.squaredDifference(x, p), -1);

/** The distance of the reconstructions of noisy codes, and the divergence of the codes from a normal distribution. */
function evidence(making: Making, parts: Parts, distance: Distance, x: Tensor, seed: number): Scalar {
  const { tf } = making;
  const h = apply(parts.hidden, x);
  const [mean, logVariance] = [apply(parts.mean, h), apply(parts.logVariance, h)];
  const noise = tf.randomNormal(mean.shape, 0, 1, 'float32', seed);
  const code = tf.add(mean, tf.mul(tf.exp(tf.mul(logVariance, 0.5)), noise));
  const reconstruction = apply(parts.pixels, apply(parts.wide, code));
  const gap = tf.sub(tf.sub(tf.add(logVariance, 1), tf.square(mean)), tf.exp(logVariance));
  const divergence = tf.mul(tf.sum(gap, -1), -0.5);
  return tf.mean(tf.add(distance(making, x, reconstruction), divergence)) as Scalar;
}

function made(making: Making, distance: Distance): Minimized {
  const { tf } = making;
  const { pixels } = digits().training;
  const count = TRAINING + HELD_OUT;
  const x = tf.tensor2d(pixels.subarray(0, count * PIXELS), [count, PIXELS]);
  const parts = partsOf(making);
  evidence(making, parts, distance, tf.slice(x, [0, 0], [1, PIXELS]), 1); // a layer has weights once it was applied
  return {
    kind: 'minimized',
    loss: ([input], seed) => evidence(making, parts, distance, input, seed),
    weights: Object.values(parts).flatMap((layer: Dense) =>
      layer.trainableWeights.map((weight) => weight.read() as Variable),
    ),
    data: split(making, x, x, 128, HELD_OUT),
  };
}

/** Programs whose loss is a function of several outputs. */
export const variational: readonly Program[] = [
  {
    name: 'variational-autoencoder',
    about: 'digits, 784-256-2-256-784 relu, cross-entropy and divergence',
    told: usualSteps,
    unit: 'nats per image',
    cost: 10,
    make: (making) => made(making, crossEntropy),
  },
  {
    name: 'variational-squared',
    about: 'digits, 784-256-2-256-784 relu, squared error and divergence',
    told: usualSteps,
    cost: 10,
    make: (making) => made(making, squaredError),
  },
];
