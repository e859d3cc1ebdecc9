/** Convolutional programs: classifiers of fashion images and of digits, an autoencoder of digits. */
import type { Tensor } from '@tensorflow/tfjs-core';
import type { layers, Sequential } from '@tensorflow/tfjs-layers';
import { PIXELS } from '../../../../datasets/pictures';
import { digits } from './digits';
import {
  type Activation,
  dense,
  glorot,
  type Making,
  normal,
  type Program,
  split,
  uniform,
  usualSteps,
} from './making';
import { CLASSES, classes, fashion, fashionUnavailable, itself, pictureData, SIDE } from './picture-data';

const BATCH = 128;
const SHAPE = [SIDE, SIDE, 1];
/** Batches whose losses are told, of those that are trained on and of those that are not. */
const TOLD = { figureBatches: 8, heldOut: 16 };

type Layer = layers.Layer;

/** What the convolutions of a network are made with. */
interface Convolution {
  readonly filters: number;
  readonly place: number;
  readonly activation: Activation;
  readonly strides?: number;
  readonly inputShape?: number[];
}

const options = (making: Making, { place, ...convolution }: Convolution) => ({
  kernelSize: 3,
  padding: 'same' as const,
  kernelInitializer: glorot(making, place),
  ...convolution,
});

const halved = ({ tfl }: Making): Layer => tfl.layers.maxPooling2d({ poolSize: 2 });

/** A convolution, relu, and half of the rows and columns. */
const plain = (making: Making, convolution: Omit<Convolution, 'activation'>): Layer[] => [
  making.tfl.layers.conv2d(options(making, { activation: 'relu', ...convolution })),
  halved(making),
];

/**
 * The same with batch normalisation before relu, which makes a bias idle. Its averages for evaluation, which training
 * does not see, forget a half at each step: with the hundredth that is the default, and with a tenth, they would still
 * be those of no data where the first losses are told.
 */
const normalised = (making: Making, convolution: Omit<Convolution, 'activation'>): Layer[] => [
  making.tfl.layers.conv2d({ ...options(making, { activation: 'linear', ...convolution }), useBias: false }),
  making.tfl.layers.batchNormalization({ momentum: 0.5 }),
  making.tfl.layers.reLU(),
  halved(making),
];

/** Three blocks of 16, 32 and 64 filters, and two dense layers behind them. */
function convnet(making: Making, block: typeof plain): Sequential {
  return making.tfl.sequential({
    layers: [
      ...block(making, { filters: 16, place: 0, inputShape: SHAPE }),
      ...block(making, { filters: 32, place: 1 }),
      ...block(making, { filters: 64, place: 2 }),
      making.tfl.layers.flatten(),
      dense(making, 64, 'relu', 3),
      dense(making, CLASSES, 'softmax', 4),
    ],
  });
}

const classifier = (name: string, about: string, block: typeof plain): Program => ({
  name,
  about: `fashion images, ${about} of 16, 32 and 64 filters with max pooling, 64 relu`,
  told: usualSteps,
  cost: 60,
  unavailable: fashionUnavailable,
  make: (making) => ({
    kind: 'compiled',
    model: convnet(making, block),
    loss: 'categoricalCrossentropy',
    data: pictureData(making, fashion(), {
      ...TOLD,
      batch: BATCH,
      most: 200,
      shape: SHAPE,
      targets: classes(making),
    }),
  }),
});

/** A depthwise and a pointwise convolution in one layer, whose kernels have the initial weights of two places. */
function separable(making: Making, filters: number, place: number): Layer[] {
  const { kernelInitializer, ...convolution } = options(making, { filters, place, activation: 'relu' });
  return [
    making.tfl.layers.separableConv2d({
      ...convolution,
      depthwiseInitializer: kernelInitializer,
      pointwiseInitializer: glorot(making, place + 1),
    }),
    halved(making),
  ];
}

const depthwise: Program = {
  name: 'depthwise',
  about: 'digits, a 3 × 3 convolution of 16 filters, separable ones of 32 and 64, max pooling',
  told: usualSteps,
  cost: 40,
  make: (making) => ({
    kind: 'compiled',
    model: making.tfl.sequential({
      layers: [
        ...plain(making, { filters: 16, place: 0, inputShape: SHAPE }),
        ...separable(making, 32, 1),
        ...separable(making, 64, 3),
        making.tfl.layers.flatten(),
        dense(making, CLASSES, 'softmax', 5),
      ],
    }),
    loss: 'categoricalCrossentropy',
    data: pictureData(making, digits(), {
      figureBatches: 8,
      batch: BATCH,
      shape: SHAPE,
      targets: classes(making),
    }),
  }),
};

