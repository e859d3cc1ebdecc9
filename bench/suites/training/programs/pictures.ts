/** Programs of handwritten digits and of fashion images: classifiers, a recurrent one, autoencoders. */
import { PIXELS, type PictureSets, type Pictures } from '../../../../datasets/pictures';
import { digits, once } from './digits';
import {
  type Activation,
  dense,
  feedForward,
  glorot,
  type Making,
  normal,
  type Program,
  split,
  uniformNumbers,
  usualSteps,
} from './making';
import { CLASSES, classes, fashion, fashionUnavailable, itself, pictureData, type Seen, SIDE } from './picture-data';

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

/** A dense layer of so many units whose sums are normalised, scaled and shifted before relu. */
const normalised = (making: Making, units: number, place: number, more: object = {}) => [
  dense(making, units, 'linear', place, more),
  making.tfl.layers.layerNormalization(),
  making.tfl.layers.reLU(),
];

const layerNorm: Program = {
  name: 'layer-norm',
  about: 'digits, two hidden layers of 200 relu with layer normalisation, batches of 128',
  told: usualSteps,
  cost: 9,
  make: (making) => ({
    kind: 'compiled',
    model: making.tfl.sequential({
      layers: [
        ...normalised(making, 200, 0, { inputShape: [PIXELS] }),
        ...normalised(making, 200, 1),
        dense(making, CLASSES, 'softmax', 2),
      ],
    }),
    loss: 'categoricalCrossentropy',
    data: pictureData(making, digits(), { batch: 128, figureBatches: 20, targets: classes(making) }),
  }),
};

/** All programs of pictures as rows of pixels. */
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
    unavailable: fashionUnavailable,
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
  layerNorm,
  rowsOfDigits,
  deepAutoencoder,
];
