/**
 * The matrix products of the wasm backend on the package's own threads. A kernel in front of the stock one takes what
 * is worth a native call, on the memory of the wasm heap itself, and hands everything else on.
 */

import type { KernelConfig, KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import * as tfjsCore from '@tensorflow/tfjs-core';
import { CgfacError, typeError } from '../../adapter-kit';
import { computeProduct, type WasmBackend, wasmBackend } from './heap';
import { epilogueOf, PLAIN, productOf, worthwhile } from './product';

/**
 * What {@link installKernels} uses of TensorFlow.js: the module `@tensorflow/tfjs-core`, or `@tensorflow/tfjs`, has it.
 */
export type TfjsKernelRegistry = Pick<
  typeof tfjsCore,
  'backend' | 'getBackend' | 'getKernel' | 'registerKernel' | 'unregisterKernel'
>;

/** What {@link installKernels} has installed. */
export interface InstalledKernels {
  /** Whether products of the wasm backend come here: true until {@link InstalledKernels.uninstall}. */
  readonly installed: boolean;
  /** Products computed by this package since the installation; a batch of matrices counts once. */
  readonly nativeProducts: number;
  /** Products left to the stock kernel since the installation. */
  readonly stockProducts: number;
  /**
   * Puts the stock kernels back. A kernel that was registered over ours meanwhile stays. A second call does nothing.
   */
  uninstall(): void;
}

const WASM = 'wasm';
const names = ['BatchMatMul', '_FusedMatMul'] as const;
const functions = ['backend', 'getBackend', 'getKernel', 'registerKernel', 'unregisterKernel'] as const;

class Installation implements InstalledKernels {
  readonly #tf: TfjsKernelRegistry;
  readonly #pairs: { readonly stock: KernelConfig; readonly own: KernelConfig }[];
  readonly #known = new WeakSet<object>();
  #installed = true;
  #native = 0;
  #stock = 0;

  constructor(tf: TfjsKernelRegistry, stock: readonly KernelConfig[]) {
    this.#tf = tf;
    this.#pairs = stock.map((config) => ({ stock: config, own: this.#configOf(config) }));
    for (const { own } of this.#pairs) replace(tf, own);
    for (const { own } of this.#pairs) installations.set(own, this);
  }

  get installed(): boolean {
    return this.#installed;
  }

  get nativeProducts(): number {
    return this.#native;
  }

  get stockProducts(): number {
    return this.#stock;
  }

  uninstall(): void {
    if (!this.#installed) return;
    this.#installed = false;
    for (const { stock, own } of this.#pairs) {
      if (this.#tf.getKernel(own.kernelName, WASM) === own) replace(this.#tf, stock);
    }
  }

  #configOf(stock: KernelConfig): KernelConfig {
    const setupFunc = (backend: object) => {
      this.#backend(backend);
      stock.setupFunc?.(backend);
    };
    return { ...stock, setupFunc, kernelFunc: (args) => this.#run(stock, args) };
  }

  #backend(candidate: object): WasmBackend {
    if (this.#known.has(candidate)) return candidate as WasmBackend;
    const backend = wasmBackend(candidate);
    this.#known.add(candidate);
    return backend;
  }

  #run(stock: KernelConfig, args: Parameters<KernelFunc>[0]): TensorInfo | TensorInfo[] {
    const { a, b } = args.inputs;
    const { transposeA, transposeB } = args.attrs ?? {};
    const product = this.#installed && a && b ? productOf(a, b, Boolean(transposeA), Boolean(transposeB)) : undefined;
    const epilogue = product && (stock.kernelName === 'BatchMatMul' ? PLAIN : epilogueOf(args, product));
    if (a && b && product && epilogue && worthwhile(product, epilogue)) {
      const out = computeProduct(this.#backend(args.backend as object), a, b, product, epilogue);
      this.#native++;
      return out;
    }
    if (this.#installed) this.#stock++;
    return stock.kernelFunc(args);
  }
}

/** The installation that a registered kernel belongs to. */
const installations = new WeakMap<KernelConfig, Installation>();

/** Registers a kernel in the place of another, without the warning that an overwritten one gives. */
function replace(tf: TfjsKernelRegistry, config: KernelConfig): void {
  if (tf.getKernel(config.kernelName, WASM)) tf.unregisterKernel(config.kernelName, WASM);
  tf.registerKernel(config);
}

function stockKernel(tf: TfjsKernelRegistry, name: string): KernelConfig {
  const config = tf.getKernel(name, WASM);
  if (typeof config?.kernelFunc === 'function') return config;
  throw new CgfacError(
    'ERR_CGFAC_TFJS_BACKEND',
    `Expected a kernel '${name}' of the TensorFlow.js backend '${WASM}' for installKernels but received none; ` +
      'import @tensorflow/tfjs-backend-wasm first',
  );
}

/**
 * Has the matrix products of the TensorFlow.js wasm backend (`tf.matMul`, `tf.fused.matMul`, dense layers, and the two
 * products of their backward pass) computed by this package: float32, every transpose, bias, activation and broadcast
 * of batch dimensions, for every model and every optimizer of the process, until it is undone.
 *
 * A product is computed on the memory of the wasm heap itself, nothing is copied; on the JavaScript thread with the
 * help of idle pool threads, with the same bits for any number of them. Left to the stock kernel is what is small
 * (below 5·10⁴ flops, 4·10³ where an operand is transposed), what is not float32, and what it refuses. What the stock
 * kernel would not compute (a bias of another rank than 1, a slope of prelu for each row, two batch shapes that
 * broadcast to each other) is computed here in any size.
 *
 * Call it when `@tensorflow/tfjs-backend-wasm` has been imported, before or after the backend was made the current one.
 * A second call returns what the first one did.
 *
 * @param tf - TensorFlow.js. Default: the `@tensorflow/tfjs-core` that this package finds, which shares its kernels
 * with every copy of it in the process.
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_BACKEND` where the wasm backend was not imported, or has another form than
 * that of version 4; `ERR_CGFAC_INVALID_ARG_TYPE` for a `tf` that is not TensorFlow.js. The kernels throw
 * `ERR_CGFAC_OUT_OF_MEMORY` where the wasm heap cannot grow any more.
 */
export function installKernels(tf: TfjsKernelRegistry = tfjsCore): InstalledKernels {
  const lacking = functions.find((name) => typeof (tf as Partial<TfjsKernelRegistry> | null)?.[name] !== 'function');
  if (lacking !== undefined) throw typeError(`a module with a function ${lacking}`, 'tf', tf);
  const [before] = names.flatMap((name) => installations.get(stockKernel(tf, name)) ?? []);
  if (before && names.every((name) => installations.get(stockKernel(tf, name)) === before)) return before;
  if (tf.getBackend() === WASM) wasmBackend(tf.backend());
  before?.uninstall();
  return new Installation(
    tf,
    names.map((name) => stockKernel(tf, name)),
  );
}
