/** Which layers an attention is computed from. */
import * as tf from '@tensorflow/tfjs-core';
import { normal, useBackend, variable } from '../support/backends';
import { capturedRows } from '../support/capture';
import { SAMPLES } from '../support/networks';

const [POSITIONS, WIDTH] = [5, 4];

beforeAll(() => useBackend('cpu'));

/** The names of the variables that an attention is computed from. */
function attended(names: readonly string[], loss: (of: (name: string) => tf.Variable) => tf.Tensor): string[] {
  const variables = new Map(names.map((name, index) => [name, variable([WIDTH, WIDTH], 31 + index)]));
  const of = (name: string) => variables.get(name) as tf.Variable;
  const { taken, grads } = capturedRows(() => tf.mean(tf.square(loss(of))) as tf.Scalar, [...variables.values()]);
  const nameOf = (found: tf.Variable) => names.find((name) => of(name) === found) ?? '';
  const layers = taken.layers.flatMap((layer) => (layer.attended ? [nameOf(layer.kernel.variable)] : []));
  const lone = taken.lone.flatMap((each) => (each.attended ? [nameOf(each.variable)] : []));
  tf.dispose([grads, ...variables.values()]);
  return [...layers, ...lone].sort();
}

const rows = (x: tf.Tensor, kernel: tf.Tensor) =>
  tf.reshape(tf.matMul(tf.reshape(x, [-1, WIDTH]), kernel), [SAMPLES, POSITIONS, WIDTH]);
const x = () => normal([SAMPLES, POSITIONS, WIDTH], 3);

it('queries, keys and values, and what they come from, but not what works on their sum', () => {
  const names = ['first', 'query', 'key', 'value', 'scale', 'after', 'beside'];
  const found = attended(names, (of) => {
    const h = tf.tanh(rows(x(), of('first')));
    const [q, k, v] = ['query', 'key', 'value'].map((name) => rows(h, of(name))) as [tf.Tensor, tf.Tensor, tf.Tensor];
    const weights = tf.softmax(tf.matMul(tf.mul(q, tf.sum(of('scale'))), k, false, true));
    return tf.add(rows(tf.matMul(weights, v), of('after')), rows(x(), of('beside')));
  });
  expect(found).toEqual(['first', 'key', 'query', 'scale', 'value']);
});

it('layers before several attentions', () => {
  const found = attended(['one', 'two', 'last'], (of) => {
    const attention = (h: tf.Tensor) => tf.matMul(tf.softmax(tf.matMul(h, h, false, true)), h);
    return rows(attention(rows(attention(rows(x(), of('one'))), of('two'))), of('last'));
  });
  expect(found).toEqual(['one', 'two']);
});

it('none where what layers made is multiplied once, as in a model of two towers', () => {
  const found = attended(['user', 'item'], (of) =>
    tf.matMul(rows(x(), of('user')), rows(x(), of('item')), false, true),
  );
  expect(found).toEqual([]);
});
