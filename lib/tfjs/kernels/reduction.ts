/** Sums, means and maxima over axes, for which the wasm backend transposes first where the axes are not the last. */
import { util } from '@tensorflow/tfjs-core';
import { type ReducedExtents, type Reduction, reduce } from '../../adapter-kit';
import { computeOnHeap, size } from './heap';
import { input, type NativeKernel } from './kernel';

/** The extents of a shape as two pairs of kept and reduced ones; undefined where there are more pairs. */
function extentsOf(shape: readonly number[], axes: readonly number[]): ReducedExtents | undefined {
  const lengths = [1];
  shape.forEach((extent, axis) => {
    if (extent === 1) return;
    const last = lengths.length - 1;
    if (axes.includes(axis) === (last % 2 === 1)) lengths[last] = (lengths[last] ?? 1) * extent;
    else lengths.push(extent);
  });
  const [outer = 1, rows = 1, columns = 1, inner = 1, further] = lengths;
  if (further !== undefined) return undefined;
  return lengths.length === 2 ? [outer, 1, 1, rows] : [outer, rows, columns, inner];
}

function kernel(kernelName: string, reduction: Reduction, attribute: 'axis' | 'reductionIndices'): NativeKernel {
  return {
    kernelName,
    stock: true,
    compute: (call) => {
      const x = input(call, 'x');
      const count = size(x.shape);
      if (x.dtype !== 'float32' || count === 0 || count < call.thresholds.reduction) return undefined;
      const axes = util.parseAxisParam(call.attrs[attribute] as number[], x.shape);
      const extents = extentsOf(x.shape, axes);
      if (extents === undefined) return undefined;
      const shape = x.shape.flatMap((extent, axis) => (axes.includes(axis) ? (call.attrs.keepDims ? 1 : []) : extent));
      return computeOnHeap(call.backend, [x], shape, 'float32', ({ floats }, out) =>
        reduce(reduction, extents, floats(x), floats(out)),
      );
    },
  };
}

/** The kernels of reductions. */
export const reductionKernels: readonly NativeKernel[] = [
  kernel('Sum', 'sum', 'axis'),
  kernel('Mean', 'mean', 'axis'),
  kernel('Max', 'max', 'reductionIndices'),
];
