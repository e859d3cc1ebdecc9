/** The memory of the wasm backend, and what is computed on it. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { CgfacError, describe } from '../../adapter-kit';

/** What is used of the wasm backend. */
export interface WasmBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } | undefined };
  makeOutput(shape: number[], dtype: HeapType): TensorInfo;
  disposeData(dataId: object): boolean;
  /** Counts one tensor more that has the memory. */
  incRef(dataId: object): void;
}

/** The types of tensors that are on the heap; truth values are bytes there. */
export type HeapType = 'float32' | 'int32' | 'bool';

/** The numbers of tensors, where they lie. */
export interface Heap {
  floats(tensor: TensorInfo): Float32Array;
  integers(tensor: TensorInfo): Int32Array;
  bytes(tensor: TensorInfo): Uint8Array;
}

function formError(expected: string, name: string, received: unknown): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_TFJS_BACKEND',
    `Expected ${expected} for ${name} but received ${describe(received)}; ` +
      'this version of cgfac knows @tensorflow/tfjs-backend-wasm 4',
  );
}

/**
 * The wasm backend, if its heap can be reached in the form that is known here.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_BACKEND` for a backend of another form.
 */
export function wasmBackend(candidate: unknown): WasmBackend {
  const backend = candidate as Partial<WasmBackend> | null | undefined;
  if (typeof backend?.makeOutput !== 'function') throw formError('a method makeOutput', 'the wasm backend', backend);
  if (typeof backend.disposeData !== 'function') throw formError('a method disposeData', 'the wasm backend', backend);
  if (typeof backend.incRef !== 'function') throw formError('a method incRef', 'the wasm backend', backend);
  if (typeof backend.dataIdMap?.get !== 'function')
    throw formError('a map dataIdMap', 'the wasm backend', backend.dataIdMap);
  if (!ArrayBuffer.isView(backend.wasm?.HEAPU8))
    throw formError('a Uint8Array wasm.HEAPU8', 'the wasm backend', backend.wasm?.HEAPU8);
  return backend as WasmBackend;
}

/** How many numbers a shape holds. */
export const size = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

/**
 * Makes a tensor on the wasm heap and has it computed from others, whose numbers are read where they lie.
 *
 * @param inputs - The tensors that `compute` reads; one of another backend is moved here first.
 * @param compute - Writes the output. Allocates nothing on the heap, which would replace its memory.
 * @throws {@link CgfacError} `ERR_CGFAC_OUT_OF_MEMORY` where the heap cannot grow any more, `ERR_CGFAC_TFJS_BACKEND`
 * for a tensor whose memory is not found.
 */
export function computeOnHeap(
  backend: WasmBackend,
  inputs: readonly TensorInfo[],
  shape: readonly number[],
  dtype: HeapType,
  compute: (heap: Heap, out: TensorInfo) => void,
): TensorInfo {
  const offset = ({ dataId }: TensorInfo): number => {
    const data = backend.dataIdMap.get(dataId);
    if (typeof data?.memoryOffset !== 'number')
      throw formError('a number memoryOffset', 'a tensor of the wasm backend', data?.memoryOffset);
    return data.memoryOffset;
  };
  // Each of these may make the heap grow: a tensor of another backend is moved here when it is first looked up.
  for (const tensor of inputs) offset(tensor);
  const out = backend.makeOutput([...shape], dtype);
  try {
    if (offset(out) === 0) {
      throw new CgfacError(
        'ERR_CGFAC_OUT_OF_MEMORY',
        `Expected memory of the wasm heap for a result of shape ${shape} but received none`,
      );
    }
    // from here on nothing allocates there, so the buffer stays what it is
    const { buffer } = backend.wasm.HEAPU8;
    const heap: Heap = {
      floats: (tensor) => new Float32Array(buffer, offset(tensor), size(tensor.shape)),
      integers: (tensor) => new Int32Array(buffer, offset(tensor), size(tensor.shape)),
      bytes: (tensor) => new Uint8Array(buffer, offset(tensor), size(tensor.shape)),
    };
    compute(heap, out);
    return out;
  } catch (error) {
    backend.disposeData(out.dataId);
    throw error;
  }
}
