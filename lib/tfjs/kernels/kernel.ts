/** What a kernel of this package is: the computation of one op, where it is worth a native call. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { WasmBackend } from './heap';

/** Sizes from which a stock kernel's work is done here (docs/decisions/ has the measurements). */
export interface Thresholds {
  /** The least flops of a matrix product whose operands are not transposed. */
  readonly product: number;
  /** The least flops of a matrix product with a transposed operand. */
  readonly transposedProduct: number;
  /** The least flops of a gradient of a convolution. */
  readonly convolution: number;
  /** The least flops of a convolution. */
  readonly forwardConvolution: number;
  /** The least inputs of the gradient of pooling by averages. */
  readonly averagePooling: number;
  /** The least numbers of a function that the stock kernel computes one by one. */
  readonly scalar: number;
  /** The least numbers of a function that the stock kernel computes several at a time. */
  readonly vectorised: number;
  /** The least numbers of a function that the stock kernel computes at half of the speed that one thread has. */
  readonly simple: number;
  /** The least numbers of a sum, a product or their like, which it computes as fast as one thread can. */
  readonly arithmetic: number;
  /** The least numbers that are reduced along axes of which some are not the last. */
  readonly reduction: number;
  /** The least numbers that are reduced along the last axes. */
  readonly lastAxes: number;
  /** The least numbers that are copied to other places. */
  readonly moved: number;
  /** The least runs of numbers, each of which is one in memory, of a concatenation. */
  readonly runs: number;
}

/** The thresholds of an installation. */
export const THRESHOLDS: Thresholds = {
  product: 5e4,
  transposedProduct: 4e3,
  convolution: 2e4,
  forwardConvolution: 5e5,
  averagePooling: 500,
  scalar: 500,
  vectorised: 3e3,
  simple: 1e4,
  arithmetic: 2e5,
  reduction: 128,
  lastAxes: 4e3,
  moved: 128,
  runs: 32,
};

/** A call of a kernel, as TensorFlow.js makes it. */
export interface KernelCall {
  readonly inputs: Readonly<Record<string, TensorInfo | null | undefined>>;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly backend: WasmBackend;
  readonly thresholds: Thresholds;
  /** Runs another kernel of the backend; its output is disposed of after the call, unless the call returns it. */
  run(kernelName: string, inputs: Readonly<Record<string, TensorInfo>>, attrs?: object): TensorInfo;
}

/** A kernel of this package. */
export interface NativeKernel {
  /** The name that TensorFlow.js has for it. */
  readonly kernelName: string;
  /** Whether the wasm backend of TensorFlow.js 4 has a kernel of that name, which takes what is left to it. */
  readonly stock: boolean;
  /** The output, or outputs; undefined where the stock kernel is to compute it. */
  compute(call: KernelCall): TensorInfo | TensorInfo[] | undefined;
}

/** A tensor of numbers of four bytes each. */
export type NumbersInfo = TensorInfo & { readonly dtype: 'float32' | 'int32' };

/** Whether a tensor is one of numbers of four bytes each. */
export const isNumbers = (tensor: TensorInfo): tensor is NumbersInfo =>
  tensor.dtype === 'float32' || tensor.dtype === 'int32';

/** An input that the op always has. */
export function input({ inputs }: KernelCall, name: string): TensorInfo {
  const tensor = inputs[name];
  if (!tensor) throw new TypeError(`Expected a tensor for ${name} but received ${tensor}`);
  return tensor;
}

/** A tensor as one of a type. */
export function cast(call: KernelCall, x: TensorInfo, dtype: 'float32' | 'int32'): TensorInfo {
  return x.dtype === dtype ? x : call.run('Cast', { x }, { dtype });
}
