/** Convolutions whose data has another size at another step, or in another use of the same kernel. */
import * as tf from '@tensorflow/tfjs-core';
import { cgfac, installKernels } from '../../../lib/tfjs';
import { normal, quietWarnings, useBackend, variable } from '../support/backends';

quietWarnings();

describe.each(['cpu', 'wasm'] as const)('on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
    if (backend === 'wasm') installKernels(tf);
  });
  afterEach(() => tf.disposeVariables());

  const made = () => ({
    kernel: variable([3, 3, 2, 4], 1) as tf.Variable<tf.Rank.R4>,
    bias: variable([4], 2) as tf.Variable<tf.Rank.R1>,
    back: variable([3, 3, 2, 4], 3) as tf.Variable<tf.Rank.R4>,
  });
  const images = (side: number, seed: number) => normal([6, side, side, 2], seed) as tf.Tensor4D;
  type Weights = ReturnType<typeof made>;
  const reconstruction = ({ kernel, bias, back }: Weights, x: tf.Tensor4D) =>
    tf.tidy(() => {
      const code = tf.tanh(tf.add(tf.conv2d(x, kernel, 2, 'same'), bias)) as tf.Tensor4D;
      const again = tf.conv2dTranspose(code, back, x.shape, 2, 'same');
      return tf.mean(tf.squaredDifference(again, x)) as tf.Scalar;
    });

  it('images of another size at another step', () => {
    const weights = made();
    const all = Object.values(weights);
    const optimizer = cgfac({ seed: 1 });
    const batches = [images(8, 4), images(6, 5)];
    const start = batches.map((x) => reconstruction(weights, x).dataSync()[0] ?? Number.NaN);
    for (let step = 0; step < 30; step++) {
      const x = batches[step % 2] as tf.Tensor4D;
      optimizer.minimize(() => reconstruction(weights, x), false, all);
      expect(optimizer.lastStep?.summary?.skipped).toBeUndefined();
    }
    const end = batches.map((x) => reconstruction(weights, x).dataSync()[0] ?? Number.NaN);
    for (const [index, loss] of end.entries()) expect(loss).toBeLessThan(0.8 * (start[index] ?? 0));
    expect(optimizer.report()?.layers.map(({ kind }) => kind)).toEqual(['convolution', 'transposedConvolution']);
    optimizer.dispose();
  });

  it('a kernel that sees images of two sizes in one step has a diagonal', () => {
    const weights = made();
    const optimizer = cgfac({ seed: 1 });
    const [large, small] = [images(8, 4), images(6, 5)];
    optimizer.minimize(
      () => tf.add(reconstruction(weights, large), reconstruction(weights, small)) as tf.Scalar,
      false,
      Object.values(weights),
    );
    expect(optimizer.report()?.layers.map(({ method }) => method)).toEqual(['diagonal', 'diagonal', 'diagonal']);
    optimizer.dispose();
  });

  it.each([
    ['zeros that are counted', 3, 1, undefined],
    ['a last window that is rounded up', 2, 1, 'ceil'],
    ['a last window that is left out', 2, 1, 'floor'],
    [
      'zeros before and behind',
      2,
      [
        [0, 0],
        [0, 1],
        [2, 1],
        [0, 0],
      ],
      undefined,
    ],
  ] as const)('windows with %s', (_, strides, pad, rounding) => {
    const { kernel } = made();
    const optimizer = cgfac({ seed: 1 });
    const x = images(6, 4);
    const loss = () =>
      tf.tidy(() => {
        const padding = pad as 1; // the type of a list of pairs is of a fixed length
        return tf.mean(tf.square(tf.sub(tf.conv2d(x, kernel, strides, padding, 'NHWC', 1, rounding), 1))) as tf.Scalar;
      });
    const losses = Array.from({ length: 8 }, () => optimizer.minimize(loss, true, [kernel])?.dataSync()[0] ?? 0);
    // the stock wasm kernel rounds up to places that it then reads elsewhere: its outputs are not those of the cpu's
    if (rounding !== 'ceil' || backend === 'cpu') expect(losses.at(-1)).toBeLessThan(0.9 * (losses[0] ?? 0));
    expect(optimizer.report()?.layers).toMatchObject([{ kind: 'convolution' }]);
    optimizer.dispose();
  });
});
