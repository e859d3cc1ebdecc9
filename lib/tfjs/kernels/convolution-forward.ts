/** The convolutions of images that TensorFlow.js asks its wasm backend for, with what follows them. */
import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import { type ConvolutionGeometry, convolution } from '../../adapter-kit';
import { attributesOf, flops, geometryOf, type Shape2d, type WindowAttributes } from './geometry';
import { computeOnHeap, size } from './heap';
import { input, type KernelCall, type NativeKernel } from './kernel';
import { type Epilogue, epilogueOf, ONE_PAIR, PLAIN, placed, tensorsOf } from './product';

interface Attributes extends WindowAttributes {
  readonly dilations: number | [number, number];
  readonly dataFormat: 'NHWC' | 'NCHW';
}

/** The shapes of images and filters; where these have no channels, with one of zeros, which is as many terms. */
function shapesOf(call: KernelCall): readonly [Shape2d, Shape2d] {
  const [x, filter] = [input(call, 'x').shape as Shape2d, input(call, 'filter').shape as Shape2d];
  if (filter[2] !== 0) return [x, filter];
  return [
    [x[0], x[1], x[2], 1],
    [filter[0], filter[1], 1, filter[3]],
  ];
}

/** Images and filters of these shapes. */
function operands(call: KernelCall): readonly [TensorInfo, TensorInfo] {
  const [x, filter] = [input(call, 'x'), input(call, 'filter')];
  if (filter.shape[2] !== 0) return [x, filter];
  const [images, filters] = shapesOf(call).map((shape) =>
    call.run('Fill', {}, { shape, value: 0, dtype: 'float32' }),
  ) as [TensorInfo, TensorInfo];
  return [images, filters];
}

/** A convolution in terms of one product; undefined where it is not one of float32, channels last. */
function geometryFor(call: KernelCall): ConvolutionGeometry | undefined {
  const [x, filter] = [input(call, 'x'), input(call, 'filter')];
  const { strides, dilations, pad, dimRoundingMode, dataFormat } = attributesOf<Attributes>(call);
  if (dataFormat !== 'NHWC' || x.dtype !== 'float32' || filter.dtype !== 'float32') return undefined;
  const shapes = shapesOf(call);
  if (size(shapes[1]) === 0) return undefined;
  return geometryOf(backend_util.computeConv2DInfo(...shapes, strides, dilations, pad, dimRoundingMode), false);
}

/** Whether windows leave inputs at the end of an axis unread. */
function leavesInputs({ input: extents, output, kernel, stride, dilation }: ConvolutionGeometry): boolean {
  return extents.some((extent, axis) => {
    const [windows = 0, taps = 0, step = 0, apart = 0] = [output[axis], kernel[axis], stride[axis], dilation[axis]];
    return (windows - 1) * step + (taps - 1) * apart + 1 < extent;
  });
}

/**
 * Whether there are as many windows as fit on either axis. With a number for padding TensorFlow.js counts those of both
 * axes by the height of the kernel and the stride of the rows.
 */
function countsWindows({ input: extents, output, kernel, stride, dilation, padding }: ConvolutionGeometry): boolean {
  return extents.every((extent, axis) => {
    const [windows, taps = 0, step = 0, apart = 0] = [output[axis], kernel[axis], stride[axis], dilation[axis]];
    const last = extent + 2 * (padding[axis] ?? 0) - (taps - 1) * apart - 1;
    return windows === Math.floor(last / step) + 1;
  });
}

/**
 * Whether the stock kernel computes this. It counts the windows of a padded size itself, rounded down and axis by axis,
 * and writes rows of that length where the result has others, or ends the process; of windows that are apart, padded to
 * 'same', it may write nothing, as of images without channels; its bias is one number for each filter.
 */
function stockComputes(call: KernelCall, geometry: ConvolutionGeometry, { bias }: Epilogue): boolean {
  const { dimRoundingMode = 'floor', pad } = attributesOf<Attributes>(call);
  const ownBias = bias === undefined || (bias.tensor.shape.length === 1 && bias.shape[2] === geometry.filters);
  const counted = typeof pad !== 'number' || countsWindows(geometry);
  const some = size(input(call, 'filter').shape) > 0;
  return some && dimRoundingMode === 'floor' && ownBias && counted && !(pad === 'same' && leavesInputs(geometry));
}

function compute(call: KernelCall, geometry: ConvolutionGeometry, epilogue: Epilogue): TensorInfo {
  const [x, filter] = operands(call);
  const { batch, output, filters } = geometry;
  const shape = [batch, output[1], output[2], filters];
  return computeOnHeap(call.backend, [x, filter, ...tensorsOf(epilogue)], shape, 'float32', (heap, out) => {
    if (size(shape) === 0) return;
    const { floats } = heap;
    convolution(geometry, { x: floats(x), w: floats(filter), out: floats(out), ...placed(epilogue, heap) });
  });
}

function kernel(
  kernelName: string,
  epilogueFor: (call: KernelCall, geometry: ConvolutionGeometry) => Epilogue | undefined,
): NativeKernel {
  return {
    kernelName,
    stock: true,
    compute: (call) => {
      const geometry = geometryFor(call);
      const epilogue = geometry && epilogueFor(call, geometry);
      if (!geometry || !epilogue) return undefined;
      const small = flops(geometry) < call.thresholds.forwardConvolution;
      return small && stockComputes(call, geometry, epilogue) ? undefined : compute(call, geometry, epilogue);
    },
  };
}

/** What follows a fused convolution, but for slopes of prelu that are none for each filter. */
function epilogueFor(call: KernelCall, { batch, output, filters }: ConvolutionGeometry): Epilogue | undefined {
  const rows = batch * size(output);
  return epilogueOf(call, { shape: [rows, filters], pairs: ONE_PAIR, rows, cols: filters });
}

const fused = kernel('FusedConv2D', epilogueFor);

/**
 * A fused convolution whose slopes of prelu differ from position to position: the stock kernel takes them in turns,
 * which is wrong where they broadcast. y = max(z, 0) + slope·min(z, 0) of what the convolution gives.
 */
function withSlopesByPosition(call: KernelCall, slopes: TensorInfo): TensorInfo | undefined {
  const { preluActivationWeights: _, ...inputs } = call.inputs;
  const plain = { ...call, inputs, attrs: { ...call.attrs, activation: 'linear' } };
  const geometry = geometryFor(plain);
  const epilogue = geometry && epilogueFor(plain, geometry);
  if (!geometry || !epilogue) return undefined;
  const inTurns = size(slopes.shape) === size(geometry.output) * geometry.filters;
  if (inTurns && stockComputes(plain, geometry, epilogue)) return undefined;
  const z = compute(plain, geometry, epilogue);
  try {
    const zero = call.run('Fill', {}, { shape: [], value: 0, dtype: 'float32' });
    const below = call.run('Multiply', { a: slopes, b: call.run('Minimum', { a: z, b: zero }) });
    return call.run('Add', { a: call.run('Maximum', { a: z, b: zero }), b: below });
  } finally {
    call.backend.disposeData(z.dataId);
  }
}

/** The kernels of convolutions of images. */
export const forwardKernels: readonly NativeKernel[] = [
  kernel('Conv2D', () => PLAIN),
  {
    ...fused,
    compute: (call) => {
      const { preluActivationWeights: slopes } = call.inputs;
      const byPosition = call.attrs.activation === 'prelu' && slopes && slopes.shape.slice(0, -1).some((n) => n > 1);
      return byPosition ? withSlopesByPosition(call, slopes) : fused.compute(call);
    },
  },
];
