import * as tf from '@tensorflow/tfjs-core';
import { errorOf, relativeError, useBackend } from '../support/backends';
import { install, normal, numbers, TOLERANCE, uninstalledAfterEach } from '../support/kernels';

uninstalledAfterEach();

/** Ids from −1 to `segments`, one more than there is on either side. */
const ids = (count: number, segments: number) =>
  tf.tensor1d(
    Array.from({ length: count }, (_, i) => ((i * 7) % (segments + 2)) - 1),
    'int32',
  );

describe('sums by segment', () => {
  const shapes: readonly [number[], number][] = [
    [[40], 6],
    [[40, 3], 6],
    [[40, 2, 3, 2], 50],
    [[300, 128], 20],
    [[2, 1], 1],
    [[4, 0], 3],
  ];
  it.each(shapes)('of x [%s] into %i equal those of the cpu backend', async (shape, segments) => {
    const sums = () => tf.tidy(() => tf.unsortedSegmentSum(normal(shape, 1), ids(shape[0] ?? 0, segments), segments));
    await useBackend('cpu');
    const expected = sums();
    const [given, values] = [expected.shape, numbers(expected)];
    await useBackend('wasm');
    const kernels = install();
    const before = tf.memory().numTensors;
    const result = sums();
    expect(result.shape).toEqual(given);
    expect(result.dtype).toBe('float32');
    expect(values.length === 0 || relativeError(numbers(result), values) <= TOLERANCE).toBe(true);
    result.dispose();
    expect(tf.memory().numTensors).toBe(before);
    expect(kernels.calls.UnsortedSegmentSum).toEqual({ native: 1, stock: 0 });
  });

  it.each(['int32', 'bool'] as const)('of %s are integers, and exact', async (dtype) => {
    await useBackend('wasm');
    install();
    const before = tf.backend().numDataIds();
    const values = dtype === 'bool' ? [1, 1, 0, 1] : [2 ** 24 + 1, 2, -3, 7];
    const sums = tf.tidy(() =>
      tf.unsortedSegmentSum(tf.tensor1d(values, dtype), tf.tensor1d([1, 0, 2, 1], 'int32'), 3),
    );
    expect(sums.dtype).toBe('int32');
    expect([...sums.dataSync()]).toEqual(dtype === 'bool' ? [1, 2, 0] : [2, 2 ** 24 + 8, -3]);
    sums.dispose();
    expect(tf.backend().numDataIds()).toBe(before);
  });

  it.each([{ shape: [3] }, { shape: [4, 1] }, { shape: [] }])(
    'with ids of shape $shape for four rows are refused',
    async ({ shape }) => {
      await useBackend('wasm');
      install();
      const run = () =>
        tf.tidy(() =>
          tf.unsortedSegmentSum(tf.ones([4, 2]), tf.zeros(shape as [number], 'int32') as tf.Tensor as tf.Tensor1D, 2),
        );
      expect(await errorOf(run)).toMatchObject({
        code: 'ERR_CGFAC_SHAPE_MISMATCH',
        message: `Expected a shape [4], an id for each row of x, for segmentIds but received [${shape}]`,
      });
    },
  );

  it('are the gradient of tf.gather, along every axis', async () => {
    const gradients = () =>
      [0, 1, 2].map((axis) =>
        tf.tidy(() => {
          const at = tf.tensor1d([2, 0, 2, 3, 3, 3], 'int32');
          return numbers(tf.grad((x: tf.Tensor) => tf.sum(tf.square(tf.gather(x, at, axis))))(normal([4, 5, 6], 1)));
        }),
      );
    await useBackend('cpu');
    const expected = gradients();
    await useBackend('wasm');
    install();
    gradients().forEach((gradient, axis) => {
      expect(relativeError(gradient, expected[axis] ?? [])).toBeLessThanOrEqual(TOLERANCE);
    });
  });
});
