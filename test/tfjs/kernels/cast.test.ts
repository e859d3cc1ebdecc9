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

interface Backend extends tf.KernelBackend {
  getMemoryOffset(dataId: object): number;
}
const offsetOf = ({ dataId }: tf.Tensor) => (tf.backend() as Backend).getMemoryOffset(dataId);
const memory = () => {
  const { numTensors, numDataBuffers, numBytes } = tf.memory();
  return { numTensors, numDataBuffers, numBytes, ids: tf.backend().numDataIds() };
};

describe('Identity', () => {
  beforeEach(() => useBackend('wasm'));

  it.each(['float32', 'int32', 'bool'] as const)('of %s shares memory, which lives as long as one of them', (dtype) => {
    const kernels = install();
    const before = memory();
    const x = tf.tensor1d([1, 0, 1], dtype);
    const alone = memory();
    const [y, z] = [tf.clone(x), tf.clone(x)];
    expect([offsetOf(y), offsetOf(z)]).toEqual([offsetOf(x), offsetOf(x)]);
    expect(memory()).toEqual({
      numTensors: alone.numTensors + 2,
      numDataBuffers: alone.numDataBuffers,
      numBytes: alone.numBytes + 2 * (alone.numBytes - before.numBytes),
      ids: alone.ids,
    });
    x.dispose();
    y.dispose();
    const others = Array.from({ length: 20 }, () => tf.fill([3], 7));
    expect([...z.dataSync()]).toEqual([1, 0, 1]);
    z.dispose();
    tf.dispose(others);
    expect(memory()).toEqual(before);
    expect(kernels.calls.Identity).toEqual({ native: 2, stock: 0 });
  });

  it('of a variable stays what it is when the variable is assigned, and the other way round', () => {
    install();
    const before = memory();
    const variable = tf.variable(tf.tensor1d([1, 2]));
    const snapshot = tf.clone(variable);
    const next = tf.tensor1d([3, 4]);
    variable.assign(next);
    next.dispose();
    expect([[...snapshot.dataSync()], [...variable.dataSync()]]).toEqual([
      [1, 2],
      [3, 4],
    ]);
    const copy = tf.clone(variable);
    variable.dispose();
    expect([...copy.dataSync()]).toEqual([3, 4]);
    tf.dispose([snapshot, copy]);
    expect(memory().ids).toBe(before.ids + 1); // what the variable was made of
  });

  it('of what the tape has saved stays until the gradient is taken', async () => {
    const gradient = () =>
      tf.tidy(() =>
        numbers(
          tf.grad((x: tf.Tensor) => {
            const y = tf.clone(x);
            const z = tf.mul(y, tf.clone(y));
            y.dispose();
            return tf.mul(z, x);
          })(normal([5], 1)),
        ),
      );
    await useBackend('cpu');
    const expected = gradient();
    await useBackend('wasm');
    install(NO_THRESHOLDS);
    const before = memory();
    expect(relativeError(gradient(), expected)).toBeLessThanOrEqual(TOLERANCE);
    expect(memory()).toEqual(before);
  });

  it('of a tensor of another backend takes it here first', async () => {
    await useBackend('cpu');
    const x = tf.tensor1d([1, 2, 3]);
    await useBackend('wasm');
    install();
    const y = tf.clone(x);
    x.dispose();
    expect([...y.dataSync()]).toEqual([1, 2, 3]);
    y.dispose();
  });

  it('that is read gives a copy: what is written into it changes no tensor', () => {
    install();
    const x = tf.tensor1d([1, 2]);
    const y = tf.clone(x);
    y.dataSync().fill(7);
    expect([...x.dataSync(), ...y.dataSync()]).toEqual([1, 2, 1, 2]);
    tf.dispose([x, y]);
  });

  it('of strings is left to the stock kernel', () => {
    const kernels = install();
    expect(tf.clone(tf.tensor1d(['a', 'b'])).dataSync()).toEqual(['a', 'b']);
    expect(kernels.calls.Identity).toEqual({ native: 0, stock: 1 });
  });
});

