/** Sums, means and maxima over axes, for which the wasm backend transposes first where the axes are not the last. */
import { type ReducedExtents, type Reduction, reduce } from '../../adapter-kit';
import { computeOnHeap, size } from './heap';
import { input, type KernelCall, type NativeKernel } from './kernel';

/** The axes that an attribute names, from 0; undefined where the stock kernel is to say what is wrong with them. */
function axesOf(given: unknown, rank: number): readonly number[] | undefined {
  if (typeof given === 'number') return axesOf([given], rank);
  if (given === null || given === undefined) return Array.from({ length: rank }, (_, axis) => axis);
  const axes = (given as readonly number[]).map((axis) => (axis < 0 ? axis + rank : axis));
  return axes.every((axis) => Number.isInteger(axis) && axis >= 0 && axis < rank) ? axes : undefined;
}

/** The extents of a shape as two pairs of kept and reduced ones; undefined where there are more pairs. */
function extentsOf(shape: readonly number[], axes: readonly number[]): ReducedExtents | undefined {
  const lengths = [1];
  for (let axis = 0; axis < shape.length; axis++) {
    const [extent = 1, last] = [shape[axis], lengths.length - 1];
    if (extent === 1) continue;
    if (axes.includes(axis) === (last % 2 === 1)) lengths[last] = (lengths[last] ?? 1) * extent;
    else lengths.push(extent);
  }
  const [outer = 1, rows = 1, columns = 1, inner = 1, further] = lengths;
  if (further !== undefined) return undefined;
  return lengths.length === 2 ? [outer, 1, 1, rows] : [outer, rows, columns, inner];
}

/** What is left of a shape. */
function keptShape(shape: readonly number[], axes: readonly number[], keepDims: boolean): number[] {
  const left: number[] = [];
  for (let axis = 0; axis < shape.length; axis++) {
    if (!axes.includes(axis)) left.push(shape[axis] ?? 1);
    else if (keepDims) left.push(1);
  }
  return left;
}

/** The least numbers that are worth a native call: rows shorter than 16 numbers are so by the second thread alone. */
function least({ thresholds }: KernelCall, [, rows, , inner]: ReducedExtents): number {
  if (rows > 1) return thresholds.reduction;
  return inner < 16 ? 64 * thresholds.lastAxes : thresholds.lastAxes;
}

/** What a reduction of no numbers is on the cpu backend. */
const ofNone: Readonly<Record<Reduction, number>> = { sum: 0, mean: 0, max: Number.NaN };

function kernel(kernelName: string, reduction: Reduction, attribute: 'axis' | 'reductionIndices'): NativeKernel {
  return {
    kernelName,
    stock: true,
    compute: (call) => {
      const x = input(call, 'x');
      const count = size(x.shape);
      if (x.dtype !== 'float32' || (count > 0 && count < call.thresholds.reduction)) return undefined;
      const axes = axesOf(call.attrs[attribute], x.shape.length);
      if (axes && count === 0) {
        // of no numbers the stock kernel writes nothing
        const shape = keptShape(x.shape, axes, call.attrs.keepDims === true);
        return call.run('Fill', {}, { shape, value: ofNone[reduction], dtype: 'float32' });
      }
      const extents = axes && extentsOf(x.shape, axes);
      if (axes === undefined || extents === undefined || count < least(call, extents)) return undefined;
      const shape = keptShape(x.shape, axes, call.attrs.keepDims === true);
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
