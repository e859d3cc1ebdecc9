/** A transformer of characters, written out in ops as small GPTs are. */
import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import { type Making, normal, oneHot, type Program, split, usualSteps } from './making';
import { characters, LETTERS, SPAN } from './sequences';

const [WIDTH, HEADS, BLOCKS] = [48, 4, 2];
/** The standard deviation of initial weights, as GPT-2 has it. */
const DEVIATION = 0.02;
/** What keeps a place from looking at those behind it. */
const NEVER = -1e9;
/** What is added to the products of a place with each of the places. */
const HIDDEN = Array.from({ length: SPAN }, (_, at) =>
  Array.from({ length: SPAN }, (_other, seen) => (seen > at ? NEVER : 0)),
);

interface Norm {
  readonly scale: Variable;
  readonly shift: Variable;
}

interface Linear {
  readonly kernel: Variable;
  readonly bias: Variable;
}

interface Block {
  readonly before: Norm;
  /** Queries, keys and values. */
  readonly looking: Linear;
  readonly summing: Linear;
  readonly between: Norm;
  readonly widening: Linear;
  readonly narrowing: Linear;
}

/** The variables of the model, in the order in which they are drawn. */
function variables(making: Making) {
  const { tf } = making;
  const all: Variable[] = [];
  const kept = (value: Tensor) => {
    const variable = tf.variable(value);
    all.push(variable);
    return variable;
  };
  const drawn = (shape: number[], factor = 1) => kept(tf.mul(normal(making, shape, all.length), factor * DEVIATION));
  const norm = (): Norm => ({ scale: kept(tf.ones([WIDTH])), shift: kept(tf.zeros([WIDTH])) });
  const linear = (from: number, to: number, factor = 1): Linear => {
    return { kernel: drawn([from, to], factor), bias: kept(tf.zeros([to])) };
  };
  // what is added to the rows of all blocks is smaller by the root of how often that happens
  const added = 1 / Math.sqrt(2 * BLOCKS);
  const [letters, places] = [drawn([LETTERS.length, WIDTH]), drawn([SPAN, WIDTH])];
  const blocks = Array.from(
    { length: BLOCKS },
    (): Block => ({
      before: norm(),
      looking: linear(WIDTH, 3 * WIDTH),
      summing: linear(WIDTH, WIDTH, added),
      between: norm(),
      widening: linear(WIDTH, 4 * WIDTH),
      narrowing: linear(4 * WIDTH, WIDTH, added),
    }),
  );
  return { all, letters, places, blocks, last: norm(), head: drawn([WIDTH, LETTERS.length]) };
}

/** The logits of what follows each of the letters. */
function transformer(making: Making) {
  const { tf } = making;
  const { all, letters, places, blocks, last, head } = variables(making);
  const normalised = (x: Tensor, { scale, shift }: Norm) => {
    const { mean, variance } = tf.moments(x, -1, true);
    return tf.add(tf.mul(tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-5))), scale), shift);
  };
  const rows = (x: Tensor, kernel: Tensor) =>
    tf.reshape(tf.matMul(tf.reshape(x, [-1, kernel.shape[0] ?? 1]), kernel), [-1, SPAN, kernel.shape[1] ?? 1]);
  const linear = (x: Tensor, { kernel, bias }: Linear) => tf.add(rows(x, kernel), bias);
  const headsOf = (x: Tensor) => tf.transpose(tf.reshape(x, [-1, SPAN, HEADS, WIDTH / HEADS]), [0, 2, 1, 3]);
  const attention = (x: Tensor, { looking, summing }: Block) => {
    const parts = tf.split(linear(x, looking), 3, -1).map(headsOf);
    const [queries, keys, values] = parts as [Tensor, Tensor, Tensor];
    const products = tf.mul(tf.matMul(queries, keys, false, true), Math.sqrt(HEADS / WIDTH));
    const sums = tf.matMul(tf.softmax(tf.add(products, tf.tensor2d(HIDDEN))), values);
    return linear(tf.reshape(tf.transpose(sums, [0, 2, 1, 3]), [-1, SPAN, WIDTH]), summing);
  };
  const gelu = (x: Tensor) => {
    const inner = tf.mul(Math.sqrt(2 / Math.PI), tf.add(x, tf.mul(0.044715, tf.mul(x, tf.mul(x, x)))));
    return tf.mul(tf.mul(0.5, x), tf.add(1, tf.tanh(inner)));
  };
  const logits = (ids: Tensor) => {
    let x = tf.add(tf.gather(letters, ids), places) as Tensor;
    for (const block of blocks) {
      x = tf.add(x, attention(normalised(x, block.before), block));
      x = tf.add(x, linear(gelu(linear(normalised(x, block.between), block.widening)), block.narrowing));
    }
    return rows(normalised(x, last), head);
  };
  return { all, logits };
}

/** The program of the suite. */
export const transformers: readonly Program[] = [
  {
    name: 'transformer',
    about: `the next of 27 characters at each of ${SPAN} places, ${BLOCKS} blocks of ${WIDTH}, ${HEADS} heads`,
    told: usualSteps,
    cost: 20,
    make: (making) => {
      const { tf } = making;
      const count = 640 + 64;
      const text = characters(making.seed, count * SPAN + 1);
      const spans = (shift: number) =>
        tf.tensor2d(text.slice(shift, count * SPAN + shift), [count, SPAN], 'int32') as Tensor;
      const { all, logits } = transformer(making);
      return {
        kind: 'minimized',
        loss: ([x, y]) => tf.losses.softmaxCrossEntropy(y, logits(x)),
        weights: all,
        data: split(making, spans(0), oneHot(making, spans(1), LETTERS.length), 32, 64),
      };
    },
  },
];
