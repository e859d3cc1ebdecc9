/** The kernels of matrix products, on the wasm heap. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { matrixProducts } from '../../adapter-kit';
import { computeOnHeap } from './heap';
import type { KernelCall, NativeKernel } from './kernel';
import {
  type BroadcastInput,
  type Epilogue,
  epilogueOf,
  PLAIN,
  type Product,
  productOf,
  stacked,
  worthwhile,
} from './product';

function compute(call: KernelCall, a: TensorInfo, b: TensorInfo, product: Product, epilogue: Epilogue): TensorInfo {
  const { bias, activation, slope, slopes } = epilogue;
  const inputs = [a, b, ...[bias, slopes].flatMap((input) => input?.tensor ?? [])];
  return computeOnHeap(call.backend, inputs, product.shape, 'float32', ({ floats }, out) => {
    const { pairs, countA, countB, rows, cols, inner, transposeA, transposeB } = stacked(product, epilogue);
    const placed = (input: BroadcastInput | undefined) => input && { values: floats(input.tensor), shape: input.shape };
    matrixProducts({
      a: floats(a),
      b: floats(b),
      out: floats(out),
      pairs,
      countA,
      countB,
      rows,
      cols,
      inner,
      transposeA,
      transposeB,
      bias: placed(bias),
      activation,
      slope,
      slopes: placed(slopes),
    });
  });
}

function kernel(
  kernelName: string,
  epilogueFor: (call: KernelCall, product: Product) => Epilogue | undefined,
): NativeKernel {
  return {
    kernelName,
    stock: true,
    compute: (call) => {
      const { a, b } = call.inputs;
      const { transposeA, transposeB } = call.attrs;
      const product = a && b ? productOf(a, b, Boolean(transposeA), Boolean(transposeB)) : undefined;
      const epilogue = product && epilogueFor(call, product);
      if (!a || !b || !product || !epilogue || !worthwhile(product, epilogue, call.thresholds)) return undefined;
      return compute(call, a, b, product, epilogue);
    },
  };
}

/** The kernels of matrix products. */
export const productKernels: readonly NativeKernel[] = [
  kernel('BatchMatMul', () => PLAIN),
  kernel('_FusedMatMul', epilogueOf),
];
