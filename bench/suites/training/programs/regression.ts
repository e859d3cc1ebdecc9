/** Programs that fit numbers: targets with and without a mean, noise, and losses of many kinds. */
import type { Tensor } from '@tensorflow/tfjs-core';
import { type Compiled, feedForward, type Making, normal, type Program, split, uniform, usualSteps } from './making';

const INPUTS = 12;
const HELD_OUT = 320;

interface Table {
  /** Samples that are trained on. */
  readonly count: number;
  readonly mean: number;
  /** Standard deviation of the noise; that of the rest is 7. */
  readonly noise: number;
}

/** A smooth function of twelve inputs with noise, as a table of prices has it. */
function table(making: Making, { count, mean, noise }: Table) {
  const { tf } = making;
  const all = count + HELD_OUT;
  const x = normal(making, [all, INPUTS], 1);
  const column = (place: number) => tf.slice(x, [0, place], [all, 1]);
  const square = tf.mul(2, tf.square(column(3)));
  const signal = tf.add(tf.sub(tf.mul(5, column(0)), tf.mul(4, column(5))), square);
  return split(making, x, tf.add(tf.add(signal, mean), tf.mul(noise, normal(making, [all, 1], 2))), 64, HELD_OUT);
}

interface Regression {
  readonly name: string;
  readonly about: string;
  readonly table?: Partial<Table>;
  readonly activation?: 'relu' | 'sigmoid';
  readonly loss?: (making: Making) => Compiled['loss'];
}

const regression = ({ name, about, table: own, activation = 'relu', loss }: Regression): Program => ({
  name,
  about,
  told: usualSteps,
  cost: 1,
  make: (making) => ({
    kind: 'compiled',
    model: feedForward(making, INPUTS, [
      [50, activation],
      [50, activation],
      [1, 'linear'],
    ]),
    loss: loss?.(making) ?? 'meanSquaredError',
    data: table(making, { count: 640, mean: 22, noise: 1, ...own }),
  }),
});

/** Counts whose logarithm is linear, and the likelihood of Poisson's distribution without its constant. */
const poisson: Program = {
  name: 'poisson',
  about: 'counts, 32 tanh, exp(z) − y·z',
  told: usualSteps,
  cost: 1,
  make: (making) => {
    const { tf } = making;
    const x = normal(making, [640 + HELD_OUT, INPUTS], 1);
    const y = tf.round(tf.exp(tf.add(1, tf.mul(0.3, tf.matMul(x, normal(making, [INPUTS, 1], 2))))));
    return {
      kind: 'compiled',
      model: feedForward(making, INPUTS, [
        [32, 'tanh'],
        [1, 'linear'],
      ]),
      loss: (target: Tensor, z: Tensor) => tf.mean(tf.sub(tf.exp(z), tf.mul(target, z))),
      data: split(making, x, y, 64, HELD_OUT),
    };
  },
};

/** Positive targets over several powers of ten. */
const logarithmic: Program = {
  name: 'squared-logarithmic-error',
  about: 'targets over powers of ten, 50-50 relu',
  told: usualSteps,
  cost: 1,
  make: (making) => {
    const { tf } = making;
    const x = normal(making, [640 + HELD_OUT, INPUTS], 1);
    const y = tf.exp(tf.add(1, tf.mul(0.5, tf.matMul(x, normal(making, [INPUTS, 1], 2)))));
    return {
      kind: 'compiled',
      model: feedForward(making, INPUTS, [
        [50, 'relu'],
        [50, 'relu'],
        [1, 'linear'],
      ]),
      loss: 'meanSquaredLogarithmicError',
      data: split(making, x, y, 64, HELD_OUT),
    };
  },
};

/** Directions of vectors, of which the loss sees nothing else. */
const cosine: Program = {
  name: 'cosine-proximity',
  about: 'six outputs of which the direction counts, 32 tanh',
  told: usualSteps,
  cost: 1,
  make: (making) => {
    const { tf } = making;
    const x = normal(making, [1024 + HELD_OUT, 20], 1);
    return {
      kind: 'compiled',
      model: feedForward(making, 20, [
        [32, 'tanh'],
        [6, 'linear'],
      ]),
      loss: 'cosineProximity',
      data: split(making, x, tf.tanh(tf.matMul(x, normal(making, [20, 6], 2))), 128, HELD_OUT),
    };
  },
};

const sine: Program = {
  name: 'sine',
  about: 'sin 2x of one input, 32-32 tanh',
  told: usualSteps,
  cost: 1,
  make: (making) => {
    const { tf } = making;
    const x = tf.sub(uniform(making, [512 + HELD_OUT, 1], 6.4, 1), 3.2);
    return {
      kind: 'compiled',
      model: feedForward(making, 1, [
        [32, 'tanh'],
        [32, 'tanh'],
        [1, 'linear'],
      ]),
      loss: 'meanSquaredError',
      data: split(making, x, tf.sin(tf.mul(2, x)), 64, HELD_OUT),
    };
  },
};

/** A mean and a standard deviation for each sample, by the likelihood of a normal distribution. */
const likelihood: Program = {
  name: 'normal-likelihood',
  about: 'targets of mean 22 with a noise of its own each, 50-50 relu, a mean and a deviation by softplus',
  told: usualSteps,
  cost: 1,
  make: (making) => {
    const { tf } = making;
    const x = normal(making, [1024 + HELD_OUT, 8], 1);
    const of = (stream: number) => tf.matMul(x, normal(making, [8, 1], stream));
    const deviation = tf.exp(tf.sub(tf.mul(0.3, of(2)), 0.5));
    const mean = tf.add(22, tf.add(of(3), tf.mul(2, tf.sin(tf.mul(2, tf.slice(x, [0, 0], [-1, 1]))))));
    const y = tf.add(mean, tf.mul(deviation, normal(making, [1024 + HELD_OUT, 1], 4)));
    return {
      kind: 'compiled',
      model: feedForward(making, 8, [
        [50, 'relu'],
        [50, 'relu'],
        [2, 'linear'],
      ]),
      loss: (t: Tensor, z: Tensor) => {
        const [found, spread] = tf.split(z, 2, 1) as [Tensor, Tensor];
        const own = tf.add(tf.softplus(spread), 1e-3);
        const target = tf.slice(t, [0, 0], [-1, 1]);
        return tf.mean(tf.add(tf.mul(2, tf.log(own)), tf.square(tf.div(tf.sub(target, found), own))));
      },
      data: split(making, x, tf.tile(y, [1, 2]), 64, HELD_OUT),
    };
  },
};

/** Programs that fit numbers. */
export const regressions: readonly Program[] = [
  regression({ name: 'regression-uncentred', about: 'targets of mean 22, 50-50 sigmoid', activation: 'sigmoid' }),
  regression({ name: 'regression-relu', about: 'targets of mean 22, 50-50 relu' }),
  regression({ name: 'regression-centred', about: 'targets of mean 0, 50-50 relu', table: { mean: 0 } }),
  regression({
    name: 'regression-noisy',
    about: '192 samples of which the noise is half, 50-50 relu',
    table: { count: 192, mean: 0, noise: 7 },
  }),
  regression({ name: 'absolute-error', about: 'targets of mean 22, 50-50 relu', loss: () => 'meanAbsoluteError' }),
  regression({
    name: 'huber',
    about: 'targets of mean 22, 50-50 relu',
    loss:
      ({ tf }) =>
      (y, z) =>
        tf.losses.huberLoss(y, z),
  }),
  logarithmic,
  poisson,
  cosine,
  likelihood,
  sine,
];
