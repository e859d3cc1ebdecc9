/** The normalisation of columns, which batch normalisation is outside of its statistics. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { batchNormalization } from '../../adapter-kit';
import { computeOnHeap, size } from './heap';
import { input, type NativeKernel } from './kernel';

/** `tf.batchNorm`: statistics of one shape, whose numbers come again and again along x. */
export const batchNormKernel: NativeKernel = {
  kernelName: 'FusedBatchNorm',
  stock: true,
  compute: (call) => {
    const [x, mean, variance] = [input(call, 'x'), input(call, 'mean'), input(call, 'variance')];
    const { scale, offset } = call.inputs;
    const given = [mean, variance, scale, offset].filter((tensor): tensor is TensorInfo => Boolean(tensor));
    const [count, width] = [size(x.shape), size(mean.shape)];
    const fits = count % width === 0 && given.every(({ shape }) => size(shape) === width);
    const isFloat = [x, ...given].every(({ dtype }) => dtype === 'float32');
    if (count === 0 || count < call.thresholds.vectorised || !fits || !isFloat) return undefined;
    return computeOnHeap(call.backend, [x, ...given], x.shape, 'float32', ({ floats }, out) =>
      batchNormalization({
        mean: floats(mean),
        variance: floats(variance),
        scale: scale ? floats(scale) : undefined,
        offset: offset ? floats(offset) : undefined,
        epsilon: Number(call.attrs.varianceEpsilon),
        x: floats(x),
        out: floats(out),
      }),
    );
  },
};
