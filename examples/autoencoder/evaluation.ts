import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { PIXELS, type PictureSets } from '../../datasets/pictures';

/** Digits that go through the model at a time. */
const CHUNK = 1000;

/** How far reconstructions are from the digits. */
export interface Errors {
  /** Binary cross-entropy on the training digits, mean over pixels, in nats. */
  readonly loss: number;
  /** The cross-entropy summed over pixels: nats per image, mean over the training digits. */
  readonly train: number;
  /** Nats per image, mean over the digits held out. */
  readonly heldOut: number;
  /** Squared error of the reconstructions of the digits held out, summed over pixels, mean over images. */
  readonly squaredError: number;
}

async function meanErrors(
  model: tfl.Sequential,
  pixels: Float32Array,
): Promise<{ nats: number; squaredError: number }> {
  const count = pixels.length / PIXELS;
  let nats = 0;
  let squaredError = 0;
  for (let first = 0; first < count; first += CHUNK) {
    const end = Math.min(first + CHUNK, count);
    const sums = tf.tidy(() => {
      const digits = tf.tensor2d(pixels.subarray(first * PIXELS, end * PIXELS), [end - first, PIXELS]);
      const reconstructions = model.apply(digits) as tf.Tensor2D;
      const means = tfl.metrics.binaryCrossentropy(digits, reconstructions);
      return tf.stack([tf.mul(tf.sum(means), PIXELS), tf.sum(tf.squaredDifference(digits, reconstructions))]);
    });
    const [a = Number.NaN, b = Number.NaN] = await sums.data();
    sums.dispose();
    nats += a / count;
    squaredError += b / count;
  }
  return { nats, squaredError };
}

/** The errors of the model as it is, on all the digits of both sets. */
export async function evaluate(model: tfl.Sequential, { training, heldOut }: PictureSets): Promise<Errors> {
  const { nats: train } = await meanErrors(model, training.pixels);
  const { nats, squaredError } = await meanErrors(model, heldOut.pixels);
  return { loss: train / PIXELS, train, heldOut: nats, squaredError };
}
