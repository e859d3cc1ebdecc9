/** Programs of handwritten digits and of fashion images: classifiers, a recurrent one, autoencoders. */
import type { Tensor } from '@tensorflow/tfjs-core';
import { fetchFashion, loadFashion } from '../../../../datasets/fashion';
import { PIXELS, type PictureSets, type Pictures } from '../../../../datasets/pictures';
import { digits, once } from './digits';
import {
  type Activation,
  type Batch,
  type Data,
  dense,
  feedForward,
  glorot,
  type Making,
  normal,
  oneHot,
  type Program,
  split,
  uniformNumbers,
  usualSteps,
} from './making';

const CLASSES = 10;
const BATCH = 256;
const SIDE = 28;

const fashion = once(() => loadFashion(fetchFashion()));

/** What a program sees of pictures: inputs of a shape, and targets that are their classes or themselves. */
interface Seen {
  /** Batches of the usual size that are trained on, at the most; all by default. */
  readonly most?: number;
  readonly figureBatches?: number;
  readonly shape?: readonly number[];
  readonly targets: (pictures: Pictures, x: Tensor) => Tensor;
}

function pictureData(making: Making, sets: PictureSets, { most, figureBatches, shape, targets }: Seen): Data {
  const { tf, batchFactor } = making;
  const size = Math.round(BATCH * batchFactor);
  const part = ({ pixels, labels }: Pictures, first: number, count: number): Batch => {
    const own = {
      pixels: pixels.subarray(first * PIXELS, (first + count) * PIXELS),
      labels: labels.subarray(first, first + count),
    };
    const x = tf.tensor(own.pixels, [count, ...(shape ?? [PIXELS])]);
    return [x, targets(own, x)];
  };
  const used = Math.min(sets.training.labels.length, (most ?? Number.POSITIVE_INFINITY) * BATCH);
  const batches = Array.from({ length: Math.floor(used / size) }, (_, batch) =>
    part(sets.training, batch * size, size),
  );
  const heldOut = [part(sets.heldOut, 0, sets.heldOut.labels.length)];
  return { batches, heldOut, ...(figureBatches === undefined ? {} : { figureBatches }) };
}

const classes =
  (making: Making): Seen['targets'] =>
  ({ labels }) =>
    oneHot(making, [...labels], CLASSES);

const itself: Seen['targets'] = (_, x) => x;

/** A share of the labels at random, the same at every seed. */
function withNoise({ training, heldOut }: PictureSets, share: number): PictureSets {
  const next = uniformNumbers(1);
  const noisy = ({ pixels, labels }: Pictures): Pictures => ({
    pixels,
    labels: labels.map((label) => (next() < share ? Math.floor(next() * CLASSES) : label)),
  });
  return { training: noisy(training), heldOut: noisy(heldOut) };
}

type Widths = readonly (readonly [units: number, activation: Activation])[];

const hidden500: Widths = [
  [500, 'relu'],
  [300, 'relu'],
  [CLASSES, 'softmax'],
];

interface Classifier extends Pick<Program, 'name' | 'about' | 'told' | 'cost' | 'unavailable'> {
  readonly layers: Widths;
  readonly sets: () => PictureSets;
  readonly seen?: Omit<Seen, 'targets'>;
}

const classifier = ({ layers, sets, seen, ...program }: Classifier): Program => ({
  ...program,
  make: (making) => ({
    kind: 'compiled',
    model: feedForward(making, PIXELS, layers),
    loss: 'categoricalCrossentropy',
    data: pictureData(making, sets(), { ...seen, targets: classes(making) }),
  }),
});

const rowsOfDigits: Program = {
  name: 'rows-of-digits',
  about: 'digits read row by row, simple recurrent layer of 128',
  told: [10, 25, 50, 100],
  cost: 30,
  make: (making) => {
    const { tfl } = making;
    const layer = tfl.layers.simpleRNN({
      units: 128,
      inputShape: [SIDE, SIDE],
      kernelInitializer: glorot(making, 0),
      recurrentInitializer: glorot(making, 1),
    });
    return {
      kind: 'compiled',
      model: tfl.sequential({ layers: [layer, dense(making, CLASSES, 'softmax', 2)] }),
      loss: 'categoricalCrossentropy',
      data: pictureData(making, digits(), { figureBatches: 8, shape: [SIDE, SIDE], targets: classes(making) }),
    };
  },
};

const smallAutoencoder: Program = {
  name: 'autoencoder',
  about: 'sixty numbers that six make up, 40-12-40 sigmoid, cross-entropy',
  told: usualSteps,
  cost: 1,
  make: (making) => {
    const { tf } = making;
    const code = tf.tanh(normal(making, [1024 + 512, 6], 1));
    const x = tf.sigmoid(tf.matMul(code, tf.mul(3, normal(making, [6, 60], 2))));
    return {
      kind: 'compiled',
      model: feedForward(making, 60, [
        [40, 'sigmoid'],
        [12, 'sigmoid'],
        [40, 'sigmoid'],
        [60, 'sigmoid'],
      ]),
      loss: 'binaryCrossentropy',
      data: split(making, x, x, 128, 512),
    };
  },
};

const deepAutoencoder: Program = {
  name: 'deep-autoencoder',
  about: 'digits, 784-1000-500-250-30-250-500-1000-784 tanh with a linear code, cross-entropy',
  told: [10, 25, 50],
  factor: PIXELS,
  unit: 'nats per image',
  cost: 70,
  make: (making) => ({
    kind: 'compiled',
    model: feedForward(making, PIXELS, [
      [1000, 'tanh'],
      [500, 'tanh'],
      [250, 'tanh'],
      [30, 'linear'],
      [250, 'tanh'],
      [500, 'tanh'],
      [1000, 'tanh'],
      [PIXELS, 'sigmoid'],
    ]),
    loss: 'binaryCrossentropy',
    data: pictureData(making, digits(), { figureBatches: 10, targets: itself }),
  }),
};

/** Why the fashion images are not here, and could not be fetched. */
function fashionUnavailable(): string | undefined {
  try {
    fashion();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** All programs whose data are pictures. */
export const pictures: readonly Program[] = [
  smallAutoencoder,
  classifier({
    name: 'digits',
    about: 'digits, 500-300 relu',
    told: usualSteps,
    cost: 9,
    layers: hidden500,
    sets: digits,
    seen: { figureBatches: 20 },
  }),
  classifier({
    name: 'digits-noisy-labels',
    about: 'digits, 30 % of the labels at random, 500-300 relu',
    told: usualSteps,
    cost: 9,
    layers: hidden500,
    sets: once(() => withNoise(digits(), 0.3)),
    seen: { figureBatches: 20 },
  }),
  classifier({
    name: 'fashion',
    about: 'fashion images, 500-300 relu, no image twice',
    told: [10, 25, 50, 100],
    cost: 9,
    unavailable: once(fashionUnavailable),
    layers: hidden500,
    sets: fashion,
    seen: { most: 100, figureBatches: 20 },
  }),
  classifier({
    name: 'tanh-10',
    about: 'digits, ten hidden layers of 150 tanh',
    told: usualSteps,
    cost: 14,
    layers: [...Array.from({ length: 10 }, () => [150, 'tanh'] as const), [CLASSES, 'softmax']],
    sets: digits,
    seen: { figureBatches: 20 },
  }),
  rowsOfDigits,
  deepAutoencoder,
];
