import * as tf from '@tensorflow/tfjs-core';
import { THRESHOLDS } from '../../../lib/tfjs/kernels/kernel';
import { useBackend } from '../support/backends';
import { expectNearly, install, normal, onBoth, resultOf, uninstalledAfterEach } from '../support/kernels';
import { NO_THRESHOLDS } from '../support/thresholds';

uninstalledAfterEach();

type Op = (x: tf.Tensor, axis?: number | number[], keepDims?: boolean) => tf.Tensor;
const ops: readonly [string, Op][] = [
  ['Sum', tf.sum],
  ['Mean', tf.mean],
  ['Max', tf.max],
];
const { reduction, lastAxes } = THRESHOLDS;

describe.each(ops)('%s', (kernel, op) => {
  /** Every subset of the axes, and what other forms of naming them there are. */
  const axes = [
    undefined,
    ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15].map((bits) =>
      [0, 1, 2, 3].filter((axis) => bits & (1 << axis)),
    ),
    -1,
    1,
    [-1, 0],
  ];

  it('equals that of the cpu backend, over any axes', async () => {
    const { expected, received, kernels } = await onBoth(() =>
      axes.flatMap((axis) =>
        [false, true].map((keepDims) => resultOf(() => op(normal([3, 4, 1, 5], 1), axis, keepDims))),
      ),
    );
    expectNearly(received, expected);
    expect(kernels.calls[kernel]).toEqual({ native: 2 * axes.length, stock: 0 });
  });

  it('of integers, and over axes in three groups is left to the stock kernel; what is empty is not', async () => {
    await useBackend('wasm');
    const kernels = install(NO_THRESHOLDS);
    tf.tidy(() => {
      op(tf.zeros([0, 3]), 1);
      op(normal([2, 2, 2, 2, 2], 1), [0, 2, 4]);
      if (kernel === 'Max') op(tf.tensor1d([1, 2], 'int32'));
    });
    expect(kernels.calls[kernel]).toEqual({ native: 1, stock: kernel === 'Max' ? 2 : 1 });
    expect(() => tf.tidy(() => op(normal([3, 3], 1), 2))).toThrow(/axis/);
  });

  it('is left to the stock kernel where there is little of it', async () => {
    await useBackend('wasm');
    const kernels = install();
    const native = (shape: number[], axis: number) => {
      const before = kernels.calls[kernel]?.native ?? 0;
      tf.tidy(() => op(tf.ones(shape), axis));
      return (kernels.calls[kernel]?.native ?? 0) - before;
    };
    expect([native([reduction / 8, 8], 0), native([reduction / 8 - 1, 8], 0)]).toEqual([1, 0]);
    expect([native([2, lastAxes / 2], 1), native([2, lastAxes / 2 - 1], 1)]).toEqual([1, 0]);
    expect([native([8 * lastAxes, 8], 1), native([lastAxes, 8], 1)]).toEqual([1, 0]);
  });
});
