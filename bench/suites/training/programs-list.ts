/**
 * Programs as users write them: a model of TensorFlow.js, a loss, and batches, each of them with a seed. They differ in
 * what is hard about them: targets with a mean, losses without a head, heads in unusual places, recurrence.
 */
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';

type Tfjs = typeof import('@tensorflow/tfjs-core');
type Layers = typeof import('@tensorflow/tfjs-layers');
type Model = import('@tensorflow/tfjs-layers').LayersModel;
type Loss = (y: Tensor, z: Tensor) => Tensor;

/** What a program is made with. */
export interface Making {
  readonly tf: Tfjs;
  readonly tfl: Layers;
  readonly seed: number;
}

/** A model and its batches; tensors of the caller's. */
export interface Made {
  readonly model: Model;
  readonly batches: readonly (readonly [Tensor, Tensor])[];
}

/** A program: what is compiled, and what its loss is. */
export interface Program {
  readonly name: string;
  readonly loss: string | ((tf: Tfjs) => Loss);
  readonly make: (making: Making) => Made;
}

/** Numbers of a normal distribution, the same at every run. */
const normal = ({ tf, seed }: Making, shape: number[], stream: number) =>
  tf.randomNormal(shape, 0, 1, 'float32', 1000 * seed + stream + 1);

function dense({ tfl, seed }: Making, units: number, activation: 'relu' | 'sigmoid' | 'tanh' | 'linear' | 'softmax') {
  return (place: number, more: object = {}) =>
    tfl.layers.dense({
      units,
      activation,
      kernelInitializer: tfl.initializers.glorotUniform({ seed: 100 * seed + place }),
      ...more,
    });
}

/** A feed-forward network. */
function feedForward(
  making: Making,
  inputs: number,
  hidden: readonly [number, 'relu' | 'sigmoid' | 'tanh'][],
  [outputs, head]: readonly [number, 'linear' | 'sigmoid' | 'softmax'],
): Model {
  const { tfl } = making;
  const layers = hidden.map(([units, activation], place) =>
    dense(making, units, activation)(place, place === 0 ? { inputShape: [inputs] } : {}),
  );
  return tfl.sequential({ layers: [...layers, dense(making, outputs, head)(hidden.length)] });
}

/** Cuts tensors into batches. */
function cut({ tf }: Making, x: Tensor, y: Tensor, size: number): (readonly [Tensor, Tensor])[] {
  const count = Math.floor((x.shape[0] ?? 0) / size);
  const part = (tensor: Tensor, batch: number) =>
    tf.slice(tensor, [batch * size, ...tensor.shape.slice(1).map(() => 0)], [size, ...tensor.shape.slice(1)]);
  return Array.from({ length: count }, (_, batch) => [part(x, batch), part(y, batch)] as const);
}

/** A smooth function of twelve inputs with noise, as a table of prices has it. */
function table(making: Making, mean: number, noise: number) {
  const { tf } = making;
  const x = normal(making, [640, 12], 1);
  const column = (i: number) => tf.slice(x, [0, i], [640, 1]);
  const square = tf.mul(2, tf.square(column(3)));
  const signal = tf.add(tf.sub(tf.mul(5, column(0)), tf.mul(4, column(5))), square);
  const y = tf.add(tf.add(signal, mean), tf.mul(noise, normal(making, [640, 1], 2)));
  return cut(making, x, y, 64);
}

const regression = (name: string, loss: Program['loss'], mean: number, activation: 'relu' | 'sigmoid'): Program => ({
  name,
  loss,
  make: (making) => ({
    model: feedForward(
      making,
      12,
      [
        [50, activation],
        [50, activation],
      ],
      [1, 'linear'],
    ),
    batches: table(making, mean, 1),
  }),
});

/** Classes of a random network of one layer, as labels and as rows of 0 and 1. */
function labelled(making: Making, classes: number, flip = 0) {
  const { tf } = making;
  const x = normal(making, [1024, 20], 1);
  const scores = tf.matMul(tf.tanh(tf.matMul(x, normal(making, [20, 30], 2))), normal(making, [30, classes], 3));
  const random = tf.argMax(normal(making, [1024, classes], 4), -1);
  const flipped = tf.less(tf.randomUniform([1024], 0, 1, 'float32', 1000 * making.seed + 5), flip);
  const labels = tf.where(flipped, random, tf.argMax(scores, -1));
  return { x, onehot: tf.cast(tf.oneHot(labels as import('@tensorflow/tfjs-core').Tensor1D, classes), 'float32') };
}

/** Five classes, of which a share of the labels is random. */
const classification = (name: string, flip: number): Program => ({
  name,
  loss: 'categoricalCrossentropy',
  make: (making) => {
    const { x, onehot } = labelled(making, 5, flip);
    const hidden: [number, 'relu'][] = [
      [64, 'relu'],
      [64, 'relu'],
    ];
    return { model: feedForward(making, 20, hidden, [5, 'softmax']), batches: cut(making, x, onehot, 128) };
  },
});

