/** Sums of rows by segment, which the gradients of embeddings and of tf.gather are. */
import { CgfacError, segmentSums } from '../../adapter-kit';
import { computeOnHeap, size } from './heap';
import { cast, input, type NativeKernel } from './kernel';

/** `tf.unsortedSegmentSum`: ids outside of the segments are dropped; sums of integers and of booleans are integers. */
export const segmentSumKernel: NativeKernel = {
  kernelName: 'UnsortedSegmentSum',
  stock: false,
  compute: (call) => {
    const given = input(call, 'x');
    const dtype = given.dtype === 'float32' ? 'float32' : 'int32';
    const [x, ids] = [cast(call, given, dtype), cast(call, input(call, 'segmentIds'), 'int32')];
    const [rows, ...rest] = x.shape;
    if (ids.shape.length !== 1 || ids.shape[0] !== rows) {
      throw new CgfacError(
        'ERR_CGFAC_SHAPE_MISMATCH',
        `Expected a shape [${rows}], an id for each row of x, for segmentIds but received [${ids.shape}]`,
      );
    }
    const shape = [Number(call.attrs.numSegments), ...rest];
    return computeOnHeap(call.backend, [x, ids], shape, dtype, (heap, out) => {
      const numbers = dtype === 'float32' ? heap.floats : heap.integers;
      if (size(shape) === 0) return;
      segmentSums({ x: numbers(x), ids: heap.integers(ids), width: size(rest), out: numbers(out) });
    });
  },
};
