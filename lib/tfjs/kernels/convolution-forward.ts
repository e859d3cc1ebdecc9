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

/** A convolution in terms of one product; undefined where it is not one of float32, channels last. */
function geometryFor(call: KernelCall): ConvolutionGeometry | undefined {
  const [x, filter] = [input(call, 'x'), input(call, 'filter')];
  const { strides, dilations, pad, dimRoundingMode, dataFormat } = attributesOf<Attributes>(call);
  if (dataFormat !== 'NHWC' || x.dtype !== 'float32' || filter.dtype !== 'float32') return undefined;
  if (size(filter.shape) === 0) return undefined;
  const shapes = [x.shape as Shape2d, filter.shape as Shape2d] as const;
  return geometryOf(backend_util.computeConv2DInfo(...shapes, strides, dilations, pad, dimRoundingMode), false);
}

/**
 * Whether the stock kernel computes this. It counts the windows of a padded size itself, rounded down, and writes rows
 * of that length where the result has longer ones; its bias is one number for each filter.
 */
function stockComputes(call: KernelCall, { filters }: ConvolutionGeometry, { bias }: Epilogue): boolean {
  const { dimRoundingMode = 'floor' } = attributesOf<Attributes>(call);
  const ownBias = bias === undefined || (bias.tensor.shape.length === 1 && bias.shape[2] === filters);
  return dimRoundingMode === 'floor' && ownBias;
}

function compute(call: KernelCall, geometry: ConvolutionGeometry, epilogue: Epilogue): TensorInfo {
  const [x, filter] = [input(call, 'x'), input(call, 'filter')];
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

/** The kernels of convolutions of images. */
export const forwardKernels: readonly NativeKernel[] = [
  kernel('Conv2D', () => PLAIN),
  kernel('FusedConv2D', (call, { batch, output, filters }) => {
    const rows = batch * size(output);
    return epilogueOf(call, { shape: [rows, filters], pairs: ONE_PAIR, rows, cols: filters });
  }),
];
