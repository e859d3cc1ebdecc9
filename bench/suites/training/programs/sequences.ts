/** Programs of sequences: sums of marked numbers, characters, sequences into sequences, symbols of a source. */
import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import {
  type Data,
  dense,
  drawn,
  feedForward,
  glorot,
  type Making,
  oneHot,
  type Program,
  split,
  uniform,
  uniformNumbers,
  usualSteps,
} from './making';

type Cell = 'simpleRNN' | 'lstm' | 'gru';

interface Recurrent {
  readonly units: number;
  readonly place: number;
  readonly inputShape?: readonly [steps: number, features: number];
  readonly returnSequences?: boolean;
}

/** A recurrent layer with the initial weights of its place, which takes two. */
function recurrent(making: Making, cell: Cell, { units, place, inputShape, returnSequences = false }: Recurrent) {
  const { layers } = making.tfl;
  const options = {
    units,
    returnSequences,
    kernelInitializer: glorot(making, place),
    recurrentInitializer: glorot(making, place + 1),
    ...(inputShape ? { inputShape: [...inputShape] } : {}),
  };
  if (cell === 'gru') return layers.gru({ ...options, recurrentActivation: 'sigmoid' });
  return cell === 'lstm' ? layers.lstm(options) : layers.simpleRNN(options);
}

/** Sequences of numbers of which two are marked: their sum. */
const addition = (name: string, cell: Cell, cost: number): Program => ({
  name,
  about: `the sum of two marked numbers of twelve, ${cell} of 32`,
  told: usualSteps,
  cost,
  make: (making) => {
    const { tf, tfl } = making;
    const [all, length] = [1024 + 256, 12];
    const values = uniform(making, [all, length], 1, 0);
    const place = (stream: number) => tf.floor(uniform(making, [all], length / 2, stream));
    const marks = tf.add(oneHot(making, place(1), length), oneHot(making, tf.add(place(2), length / 2), length));
    const layer = recurrent(making, cell, { units: 32, place: 0, inputShape: [length, 2] });
    return {
      kind: 'compiled',
      model: tfl.sequential({ layers: [layer, dense(making, 1, 'linear', 2)] }),
      loss: 'meanSquaredError',
      data: split(making, tf.stack([values, marks], 2), tf.sum(tf.mul(values, marks), 1, true), 128, 256),
    };
  },
});

const WORDS = (
  'a an and are as at be but by day did down for from great had has have he her him his house if in into is it ' +
  'known like little long made man more my no not of old on once one or other out said saw sea she so some that ' +
  'the their them then there they this time to two under up was water we were what when which who will with you'
).split(' ');
/** The characters of texts, the blank first. */
export const LETTERS = [' ', ...'abcdefghijklmnopqrstuvwxyz'];
/** Characters that are seen and foretold in one sample. */
export const SPAN = 24;

/** Text of words each of which is followed by one of eight, as indices of characters. */
export function characters(seed: number, count: number): number[] {
  const next = uniformNumbers(seed);
  const followers = WORDS.map(() => Array.from({ length: 8 }, () => Math.floor(next() * WORDS.length)));
  const weights = Array.from({ length: 8 }, (_, rank) => 1 / (rank + 1));
  const text: number[] = [];
  let word = 0;
  while (text.length < count) {
    word = followers[word]?.[drawn(weights, next)] ?? 0;
    text.push(...[...(WORDS[word] ?? ''), ' '].map((letter) => LETTERS.indexOf(letter)));
  }
  return text.slice(0, count);
}

const characterModel: Program = {
  name: 'character-model',
  about: `the next of 27 characters at each of ${SPAN} places, gru of 64`,
  told: usualSteps,
  cost: 22,
  make: (making) => {
    const { tf, tfl } = making;
    const all = 640 + 64;
    const text = characters(making.seed, all * SPAN + 1);
    const spans = (shift: number) =>
      oneHot(making, tf.tensor2d(text.slice(shift, all * SPAN + shift), [all, SPAN]), LETTERS.length);
    const head = dense(making, LETTERS.length, 'softmax', 2);
    const inputShape = [SPAN, LETTERS.length] as const;
    const layer = recurrent(making, 'gru', { units: 64, place: 0, inputShape, returnSequences: true });
    return {
      kind: 'compiled',
      model: tfl.sequential({ layers: [layer, head] }),
      loss: 'categoricalCrossentropy',
      data: split(making, spans(0), spans(1), 32, 64),
    };
  },
};

