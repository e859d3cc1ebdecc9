/**
 * Classification tasks that the digits' classifier does not stand for: depth, recurrence, noise, a loss with a floor of
 * entropy.
 */
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';

type Tfjs = typeof import('@tensorflow/tfjs-core');

/** A layer y = x·kernel + bias, kernel inFeatures × outFeatures. */
export interface DenseShape {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** How often it is used for a sample: the time steps of a recurrent one. */
  readonly uses: number;
}

/** Samples in rows, and the class of each. */
export interface Examples {
  readonly x: Float32Array;
  readonly labels: Uint8Array;
}

/** What a forward pass needs of a layer; `shift` is added to its pre-activations, (uses ×) batch × outFeatures. */
export interface LayerTensors {
  readonly kernel: Tensor;
  readonly bias: Tensor;
  readonly shift: Tensor;
}

/** A task: its data, its network, and how long it is trained. */
export interface Task {
  readonly name: string;
  readonly steps: number;
  readonly features: number;
  readonly classes: number;
  readonly layers: readonly DenseShape[];
  /** The logits; tells of the inputs of each layer's uses. */
  readonly forward: (
    tf: Tfjs,
    x: Tensor2D,
    layers: readonly LayerTensors[],
    seen: (layer: number, inputs: Tensor) => void,
  ) => Tensor;
  readonly load: () => { readonly training: Examples; readonly heldOut: Examples };
}

interface Digits {
  readonly pixels: Float32Array;
  readonly labels: Uint8Array;
}

const PIXELS = 784;
const DIGITS = 10;
/** The seed of weights, of data and of sampling. */
export const SEED = 1;

/**
 * The digits of the examples, which are another project of TypeScript: compiled beside this one, and found when it
 * runs.
 */
function loadDigits(): { readonly training: Digits; readonly heldOut: Digits } {
  return (require('../../../datasets/digits') as { loadDigits: () => ReturnType<typeof loadDigits> }).loadDigits();
}

/** Uniform numbers in [0, 1): a Weyl sequence through the finaliser of MurmurHash3. */
export function uniformNumbers(seed: number): () => number {
  let state = Math.imul(seed, 7919) + 13;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return ((z ^ (z >>> 16)) >>> 0) / 2 ** 32;
  };
}

/** An index drawn with the probabilities given. */
export function draw(probabilities: ArrayLike<number>, first: number, count: number, uniform: () => number): number {
  let left = uniform();
  let index = 0;
  for (; index < count - 1; index++) {
    left -= probabilities[first + index] ?? 0;
    if (left <= 0) break;
  }
  return index;
}

function chain(...widths: number[]): DenseShape[] {
  return widths.slice(1).map((outFeatures, index) => ({ inFeatures: widths[index] ?? 0, outFeatures, uses: 1 }));
}

function feedForward(activation: 'relu' | 'tanh'): Task['forward'] {
  return (tf, x, layers, seen) => {
    let a: Tensor = x;
    layers.forEach(({ kernel, bias, shift }, index) => {
      seen(index, a);
      const z = tf.add(tf.add(tf.matMul(a as Tensor2D, kernel as Tensor2D), bias), shift);
      a = index === layers.length - 1 ? z : tf[activation](z);
    });
    return a;
  };
}

/** Digits read row by row: h ← tanh([x_t h]·kernel + bias), a softmax over the last h. */
const rowByRow: Task['forward'] = (tf, x, [cell, output], seen) => {
  if (!cell || !output) throw new Error('two layers are needed');
  const batch = x.shape[0];
  const side = 28;
  const rows = tf.reshape(x, [batch, side, side]);
  let h: Tensor = tf.zeros([batch, output.kernel.shape[0] ?? 0]);
  for (let t = 0; t < side; t++) {
    const input = tf.concat([tf.reshape(tf.slice(rows, [0, t, 0], [batch, 1, side]), [batch, side]), h as Tensor2D], 1);
    seen(0, input);
    const shift = tf.reshape(tf.slice(cell.shift, [t, 0, 0], [1, batch, h.shape[1] ?? 0]), [batch, h.shape[1] ?? 0]);
    h = tf.tanh(tf.add(tf.add(tf.matMul(input as Tensor2D, cell.kernel as Tensor2D), cell.bias), shift));
  }
  seen(1, h);
  return tf.add(tf.add(tf.matMul(h as Tensor2D, output.kernel as Tensor2D), output.bias), output.shift);
};

