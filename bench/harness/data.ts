import type { BenchLayer } from './layers';

/** A generator of 32-bit numbers (Mulberry32, Tommy Ettinger 2017): the same data at every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** `count` numbers like activations (half of them 0) or like gradients (centred). */
export function numbers(count: number, seed: number, kind: 'activations' | 'gradients'): Float32Array {
  const next = generator(seed);
  const result = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const centred = next() + next() + next() + next() - 2;
    result[i] = kind === 'gradients' ? 0.1 * centred : Math.max(centred, 0);
  }
  return result;
}

/** What a step of a layer works on. */
export interface BenchData {
  readonly inputs: Float32Array;
  /** Output gradients of sampled targets, which make the true Fisher. */
  readonly outputGrads: Float32Array;
  /** Output gradients of the training targets. */
  readonly lossGrads: Float32Array;
  /** Right-hand sides and results, enough of both that none is in a cache when its turn comes again. */
  readonly v: readonly Float32Array[];
  readonly out: readonly Float32Array[];
}

const coldBytes = 96 * 2 ** 20;
const mostCopies = 64;

/** What a step of this layer works on: the same numbers at every run. */
export function benchData({ rows, inFeatures, outFeatures }: BenchLayer): BenchData {
  const size = inFeatures * outFeatures;
  const copies = Math.min(mostCopies, Math.max(2, Math.ceil(coldBytes / (8 * size))));
  const first = numbers(size, 4, 'gradients');
  return {
    inputs: numbers(rows * inFeatures, 1, 'activations'),
    outputGrads: numbers(rows * outFeatures, 2, 'gradients'),
    lossGrads: numbers(rows * outFeatures, 3, 'gradients'),
    v: Array.from({ length: copies }, (_, i) => (i === 0 ? first : first.slice())),
    out: Array.from({ length: copies }, () => new Float32Array(size)),
  };
}
