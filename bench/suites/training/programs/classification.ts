/** Programs that tell classes apart, of data that are made up: labels with noise, losses other than the usual ones. */
import type { Tensor } from '@tensorflow/tfjs-core';
import {
  type Batch,
  type Compiled,
  drawn,
  feedForward,
  type Making,
  normal,
  oneHot,
  type Program,
  split,
  uniform,
  uniformNumbers,
  usualSteps,
} from './making';

const HELD_OUT = 512;

/** How many classes of how many samples, and which share of the labels is random. */
interface Labelled {
  readonly classes: number;
  readonly training: number;
  readonly flip?: number;
}

/** Classes of a random network of one layer, as rows of 0 and 1. */
function labelled(making: Making, { classes, training, flip = 0 }: Labelled) {
  const { tf } = making;
  const all = training + HELD_OUT;
  const x = normal(making, [all, 20], 1);
  const scores = tf.matMul(tf.tanh(tf.matMul(x, normal(making, [20, 30], 2))), normal(making, [30, classes], 3));
  const random = tf.argMax(normal(making, [all, classes], 4), -1);
  const labels = tf.where(tf.less(uniform(making, [all], 1, 5), flip), random, tf.argMax(scores, -1));
  return { x, onehot: oneHot(making, labels, classes) };
}

/** Five classes, told apart by two hidden layers. */
const classifier = (name: string, about: string, data: Omit<Labelled, 'classes'>): Program => ({
  name,
  about,
  told: usualSteps,
  cost: 1,
  make: (making) => {
    const { x, onehot } = labelled(making, { classes: 5, ...data });
    return {
      kind: 'compiled',
      model: feedForward(making, 20, [
        [64, 'relu'],
        [64, 'relu'],
        [5, 'softmax'],
      ]),
      loss: 'categoricalCrossentropy',
      data: split(making, x, onehot, 128, HELD_OUT),
    };
  },
});

const hinge: Program = {
  name: 'hinge',
  about: 'two classes as ±1, 32 relu',
  told: usualSteps,
  cost: 1,
  make: (making) => {
    const { tf } = making;
    const { x, onehot } = labelled(making, { classes: 2, training: 4096 });
    const y = tf.sub(tf.mul(2, tf.slice(onehot, [0, 0], [onehot.shape[0] ?? 0, 1])), 1);
    return {
      kind: 'compiled',
      model: feedForward(making, 20, [
        [32, 'relu'],
        [1, 'linear'],
      ]),
      loss: 'hinge',
      data: split(making, x, y, 128, HELD_OUT),
    };
  },
};

const doubleSoftmax: Program = {
  name: 'double-softmax',
  about: 'softmax cross-entropy of outputs that are probabilities already, 64 relu',
  told: usualSteps,
  cost: 1,
  make: (making) => {
    const { x, onehot } = labelled(making, { classes: 5, training: 4096 });
    return {
      kind: 'compiled',
      model: feedForward(making, 20, [
        [64, 'relu'],
        [5, 'softmax'],
      ]),
      loss: (y: Tensor, z: Tensor) => making.tf.losses.softmaxCrossEntropy(y, z),
      data: split(making, x, onehot, 128, HELD_OUT),
    };
  },
};

/**
 * Products of signs: the exclusive or, and its like of more bits. There is nothing else to train on; held out are the
 * same corners, each input with noise of a standard deviation of 0.1.
 */
function parity(making: Making, bits: number, hidden: number): Pick<Compiled, 'model' | 'data'> {
  const { tf } = making;
  const count = 2 ** bits;
  const rows = Array.from({ length: count }, (_, n) => Array.from({ length: bits }, (__, b) => (n >> b) & 1));
  const y = tf.tensor2d(rows.map((row) => [row.reduce((sum, bit) => sum + bit, 0) % 2]));
  const x = tf.tensor2d(rows);
  const near = tf.add(tf.tile(x, [16, 1]), tf.mul(0.1, normal(making, [16 * count, bits], 1)));
  const heldOut: Batch = [near, tf.tile(y, [16, 1])];
  return {
    model: feedForward(making, bits, [
      [hidden, 'sigmoid'],
      [1, 'sigmoid'],
    ]),
    data: { batches: [[x, y]], heldOut: [heldOut] },
  };
}

const exclusiveOr: Program = {
  name: 'exclusive-or',
  about: 'four samples, 8 sigmoid, squared error',
  told: usualSteps,
  cost: 1,
  make: (making) => ({ kind: 'compiled', loss: 'meanSquaredError', ...parity(making, 2, 8) }),
};

const parityOfFour: Program = {
  name: 'parity',
  about: 'sixteen samples of four bits, 16 sigmoid, cross-entropy',
  told: usualSteps,
  cost: 1,
  make: (making) => ({ kind: 'compiled', loss: 'binaryCrossentropy', ...parity(making, 4, 16) }),
};

const WORDS = 400;
const TOPICS = 4;
/** How often a word of a document is one of its topic's own, and not one of all. */
const OF_TOPIC = 0.3;

/** Documents as zeros and ones, a word each: words by Zipf's law, some of them those of the document's topic. */
function documents(making: Making, count: number): { readonly x: Tensor; readonly y: Tensor } {
  const next = uniformNumbers(making.seed);
  const law = Array.from({ length: WORDS }, (_, rank) => 1 / (rank + 5));
  const topics = Array.from({ length: TOPICS }, () => law.map((weight) => (next() < 0.15 ? weight : 0)));
  const x = making.tf.buffer([count, WORDS], 'float32');
  const labels = Array.from({ length: count }, (_, document) => {
    const topic = Math.floor(next() * TOPICS);
    const length = 15 + Math.floor(next() * 30);
    for (let word = 0; word < length; word++) {
      const weights = next() < OF_TOPIC ? topics[topic] : law;
      x.set(1, document, drawn(weights ?? law, next));
    }
    return topic;
  });
  return { x: x.toTensor(), y: oneHot(making, labels, TOPICS) };
}

const multiHotText: Program = {
  name: 'multi-hot-text',
  about: '512 documents as zeros and ones of 400 words, 64 relu, four topics',
  told: usualSteps,
  cost: 1,
  make: (making) => {
    const { x, y } = documents(making, 2 * HELD_OUT);
    return {
      kind: 'compiled',
      model: feedForward(making, WORDS, [
        [64, 'relu'],
        [TOPICS, 'softmax'],
      ]),
      loss: 'categoricalCrossentropy',
      data: split(making, x, y, 64, HELD_OUT),
    };
  },
};

/** Programs that tell classes apart. */
export const classifications: readonly Program[] = [
  hinge,
  exclusiveOr,
  parityOfFour,
  classifier('classifier', 'five classes, 4,096 samples, 64-64 relu', { training: 4096 }),
  classifier('noisy-labels', 'five classes, 1,024 samples, 30 % of the labels at random, 64-64 relu', {
    training: 1024,
    flip: 0.3,
  }),
  doubleSoftmax,
  multiHotText,
];
