/** What kernels of windows (convolutions and pooling) make of the attributes of TensorFlow.js. */
import type { backend_util, TensorInfo } from '@tensorflow/tfjs-core';
import { CgfacError, type ConvolutionGeometry } from '../../adapter-kit';
import { size } from './heap';
import type { KernelCall } from './kernel';

/** Samples, height, width and channels; of a kernel height, width, channels and filters. */
export type Shape2d = [number, number, number, number];

/** How windows lie on an image, as the op has checked it. */
export interface WindowAttributes {
  readonly strides: number | [number, number];
  readonly pad: 'valid' | 'same' | number | backend_util.ExplicitPadding;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** The attributes of a call, as its op has them. */
export const attributesOf = <T>({ attrs }: KernelCall): T => attrs as unknown as T;

/** The geometry of windows over images, channels last. */
export function geometryOf(info: backend_util.Conv2DInfo, depthwise: boolean): ConvolutionGeometry {
  return {
    batch: info.batchSize,
    channels: info.inChannels,
    filters: info.outChannels,
    depthwise,
    input: [1, info.inHeight, info.inWidth],
    output: [1, info.outHeight, info.outWidth],
    kernel: [1, info.filterHeight, info.filterWidth],
    stride: [1, info.strideHeight, info.strideWidth],
    dilation: [1, info.dilationHeight, info.dilationWidth],
    padding: [0, info.padInfo.top, info.padInfo.left],
  };
}

/** The flops of a convolution that is not depthwise, and of each of its gradients. */
export function flops({ batch, channels, filters, output, kernel }: ConvolutionGeometry): number {
  return 2 * batch * size(output) * size(kernel) * channels * filters;
}

/**
 * The part of dy that there are windows for: where an op drops the rounding mode of a padded size, or a transposed
 * convolution is asked for an output of another size, dy has more of them, and TensorFlow.js leaves these out.
 */
export function cropped(call: KernelCall, { batch, filters, output }: ConvolutionGeometry, dy: TensorInfo): TensorInfo {
  const shape = [batch, ...output.slice(5 - dy.shape.length), filters];
  const fits = (extent: number, axis: number) =>
    axis === 0 || axis === shape.length - 1 ? dy.shape[axis] === extent : (dy.shape[axis] ?? 0) >= extent;
  if (shape.every((extent, axis) => dy.shape[axis] === extent)) return dy;
  if (shape.every(fits)) return call.run('Slice', { x: dy }, { begin: shape.map(() => 0), size: shape });
  throw new CgfacError('ERR_CGFAC_SHAPE_MISMATCH', `Expected a shape [${shape}] for dy but received [${dy.shape}]`);
}
