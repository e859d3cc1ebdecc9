import * as tf from '@tensorflow/tfjs-core';
import { errorOf, useBackend } from '../support/backends';
import { install, normal, numbers, uninstalledAfterEach } from '../support/kernels';
import { NO_THRESHOLDS } from '../support/thresholds';

uninstalledAfterEach();

type Kernel = 'MaxPoolGrad' | 'AvgPoolGrad';
type Padding = 'valid' | 'same' | number | [[0, 0], [number, number], [number, number], [0, 0]];

/** Windows over an image, and how they lie. */
interface Windows {
  readonly shape: [number, number, number, number];
  readonly filterSize: number | [number, number];
  readonly strides: number | [number, number];
  readonly pad: Padding;
}

const explicit: Padding = [
  [0, 0],
  [0, 1],
  [1, 0],
  [0, 0],
];
const shapes: Windows['shape'][] = [
  [3, 11, 10, 5],
  [1, 7, 9, 16],
  [2, 8, 8, 35],
  [4, 5, 6, 1],
];
const forms: Pick<Windows, 'filterSize' | 'strides'>[] = [
  { filterSize: 2, strides: 2 },
  { filterSize: 3, strides: 2 },
  { filterSize: 3, strides: 1 },
  { filterSize: [2, 3], strides: [3, 1] },
  { filterSize: 2, strides: 3 },
  { filterSize: 1, strides: 1 },
];
const all: readonly Windows[] = shapes.flatMap((shape) =>
  forms.flatMap((form) => (['valid', 'same', 1, explicit] as const).map((pad) => ({ shape, ...form, pad }))),
);

/** The results that windows have, as TensorFlow.js counts them. */
const outShape = ({ shape, filterSize, strides, pad }: Windows, mode?: 'ceil'): number[] =>
  tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad as 'valid', mode).outShape;

function gradient(kernel: Kernel, windows: Windows, x: tf.Tensor, dy: tf.Tensor): Float32Array {
  const { shape: _, ...attributes } = windows;
  const inputs = { input: x, output: dy, dy };
  const result = tf.engine().runKernel(kernel, inputs, attributes as unknown as tf.NamedAttrMap) as tf.Tensor;
  tf.dispose([x, dy]);
  return numbers(result);
}

/** The gradient by inputs of `x`, and by normal errors. */
const gradientBy = (kernel: Kernel, x: (shape: number[]) => tf.Tensor, mode?: 'ceil') => (windows: Windows) =>
  gradient(kernel, windows, x(windows.shape), normal(outShape(windows, mode), 2));

/** Halves from 0.5 on: every window has equal numbers, and the stock kernel a maximum. */
const positiveHalves = (shape: number[]) =>
  tf.tidy(() => tf.div(tf.ceil(tf.add(tf.abs(tf.mul(normal(shape, 1), 2)), 0.5)), 2));

const kernels: readonly Kernel[] = ['MaxPoolGrad', 'AvgPoolGrad'];

