import * as tf from '@tensorflow/tfjs-core';
import { THRESHOLDS } from '../../../lib/tfjs/kernels/kernel';
import { useBackend } from '../support/backends';
import { install, numbers, onBoth, uninstalledAfterEach } from '../support/kernels';
import { NO_THRESHOLDS } from '../support/thresholds';

uninstalledAfterEach();

type Op = (x: tf.Tensor) => tf.Tensor[];
const { moved, runs } = THRESHOLDS;
const ids = (...values: number[]) => tf.tensor1d(values, 'int32');

/** Kernels, and calls of each on a tensor of shape [3, 4, 1, 5] that are native. */
const calls: readonly [string, readonly Op[]][] = [
  ['Tile', [(x) => [tf.tile(x, [2, 1, 3, 2])], (x) => [tf.tile(tf.reshape(x, [60, 1]), [1, 3])]]],
  [
    'Transpose',
    [
      [3, 2, 1, 0],
      [1, 0, 2, 3],
      [0, 3, 2, 1],
      [3, 0, 1, 2],
    ].map(
      (perm): Op =>
        (x) => [tf.transpose(x, perm)],
    ),
  ],
  ['Slice', [(x) => [tf.slice(x, [1, 0, 0, 2], [-1, 3, 1, 2])], (x) => [tf.slice(x, 1, 1)]]],
  ['SplitV', [(x) => tf.split(x, [1, 3, 1], 3), (x) => tf.split(x, 2, -3)]],
  ['Unpack', [(x) => tf.unstack(x, 1), (x) => tf.unstack(x, -1)]],
  ['Concat', [(x) => [tf.concat([x, tf.slice(x, 0, [3, 2, 1, 5]), x], 1)], (x) => [tf.concat([x, x], -1)]]],
  ['Pack', [(x) => [tf.stack([x, x], 2)], (x) => [tf.stack([x, x, x], -1)]]],
  [
    'PadV2',
    [
      (x) => [
        tf.pad(
          x,
          [
            [1, 0],
            [0, 2],
            [1, 1],
            [0, 0],
          ],
          7,
        ),
      ],
      (x) => [
        tf.pad(x, [
          [0, 0],
          [0, 0],
          [0, 0],
          [2, 3],
        ]),
      ],
    ],
  ],
  ['GatherV2', [(x) => [tf.gather(x, ids(2, 0, 2))], (x) => [tf.gather(x, tf.tensor2d([[3, 1]], [1, 2], 'int32'), 1)]]],
];

describe.each(calls)('%s', (kernel, ops) => {
  it.each(['float32', 'int32'] as const)('of %s equals that of the cpu backend', async (dtype) => {
    const { expected, received, kernels } = await onBoth(() =>
      ops.map((op) => {
        const out = tf.tidy(() => op(tf.reshape(tf.range(-20, 40, 1, dtype), [3, 4, 1, 5])));
        return out.map((each) => ({ shape: each.shape, dtype: each.dtype, values: numbers(each) }));
      }),
    );
    expect(received).toEqual(expected);
    expect(kernels.calls[kernel]).toEqual({ native: ops.length, stock: 0 });
  });

  it('of booleans and of nothing is left to the stock kernel', async () => {
    await useBackend('wasm');
    const kernels = install(NO_THRESHOLDS);
    tf.tidy(() => ops[0]?.(tf.zeros([3, 4, 1, 5], 'bool')));
    expect(kernels.calls[kernel]).toEqual({ native: 0, stock: 1 });
  });

  it('of little is left to the stock kernel', async () => {
    await useBackend('wasm');
    const kernels = install();
    tf.tidy(() => ops[0]?.(tf.reshape(tf.range(0, 60), [3, 4, 1, 5])));
    // these two write more than 128 numbers
    expect(kernels.calls[kernel]?.native).toBe(['Tile', 'PadV2'].includes(kernel) ? 1 : 0);
  });
});

it('thresholds are of the numbers that are written, and of the runs that are joined', async () => {
  await useBackend('wasm');
  const kernels = install();
  tf.tidy(() => {
    const rows = tf.ones([runs / 2, moved]);
    tf.concat([rows, rows], 1);
    const fewer = tf.ones([runs / 2 - 1, moved]);
    tf.concat([fewer, fewer], 1);
    tf.slice(tf.ones([moved + 1]), 0, moved);
    tf.slice(tf.ones([moved + 1]), 0, moved - 1);
  });
  expect([kernels.calls.Concat, kernels.calls.Slice]).toEqual([
    { native: 1, stock: 1 },
    { native: 1, stock: 1 },
  ]);
});

it('a concatenation or a stack along the first axis, and a transpose that moves nothing, are left', async () => {
  await useBackend('wasm');
  const kernels = install(NO_THRESHOLDS);
  tf.tidy(() => {
    const x = tf.ones([3, 1, 4]);
    tf.concat([x, x], 0);
    tf.stack([x, x], 0);
    tf.transpose(x, [1, 0, 2]);
  });
  for (const name of ['Concat', 'Pack', 'Transpose']) expect(kernels.calls[name]).toEqual({ native: 0, stock: 1 });
});

it('an index that is out of range is the error of TensorFlow.js, and nothing is kept', async () => {
  await useBackend('wasm');
  install(NO_THRESHOLDS);
  const [x, wrong] = [tf.ones([3, 2]), ids(0, 3)];
  const before = tf.memory().numBytes;
  expect(() => tf.gather(x, wrong)).toThrow('GatherV2: the index value 3 is not in [0, 2]');
  expect(tf.memory().numBytes).toBe(before);
  tf.dispose([x, wrong]);
});
