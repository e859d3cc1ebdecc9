import * as tf from '@tensorflow/tfjs-core';
import { normal, useBackend, variable } from '../support/backends';
import { capturedRows } from '../support/capture';
import { SAMPLES } from '../support/networks';

describe('variables that are not preconditioned', () => {
  beforeAll(() => useBackend('cpu'));

  const x = () => normal([SAMPLES, 4], 3);
  const cases: Readonly<
    Record<
      string,
      { shapes: number[][]; loss: (p: tf.Variable[]) => tf.Tensor; plain: Record<number, string>; layers: number }
    >
  > = {
    'a scale': {
      shapes: [[4, 3], [3]],
      loss: ([w, s]) => tf.mul(tf.matMul(x(), w as tf.Tensor), s as tf.Tensor),
      plain: { 1: 'no shift' },
      layers: 1,
    },
    'a scale of the only row': {
      shapes: [[3], [3]],
      loss: ([s, b]) => tf.add(tf.mul(normal([3], 3), s as tf.Tensor), b as tf.Tensor),
      plain: { 0: 'Multiply', 1: 'Add' },
      layers: 0,
    },
    'a scale of a column': {
      shapes: [[4, 3], [6, 1], [3]],
      loss: ([w, s, b]) => tf.add(tf.mul(tf.matMul(x(), w as tf.Tensor), s as tf.Tensor), b as tf.Tensor),
      plain: { 1: 'Multiply', 2: 'Add' },
      layers: 1,
    },
    'a kernel of one row, repeated to a matrix': {
      shapes: [[1, 3]],
      loss: ([w]) => tf.matMul(x(), tf.tile(w as tf.Tensor, [4, 1])),
      plain: { 0: 'BatchMatMul' },
      layers: 0,
    },
    'columns gathered from a table': {
      shapes: [
        [5, 4],
        [4, 3],
      ],
      loss: ([e, w]) => {
        const columns = tf.gather(e as tf.Tensor, tf.tensor1d([0, 1, 2, 0], 'int32'), 1);
        return tf.matMul(columns, w as tf.Tensor);
      },
      plain: { 0: 'GatherV2' },
      layers: 1,
    },
    'a kernel used in both directions': {
      shapes: [[4, 3]],
      loss: ([w]) => tf.matMul(tf.tanh(tf.matMul(x(), w as tf.Tensor)), w as tf.Tensor, false, true),
      plain: { 0: 'used in two forms' },
      layers: 0,
    },
    'a kernel that is also multiplied elementwise': {
      shapes: [[4, 3]],
      loss: ([w]) => tf.add(tf.matMul(x(), w as tf.Tensor), tf.sum(tf.mul(normal([4, 3], 8), w as tf.Tensor))),
      plain: { 0: 'Multiply' },
      layers: 0,
    },
    'a product of two kernels': {
      shapes: [
        [4, 2],
        [2, 3],
      ],
      loss: ([u, w]) => tf.matMul(x(), tf.matMul(u as tf.Tensor, w as tf.Tensor)),
      plain: { 0: 'BatchMatMul', 1: 'BatchMatMul' },
      layers: 0,
    },
    'a bias of two kernels': {
      shapes: [[4, 3], [4, 3], [3]],
      loss: ([u, w, b]) =>
        tf.mul(
          tf.add(tf.matMul(x(), u as tf.Tensor), b as tf.Tensor),
          tf.add(tf.matMul(x(), w as tf.Tensor), b as tf.Tensor),
        ),
      plain: { 2: 'a bias of no one kernel' },
      layers: 2,
    },
    'a bias added where the product is used without it too': {
      shapes: [[4, 3], [3]],
      loss: ([w, b]) => {
        const z = tf.matMul(x(), w as tf.Tensor);
        return tf.mul(z, tf.add(z, b as tf.Tensor));
      },
      plain: { 1: 'Add' },
      layers: 1,
    },
    'numbers that are summed with numbers before layers meet them': {
      shapes: [[4, 3], [], [1], []],
      loss: ([w, s, t, u]) => {
        const scale = tf.add(tf.add(tf.softplus(s as tf.Tensor), 1e-3), tf.exp(t as tf.Tensor));
        return tf.div(tf.mul(tf.matMul(x(), w as tf.Tensor), scale), tf.add(1, tf.exp(tf.neg(u as tf.Tensor))));
      },
      plain: { 1: 'Softplus', 2: 'Exp', 3: 'Neg' },
      layers: 1,
    },
    'penalties beside a loss that is weighed by a variable': {
      shapes: [[4, 3], []],
      loss: ([w, s]) => {
        const penalties = tf.add(tf.sum(tf.square(w as tf.Tensor)), tf.mul(2, tf.sum(tf.abs(w as tf.Tensor))));
        const loss = tf.add(tf.mean(tf.square(tf.matMul(x(), w as tf.Tensor))), penalties);
        return tf.add(tf.mul(loss, tf.exp(tf.neg(s as tf.Tensor))), s as tf.Tensor);
      },
      plain: { 1: 'Neg' },
      layers: 1,
    },
    'a loss of single numbers, which has no layers': {
      shapes: [[], []],
      loss: ([a, b]) =>
        tf.add(
          tf.square(tf.sub(1, a as tf.Tensor)),
          tf.mul(100, tf.square(tf.sub(b as tf.Tensor, tf.square(a as tf.Tensor)))),
        ),
      plain: { 0: 'Sub', 1: 'Sub' },
      layers: 0,
    },
    'a variable that is only penalised': {
      shapes: [[4, 3], [7]],
      loss: ([w, s]) => tf.add(tf.mean(tf.square(tf.matMul(x(), w as tf.Tensor))), tf.sum(tf.square(s as tf.Tensor))),
      plain: { 1: 'only in a penalty' },
      layers: 1,
    },
  };

  it.each(Object.entries(cases))('%s', (_, { shapes, loss, plain, layers }) => {
    const variables = shapes.map((shape, index) => variable(shape, 31 + index));
    const { taken, grads } = capturedRows(() => {
      const given = loss(variables);
      return (given.rank === 0 ? given : tf.mean(tf.square(given))) as tf.Scalar;
    }, variables);
    expect(Object.fromEntries(taken.lone.map(({ variable, reason }) => [variables.indexOf(variable), reason]))).toEqual(
      plain,
    );
    expect(taken.layers).toHaveLength(layers);
    tf.dispose([grads, variables]);
  });
});
