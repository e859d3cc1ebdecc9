import * as tf from '@tensorflow/tfjs-core';
import { errorOf, relativeError, useBackend } from '../support/backends';
import { install, normal, numbers, TOLERANCE, uninstalledAfterEach } from '../support/kernels';

uninstalledAfterEach();

const equations: readonly [string, ...number[][]][] = [
  ['ij,jk->ik', [5, 6], [6, 7]],
  ['ij,jk->ki', [5, 6], [6, 7]],
  ['ji,kj->ik', [6, 5], [7, 6]],
  ['bij,bjk->bik', [2, 3, 4], [2, 4, 5]],
  ['bqhd,bkhd->bhqk', [2, 5, 3, 4], [2, 6, 3, 4]], // attention
  ['bhqk,bkhd->bqhd', [2, 3, 5, 6], [2, 6, 3, 4]],
  ['abc,cbd->da', [2, 3, 4], [4, 3, 5]],
  ['ab,ab->ab', [3, 4], [3, 4]],
  ['ab,ba->', [3, 4], [4, 3]],
  ['ab,cd->dbca', [2, 3], [4, 5]],
  ['abc,->b', [2, 3, 4], []],
  ['ab->ba', [3, 4]],
  ['abc->b', [2, 3, 4]],
  ['ab->ab', [3, 4]],
  [',->', [], []],
];

it.each(equations)("tf.einsum('%s') equals that of the cpu backend", async (equation, ...shapes) => {
  const result = () => tf.tidy(() => tf.einsum(equation, ...shapes.map((shape, seed) => normal(shape, seed))));
  await useBackend('cpu');
  const expected = result();
  const [shape, values] = [expected.shape, numbers(expected)];
  await useBackend('wasm');
  const kernels = install();
  const before = [tf.memory().numTensors, tf.backend().numDataIds()];
  const own = result();
  expect(own.shape).toEqual(shape);
  expect(relativeError(numbers(own), values)).toBeLessThanOrEqual(TOLERANCE);
  expect([tf.memory().numTensors, tf.backend().numDataIds()]).toEqual(before);
  expect(kernels.calls.Einsum).toEqual({ native: 1, stock: 0 });
});

it('sums over what one tensor alone has, as the cpu backend does not in every case', async () => {
  await useBackend('wasm');
  install();
  const ofRows = (x: tf.Tensor) => [...numbers(tf.sum(x, 1))];
  const [a, b] = [tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2])];
  expect([...numbers(tf.einsum('ab,cd->c', a, b))]).toEqual(ofRows(b).map((sum) => 10 * sum));
  tf.dispose([a, b]);
});

it('of integers is of integers', async () => {
  await useBackend('wasm');
  install();
  const before = tf.backend().numDataIds();
  const product = tf.tidy(() =>
    tf.einsum('ij,j->i', tf.tensor2d([1, 2, 3, 4], [2, 2], 'int32'), tf.tensor1d([10, 100], 'int32')),
  );
  expect([product.dtype, ...product.dataSync()]).toEqual(['int32', 210, 430]);
  product.dispose();
  expect(tf.backend().numDataIds()).toBe(before);
});

it('what TensorFlow.js refuses is refused in its words, and nothing is kept', async () => {
  await useBackend('wasm');
  install();
  const [a, b] = [normal([2, 3], 1), normal([4, 5], 2)];
  const before = tf.backend().numDataIds();
  expect((await errorOf(() => tf.einsum('ij,jk->ik', a, b))).message).toMatch(/dimension 3 at axis 0 of input/);
  expect((await errorOf(() => tf.einsum('ij,jk', a, b))).message).toMatch(/without an arrow/);
  expect(tf.backend().numDataIds()).toBe(before);
  tf.dispose([a, b]);
});
