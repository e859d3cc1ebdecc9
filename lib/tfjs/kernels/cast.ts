/** What gives numbers again: as they are, as those of another type, or one of two. */
import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { castNumbers, selectNumbers } from '../../adapter-kit';
import { computeOnHeap, type Heap, type HeapType, size } from './heap';
import { input, type KernelCall, type NativeKernel } from './kernel';

const isHeapType = (dtype: unknown): dtype is HeapType => dtype === 'float32' || dtype === 'int32' || dtype === 'bool';

/** The numbers of a tensor of any type that is on the heap. */
function numbersOf({ floats, integers, bytes }: Heap, tensor: TensorInfo): Float32Array | Int32Array | Uint8Array {
  if (tensor.dtype === 'bool') return bytes(tensor);
  return tensor.dtype === 'int32' ? integers(tensor) : floats(tensor);
}

/**
 * A tensor with the memory of another, as a reshaped one has it: no kernel writes into what it is given, and the
 * backend frees memory when the last of its tensors is disposed of.
 */
function shared({ backend }: KernelCall, { dataId, shape, dtype }: TensorInfo): TensorInfo {
  backend.incRef(dataId);
  return { dataId, shape, dtype };
}

/** `tf.clone`, and what TensorFlow.js clones by itself: variables that are assigned, and tensors of the tape. */
export const identityKernel: NativeKernel = {
  kernelName: 'Identity',
  stock: true,
  compute: (call) => {
    const x = input(call, 'x');
    return isHeapType(x.dtype) ? shared(call, x) : undefined;
  },
};

/**
 * `tf.cast`: what is of the type already is shared, and a truth value of a number is 1 unless that is 0, in any size;
 * the stock kernel makes a byte of the number. What was a truth value or an integer and becomes a number is left to it.
 */
export const castKernel: NativeKernel = {
  kernelName: 'Cast',
  stock: true,
  compute: (call) => {
    const x = input(call, 'x');
    const { dtype } = call.attrs;
    if (!isHeapType(x.dtype) || !isHeapType(dtype)) return undefined;
    if (x.dtype === dtype) return shared(call, x);
    const count = size(x.shape);
    if (count === 0 || x.dtype === 'bool' || dtype === 'float32') return undefined;
    if (dtype === 'int32' && count < call.thresholds.vectorised) return undefined;
    return computeOnHeap(call.backend, [x], x.shape, dtype, ({ floats, integers, bytes }, out) =>
      castNumbers(x.dtype === 'int32' ? integers(x) : floats(x), dtype === 'int32' ? integers(out) : bytes(out)),
    );
  },
};

/** `tf.where`; truth values in any size, for the stock kernel writes them as floats, beyond their memory. */
export const selectKernel: NativeKernel = {
  kernelName: 'Select',
  stock: true,
  compute: (call) => {
    const [condition, t, e] = [input(call, 'condition'), input(call, 't'), input(call, 'e')];
    const { dtype } = t;
    const alike = util.arraysEqual(condition.shape, t.shape) && util.arraysEqual(e.shape, t.shape);
    if (!alike || condition.dtype !== 'bool' || !isHeapType(dtype) || e.dtype !== dtype) return undefined;
    const count = size(t.shape);
    if (count === 0 || (dtype !== 'bool' && count < call.thresholds.vectorised)) return undefined;
    return computeOnHeap(call.backend, [condition, t, e], t.shape, dtype, (heap, out) =>
      selectNumbers(heap.bytes(condition), numbersOf(heap, t), numbersOf(heap, e), numbersOf(heap, out)),
    );
  },
};
