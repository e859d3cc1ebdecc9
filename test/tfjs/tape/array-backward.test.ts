/** Backward passes in arrays, of all samples of a batch and of the first ones, against those of TensorFlow.js. */
import * as tf from '@tensorflow/tfjs-core';
import { layers, type Sequential, sequential } from '@tensorflow/tfjs-layers';
import { backwardInArrays } from '../../../lib/tfjs/tape/array-backward';
import { Samples } from '../../../lib/tfjs/tape/array-rule';
import { backward } from '../../../lib/tfjs/tape/graph';
import { Room } from '../../../lib/tfjs/tape/room';
import type { TapeNode } from '../../../lib/tfjs/tape/tape';
import { normal, relativeError, useBackend, variable } from '../support/backends';
import { isProduct, onTape } from '../support/passes';

const [B, COUNT, T, F] = [6, 2, 3, 4];

/** The products of a model that a pass in arrays reached, and how far it is from the one of TensorFlow.js. */
interface Compared {
  readonly went: boolean;
  readonly sites: number;
  readonly error: number;
}

/** The rows of the first samples of a tensor that is (outer × B × inner), whichever outer makes them so many. */
function isFirst(some: Float32Array, whole: Float32Array): number {
  const errors = [1, T].map((outer) => {
    const [inner, kept] = [whole.length / (outer * B), some.length / (outer * B)];
    const rows = Array.from({ length: outer }, (_, block) => {
      const from = block * B * inner;
      return [...whole.subarray(from, from + kept * B)];
    });
    return relativeError(some, Float32Array.from(rows.flat()));
  });
  return Math.min(...errors);
}

/** Goes back from a model's output, whose gradient is zero but for the samples that are gone through. */
function compared(model: (x: tf.Tensor) => tf.Tensor, variables: tf.Variable[], x: tf.Tensor, count: number): Compared {
  let found: Compared = { went: false, sites: 0, error: 0 };
  onTape(model, variables, x, ({ tape, output, within }) => {
    const values = normal(output.shape, 9).dataSync<'float32'>().slice();
    const cut = (output.size / B) * count;
    values.fill(0, cut);
    const [whole, some] = [new Map<TapeNode, Float32Array>(), new Map<TapeNode, Float32Array>()];
    const seed = new Map([[output.id, values.subarray(0, cut)]]);
    const went = backwardInArrays(tape, seed, within, new Samples(B, count), new Room(), isProduct, (node, dy) => {
      some.set(node, dy);
    });
    backward(tape, [[output.id, tf.tensor(values, output.shape)]], within, (node, dy) => {
      if (isProduct(node)) whole.set(node, dy.dataSync<'float32'>().slice());
    });
    if (went) expect(some.size).toBe(whole.size);
    else expect(some.size).toBe(0);
    const errors = [...some].map(([node, rows]) => isFirst(rows, whole.get(node) ?? new Float32Array()));
    found = { went, sites: some.size, error: Math.max(0, ...errors) };
  });
  return found;
}

const all = [
  ['all', B],
  ['the first', COUNT],
] as const;