/** Sequences of numbers of which two are marked: their sum. */
function addition(making: Making, kind: 'simpleRNN' | 'lstm' | 'gru'): Made {
  const { tf, tfl, seed } = making;
  const [samples, length] = [1024, 12];
  const values = tf.randomUniform([samples, length], 0, 1, 'float32', 1000 * seed + 1);
  const places = (stream: number) =>
    tf.cast(tf.randomUniform([samples], 0, length / 2, 'float32', 1000 * seed + stream), 'int32');
  const mark = (at: Tensor) => tf.cast(tf.oneHot(at as import('@tensorflow/tfjs-core').Tensor1D, length), 'float32');
  const marks = tf.add(mark(places(2)), mark(tf.add(places(3), tf.scalar(length / 2, 'int32'))));
  const y = tf.sum(tf.mul(values, marks), 1, true);
  const initializer = (place: number) => tfl.initializers.glorotUniform({ seed: 100 * seed + place });
  const common = {
    units: 32,
    inputShape: [length, 2] as [number, number],
    kernelInitializer: initializer(0),
    recurrentInitializer: initializer(1),
  };
  const layer = { simpleRNN: tfl.layers.simpleRNN, lstm: tfl.layers.lstm, gru: tfl.layers.gru }[kind](common as never);
  const model = tfl.sequential({ layers: [layer, dense(making, 1, 'linear')(2)] });
  return { model, batches: cut(making, tf.stack([values, marks], 2), y, 128) };
}

/** Products of signs: the exclusive or, and its like of more bits. */
function parity(making: Making, bits: number, hidden: number): Made {
  const { tf } = making;
  const count = 2 ** bits;
  const rows = Array.from({ length: count }, (_, n) => Array.from({ length: bits }, (__, b) => (n >> b) & 1));
  const y = rows.map((row) => [row.reduce((sum, bit) => sum + bit, 0) % 2]);
  const model = feedForward(making, bits, [[hidden, 'sigmoid']], [1, 'sigmoid']);
  return { model, batches: [[tf.tensor2d(rows), tf.tensor2d(y)]] };
}

/** All programs, by name. */
export const programs: readonly Program[] = [
  regression('regression, uncentred', 'meanSquaredError', 22, 'sigmoid'),
  regression('regression, relu', 'meanSquaredError', 22, 'relu'),
  regression('regression, centred', 'meanSquaredError', 0, 'relu'),
  regression('absolute error', 'meanAbsoluteError', 22, 'relu'),
  regression('Huber', (tf) => (y, z) => tf.losses.huberLoss(y, z), 22, 'relu'),
  {
    name: 'Poisson',
    loss: (tf) => (y, z) => tf.mean(tf.sub(tf.exp(z), tf.mul(y, z))),
    make: (making) => {
      const { tf } = making;
      const x = normal(making, [640, 12], 1);
      const y = tf.round(tf.exp(tf.add(1, tf.mul(0.3, tf.matMul(x, normal(making, [12, 1], 2))))));
      return { model: feedForward(making, 12, [[32, 'tanh']], [1, 'linear']), batches: cut(making, x, y, 64) };
    },
  },
  {
    name: 'hinge',
    loss: 'hinge' as string,
    make: (making) => {
      const { tf } = making;
      const { x, onehot } = labelled(making, 2);
      const y = tf.sub(tf.mul(2, tf.slice(onehot, [0, 0], [1024, 1])), 1);
      return { model: feedForward(making, 20, [[32, 'relu']], [1, 'linear']), batches: cut(making, x, y, 128) };
    },
  },
  {
    name: 'cosine proximity',
    loss: 'cosineProximity',
    make: (making) => {
      const { tf } = making;
      const x = normal(making, [1024, 20], 1);
      const y = tf.tanh(tf.matMul(x, normal(making, [20, 6], 2)));
      return { model: feedForward(making, 20, [[32, 'tanh']], [6, 'linear']), batches: cut(making, x, y, 128) };
    },
  },
  { name: 'exclusive or', loss: 'meanSquaredError', make: (making) => parity(making, 2, 8) },
  { name: 'parity of four', loss: 'binaryCrossentropy', make: (making) => parity(making, 4, 16) },
  {
    name: 'sine',
    loss: 'meanSquaredError',
    make: (making) => {
      const { tf } = making;
      const x = tf.randomUniform([512, 1], -3.2, 3.2, 'float32', making.seed + 1);
      const model = feedForward(
        making,
        1,
        [
          [32, 'tanh'],
          [32, 'tanh'],
        ],
        [1, 'linear'],
      );
      return { model, batches: cut(making, x, tf.sin(tf.mul(2, x)), 64) };
    },
  },
  classification('classifier', 0),
  classification('noisy labels', 0.3),
  {
    name: 'double softmax',
    loss: (tf) => (y, z) => tf.losses.softmaxCrossEntropy(y, z),
    make: (making) => {
      const { x, onehot } = labelled(making, 5);
      const model = feedForward(making, 20, [[64, 'relu']], [5, 'softmax']);
      return { model, batches: cut(making, x, onehot, 128) };
    },
  },
  {
    name: 'autoencoder',
    loss: 'binaryCrossentropy',
    make: (making) => {
      const { tf } = making;
      const x = tf.sigmoid(tf.matMul(tf.tanh(normal(making, [1024, 6], 1)), tf.mul(3, normal(making, [6, 60], 2))));
      const hidden: [number, 'sigmoid'][] = [
        [40, 'sigmoid'],
        [12, 'sigmoid'],
        [40, 'sigmoid'],
      ];
      return { model: feedForward(making, 60, hidden, [60, 'sigmoid']), batches: cut(making, x, x, 128) };
    },
  },
  { name: 'addition, simple', loss: 'meanSquaredError', make: (making) => addition(making, 'simpleRNN') },
  { name: 'addition, LSTM', loss: 'meanSquaredError', make: (making) => addition(making, 'lstm') },
  { name: 'addition, GRU', loss: 'meanSquaredError', make: (making) => addition(making, 'gru') },
];

/** The loss of a program as `compile` takes it, a number of which a batch has one. */
export function lossOf({ loss }: Program, tf: Tfjs): string | ((y: Tensor, z: Tensor) => Scalar) {
  return typeof loss === 'string' ? loss : (y, z) => loss(tf)(y, z) as Scalar;
}