const DIGITS = 10;
const LONGEST = 6;

/** Sequences of three to six digits, and the same backwards; rows of zeros after the end of each. */
function reversals(making: Making, count: number): { readonly x: Tensor; readonly y: Tensor } {
  const { tf } = making;
  const next = uniformNumbers(making.seed);
  const [x, y] = [
    tf.buffer([count, LONGEST, DIGITS], 'float32'),
    tf.buffer([count, LONGEST, DIGITS], 'float32'),
  ] as const;
  for (let sample = 0; sample < count; sample++) {
    const length = 3 + Math.floor(next() * (LONGEST - 2));
    for (let place = 0; place < length; place++) {
      const digit = Math.floor(next() * DIGITS);
      x.set(1, sample, place, digit);
      y.set(1, sample, length - 1 - place, digit);
    }
  }
  return { x: x.toTensor(), y: y.toTensor() };
}

function sequenceToSequence(making: Making): LayersModel {
  const { tfl } = making;
  return tfl.sequential({
    layers: [
      recurrent(making, 'gru', { units: 48, place: 0, inputShape: [LONGEST, DIGITS] }),
      tfl.layers.repeatVector({ n: LONGEST }),
      recurrent(making, 'gru', { units: 48, place: 2, returnSequences: true }),
      tfl.layers.timeDistributed({ layer: dense(making, DIGITS, 'softmax', 4) }),
    ],
  });
}

const paddedSequences: Program = {
  name: 'padded-sequences',
  about: 'three to six digits backwards, rows of zeros behind them, gru of 48 into gru of 48',
  told: usualSteps,
  cost: 16,
  make: (making) => {
    const { x, y } = reversals(making, 1024 + 256);
    return {
      kind: 'compiled',
      model: sequenceToSequence(making),
      loss: 'categoricalCrossentropy',
      data: split(making, x, y, 64, 256),
    };
  },
};

const SYMBOLS = 24;
const CONTEXT = 4;

/** A source of symbols each of which depends on the two before it; the four before it are known. */
function markovSource(making: Making, training: number, heldOut: number): Data {
  const { tf } = making;
  const next = uniformNumbers(making.seed);
  const bell = () => Math.sqrt(-2 * Math.log(next() + 1e-12)) * Math.cos(2 * Math.PI * next());
  const table = Array.from({ length: SYMBOLS ** 2 }, () => Array.from({ length: SYMBOLS }, () => Math.exp(2 * bell())));
  const all = training + heldOut;
  const symbols = [0, 1, 2, 3];
  while (symbols.length < all + CONTEXT) {
    const [before = 0, last = 0] = symbols.slice(-2);
    symbols.push(drawn(table[before * SYMBOLS + last] ?? [], next));
  }
  const seen = Array.from({ length: CONTEXT }, (_, place) =>
    oneHot(making, symbols.slice(place, all + place), SYMBOLS),
  );
  const y = oneHot(making, symbols.slice(CONTEXT, all + CONTEXT), SYMBOLS);
  return { ...split(making, tf.concat(seen, 1), y, 256, heldOut), figureBatches: 40 };
}

const markov: Program = {
  name: 'markov',
  about: 'the next of 24 symbols that depends on the two before it, 256-256 relu: a loss with a floor of entropy',
  told: usualSteps,
  cost: 7,
  make: (making) => ({
    kind: 'compiled',
    model: feedForward(making, SYMBOLS * CONTEXT, [
      [256, 'relu'],
      [256, 'relu'],
      [SYMBOLS, 'softmax'],
    ]),
    loss: 'categoricalCrossentropy',
    data: markovSource(making, 50_000, 4000),
  }),
};

/** All programs whose data are sequences. */
export const sequences: readonly Program[] = [
  addition('addition-simple-rnn', 'simpleRNN', 5),
  addition('addition-lstm', 'lstm', 12),
  addition('addition-gru', 'gru', 12),
  characterModel,
  paddedSequences,
  markov,
];