describe('Cast', () => {
  const values = [0, -0, 1, -1, 0.5, -2.7, 255, 256, 2 ** 31, -(2 ** 40) - 2 ** 20, Number.NaN, -Infinity];
  const types = ['float32', 'int32', 'bool'] as const;
  const pairs = types.flatMap((from) => types.map((to) => [from, to] as const));

  it.each(pairs)('from %s to %s equals that of the cpu backend', async (from, to) => {
    const given = from === 'float32' ? values : values.map((x) => (from === 'bool' ? Number(x > 0) : x | 0));
    const { expected, received, kernels } = await onBoth(() => resultOf(() => tf.cast(tf.tensor1d(given, from), to)));
    expect(received).toEqual(expected);
    const stock = from !== to && (from === 'bool' || to === 'float32');
    expect(kernels.calls.Cast).toEqual(stock ? { native: 0, stock: 1 } : { native: 1, stock: 0 });
  });

  it('to integers is left to the stock kernel where there is little of it, to truth values never', async () => {
    await useBackend('wasm');
    const kernels = install();
    const { vectorised } = THRESHOLDS;
    tf.tidy(() => [vectorised - 1, vectorised].map((count) => tf.cast(tf.ones([count]), 'int32')));
    expect(kernels.calls.Cast).toEqual({ native: 1, stock: 1 });
    expect([...numbers(tf.cast(tf.tensor1d([0.5, 0, 256]), 'bool'))]).toEqual([1, 0, 1]);
    expect(kernels.calls.Cast).toEqual({ native: 2, stock: 1 });
  });
});

describe('Select', () => {
  it.each(['float32', 'int32', 'bool'] as const)('of %s equals that of the cpu backend', async (dtype) => {
    const { expected, received, kernels } = await onBoth(() =>
      resultOf(() => {
        const [t, e] = [1, 2].map((seed) => tf.cast(normal([4, 5], seed), dtype)) as [tf.Tensor, tf.Tensor];
        return tf.where(tf.greater(normal([4, 1], 3), 0), t, e);
      }),
    );
    expect(received).toEqual(expected);
    expect(kernels.calls.Select).toEqual({ native: 1, stock: 0 });
  });

  it('of numbers is left to the stock kernel where there is little of it, of truth values never', async () => {
    await useBackend('wasm');
    const kernels = install();
    const { vectorised } = THRESHOLDS;
    const choose = (count: number, dtype: 'float32' | 'bool') =>
      tf.where(tf.ones([count], 'bool'), tf.ones([count], dtype), tf.zeros([count], dtype));
    tf.tidy(() => [choose(vectorised - 1, 'float32'), choose(vectorised, 'float32')]);
    expect(kernels.calls.Select).toEqual({ native: 1, stock: 1 });
    expect([...numbers(tf.tidy(() => choose(3, 'bool')))]).toEqual([1, 1, 1]);
    expect(kernels.calls.Select).toEqual({ native: 2, stock: 1 });
  });
});

describe('FusedBatchNorm', () => {
  const forms: readonly [string, number[], number[], boolean][] = [
    ['channels', [4, 5, 5, 3], [3], true],
    ['channels without scale and offset', [7, 16], [16], false],
    ['every place', [2, 3, 4, 5], [2, 3, 4, 5], true],
  ];
  it.each(forms)('of %s equals that of the cpu backend, as its gradients do', async (_, shape, of, scaled) => {
    const { expected, received, kernels } = await onBoth(() => {
      const tensors = tf.tidy(() => {
        const [x, mean, scale, offset] = [normal(shape, 1), normal(of, 2), normal(of, 4), normal(of, 5)];
        const variance = tf.add(tf.square(normal(of, 3)), 0.1);
        const out = (x: tf.Tensor, mean: tf.Tensor) =>
          tf.batchNorm(x, mean, variance, scaled ? offset : undefined, scaled ? scale : undefined, 0.01);
        // TensorFlow.js has no gradient of a batchNorm without a scale
        const gradients = scaled ? tf.grads((x, mean) => tf.square(out(x, mean)))([x, mean]) : [];
        return [out(x, mean), ...gradients];
      });
      return tensors.map((tensor) => resultOf(() => tensor));
    });
    expectNearly(received, expected);
    expect(kernels.calls.FusedBatchNorm).toEqual({ native: scaled ? 2 : 1, stock: 0 });
  });

  it('is left to the stock kernel where there is little of it, or statistics are of two shapes', async () => {
    await useBackend('wasm');
    const kernels = install();
    const rows = Math.ceil(THRESHOLDS.vectorised / 2);
    const run = (count: number, of: number) => tf.batchNorm(tf.ones([count, 2]), tf.zeros([2]), tf.ones([of]));
    tf.tidy(() => [run(rows - 1, 2), run(rows, 2), run(rows, 1)]);
    expect(kernels.calls.FusedBatchNorm).toEqual({ native: 1, stock: 2 });
  });
});
