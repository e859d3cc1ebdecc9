/** A backward pass over the first samples of a batch, against the pass over all of them. */
import * as tf from '@tensorflow/tfjs-core';
import { type layers, sequential, layers as tfLayers } from '@tensorflow/tfjs-layers';
import { backwardOfFirst } from '../../../lib/tfjs/tape/first-samples';
import { backward } from '../../../lib/tfjs/tape/graph';
import type { TapeNode } from '../../../lib/tfjs/tape/tape';
import { normal, relativeError, useBackend, variable } from '../support/backends';
import { isProduct, onTape } from '../support/passes';

const [B, COUNT] = [12, 5];

/** Whether the pass could be had for a model, and how far its rows are from the first of those of the whole pass. */
function compared(model: (x: tf.Tensor) => tf.Tensor, variables: tf.Variable[], x: tf.Tensor) {
  let [had, rows, error] = [false, 0, 0];
  onTape(model, variables, x, ({ tape, output, sites, within }) => {
    const zeros = output.shape[0] === B ? B - COUNT : 0;
    const seed = tf.concat([
      normal([(output.shape[0] ?? 0) - zeros, ...output.shape.slice(1)], 9),
      tf.zeros([zeros, ...output.shape.slice(1)]),
    ]);
    const seeds = new Map([[output.id, seed]]);
    const [whole, some] = [new Map<TapeNode, Float32Array>(), new Map<TapeNode, Float32Array>()];
    const into = (found: Map<TapeNode, Float32Array>) => (node: TapeNode, dy: tf.Tensor) => {
      if (isProduct(node)) found.set(node, dy.dataSync<'float32'>().slice());
    };
    had = backwardOfFirst(tape, seeds, within, { samples: B, count: COUNT, byRows: isProduct }, into(some));
    backward(tape, seeds, within, into(whole));
    for (const [node, values] of some) {
      const expected = whole.get(node)?.subarray(0, values.length) ?? new Float32Array();
      error = Math.max(error, relativeError(values, expected));
      rows += (COUNT * (node.outputs[0]?.size ?? 0)) / B === values.length ? 1 : 0;
    }
    expect(some.size).toBe(had ? sites.length : 0);
  });
  return { had, rows, error };
}

const dense = (units: number, activation: Parameters<typeof layers.dense>[0]['activation'], more: object = {}) =>
  tfLayers.dense({ units, ...(activation === undefined ? {} : { activation }), ...more });

describe.each(['cpu', 'wasm'] as const)('on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  it.each(['max', 'average'] as const)('has the first rows of the whole pass through %s pooling', (pooling) => {
    const pool = { max: tfLayers.maxPooling2d, average: tfLayers.averagePooling2d }[pooling];
    const net = sequential({
      layers: [
        dense(3, 'tanh', { inputShape: [32] }),
        tfLayers.reshape({ targetShape: [3, 1, 1] }),
        pool({ poolSize: [2, 1], strides: 1 }),
        tfLayers.flatten(),
        dense(3, undefined),
      ],
    });
    const x = normal([B, 32], 1);
    const variables = net.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const { had, rows, error } = compared((input) => net.apply(input) as tf.Tensor, variables, x);
    expect([had, rows]).toEqual([true, 2]);
    expect(error).toBeLessThan(1e-6);
    net.dispose();
    x.dispose();
  });

  it.each(['tanh', 'sigmoid', 'relu', 'elu', 'selu', 'softplus', 'linear'] as const)(
    'has the first rows of the whole pass, layers with %s between',
    (activation) => {
      const net = sequential({
        layers: [dense(7, activation, { inputShape: [4] }), dense(6, activation), dense(3, undefined)],
      });
      const x = normal([B, 4], 1);
      const variables = net.trainableWeights.map((weight) => weight.read() as tf.Variable);
      const { had, rows, error } = compared((input) => net.apply(input) as tf.Tensor, variables, x);
      expect([had, rows]).toEqual([true, 3]);
      expect(error).toBeLessThan(1e-6);
      net.dispose();
      x.dispose();
    },
  );

  it.each<[string, (h: tf.Tensor) => tf.Tensor]>([
    ['leakyRelu', (h) => tf.leakyRelu(h, 0.3)],
    ['relu6', (h) => tf.relu6(h)],
  ])('has them with %s between', (_, op) => {
    const [u, v] = [variable([4, 5], 1), variable([5, 3], 2)] as tf.Tensor[] as tf.Tensor2D[];
    const x = normal([B, 4], 4);
    const model = (input: tf.Tensor) =>
      tf.matMul(op(tf.matMul(input as tf.Tensor2D, u as tf.Tensor2D)) as tf.Tensor2D, v as tf.Tensor2D);
    const { had, error } = compared(model, [u, v] as tf.Tensor[] as tf.Variable[], x);
    expect(had).toBe(true);
    expect(error).toBeLessThan(1e-6);
    tf.dispose([x, u, v]);
  });

  it('adds up what comes to a tensor on several ways', () => {
    const [u, v, w] = [variable([4, 5], 1), variable([5, 5], 2), variable([5, 5], 3)] as tf.Tensor[] as tf.Tensor2D[];
    const x = normal([B, 4], 4);
    const model = (input: tf.Tensor) => {
      const h = tf.tanh(tf.matMul(input as tf.Tensor2D, u as tf.Tensor2D)) as tf.Tensor2D;
      return tf.sub(tf.add(tf.add(h, tf.matMul(h, v as tf.Tensor2D)), tf.tanh(tf.matMul(h, w as tf.Tensor2D))), 3);
    };
    const { had, rows, error } = compared(model, [u, v, w] as tf.Tensor[] as tf.Variable[], x);
    expect([had, rows]).toEqual([true, 3]);
    expect(error).toBeLessThan(1e-6);
    tf.dispose([x, u, v, w]);
  });

  it.each<[string, (h: tf.Tensor) => tf.Tensor]>([
    ['a mean over the batch', (h) => tf.sub(h, tf.mean(h, 0, true))],
    ['a softmax', (h) => tf.softmax(h)],
    ['what is subtracted', (h) => tf.sub(1, h)],
    ['a concatenation', (h) => tf.concat([h, tf.tanh(h)], 1)],
    ['a bias for the whole batch', (h) => tf.add(tf.sum(h, 0, true), h)],
    ['a reshape that breaks samples up', (h) => tf.reshape(h, [B * 5, 1])],
    ['a transposed product', (h) => tf.matMul(h as tf.Tensor2D, h as tf.Tensor2D, true)],
  ])('leaves %s to the whole pass', (_, op) => {
    const u = variable([4, 5], 1) as tf.Variable;
    const x = normal([B, 4], 4);
    expect(compared((input) => op(tf.matMul(input as tf.Tensor2D, u as tf.Tensor as tf.Tensor2D)), [u], x).had).toBe(
      false,
    );
    tf.dispose([x, u]);
  });
});
