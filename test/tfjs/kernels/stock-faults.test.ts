/** What the stock kernels compute wrong is never left to them, however small it is. */
import * as tf from '@tensorflow/tfjs-core';
import { THRESHOLDS, type Thresholds } from '../../../lib/tfjs/kernels/kernel';
import { useBackend } from '../support/backends';
import { install, normal, numbers, TOLERANCE, uninstalledAfterEach } from '../support/kernels';

uninstalledAfterEach();

/** A computation, the same on every backend. */
interface Case {
  readonly name: string;
  readonly run: () => tf.Tensor;
}

/** All is left to the stock kernels that may be for its size. */
const ALL_SMALL = Object.fromEntries(
  Object.keys(THRESHOLDS).map((name) => [name, Number.POSITIVE_INFINITY]),
) as unknown as Thresholds;

/** The largest difference, relative to numbers beyond 1. */
function largestError(values: Float32Array, expected: Float32Array): number {
  const errors = expected.map((value, at) => Math.abs((values[at] ?? Number.NaN) - value) / (1 + Math.abs(value)));
  return Math.max(0, ...errors);
}

/** Runs cases on the cpu backend, then on the wasm backend with the kernels installed, and compares. */
async function compare(cases: readonly Case[]): Promise<void> {
  await useBackend('cpu');
  const expected = cases.map(({ run }) => numbers(tf.tidy(run)));
  await useBackend('wasm');
  install(ALL_SMALL);
  const tensors = tf.memory().numTensors;
  const wrong = cases.flatMap(({ name, run }, index) => {
    // what the memory of a result holds before is none of the numbers expected
    const known = expected[index] ?? new Float32Array();
    numbers(tf.fill([known.length], 77));
    const error = largestError(numbers(tf.tidy(run)), known);
    return error <= TOLERANCE ? [] : [`${name}: ${error}`];
  });
  expect(wrong).toEqual([]);
  expect(tf.memory().numTensors).toBe(tensors);
}

const boolean = [false, true];

/** A fused product as the other ops have it: the cpu backend's own is the sum of those. */
function fusedProduct(batches: readonly [number, number], inner: number, transposeA: boolean, transposeB: boolean) {
  const [rows, cols] = [4, 5];
  const [a, b] = [
    [batches[0], ...(transposeA ? [inner, rows] : [rows, inner])],
    [batches[1], ...(transposeB ? [cols, inner] : [inner, cols])],
  ] as [number[], number[]];
  return [undefined, [cols], [1]].flatMap((bias) =>
    (['linear', 'relu', 'relu6', 'elu'] as const).map((activation): Case => {
      const options = { transposeA, transposeB, activation };
      const name = `${JSON.stringify([a, b])} ${JSON.stringify({ ...options, bias })}`;
      return {
        name,
        run: () =>
          tf.fused.matMul({ a: normal(a, 1), b: normal(b, 2), ...options, ...(bias && { bias: normal(bias, 3) }) }),
      };
    }),
  );
}

describe.each([[1, 1] as const, [3, 3] as const, [1, 3] as const, [3, 1] as const])(
  'fused products of %i with %i matrices',
  (...batches) => {
    it.each(boolean.flatMap((a) => boolean.map((b) => [a, b] as const)))('transposed: %s and %s', (a, b) =>
      // sums of one block of 48 terms, and of more
      compare([3, 48, 49, 100].flatMap((inner) => fusedProduct(batches, inner, a, b))),
    );
  },
);

/** A fused product of zeros, with a bias and without. */
const emptyProducts = ([a, b]: readonly [number[], number[]], transposeA: boolean, transposeB: boolean): Case[] =>
  [undefined, 'bias'].map((bias) => ({
    name: JSON.stringify([a, b, bias]),
    run: () =>
      tf.fused.matMul({
        ...{ a: tf.zeros(a), b: tf.zeros(b), transposeA, transposeB, activation: 'relu' },
        ...(bias && { bias: normal([b.at(transposeB ? -2 : -1) ?? 0], 3) }),
      }),
  }));

