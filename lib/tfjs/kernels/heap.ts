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
export function size(shape: readonly number[]): number {
  let product = 1;
  for (const extent of shape) product *= extent;
  return product;
}

/** Where the numbers of a tensor begin; one of another backend is moved to this one first. */
function offsetOf({ dataIdMap }: WasmBackend, { dataId }: TensorInfo): number {
  const offset = dataIdMap.get(dataId)?.memoryOffset;
  if (typeof offset !== 'number') throw formError('a number memoryOffset', 'a tensor of the wasm backend', offset);
  return offset;
}

function outputOn(backend: WasmBackend, shape: readonly number[], dtype: HeapType): TensorInfo {
  const out = backend.makeOutput(shape.slice(), dtype);
  if (offsetOf(backend, out) !== 0) return out;
  backend.disposeData(out.dataId);
  throw new CgfacError(
    'ERR_CGFAC_OUT_OF_MEMORY',
    `Expected memory of the wasm heap for a result of shape ${shape} but received none`,
  );
}

/** The most views that are kept of a heap: those of a step of some thousand kernels. */
const MOST_VIEWS = 8192;

/**
 * Views of a heap. They are kept: tensors come to lie in the same places step after step, and a fresh view costs a call
 * of the addon more than all the rest of a small kernel.
 */
class Views implements Heap {
  readonly buffer: ArrayBufferLike;
  readonly #floats = new Map<number, Float32Array>();
  readonly #integers = new Map<number, Int32Array>();
  readonly #bytes = new Map<number, Uint8Array>();

  constructor(backend: WasmBackend, buffer: ArrayBufferLike) {
    this.buffer = buffer;
    this.floats = (tensor) => {
      const [offset, length] = [offsetOf(backend, tensor), size(tensor.shape)];
      return kept(this.#floats, offset, length) ?? keep(this.#floats, new Float32Array(buffer, offset, length));
    };
    this.integers = (tensor) => {
      const [offset, length] = [offsetOf(backend, tensor), size(tensor.shape)];
      return kept(this.#integers, offset, length) ?? keep(this.#integers, new Int32Array(buffer, offset, length));
    };
    this.bytes = (tensor) => {
      const [offset, length] = [offsetOf(backend, tensor), size(tensor.shape)];
      return kept(this.#bytes, offset, length) ?? keep(this.#bytes, new Uint8Array(buffer, offset, length));
    };
  }

  readonly floats: Heap['floats'];
  readonly integers: Heap['integers'];
  readonly bytes: Heap['bytes'];
}

function kept<T extends Float32Array | Int32Array | Uint8Array>(views: Map<number, T>, offset: number, length: number) {
  const view = views.get(offset);
  return view?.length === length ? view : undefined;
}

function keep<T extends Float32Array | Int32Array | Uint8Array>(views: Map<number, T>, view: T): T {
  if (views.size >= MOST_VIEWS) views.clear();
  views.set(view.byteOffset, view);
  return view;
}

const viewsOf = new WeakMap<WasmBackend, Views>();

/** The heap as it is until something allocates there, which may give it another buffer. */
export function heapOf(backend: WasmBackend): Heap {
  const { buffer } = backend.wasm.HEAPU8;
  const before = viewsOf.get(backend);
  if (before?.buffer === buffer) return before;
  const views = new Views(backend, buffer);
  viewsOf.set(backend, views);
  return views;
}

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
  // Each of these may make the heap grow: a tensor of another backend is moved here when it is first looked up.
  for (const tensor of inputs) offsetOf(backend, tensor);
  const out = outputOn(backend, shape, dtype);
  try {
    compute(heapOf(backend), out);
    return out;
  } catch (error) {
    backend.disposeData(out.dataId);
    throw error;
  }
}

/** {@link computeOnHeap} with an output for each of the shapes. */
export function computeAllOnHeap(
  backend: WasmBackend,
  inputs: readonly TensorInfo[],
  shapes: readonly (readonly number[])[],
  dtype: 'float32' | 'int32',
  compute: (heap: Heap, outs: readonly TensorInfo[]) => void,
): TensorInfo[] {
  for (const tensor of inputs) offsetOf(backend, tensor);
  const outs: TensorInfo[] = [];
  try {
    for (const shape of shapes) outs.push(outputOn(backend, shape, dtype));
    compute(heapOf(backend), outs);
    return outs;
  } catch (error) {
    for (const { dataId } of outs) backend.disposeData(dataId);
    throw error;
  }
}
