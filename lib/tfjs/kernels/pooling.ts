/** The gradients of pooling that TensorFlow.js asks its wasm backend for. */
import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import { poolingGradient } from '../../adapter-kit';
import { attributesOf, cropped, geometryOf, type Shape2d, type WindowAttributes } from './geometry';
import { computeOnHeap, size } from './heap';
import { input, type KernelCall, type NativeKernel } from './kernel';

interface Attributes extends WindowAttributes {
  readonly filterSize: number | [number, number];
}

/** Whether the stock kernel computes the gradient of an average: it takes the windows of dy for those it counts. */
const small = ({ thresholds }: KernelCall, x: TensorInfo, dy: TensorInfo, errors: TensorInfo): boolean =>
  dy === errors && size(x.shape) < thresholds.averagePooling;

/** The gradient of a maximum is computed here in any size: of a window without a positive input the stock one is 0. */
function kernel(kernelName: string, kind: 'max' | 'average'): NativeKernel {
  return {
    kernelName,
    stock: true,
    compute: (call) => {
      const [x, errors] = [input(call, 'input'), input(call, 'dy')];
      if (x.dtype !== 'float32' || errors.dtype !== 'float32') return undefined;
      const { filterSize, strides, pad, dimRoundingMode } = attributesOf<Attributes>(call);
      const shape = x.shape as Shape2d;
      const info = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
      const geometry = geometryOf(info, false);
      const dy = cropped(call, geometry, errors);
      if (kind === 'average' && small(call, x, dy, errors)) return undefined;
      return computeOnHeap(call.backend, [x, dy], shape, 'float32', ({ floats }, dx) => {
        if (size(dy.shape) * size(shape) === 0) floats(dx).fill(0);
        else poolingGradient(geometry, { kind, x: floats(x), dy: floats(dy), dx: floats(dx) });
      });
    },
  };
}

/** The kernels of the gradients of pooling. */
export const poolingKernels: readonly NativeKernel[] = [kernel('MaxPoolGrad', 'max'), kernel('AvgPoolGrad', 'average')];
