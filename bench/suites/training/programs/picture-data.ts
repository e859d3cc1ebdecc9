/** Pictures as programs of the suite `tasks` see them. */
import type { Tensor } from '@tensorflow/tfjs-core';
import { fetchFashion, loadFashion } from '../../../../datasets/fashion';
import { PIXELS, type PictureSets, type Pictures } from '../../../../datasets/pictures';
import { once } from './digits';
import { type Batch, type Data, type Making, oneHot, type Program } from './making';

/** The number of things that pictures show. */
export const CLASSES = 10;
/** Rows of a picture, and pixels in each. */
export const SIDE = 28;
/** Pictures in a batch, unless a program has a number of its own. */
const BATCH = 256;

/** The fashion images, read once. */
export const fashion = once(() => loadFashion(fetchFashion()));

/** Why the fashion images are not here, and could not be fetched. */
export const fashionUnavailable: NonNullable<Program['unavailable']> = once(() => {
  try {
    fashion();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
});

/** What a program sees of pictures: inputs of a shape, and targets that are their classes or themselves. */
export interface Seen {
  /** Pictures in a batch, 256 by default. */
  readonly batch?: number;
  /** Batches of the usual size that are trained on, at the most; all by default. */
  readonly most?: number;
  readonly figureBatches?: number;
  /** The first so many batches of what is held out; all of it as one batch by default. */
  readonly heldOut?: number;
  /** The shape of one input, a row of pixels by default. */
  readonly shape?: readonly number[];
  readonly targets: (pictures: Pictures, x: Tensor) => Tensor;
}

/** Makes batches of pictures and their labels. */
export function pictureData(making: Making, sets: PictureSets, seen: Seen): Data {
  const { tf, batchFactor } = making;
  const { batch = BATCH, most, figureBatches, heldOut, shape = [PIXELS], targets } = seen;
  const size = Math.round(batch * batchFactor);
  const part = ({ pixels, labels }: Pictures, first: number, count: number): Batch => {
    const own = {
      pixels: pixels.subarray(first * PIXELS, (first + count) * PIXELS),
      labels: labels.subarray(first, first + count),
    };
    const x = tf.tensor(own.pixels, [count, ...shape]);
    return [x, targets(own, x)];
  };
  const parts = (from: Pictures, count: number, each: number) =>
    Array.from({ length: count }, (_, place) => part(from, place * each, each));
  const used = Math.min(sets.training.labels.length, (most ?? Number.POSITIVE_INFINITY) * batch);
  return {
    batches: parts(sets.training, Math.floor(used / size), size),
    heldOut:
      heldOut === undefined ? parts(sets.heldOut, 1, sets.heldOut.labels.length) : parts(sets.heldOut, heldOut, batch),
    ...(figureBatches === undefined ? {} : { figureBatches }),
  };
}

/** Targets that are what pictures show, as zeros and a one. */
export const classes =
  (making: Making): Seen['targets'] =>
  ({ labels }) =>
    oneHot(making, [...labels], CLASSES);

/** Targets that are the pictures. */
export const itself: Seen['targets'] = (_, x) => x;