function digits({ pixels, labels }: Digits): Examples {
  return { x: pixels, labels };
}

function cleanDigits(): ReturnType<Task['load']> {
  const { training, heldOut } = loadDigits();
  return { training: digits(training), heldOut: digits(heldOut) };
}

/** A share of the labels is drawn at random. */
function noisy({ pixels, labels }: Digits, share: number, uniform: () => number): Examples {
  return { x: pixels, labels: labels.map((label) => (uniform() < share ? Math.floor(uniform() * DIGITS) : label)) };
}

const SYMBOLS = 24;
const CONTEXT = 4;

/**
 * A source of symbols each of which depends on the two before it; the four before it are known. No model has less than
 * the source's entropy.
 */
function markovSource(): { readonly training: Examples; readonly heldOut: Examples; readonly entropy: number } {
  const uniform = uniformNumbers(SEED);
  const normal = () => Math.sqrt(-2 * Math.log(uniform() + 1e-12)) * Math.cos(2 * Math.PI * uniform());
  const table = new Float64Array(SYMBOLS ** 3);
  for (let pair = 0; pair < SYMBOLS ** 2; pair++) {
    const weights = Array.from({ length: SYMBOLS }, () => Math.exp(2 * normal()));
    const sum = weights.reduce((a, b) => a + b);
    weights.forEach((weight, symbol) => {
      table[pair * SYMBOLS + symbol] = weight / sum;
    });
  }
  let history = [0, 1, 2, 3];
  let surprise = 0;
  const generate = (count: number): Examples => {
    const examples = { x: new Float32Array(count * SYMBOLS * CONTEXT), labels: new Uint8Array(count) };
    for (let i = 0; i < count; i++) {
      const first = ((history[2] ?? 0) * SYMBOLS + (history[3] ?? 0)) * SYMBOLS;
      const symbol = draw(table, first, SYMBOLS, uniform);
      surprise -= Math.log(table[first + symbol] ?? 1);
      history.forEach((before, place) => {
        examples.x[(i * CONTEXT + place) * SYMBOLS + before] = 1;
      });
      examples.labels[i] = symbol;
      history = [...history.slice(1), symbol];
    }
    return examples;
  };
  const training = generate(50_000);
  const heldOut = generate(4_000);
  return { training, heldOut, entropy: surprise / 54_000 };
}

/** The tasks of the suite, in order. */
export const tasks: readonly Task[] = [
  {
    name: 'tanh-10',
    steps: 200,
    features: PIXELS,
    classes: DIGITS,
    layers: chain(PIXELS, ...Array.from({ length: 10 }, () => 150), DIGITS),
    forward: feedForward('tanh'),
    load: cleanDigits,
  },
  {
    name: 'rnn',
    steps: 140,
    features: PIXELS,
    classes: DIGITS,
    layers: [
      { inFeatures: 28 + 128, outFeatures: 128, uses: 28 },
      { inFeatures: 128, outFeatures: DIGITS, uses: 1 },
    ],
    forward: rowByRow,
    load: cleanDigits,
  },
  {
    name: 'noisy-labels',
    steps: 140,
    features: PIXELS,
    classes: DIGITS,
    layers: chain(PIXELS, 500, 300, DIGITS),
    forward: feedForward('relu'),
    load: () => {
      const { training, heldOut } = loadDigits();
      const uniform = uniformNumbers(SEED);
      return { training: noisy(training, 0.3, uniform), heldOut: noisy(heldOut, 0.3, uniform) };
    },
  },
  {
    name: 'markov',
    steps: 390,
    features: SYMBOLS * CONTEXT,
    classes: SYMBOLS,
    layers: chain(SYMBOLS * CONTEXT, 256, 256, SYMBOLS),
    forward: feedForward('relu'),
    load: markovSource,
  },
];