describe('gradients of pooling', () => {
  it.each(kernels)('of %s have the bits of the stock kernel, equal numbers included', async (kernel) => {
    await useBackend('wasm');
    const by = gradientBy(kernel, positiveHalves);
    const stock = all.map(by);
    const installed = install(NO_THRESHOLDS);
    const before = tf.memory().numTensors;
    all.forEach((windows, which) => {
      expect({ ...windows, dx: by(windows) }).toEqual({ ...windows, dx: stock[which] });
    });
    expect(tf.memory().numTensors).toBe(before);
    expect(installed.calls[kernel]).toEqual({ native: all.length, stock: 0 });
  });

  it.each(kernels)('of %s equal those of the cpu backend, windows without a positive number too', async (kernel) => {
    const by = gradientBy(kernel, (shape) => tf.tidy(() => tf.sub(normal(shape, 1), 2)));
    await useBackend('cpu');
    const expected = all.map(by);
    await useBackend('wasm');
    const installed = install(NO_THRESHOLDS);
    all.forEach((windows, which) => {
      const dx = by(windows);
      const furthest = dx.reduce((most, each, at) => Math.max(most, Math.abs(each - (expected[which]?.[at] ?? 99))), 0);
      expect({ ...windows, close: furthest < 2e-6 }).toEqual({ ...windows, close: true });
    });
    expect(installed.calls[kernel]).toEqual({ native: all.length, stock: 0 });
  });

  it('of maxima give NaN and −∞ nothing, as on the cpu backend', async () => {
    const windows: Windows = { shape: [1, 2, 6, 1], filterSize: 2, strides: 2, pad: 'valid' };
    const [nan, infinite] = [Number.NaN, Number.POSITIVE_INFINITY];
    const x = [nan, -1, -infinite, nan, infinite, 1, nan, -2, nan, -infinite, nan, 2];
    const by = () =>
      gradient('MaxPoolGrad', windows, tf.tensor(x, windows.shape), tf.tensor([nan, 2, infinite], [1, 1, 3, 1]));
    await useBackend('cpu');
    const expected = by();
    expect([...expected]).toEqual([0, nan, 0, 0, infinite, 0, 0, 0, 0, 0, 0, 0]);
    await useBackend('wasm');
    install();
    expect(by()).toEqual(expected);
  });

  it.each(kernels)('of %s leave out the windows that a rounded size has more of', async (kernel) => {
    const windows: Windows = { shape: [2, 6, 7, 3], filterSize: 3, strides: 2, pad: 0 };
    expect(outShape(windows, 'ceil')).not.toEqual(outShape(windows));
    const by = gradientBy(kernel, (shape) => normal(shape, 1), 'ceil');
    await useBackend('cpu');
    const expected = by(windows);
    await useBackend('wasm');
    const installed = install();
    expect(by(windows).every((each, at) => Math.abs(each - (expected[at] ?? 99)) < 2e-6)).toBe(true);
    expect(installed.calls[kernel]).toEqual({ native: 1, stock: 0 });
  });

  it('of averages of few inputs are left to the stock kernel, of maxima never', async () => {
    await useBackend('wasm');
    const installed = install();
    const windows: Windows = { shape: [1, 4, 4, 2], filterSize: 2, strides: 2, pad: 'valid' };
    for (const kernel of kernels) gradientBy(kernel, positiveHalves)(windows);
    expect(installed.calls).toMatchObject({
      MaxPoolGrad: { native: 1, stock: 0 },
      AvgPoolGrad: { native: 0, stock: 1 },
    });
  });

  it.each(kernels)('of %s of a batch without samples have none', async (kernel) => {
    await useBackend('wasm');
    install(NO_THRESHOLDS);
    expect(gradientBy(kernel, positiveHalves)({ ...(all[0] as Windows), shape: [0, 4, 4, 2] })).toHaveLength(0);
  });

  it.each(kernels)('of %s refuse a dy of another shape', async (kernel) => {
    await useBackend('wasm');
    install();
    const windows: Windows = { shape: [1, 4, 4, 2], filterSize: 2, strides: 2, pad: 'valid' };
    const error = await errorOf(() => gradient(kernel, windows, tf.ones(windows.shape), tf.ones([1, 2, 2, 3])));
    expect(error).toMatchObject({
      code: 'ERR_CGFAC_SHAPE_MISMATCH',
      message: 'Expected a shape [1,2,2,2] for dy but received [1,2,2,3]',
    });
  });

  it('are those that tf.maxPool and tf.avgPool are differentiated by', async () => {
    const losses = [
      (x: tf.Tensor) => tf.sum(tf.square(tf.maxPool(x as tf.Tensor4D, 3, 2, 'same'))),
      (x: tf.Tensor) => tf.sum(tf.square(tf.avgPool(x as tf.Tensor4D, 3, 2, 'same'))),
    ];
    const gradients = () => losses.map((loss) => tf.tidy(() => numbers(tf.grad(loss)(normal([2, 9, 8, 4], 1)))));
    await useBackend('cpu');
    const expected = gradients();
    await useBackend('wasm');
    const installed = install(NO_THRESHOLDS);
    gradients().forEach((dx, which) => {
      expect(dx.every((each, at) => Math.abs(each - (expected[which]?.[at] ?? 99)) < 1e-5)).toBe(true);
    });
    expect(installed.calls).toMatchObject({ MaxPoolGrad: { native: 1 }, AvgPoolGrad: { native: 1 } });
  });
});
