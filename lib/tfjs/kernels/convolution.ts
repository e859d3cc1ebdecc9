/** The gradients of convolutions that TensorFlow.js asks its wasm backend for. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { backend_util } from '@tensorflow/tfjs-core';
import { type ConvolutionGeometry, convolutionGradient } from '../../adapter-kit';
import { attributesOf, cropped, flops, geometryOf, type Shape2d, type WindowAttributes } from './geometry';
import { computeOnHeap, size } from './heap';
import { cast, input, type KernelCall, type NativeKernel } from './kernel';

type Shape3d = [number, number, number, number, number];

/** The attributes of a convolution's gradient. */
interface ConvolutionAttributes extends WindowAttributes {
  readonly dilations?: number | [number, number];
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly filterShape: Shape2d;
  readonly inputShape: Shape2d;
}

interface Convolution3dAttributes {
  readonly strides: number | [number, number, number];
  readonly pad: 'valid' | 'same';
  readonly filterShape: Shape3d;
  readonly inputShape: Shape3d;
}

function geometry2d(
  xShape: Shape2d,
  filterShape: Shape2d,
  attributes: ConvolutionAttributes,
  depthwise: boolean,
): ConvolutionGeometry {
  const { strides, dilations = 1, pad, dimRoundingMode } = attributes;
  const info = backend_util.computeConv2DInfo(
    xShape,
    filterShape,
    strides,
    dilations,
    pad,
    dimRoundingMode,
    depthwise,
    'channelsLast',
  );
  return geometryOf(info, depthwise);
}

function geometry3d(
  xShape: Shape3d,
  filterShape: Shape3d,
  { strides, pad }: Convolution3dAttributes,
): ConvolutionGeometry {
  const info = backend_util.computeConv3DInfo(xShape, filterShape, strides, 1, pad);
  return {
    batch: info.batchSize,
    channels: info.inChannels,
    filters: info.outChannels,
    depthwise: false,
    input: [info.inDepth, info.inHeight, info.inWidth],
    output: [info.outDepth, info.outHeight, info.outWidth],
    kernel: [info.filterDepth, info.filterHeight, info.filterWidth],
    stride: [info.strideDepth, info.strideHeight, info.strideWidth],
    dilation: [1, 1, 1],
    padding: [info.padInfo.front, info.padInfo.top, info.padInfo.left],
  };
}

/** Whether a gradient is worth a native call where a stock kernel could compute it. */
const worthwhile = ({ thresholds }: KernelCall, geometry: ConvolutionGeometry): boolean =>
  flops(geometry) >= thresholds.convolution;

/** The gradient with respect to one array of a convolution, of a shape, from the other array and dy. */
type Gradient = (
  call: KernelCall,
  geometry: ConvolutionGeometry,
  gradientOf: 'kernel' | 'input',
  arrays: readonly [other: TensorInfo, dy: TensorInfo],
  shape: readonly number[],
) => TensorInfo;

const gradient: Gradient = (call, geometry, gradientOf, arrays, shape) => {
  const other = arrays[0];
  const dy = cropped(call, geometry, arrays[1]);
  return computeOnHeap(call.backend, [other, dy], shape, 'float32', (heap, out) => {
    const [x, w] = gradientOf === 'kernel' ? [other, out] : [out, other];
    if (size(x.shape) * size(dy.shape) * size(w.shape) === 0) heap.floats(out).fill(0);
    else convolutionGradient(geometry, { gradientOf, x: heap.floats(x), dy: heap.floats(dy), w: heap.floats(w) });
  });
};

/**
 * The gradient of a convolution in three dimensions. Where padding is negative, as TensorFlow.js has it of windows that
 * are apart, that many inputs come before the first window: they are left out, and their gradient is 0.
 */
