/** What the programs of the suite `tasks` are made with: data and networks that follow from a seed. */
import type { Scalar, Tensor, Variable } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/** The two packages of TensorFlow.js that programs use, and the seed of their data and initial weights. */
export interface Making {
  readonly tf: typeof import('@tensorflow/tfjs-core');
  readonly tfl: typeof import('@tensorflow/tfjs-layers');
  readonly seed: number;
  /** What the usual number of samples in a batch is multiplied by. */
  readonly batchFactor: number;
}

/** The inputs and the targets of some samples. */
export type Batch = readonly [x: Tensor, y: Tensor];

/** The data of a program. */
export interface Data {
  /** What is trained on, a batch a step, again and again. */
  readonly batches: readonly Batch[];
  /** The first so many batches make the figure of the training loss; all of them by default. */
  readonly figureBatches?: number;
  /** What is never trained on. */
  readonly heldOut: readonly Batch[];
}

/** A loss of targets and outputs, as `compile` takes it. */
export type Loss = (y: Tensor, z: Tensor) => Tensor;

/** A program that calls `compile` and `trainOnBatch`. */
export interface Compiled {
  readonly kind: 'compiled';
  readonly model: LayersModel;
  readonly loss: string | Loss;
  readonly data: Data;
}

/** A program that calls `minimize`, with a loss of its own. */
export interface Minimized {
  readonly kind: 'minimized';
  /** The loss of a batch; `seed` is that of the noise that it draws. */
  readonly loss: (batch: Batch, seed: number) => Scalar;
  readonly weights: readonly Variable[];
  readonly data: Data;
}

/** A program: its network, its loss, its data, and when its losses are told. */
export interface Program {
  readonly name: string;
  /** What it is, in a few words. */
  readonly about: string;
  /** Steps after which the losses are told; the last one ends the run. */
  readonly told: readonly number[];
  /** What a loss is multiplied by to be a figure in `unit`. */
  readonly factor?: number;
  readonly unit?: string;
  /** How long a step takes, compared with one of a small dense network; for the time left alone. */
  readonly cost: number;
  /** Gets the data where that can fail; why it could not. */
  readonly unavailable?: () => string | undefined;
  /** Makes tensors that are the caller's. */
  readonly make: (making: Making) => Compiled | Minimized;
}

/** The steps after which losses are told, for programs that are not heavy. */
export const usualSteps: readonly number[] = [10, 25, 50, 100, 200];

/** Normal numbers that follow from the seed; `stream` tells those of one program apart. */
export function normal({ tf, seed }: Making, shape: number[], stream: number): Tensor {
  return tf.randomNormal(shape, 0, 1, 'float32', 1000 * seed + stream + 1);
}

/** Uniform numbers in [0, most) that follow from the seed. */
export function uniform({ tf, seed }: Making, shape: number[], most: number, stream: number): Tensor {
  return tf.randomUniform(shape, 0, most, 'float32', 1000 * seed + stream + 1);
}

/** Uniform numbers in [0, 1), one at a time: a Weyl sequence through the finaliser of MurmurHash3. */
export function uniformNumbers(seed: number): () => number {
  let state = Math.imul(seed, 7919) + 13;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return ((z ^ (z >>> 16)) >>> 0) / 2 ** 32;
  };
}

/** An index drawn with probabilities in proportion to the weights. */
export function drawn(weights: readonly number[], next: () => number): number {
  let left = next() * weights.reduce((sum, weight) => sum + weight, 0);
  const index = weights.findIndex((weight) => {
    left -= weight;
    return left <= 0;
  });
  return index === -1 ? weights.length - 1 : index;
}

/** Rows of zeros with a one at each of the places. */
export function oneHot({ tf }: Making, places: Tensor | readonly number[], classes: number): Tensor {
  const indices = tf.cast(Array.isArray(places) ? tf.tensor(places) : (places as Tensor), 'int32');
  return tf.cast(tf.oneHot(indices, classes), 'float32');
}

/** Glorot and Bengio's uniform weights of the layer at a place. */
export function glorot({ tfl, seed }: Making, place: number) {
  return tfl.initializers.glorotUniform({ seed: 100 * seed + place });
}

/** The activations that the programs use. */
export type Activation = 'relu' | 'sigmoid' | 'tanh' | 'linear' | 'softmax';

/** A dense layer with the initial weights of its place. */
export function dense(making: Making, units: number, activation: Activation, place: number, more: object = {}) {
  return making.tfl.layers.dense({ units, activation, kernelInitializer: glorot(making, place), ...more });
}

/** A feed-forward network of so many inputs and layers of so many units each. */
export function feedForward(
  making: Making,
  inputs: number,
  layers: readonly (readonly [units: number, activation: Activation])[],
): LayersModel {
  return making.tfl.sequential({
    layers: layers.map(([units, activation], place) =>
      dense(making, units, activation, place, place === 0 ? { inputShape: [inputs] } : {}),
    ),
  });
}

/** Some of the samples of a tensor. */
export function samples({ tf }: Making, tensor: Tensor, first: number, count: number): Tensor {
  const rest = tensor.shape.slice(1);
  return tf.slice(tensor, [first, ...rest.map(() => 0)], [count, ...rest]);
}

/** Samples in batches of a usual size, the last `heldOut` of them as one batch that is not trained on. */
export function split(making: Making, x: Tensor, y: Tensor, size: number, heldOut: number): Data {
  const training = (x.shape[0] ?? 0) - heldOut;
  const own = Math.min(training, Math.max(1, Math.round(size * making.batchFactor)));
  const part = (first: number, count: number): Batch => [
    samples(making, x, first, count),
    samples(making, y, first, count),
  ];
  return {
    batches: Array.from({ length: Math.floor(training / own) }, (_, batch) => part(batch * own, own)),
    heldOut: [part(training, heldOut)],
  };
}
