/** The kernels of matrix products, on the wasm heap. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { matrixProducts } from '../../adapter-kit';
import { computeOnHeap } from './heap';
import type { KernelCall, NativeKernel } from './kernel';
import {
  type Epilogue,
  epilogueOf,
  PLAIN,
  type Product,
  placed,
  productOf,
  stacked,
  tensorsOf,
  worthwhile,
} from './product';

function compute(call: KernelCall, a: TensorInfo, b: TensorInfo, product: Product, epilogue: Epilogue): TensorInfo {
  return computeOnHeap(call.backend, [a, b, ...tensorsOf(epilogue)], product.shape, 'float32', (heap, out) => {
    const { floats } = heap;
    const { pairs, countA, countB, rows, cols, inner, transposeA, transposeB } = stacked(product, epilogue);
    const { bias, activation, slope, slopes } = placed(epilogue, heap);
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
      bias,
      activation,
      slope,
      slopes,
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
      if (product.inner > 0) return compute(call, a, b, product, epilogue);
      // no terms are one of zeros
      const { countA, countB, rows, cols } = product;
      const zeros = (numbers: number) => call.run('Fill', {}, { shape: [numbers], value: 0, dtype: 'float32' });
      return compute(call, zeros(countA * rows), zeros(countB * cols), { ...product, inner: 1 }, epilogue);
    },
  };
}

/** The kernels of matrix products. */
export const productKernels: readonly NativeKernel[] = [
  kernel('BatchMatMul', () => PLAIN),
  kernel('_FusedMatMul', epilogueOf),
];