const gradient3d: Gradient = (call, geometry, gradientOf, arrays, shape) => {
  const skipped = geometry.padding.map((zeros) => Math.max(0, -zeros));
  if (skipped.every((count) => count === 0)) return gradient(call, geometry, gradientOf, arrays, shape);
  const [other, dy] = arrays;
  const [front = 0, top = 0, left = 0] = skipped;
  const [depth, height, width] = geometry.input;
  const [before, above, beside] = geometry.padding;
  const input = [depth - front, height - top, width - left] as const;
  const inner = {
    ...geometry,
    input,
    padding: [Math.max(0, before), Math.max(0, above), Math.max(0, beside)] as const,
  };
  const read = [geometry.batch, ...input, geometry.channels];
  if (gradientOf === 'kernel') {
    const x = call.run('Slice', { x: other }, { begin: [0, ...skipped, 0], size: read });
    return gradient(call, inner, gradientOf, [x, dy], shape);
  }
  const dx = gradient(call, inner, gradientOf, [other, dy], read);
  const paddings = [0, ...skipped, 0].map((count) => [count, 0]);
  try {
    return call.run('PadV2', { x: dx }, { paddings, constantValue: 0 });
  } finally {
    call.backend.disposeData(dx.dataId);
  }
};

const floats = (call: KernelCall, name: string): TensorInfo => cast(call, input(call, name), 'float32');
const transposed = (call: KernelCall, x: TensorInfo, perm: readonly number[]): TensorInfo =>
  call.run('Transpose', { x }, { perm });

/** The gradient of a kernel; channels that come first are moved to the end, where they are read. */
function kernelGradient2d(call: KernelCall, depthwise: boolean): TensorInfo {
  const attributes = attributesOf<ConvolutionAttributes>(call);
  const channelsLast = (x: TensorInfo) => (attributes.dataFormat === 'NCHW' ? transposed(call, x, [0, 2, 3, 1]) : x);
  const [x, dy] = [channelsLast(floats(call, 'x')), channelsLast(floats(call, 'dy'))];
  const { filterShape } = attributes;
  const geometry = geometry2d(x.shape as Shape2d, filterShape, attributes, depthwise);
  return gradient(call, geometry, 'kernel', [x, dy], filterShape);
}

function inputGradient2d(call: KernelCall, depthwise: boolean): TensorInfo | undefined {
  const attributes = attributesOf<ConvolutionAttributes>(call);
  const { inputShape } = attributes;
  const [filter, dy] = [floats(call, 'filter'), floats(call, 'dy')];
  const geometry = geometry2d(inputShape, filter.shape as Shape2d, attributes, depthwise);
  if (!depthwise && !worthwhile(call, geometry)) return undefined;
  return gradient(call, geometry, 'input', [filter, dy], inputShape);
}

/**
 * The kernels of convolutions' gradients. Those in three dimensions are computed here in any size: the stock kernel of
 * the inputs is wrong whatever it is given, that of the filters where strides are more than 1.
 */
export const convolutionKernels: readonly NativeKernel[] = [
  { kernelName: 'Conv2DBackpropFilter', stock: false, compute: (call) => kernelGradient2d(call, false) },
  {
    kernelName: 'Conv2DBackpropInput',
    stock: true,
    compute: (call) => (call.attrs.dataFormat === 'NCHW' ? undefined : inputGradient2d(call, false)),
  },
  { kernelName: 'DepthwiseConv2dNativeBackpropFilter', stock: false, compute: (call) => kernelGradient2d(call, true) },
  { kernelName: 'DepthwiseConv2dNativeBackpropInput', stock: false, compute: (call) => inputGradient2d(call, true) },
  {
    kernelName: 'Conv3DBackpropFilterV2',
    stock: true,
    compute: (call) => {
      const attributes = attributesOf<Convolution3dAttributes>(call);
      const { filterShape } = attributes;
      const [x, dy] = [floats(call, 'x'), floats(call, 'dy')];
      const geometry = geometry3d(x.shape as Shape3d, filterShape, attributes);
      return gradient3d(call, geometry, 'kernel', [x, dy], filterShape);
    },
  },
  {
    kernelName: 'Conv3DBackpropInputV2',
    stock: true,
    compute: (call) => {
      const attributes = attributesOf<Convolution3dAttributes>(call);
      const { inputShape } = attributes;
      const [filter, dy] = [floats(call, 'filter'), floats(call, 'dy')];
      const geometry = geometry3d(inputShape, filter.shape as Shape3d, attributes);
      return gradient3d(call, geometry, 'input', [filter, dy], inputShape);
    },
  },
];
