/** The numbers of tensors between the kernels of TensorFlow.js, without a copy where they lie on the wasm heap. */
import { backend, getBackend, type Tensor, type TensorInfo } from '@tensorflow/tfjs-core';
import { combine } from '../../adapter-kit';
import { computeOnHeap, heapOf, type WasmBackend, wasmBackend } from '../kernels/heap';
import { isInstalled } from '../kernels/install';
import type { Room } from './room';
import { tensorOf } from './tape';

/** What is used of the wasm backend besides. */
interface Holder extends WasmBackend {
  readonly dataIdMap: WasmBackend['dataIdMap'] & { has(dataId: object): boolean };
}

/** The wasm backend, where it is the current one. */
function currentHolder(): Holder | undefined {
  if (getBackend() !== 'wasm') return undefined;
  const candidate = backend() as Partial<Holder>;
  return typeof candidate.dataIdMap?.has === 'function' ? (wasmBackend(candidate) as Holder) : undefined;
}

const holds = ({ dataIdMap }: Holder, { dataId, dtype }: TensorInfo) => dtype === 'float32' && dataIdMap.has(dataId);

/** The wasm backend, where it is the current one and has the float32 numbers of all these tensors. */
function holderOf(tensors: readonly TensorInfo[]): Holder | undefined {
  const holder = currentHolder();
  return holder && tensors.every((tensor) => holds(holder, tensor)) ? holder : undefined;
}

/** Whether products with transposed operands take no longer than others: not by the stock kernels of wasm. */
export function multipliesTransposed(): boolean {
  return getBackend() !== 'wasm' || isInstalled('BatchMatMul');
}

/** Gives the numbers of a tensor. */
export type Reader = (tensor: Tensor) => Float32Array;

/** Reads tensors of the wasm backend where they lie, and others as their backends have them. */
function readerOn(holder: Holder | undefined): Reader {
  return (tensor) => {
    if (!holder || !holds(holder, tensor) || !holder.dataIdMap.get(tensor.dataId)?.memoryOffset)
      return tensor.dataSync<'float32'>();
    return heapOf(holder).floats(tensor);
  };
}

/**
 * Reads numbers of tensors without a copy, to be used before anything is computed by TensorFlow.js, and not to be
 * written to: they may be the tensors' own; `undefined` where the current backend has them to itself.
 */
export function reader(): Reader | undefined {
  return getBackend() === 'cpu' ? readerOn(undefined) : currentHolder() && readerOn(currentHolder());
}

/** The numbers of a tensor, to be read before anything else is computed: they may be the tensor's own. */
export function numbersOf(tensor: Tensor): Float32Array {
  return readerOn(currentHolder())(tensor);
}

/** Reads copies of tensors on the wasm heap, which are the room's; of others what their backends have. */
export function copier(room: Room): Reader {
  const holder = currentHolder();
  return (tensor) => {
    const numbers = readerOn(holder)(tensor);
    if (!holder || numbers.buffer !== holder.wasm.HEAPU8.buffer) return numbers;
    const copy = room.take(numbers.length);
    copy.set(numbers);
    return copy;
  };
}

/** Numbers times a factor: the same array where it is 1. */
export function times(values: Float32Array, factor: number): Float32Array {
  return factor === 1 ? values : values.map((value) => factor * value);
}

/**
 * keep·x + factor·y as a new tensor of the shape of x, in one pass on the pool; `undefined` where the wasm backend does
 * not have them. New, because the stock kernels keep a packed copy of weights by the tensor that these are.
 *
 * @param y - A tensor, or numbers in JavaScript's own memory, as many as x has.
 */
export function combined(keep: number, x: Tensor, factor: number, y: Tensor | Float32Array): Tensor | undefined {
  const inputs = y instanceof Float32Array ? [x] : [x, y];
  const holder = x.size === 0 ? undefined : holderOf(inputs);
  if (holder === undefined) return undefined;
  const out = computeOnHeap(holder, inputs, x.shape, 'float32', ({ floats }, made) => {
    combine({ keep, x: floats(x), factor, y: y instanceof Float32Array ? y : floats(y), out: floats(made) });
  });
  return tensorOf(out);
}
