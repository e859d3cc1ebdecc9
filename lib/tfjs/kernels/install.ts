/**
 * The kernels of the wasm backend that are computed on the package's own threads. A kernel in front of the stock one
 * takes what is worth a native call, on the memory of the wasm heap itself, and hands everything else on; a kernel that
 * the backend lacks takes everything.
 */

import type { KernelConfig, KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import * as tfjsCore from '@tensorflow/tfjs-core';
import { CgfacError, reading, typeError } from '../../adapter-kit';
import { type WasmBackend, wasmBackend } from './heap';
import { type KernelCall, type NativeKernel, THRESHOLDS, type Thresholds } from './kernel';
import { kernels, productNames } from './table';

/**
 * What {@link installKernels} uses of TensorFlow.js: the module `@tensorflow/tfjs-core`, or `@tensorflow/tfjs`, has it.
 */
export type TfjsKernelRegistry = Pick<
  typeof tfjsCore,
  'backend' | 'getBackend' | 'getKernel' | 'registerKernel' | 'unregisterKernel'
>;

/** The calls of a kernel since the installation. */
export interface KernelCalls {
  /** Computed by this package. */
  readonly native: number;
  /** Left to the stock kernel. */
  readonly stock: number;
}

/** What {@link installKernels} has installed. */
export interface InstalledKernels {
  /** Whether the kernels of the wasm backend come here: true until {@link InstalledKernels.uninstall}. */
  readonly installed: boolean;
  /** Matrix products computed by this package since the installation; a batch of matrices counts once. */
  readonly nativeProducts: number;
  /** Matrix products left to the stock kernel since the installation. */
  readonly stockProducts: number;
  /** The calls of each installed kernel, by the name that TensorFlow.js has for it. */
  readonly calls: Readonly<Record<string, KernelCalls>>;
  /**
   * Puts the stock kernels back, and takes those away that the backend lacks. A kernel that was registered over ours
   * meanwhile stays. A second call does nothing.
   */
  uninstall(): void;
}

const WASM = 'wasm';
const functions = ['backend', 'getBackend', 'getKernel', 'registerKernel', 'unregisterKernel'] as const;

/** A kernel of ours, the one it stands in front of, and its calls. */
interface Installed {
  readonly kernel: NativeKernel;
  readonly own: KernelConfig;
  readonly stock: KernelConfig | undefined;
  native: number;
  left: number;
}

class Installation implements InstalledKernels {
  readonly #tf: TfjsKernelRegistry;
  readonly #thresholds: Thresholds;
  readonly #installed: readonly Installed[];
  #known: WasmBackend | undefined;
  #active = true;

  constructor(tf: TfjsKernelRegistry, thresholds: Thresholds) {
    this.#tf = tf;
    this.#thresholds = thresholds;
    this.#installed = kernels.map((kernel) => this.#install(kernel));
    for (const { own } of this.#installed) installations.set(own, this);
  }

  get installed(): boolean {
    return this.#active;
  }

  get nativeProducts(): number {
    return this.#sum(({ native }) => native);
  }

  get stockProducts(): number {
    return this.#sum(({ left }) => left);
  }

  get calls(): Readonly<Record<string, KernelCalls>> {
    return Object.fromEntries(
      this.#installed.map(({ kernel, native, left }) => [kernel.kernelName, { native, stock: left }]),
    );
  }

  uninstall(): void {
    if (!this.#active) return;
    this.#active = false;
    for (const { kernel, own, stock } of this.#installed) {
      if (this.#tf.getKernel(kernel.kernelName, WASM) === own) replace(this.#tf, kernel.kernelName, stock);
    }
  }

  #sum(count: (installed: Installed) => number): number {
    return this.#installed.reduce(
      (sum, installed) => sum + (productNames.includes(installed.kernel.kernelName) ? count(installed) : 0),
      0,
    );
  }

  #install(kernel: NativeKernel): Installed {
    const { kernelName } = kernel;
    const stock = this.#tf.getKernel(kernelName, WASM);
    const setupFunc = (backend: object) => {
      this.#backend(backend);
      stock?.setupFunc?.(backend);
    };
    const own: KernelConfig = {
      ...stock,
      kernelName,
      backendName: WASM,
      setupFunc,
      kernelFunc: (args) => this.#run(installed, args),
    };
    const installed: Installed = { kernel, own, stock, native: 0, left: 0 };
    replace(this.#tf, kernelName, own);
    return installed;
  }

  #backend(candidate: object): WasmBackend {
    if (candidate !== this.#known) this.#known = wasmBackend(candidate);
    return this.#known;
  }

  #run(installed: Installed, args: Parameters<KernelFunc>[0]): TensorInfo | TensorInfo[] {
    const { kernel, stock } = installed;
    const out = this.#active || !stock ? this.#compute(kernel, args) : undefined;
    if (out) {
      installed.native++;
      return out;
    }
    if (this.#active) installed.left++;
    if (stock) return stock.kernelFunc(args);
    throw new CgfacError(
      'ERR_CGFAC_TFJS_KERNEL',
      `Expected attributes that the kernel '${kernel.kernelName}' of this package takes but received others`,
    );
  }

  #compute(kernel: NativeKernel, args: Parameters<KernelFunc>[0]): TensorInfo | TensorInfo[] | undefined {
    const call = new Call(this.#tf, args, this.#backend(args.backend as object), this.#thresholds);
    let out: TensorInfo | TensorInfo[] | undefined;
    try {
      out = kernel.compute(call);
      return out;
    } finally {
      call.dispose(out);
    }
  }
}

/** A call, and what other kernels made for it. */
class Call implements KernelCall {
  readonly inputs: KernelCall['inputs'];
  readonly attrs: KernelCall['attrs'];
  readonly backend: WasmBackend;
  readonly thresholds: Thresholds;
  readonly #tf: TfjsKernelRegistry;
  #made: TensorInfo[] | undefined;

  constructor(tf: TfjsKernelRegistry, args: Parameters<KernelFunc>[0], backend: WasmBackend, thresholds: Thresholds) {
    this.#tf = tf;
    this.inputs = args.inputs;
    this.attrs = (args.attrs as KernelCall['attrs'] | undefined) ?? NO_ATTRIBUTES;
    this.backend = backend;
    this.thresholds = thresholds;
  }

  run(name: string, inputs: Readonly<Record<string, TensorInfo>>, attrs: object = NO_ATTRIBUTES): TensorInfo {
    const args = { inputs, backend: this.backend, attrs } as unknown as Parameters<KernelFunc>[0];
    const result = this.#tf.getKernel(name, WASM).kernelFunc(args) as TensorInfo;
    this.#made ??= [];
    this.#made.push(result);
    return result;
  }

  /** Disposes of what was made and is not the output. */
  dispose(out: TensorInfo | TensorInfo[] | undefined): void {
    if (this.#made === undefined) return;
    for (const tensor of this.#made) if (tensor !== out) this.backend.disposeData(tensor.dataId);
  }
}

const NO_ATTRIBUTES: KernelCall['attrs'] = {};

/** The installation that a registered kernel belongs to. */
const installations = new WeakMap<object, Installation>();

/** Whether a kernel of the wasm backend is one of this package. */
export function isInstalled(kernelName: string): boolean {
  return installations.get(tfjsCore.getKernel(kernelName, WASM) ?? {})?.installed === true;
}

/** Registers a kernel in the place of another, without the warning that an overwritten one gives; or none. */
function replace(tf: TfjsKernelRegistry, kernelName: string, config: KernelConfig | undefined): void {
  if (tf.getKernel(kernelName, WASM)) tf.unregisterKernel(kernelName, WASM);
  if (config) tf.registerKernel(config);
}

function requireStock(tf: TfjsKernelRegistry, name: string): void {
  if (typeof tf.getKernel(name, WASM)?.kernelFunc === 'function') return;
  throw new CgfacError(
    'ERR_CGFAC_TFJS_BACKEND',
    `Expected a kernel '${name}' of the TensorFlow.js backend '${WASM}' for installKernels but received none; ` +
      'import @tensorflow/tfjs-backend-wasm first',
  );
}

/**
 * Has this package compute what the wasm backend of TensorFlow.js is slow at, and what it lacks, for every model and
 * every optimizer of the process, until it is undone:
 *
 * 1. the matrix products (`tf.matMul`, `tf.fused.matMul`, dense layers, and the two products of their backward pass):
 *    float32, every transpose, bias, activation and broadcast of batch dimensions;
 * 2. the convolutions of images (`tf.conv2d`, `tf.fused.conv2d`), float32, channels last, with every bias and
 *    activation, and slopes of prelu that are one or one for each filter;
 * 3. the gradients of convolutions in one to three dimensions with respect to kernels and inputs, and of depthwise
 *    ones, without which the backend trains no convolution;
 * 4. the gradients of pooling in two dimensions, by maxima and by averages;
 * 5. `tf.unsortedSegmentSum`, the gradient of `tf.gather`, without which it trains no embedding;
 * 6. `tf.einsum`, by one product;
 * 7. functions of each number (`tf.tanh`, `tf.exp`, `tf.log`, `tf.sigmoid` and their like), float32, within 3 units in
 *    the last place of the exact value;
 * 8. functions of two arrays (`tf.add`, `tf.mul`, `tf.maximum`, `tf.greater`, `tf.logicalAnd` and their like) with
 *    every broadcast, float32 or bool, `tf.where`, `tf.batchNorm`, and `tf.cast` to integers and truth values;
 * 9. sums, means and maxima over axes, float32, where sums go on in float64 after at most 128 numbers;
 * 10. `tf.tile`, `tf.transpose`, `tf.slice`, `tf.split`, `tf.unstack`, `tf.concat`, `tf.stack`, `tf.pad` and
 *     `tf.gather` of float32 and int32;
 * 11. `tf.clone`, and casts to the type that a tensor has already, which share memory instead of copying it.
 *
 * All of it is computed on the memory of the wasm heap itself, nothing is copied; on the JavaScript thread with the
 * help of idle pool threads, with the same bits for any number of them.
 *
 * Left to the stock kernel, where there is one, is what is not of float32, convolutions and gradients of inputs with
 * channels first, what it refuses, and what is small:
 *
 * 1. products below 5·10⁴ flops, 4·10³ where an operand is transposed;
 * 2. convolutions below 5·10⁵ flops, their gradients below 2·10⁴;
 * 3. averages of fewer than 500 inputs;
 * 4. functions and comparisons of fewer than 500 numbers; 3000 for `tf.sigmoid`, `tf.elu`, square roots, broadcasts of
 *    two shapes, `tf.where` and normalisations; 10⁴ for reciprocals; 2·10⁵ for sums and products of one shape or with
 *    a number;
 * 5. reductions and copies of fewer than 128 numbers, reductions over the last axes of fewer than 4000, concatenations
 *    of fewer than 32 runs.
 *
 * What the stock kernel would not compute, or computes wrong, is computed here in any size:
 *
 * 1. a bias of another rank than 1, a slope of prelu for each row, two batch shapes that broadcast to each other, a
 *    bias or a relu after products of several matrices or of a transposed one;
 * 2. a convolution whose padded size is not rounded down, whose windows are apart and leave the last inputs out, or
 *    whose slopes of prelu broadcast over positions; the gradients of convolutions of volumes;
 * 3. the gradient of max pooling, which the stock kernel drops where a window holds nothing positive (of equal maxima
 *    the last has it, as there);
 * 4. a maximum or minimum with NaN, which is NaN;
 * 5. `tf.cast` to truth values, and `tf.where` of them.
 *
 * Call it when `@tensorflow/tfjs-backend-wasm` has been imported, before or after the backend was made the current one.
 * A second call returns what the first one did.
 *
 * @param tf - TensorFlow.js. Default: the `@tensorflow/tfjs-core` that this package finds, which shares its kernels
 * with every copy of it in the process.
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_BACKEND` where the wasm backend was not imported, or has another form than
 * that of version 4; `ERR_CGFAC_INVALID_ARG_TYPE` for a `tf` that is not TensorFlow.js. The kernels throw
 * `ERR_CGFAC_OUT_OF_MEMORY` where the wasm heap cannot grow any more, `ERR_CGFAC_SHAPE_MISMATCH` for tensors that do
 * not fit each other.
 */
export function installKernels(tf: TfjsKernelRegistry = tfjsCore): InstalledKernels {
  return install(tf, THRESHOLDS);
}

/** {@link installKernels} with thresholds of the caller's own. */
export function install(tf: TfjsKernelRegistry, thresholds: Thresholds): InstalledKernels {
  return reading('a module that can be read', 'tf', () => installed(tf, thresholds));
}

function installed(tf: TfjsKernelRegistry, thresholds: Thresholds): InstalledKernels {
  const lacking = functions.find((name) => typeof (tf as Partial<TfjsKernelRegistry> | null)?.[name] !== 'function');
  if (lacking !== undefined) throw typeError(`a module with a function ${lacking}`, 'tf', tf);
  for (const { kernelName, stock } of kernels) if (stock) requireStock(tf, kernelName);
  const found = kernels.map(({ kernelName }) => installations.get(tf.getKernel(kernelName, WASM) ?? {}));
  const before = found.find((installation) => installation !== undefined);
  if (before && found.every((installation) => installation === before)) return before;
  if (tf.getBackend() === WASM) wasmBackend(tf.backend());
  before?.uninstall();
  return new Installation(tf, thresholds);
}
