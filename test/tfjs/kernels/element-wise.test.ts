import * as tf from '@tensorflow/tfjs-core';
import { THRESHOLDS } from '../../../lib/tfjs/kernels/kernel';
import { relativeError, useBackend } from '../support/backends';
import {
  expectNearly,
  install,
  normal,
  numbers,
  onBoth,
  resultOf,
  TOLERANCE,
  uninstalledAfterEach,
} from '../support/kernels';
import { NO_THRESHOLDS } from '../support/thresholds';

uninstalledAfterEach();

type Op = (x: tf.Tensor) => tf.Tensor;
const [{ scalar, vectorised }, positive] = [THRESHOLDS, (x: tf.Tensor) => tf.abs(x)];
/** Each kernel, its op, and the numbers from which it is native; with what makes normal numbers arguments of it. */
const ops: readonly [string, Op, number, Op?][] = [
  ['Exp', tf.exp, scalar],
  ['Expm1', tf.expm1, scalar],
  ['Log', tf.log, scalar, positive],
  ['Log1p', tf.log1p, scalar, positive],
  ['Tanh', tf.tanh, scalar],
  ['Softplus', tf.softplus, scalar],
  ['Erf', tf.erf, scalar],
  ['Sigmoid', tf.sigmoid, vectorised],
  ['Elu', tf.elu, vectorised],
  ['Sqrt', tf.sqrt, vectorised, positive],
  ['Rsqrt', tf.rsqrt, vectorised, positive],
];
const same: Op = (x) => tf.clone(x);

describe.each(ops)('%s', (kernel, op, least, argument = same) => {
  it('equals that of the cpu backend, in any shape', async () => {
    const { expected, received, kernels } = await onBoth(() =>
      [[], [3], [7, 11], [2, 3, 4, 5, 6], [0, 3]].map((shape) => resultOf(() => op(argument(normal(shape, 1))))),
    );
    expectNearly(received, expected);
    expect(kernels.calls[kernel]).toEqual({ native: 4, stock: 1 });
  });

  it('is left to the stock kernel where there is little of it', async () => {
    await useBackend('wasm');
    const kernels = install();
    tf.tidy(() => [op(tf.ones([least - 1])), op(tf.ones([least]))]);
    expect(kernels.calls[kernel]).toEqual({ native: 1, stock: 1 });
  });

  it('has a gradient that equals that of the cpu backend', async () => {
    const gradient = () => tf.tidy(() => numbers(tf.grad(op)(argument(normal([40], 2)))));
    await useBackend('cpu');
    const expected = gradient();
    await useBackend('wasm');
    install(NO_THRESHOLDS);
    expect(relativeError(gradient(), expected)).toBeLessThanOrEqual(TOLERANCE);
  });
});

it('functions of integers are left to the stock kernel', async () => {
  await useBackend('wasm');
  const kernels = install(NO_THRESHOLDS);
  tf.tidy(() => {
    tf.exp(tf.tensor1d([0, 1], 'int32'));
  });
  expect(kernels.calls.Exp).toEqual({ native: 0, stock: 1 });
});