it('what is made of no numbers: products without terms, sums and means along an axis of length 0', () =>
  compare([
    ...emptyProducts(
      [
        [5, 0],
        [0, 7],
      ],
      false,
      false,
    ),
    ...emptyProducts(
      [
        [0, 5],
        [0, 7],
      ],
      true,
      false,
    ),
    ...emptyProducts(
      [
        [5, 0],
        [7, 0],
      ],
      false,
      true,
    ),
    ...emptyProducts(
      [
        [3, 5, 0],
        [1, 0, 7],
      ],
      false,
      false,
    ),
    { name: 'matMul', run: () => tf.matMul(tf.zeros([64, 0]), tf.zeros([0, 90])) },
    { name: 'einsum', run: () => tf.einsum('ij,jk->ik', tf.zeros([3, 0]), tf.zeros([0, 4])) },
    {
      name: 'the gradient of a dense layer, of no samples',
      run: () => tf.grad((k) => tf.sum(tf.matMul(tf.zeros([0, 5]), k as tf.Tensor2D)))(tf.ones([5, 3])),
    },
    { name: 'conv2d', run: () => tf.conv2d(tf.ones<tf.Rank.R4>([2, 8, 8, 0]), tf.ones([3, 3, 0, 4]), 1, 'same') },
    {
      name: 'fused conv2d',
      run: () =>
        tf.fused.conv2d({
          ...{ x: tf.ones([2, 8, 8, 0]) as tf.Tensor4D, filter: tf.ones([3, 3, 0, 4]) as tf.Tensor4D },
          ...{ strides: 2, pad: 'valid', bias: normal([4], 1), activation: 'relu' },
        }),
    },
    { name: 'sum', run: () => tf.sum(tf.zeros([0, 64, 64]), 0) },
    { name: 'sum of all', run: () => tf.sum(tf.zeros([0, 64])) },
    { name: 'mean, the axis kept', run: () => tf.mean(tf.zeros([3, 0, 4]), 1, true) },
  ]));

it('convolutions whose windows are apart and leave the last inputs out', () =>
  compare(
    [5, 6, 7, 8, 9].flatMap((size) =>
      [1, 2, 3].flatMap((taps) =>
        [2, 3, 4].map((strides) => ({
          name: `${size} by ${taps}, strides ${strides}`,
          run: () =>
            tf.conv2d(
              normal([2, size, size, 3], 1) as tf.Tensor4D,
              normal([taps, taps, 3, 4], 2) as tf.Tensor4D,
              strides,
              'same',
            ),
        })),
      ),
    ),
  ));

it('convolutions with a number for padding, kernels and strides of unequal sides among them', () =>
  compare(
    [
      [1, 3],
      [2, 4],
      [3, 1],
      [3, 3],
    ].flatMap(([height = 1, width = 1]) =>
      ([1, [1, 3], [2, 1], 2] as const).flatMap((strides) =>
        [0, 1].map((pad) => ({
          name: `${height} by ${width}, strides ${strides}, padding ${pad}`,
          run: () =>
            tf.conv2d(
              normal([2, 12, 9, 2], 1) as tf.Tensor4D,
              normal([height, width, 2, 8], 2) as tf.Tensor4D,
              strides as number | [number, number],
              pad,
              'NHWC',
              [1, 1],
              'floor',
            ),
        })),
      ),
    ),
  ));

it('slopes of prelu that differ from position to position', () =>
  compare(
    [
      [4, 1, 1],
      [1, 5, 1],
      [4, 1, 3],
      [1, 5, 3],
      [4, 5, 3],
      [1, 1, 3],
    ].map((slopes) => ({
      name: JSON.stringify(slopes),
      run: () =>
        tf.fused.conv2d({
          x: normal([2, 4, 5, 2], 1) as tf.Tensor4D,
          filter: normal([3, 3, 2, 3], 2) as tf.Tensor4D,
          strides: 1,
          pad: 'same',
          bias: normal([3], 3),
          activation: 'prelu',
          preluActivationWeights: normal(slopes, 4),
        }),
    })),
  ));

describe('gradients of convolutions of volumes', () => {
  const sizes = [4, 5].flatMap((size) => [1, 2, 3].map((taps) => [size, taps] as const));

  it.each(['valid', 'same'] as const)('padding %s, windows that are apart among them', (pad) =>
    compare(
      sizes.flatMap(([size, taps]) =>
        [1, 2, 3].flatMap((strides) => {
          const [x, filter] = [
            [2, size, size, size + 1, 2],
            [taps, taps, taps, 2, 3],
          ] as [[number, number, number, number, number], [number, number, number, number, number]];
          const { outShape } = tf.backend_util.computeConv3DInfo(x, filter, strides, 1, pad);
          const gradient = (kernel: string, inputs: tf.NamedTensorMap, attributes: object) =>
            tf
              .engine()
              .runKernel(kernel, inputs, { strides, pad, ...attributes } as unknown as tf.NamedAttrMap) as tf.Tensor;
          const name = `${size} by ${taps}, strides ${strides}`;
          return [
            {
              name: `${name}, kernel`,
              run: () =>
                gradient(
                  'Conv3DBackpropFilterV2',
                  { x: normal(x, 1), dy: normal(outShape, 2) },
                  { filterShape: filter },
                ),
            },
            {
              name: `${name}, input`,
              run: () =>
                gradient(
                  'Conv3DBackpropInputV2',
                  { filter: normal(filter, 1), dy: normal(outShape, 2) },
                  { inputShape: x },
                ),
            },
          ];
        }),
      ),
    ),
  );
});