/** Side and channels of what the encoder's convolutions make of a picture. */
const INNER = { side: 7, channels: 32 };
const CODE = 16;

function autoencoder(making: Making): Sequential {
  const { layers: make } = making.tfl;
  const { side, channels } = INNER;
  return making.tfl.sequential({
    layers: [
      make.conv2d(options(making, { filters: 16, place: 0, activation: 'relu', strides: 2, inputShape: SHAPE })),
      make.conv2d(options(making, { filters: channels, place: 1, activation: 'relu', strides: 2 })),
      make.flatten(),
      dense(making, CODE, 'linear', 2),
      dense(making, side * side * channels, 'relu', 3),
      make.reshape({ targetShape: [side, side, channels] }),
      make.conv2dTranspose(options(making, { filters: 16, place: 4, activation: 'relu', strides: 2 })),
      make.conv2dTranspose(options(making, { filters: 1, place: 5, activation: 'sigmoid', strides: 2 })),
    ],
  });
}

const convolutionalAutoencoder: Program = {
  name: 'convolutional-autoencoder',
  about: `digits, strides of 2 to 16 and 32 filters, ${CODE} linear, and the same backwards, cross-entropy`,
  told: usualSteps,
  factor: PIXELS,
  unit: 'nats per image',
  cost: 30,
  make: (making) => ({
    kind: 'compiled',
    model: autoencoder(making),
    loss: 'binaryCrossentropy',
    data: pictureData(making, digits(), { figureBatches: 8, batch: BATCH, shape: SHAPE, targets: itself }),
  }),
};

/** Rows of a picture of a disc, and how many pictures are trained on, and held out. */
const DISC = { side: 16, pictures: 1024, heldOut: 128 };

/** Discs of any place and of radius 2 to 5 in noise, and which of the pixels are theirs. */
function discs(making: Making): { readonly x: Tensor; readonly y: Tensor } {
  const { tf } = making;
  const { side } = DISC;
  const all = DISC.pictures + DISC.heldOut;
  const axis = tf.range(0, side);
  const from = (shape: number[], stream: number) => tf.reshape(uniform(making, [all], side, stream), shape);
  const rows = tf.square(tf.sub(tf.reshape(axis, [1, side, 1, 1]), from([all, 1, 1, 1], 1)));
  const columns = tf.square(tf.sub(tf.reshape(axis, [1, 1, side, 1]), from([all, 1, 1, 1], 2)));
  const radii = tf.add(2, tf.reshape(uniform(making, [all], 3, 3), [all, 1, 1, 1]));
  const y = tf.cast(tf.lessEqual(tf.add(rows, columns), tf.square(radii)), 'float32');
  return { x: tf.add(y, normal(making, [all, side, side, 1], 4)), y };
}

const segmentation: Program = {
  name: 'segmentation',
  about: "discs in noise, 3 × 3 convolutions of 8, 8 and 1 filters, Dice's loss of the batch",
  told: usualSteps,
  cost: 10,
  make: (making) => {
    const { tf, tfl } = making;
    const { x, y } = discs(making);
    const convolution = (filters: number, place: number, activation: Activation, first = {}) =>
      tfl.layers.conv2d({ ...options(making, { filters, place, activation }), ...first });
    return {
      kind: 'compiled',
      model: tfl.sequential({
        layers: [
          convolution(8, 0, 'relu', { inputShape: [DISC.side, DISC.side, 1] }),
          convolution(8, 1, 'relu'),
          convolution(1, 2, 'sigmoid'),
        ],
      }),
      loss: (t, p) => {
        const both = tf.add(1, tf.mul(2, tf.sum(tf.mul(t, p))));
        return tf.sub(1, tf.div(both, tf.add(1, tf.add(tf.sum(t), tf.sum(p)))));
      },
      data: split(making, x, y, 32, DISC.heldOut),
    };
  },
};

/** All programs with convolutions. */
export const convolutions: readonly Program[] = [
  classifier('convnet', '3 × 3 convolutions', plain),
  classifier('convnet-batchnorm', '3 × 3 convolutions with batch normalisation', normalised),
  depthwise,
  convolutionalAutoencoder,
  segmentation,
];
