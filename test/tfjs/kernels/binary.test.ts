import * as tf from '@tensorflow/tfjs-core';
import { THRESHOLDS } from '../../../lib/tfjs/kernels/kernel';
import { relativeError, useBackend } from '../support/backends';
import { install, normal, numbers, onBoth, resultOf, TOLERANCE, uninstalledAfterEach } from '../support/kernels';
import { NO_THRESHOLDS } from '../support/thresholds';

uninstalledAfterEach();

type Op = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;
const { scalar, vectorised, arithmetic, simple } = THRESHOLDS;
const truth = (x: tf.Tensor) => tf.greater(x, 0);
const places: readonly Op[] = [tf.mul, tf.add];

/** Each kernel, its op, and the numbers from which it is native, with operands of one shape and of two. */
const ops: readonly [string, Op, number, number][] = [
  ['Add', tf.add, arithmetic, vectorised],
  ['Sub', tf.sub, arithmetic, vectorised],
  ['Multiply', tf.mul, arithmetic, vectorised],
  ['RealDiv', tf.div, arithmetic, vectorised],
  ['SquaredDifference', tf.squaredDifference, arithmetic, vectorised],
  ['Maximum', tf.maximum, 1, 1],
  ['Minimum', tf.minimum, 1, 1],
  ['Equal', tf.equal, scalar, scalar],
  ['NotEqual', tf.notEqual, scalar, scalar],
  ['Less', tf.less, scalar, scalar],
  ['LessEqual', tf.lessEqual, scalar, scalar],
  ['Greater', tf.greater, scalar, scalar],
  ['GreaterEqual', tf.greaterEqual, scalar, scalar],
  ['LogicalAnd', (a, b) => tf.logicalAnd(truth(a), truth(b)), scalar, scalar],
  ['LogicalOr', (a, b) => tf.logicalOr(truth(a), truth(b)), scalar, scalar],
];

/** The shapes of two operands. */
const shapes: readonly [number[], number[]][] = [
  [[], []],
  [[7], []],
  [
    [3, 5],
    [3, 5],
  ],
  [[20, 16], [16]],
  [[16], [20, 16]],
  [
    [20, 16],
    [20, 1],
  ],
  [
    [1, 1, 1, 6],
    [2, 3, 4, 6],
  ],
  [
    [2, 1, 4, 1],
    [3, 1, 5],
  ],
  [
    [2, 300],
    [1, 300],
  ],
  [[1, 1], [1]],
];

/** Twice normal numbers, rounded: some of them are equal. */
const rounded = (shape: number[], seed: number) =>
  tf.tensor(
    numbers(normal(shape, seed)).map((x) => Math.round(2 * x)),
    shape,
  );

describe.each(ops)('%s', (kernel, op, least, leastOfTwo) => {
  it('equals that of the cpu backend, for every form of two shapes', async () => {
    const { expected, received, kernels } = await onBoth(() =>
      shapes.map(([a, b]) => resultOf(() => op(rounded(a, 1), rounded(b, 2)))),
    );
    expect(received).toEqual(expected);
    expect(kernels.calls[kernel]).toEqual({ native: shapes.length, stock: 0 });
  });

  it('is left to the stock kernel where there is little of it, or none', async () => {
    await useBackend('wasm');
    const kernels = install();
    tf.tidy(() => {
      for (const count of least === 1 ? [0, 1] : [least - 1, least]) op(tf.ones([count]), tf.ones([count]));
    });
    expect(kernels.calls[kernel]).toEqual({ native: 1, stock: 1 });
    const rows = Math.ceil(leastOfTwo / 2);
    tf.tidy(() => [rows - 1, rows].map((count) => op(tf.ones([count, 2]), tf.ones([2]))));
    expect(kernels.calls[kernel]).toEqual({ native: 2, stock: 2 });
  });
});

it('the gradients of sums and products of two shapes equal those of the cpu backend', async () => {
  const gradients = () =>
    places.flatMap((op) => {
      const [a, b] = tf.tidy(() => tf.grads((x, y) => tf.square(op(x, y)))([normal([20, 16], 1), normal([16], 2)]));
      return [a, b].map((gradient) => numbers(gradient as tf.Tensor));
    });
  await useBackend('cpu');
  const expected = gradients();
  await useBackend('wasm');
  install(NO_THRESHOLDS);
  gradients().forEach((gradient, which) => {
    expect(relativeError(gradient, expected[which] ?? [])).toBeLessThanOrEqual(TOLERANCE);
  });
});

it('a NaN of either operand stays one in a maximum and a minimum, however few there are', async () => {
  await useBackend('wasm');
  install();
  const nan = tf.tensor1d([Number.NaN, 0]);
  for (const op of [tf.maximum, tf.minimum]) {
    expect([...numbers(op(nan, tf.zeros([2])))]).toEqual([Number.NaN, 0]);
    expect([...numbers(op(tf.scalar(0), nan))]).toEqual([Number.NaN, 0]);
  }
});

it('shapes that do not meet are refused as they are without it', async () => {
  await useBackend('wasm');
  install(NO_THRESHOLDS);
  expect(() => tf.add(tf.ones([2, 3]), tf.ones([2]))).toThrow(/broadcast/);
});

it('integers are left to the stock kernels', async () => {
  await useBackend('wasm');
  const kernels = install(NO_THRESHOLDS);
  const [a, b] = [tf.tensor1d([1, 2], 'int32'), tf.tensor1d([2, 2], 'int32')];
  tf.tidy(() => [tf.add(a, b), tf.maximum(a, b), tf.less(a, b)]);
  expect(['Add', 'Maximum', 'Less'].map((name) => kernels.calls[name]?.native)).toEqual([0, 0, 0]);
});

describe.each<[string, (x: tf.Tensor) => tf.Tensor, number, ((x: tf.Tensor) => tf.Tensor)?]>([
  ['Square', tf.square, arithmetic],
  ['Reciprocal', tf.reciprocal, simple],
  ['LeakyRelu', (x) => tf.leakyRelu(x, 0.25), vectorised],
  ['LogicalNot', tf.logicalNot, simple, truth],
])('%s', (kernel, op, least, argument = (x) => tf.clone(x)) => {
  it('equals that of the cpu backend, in any shape', async () => {
    const results = () =>
      [[], [3], [2, 3, 4]].map((shape) => {
        const result = tf.tidy(() => op(argument(normal(shape, 1))));
        return { shape: result.shape, dtype: result.dtype, values: [...numbers(result)] };
      });
    await useBackend('cpu');
    const expected = results();
    await useBackend('wasm');
    const kernels = install(NO_THRESHOLDS);
    expect(results()).toEqual(expected);
    expect(kernels.calls[kernel]).toEqual({ native: 3, stock: 0 });
  });

  it('is left to the stock kernel where there is little of it', async () => {
    await useBackend('wasm');
    const kernels = install();
    tf.tidy(() => [least - 1, least].map((count) => op(argument(tf.ones([count])))));
    expect(kernels.calls[kernel]).toEqual({ native: 1, stock: 1 });
  });
});
