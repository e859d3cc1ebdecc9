/** Rows by their indices, which embeddings look up; the wasm backend copies them number by number. */
import { util } from '@tensorflow/tfjs-core';
import { gatherRows } from '../../adapter-kit';
import { computeOnHeap, size } from './heap';
import { input, isNumbers, type NativeKernel } from './kernel';

/** `tf.gather`; an index that is out of range is left to the stock kernel, which throws. */
export const gatherKernel: NativeKernel = {
  kernelName: 'GatherV2',
  stock: true,
  compute: (call) => {
    const [x, indices] = [input(call, 'x'), input(call, 'indices')];
    const { axis, batchDims } = call.attrs;
    if (!isNumbers(x) || indices.dtype !== 'int32' || batchDims) return undefined;
    const [along = 0] = util.parseAxisParam(axis as number, x.shape);
    const [outer, inner] = [x.shape.slice(0, along), x.shape.slice(along + 1)];
    const shape = [...outer, ...indices.shape, ...inner];
    const rows = x.shape[along] ?? 0;
    const count = size(shape);
    if (rows * count === 0 || count < call.thresholds.moved) return undefined;
    let inRange = false;
    const out = computeOnHeap(call.backend, [x, indices], shape, x.dtype, ({ floats, integers }, to) => {
      inRange = gatherRows([size(outer), rows, size(inner)], floats(x), integers(indices), floats(to));
    });
    if (inRange) return out;
    call.backend.disposeData(out.dataId);
    return undefined;
  },
};