describe.each(['cpu', 'wasm'] as const)('on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  describe.each(all)('a pass over %s samples', (_, count) => {
    /** Compares a model of x·u, an op, and a product behind it. */
    const withOp = (op: (h: tf.Tensor) => tf.Tensor) => {
      const u = variable([F, 6], 1) as tf.Variable;
      const x = normal([B, F], 4);
      const model = (input: tf.Tensor) => op(tf.matMul(input as tf.Tensor2D, u as tf.Tensor as tf.Tensor2D));
      const result = compared(model, [u], x, count);
      tf.dispose([u, x]);
      return result;
    };
    const far = [2, 1, -1, 0.5, -0.5, 3];

    it.each<[string, (h: tf.Tensor) => tf.Tensor]>([
      ['tanh', tf.tanh],
      ['sigmoid', tf.sigmoid],
      ['relu', tf.relu],
      ['relu6', (h) => tf.relu6(tf.mul(h, 9))],
      ['elu', tf.elu],
      ['selu', tf.selu],
      ['softplus', tf.softplus],
      ['leakyRelu', (h) => tf.leakyRelu(h, 0.3)],
      ['clipByValue', (h) => tf.clipByValue(h, -0.5, 0.5)],
      ['exp', tf.exp],
      ['square', tf.square],
      ['neg', tf.neg],
      ['a reshape', (h) => tf.reshape(h, [B * 3, 2])],
      ['an axis more', (h) => tf.tanh(tf.expandDims(h, 1))],
      ['a number', (h) => tf.add(0.5, tf.mul(0.2, h))],
      ['what is subtracted', (h) => tf.sub(1, h)],
      ['a difference of two', (h) => tf.sub(tf.tanh(h), h)],
      ['a sum of three', (h) => tf.addN([h, tf.tanh(h), tf.square(h)])],
      ['a product with itself', (h) => tf.mul(h, h)],
      ['a product of two', (h) => tf.mul(tf.tanh(h), tf.sigmoid(h))],
      ['a row of factors', (h) => tf.mul(h, tf.tensor1d(far))],
      ['a factor for each sample', (h) => tf.mul(tf.tensor2d(far, [B, 1]), h)],
      ['factors of the middle axis', (h) => tf.mul(tf.reshape(h, [B, 3, 2]), tf.tensor3d([1, 2, 3], [1, 3, 1]))],
      ['parts', (h) => tf.concat(tf.split(h, [1, 3, 2], 1).slice(1), 1)],
      ['parts that are joined with others', (h) => tf.concat([tf.tanh(h), tf.ones([B, 2]), h], -1)],
      ['a stack', (h) => tf.stack([h, tf.tanh(h), h], 1)],
      ['what was unstacked', (h) => tf.add(...(tf.unstack(h, 1).slice(2, 4) as [tf.Tensor, tf.Tensor]))],
      ['a slice', (h) => tf.slice(h, [0, 2], [B, 3])],
      ['exchanged axes', (h) => tf.transpose(tf.reshape(h, [B, 3, 2]), [0, 2, 1])],
      ['a mean over an axis', (h) => tf.mean(tf.reshape(h, [B, 3, 2]), 1)],
      ['a sum over the last axis, which stays', (h) => tf.sum(h, -1, true)],
      ['a transposed kernel', (h) => tf.matMul(h as tf.Tensor2D, normal([5, 6], 7) as tf.Tensor2D, false, true)],
      ['a product of rows of samples', (h) => tf.matMul(tf.reshape(h, [B * 3, 2]), normal([2, 3], 7) as tf.Tensor2D)],
    ])('has what TensorFlow.js has through %s', (_name, op) => {
      const { went, sites, error } = withOp(op);
      expect(went).toBe(true);
      expect(sites).toBeGreaterThan(0);
      expect(error).toBeLessThan(1e-6);
    });

    const models: Record<string, () => Sequential> = {
      'an lstm': () =>
        sequential({
          layers: [
            layers.lstm({ units: 5, recurrentInitializer: 'glorotNormal', inputShape: [T, F] }),
            layers.dense({ units: 2 }),
          ],
        }),
      'a gru behind a simple layer of sequences': () =>
        sequential({
          layers: [
            layers.simpleRNN({
              units: 5,
              recurrentInitializer: 'glorotNormal',
              returnSequences: true,
              inputShape: [T, F],
            }),
            layers.gru({ units: 4, recurrentActivation: 'sigmoid', recurrentInitializer: 'glorotNormal' }),
          ],
        }),
      'a layer for each step': () =>
        sequential({
          layers: [
            layers.lstm({ units: 5, recurrentInitializer: 'glorotNormal', returnSequences: true, inputShape: [T, F] }),
            layers.dense({ units: 4, activation: 'tanh' }),
            layers.globalAveragePooling1d({}),
            layers.dense({ units: 2 }),
          ],
        }),
      'a masked layer': () =>
        sequential({
          layers: [
            layers.masking({ maskValue: 0, inputShape: [T, F] }),
            layers.lstm({ units: 5, recurrentInitializer: 'glorotNormal' }),
          ],
        }),
    };

    it.each(Object.entries(models))('has it through %s', (_name, make) => {
      const net = make();
      const x = normal([B, T, F], 1);
      const variables = net.trainableWeights.map((weight) => weight.read() as tf.Variable);
      const { went, sites, error } = compared((input) => net.apply(input) as tf.Tensor, variables, x, count);
      expect(went).toBe(true);
      expect(sites).toBeGreaterThan(2 * T - 1);
      expect(error).toBeLessThan(1e-6);
      net.dispose();
      x.dispose();
    });

    it.each<[string, (h: tf.Tensor) => tf.Tensor]>([
      ['a softmax', tf.softmax],
      ['a maximum of two', (h) => tf.maximum(h, tf.tanh(h))],
      ['a column that is repeated', (h) => tf.mul(tf.sum(h, 1, true), h)],
      ['an operand of a product that is no kernel', (h) => tf.matMul(h as tf.Tensor2D, h as tf.Tensor2D, false, true)],
    ])('is left to TensorFlow.js through %s', (_name, op) => {
      expect(withOp(op).went).toBe(false);
    });
  });

  it.each<[string, (h: tf.Tensor) => tf.Tensor]>([
    ['a mean over the batch', (h) => tf.sub(h, tf.mean(h, 0, true))],
    ['a batch that is joined with itself', (h) => tf.slice(tf.concat([h, h], 0), [1, 0], [B, 6])],
    ['a batch that is cut', (h) => tf.concat([tf.slice(h, [1, 0], [B - 1, 6]), tf.ones([1, 6])], 0)],
    ['samples that are stacked', (h) => tf.transpose(tf.stack(tf.unstack(h, 0), 1))],
  ])('a pass over the first samples is left to TensorFlow.js where samples see each other, in %s', (_name, op) => {
    const u = variable([F, 6], 1) as tf.Variable;
    const x = normal([B, F], 4);
    const model = (input: tf.Tensor) => op(tf.matMul(input as tf.Tensor2D, u as tf.Tensor as tf.Tensor2D));
    expect(compared(model, [u], x, COUNT).went).toBe(false);
    tf.dispose([u, x]);
  });
});
