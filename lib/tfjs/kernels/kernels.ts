/**
 * The matrix products of the wasm backend on the package's own threads. A kernel in front of the stock one takes what
 * is worth a native call, on the memory of the wasm heap itself, and hands everything else on.
 */

import type { KernelConfig, KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import * as tfjsCore from '@tensorflow/tfjs-core';
import { CgfacError } from '../../base/errors';
import { describe, typeError } from '../../base/validate';
import {
  type Activation,
  type BroadcastNumbers,
  type MatrixProducts,
  matrixProducts,
} from '../../kernels/matrix-products';

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
const activations: readonly Activation[] = ['linear', 'relu', 'relu6', 'prelu', 'leakyrelu', 'sigmoid', 'elu'];

/** Flops from which a product is computed here (docs/decisions/ has the measurements). */
const nativeFlops = { plain: 5e4, transposed: 4e3 } as const;

/** What is used of the wasm backend. */
interface WasmBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } | undefined };
  makeOutput(shape: number[], dtype: 'float32'): TensorInfo;
  disposeData(dataId: object): boolean;
}

/** A product in terms of matrices. */
interface Product
  extends Pick<
    MatrixProducts,
    'pairs' | 'countA' | 'countB' | 'rows' | 'cols' | 'inner' | 'transposeA' | 'transposeB'
  > {
  readonly shape: number[];
}

/** An input for each place of the results, as TensorFlow.js broadcasts it. */
interface BroadcastInput {
  readonly tensor: TensorInfo;
  readonly shape: BroadcastNumbers['shape'];
}

/** What follows a product. */
interface Epilogue {
  readonly bias: BroadcastInput | undefined;
  readonly activation: Activation;
  readonly slope: number;
  readonly slopes: BroadcastInput | undefined;
}

const plain: Epilogue = { bias: undefined, activation: 'linear', slope: 0, slopes: undefined };
const onePair = Uint32Array.of(0, 0);
const size = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

function formError(expected: string, name: string, received: unknown): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_TFJS_BACKEND',
    `Expected ${expected} for ${name} but received ${describe(received)}; this version of cgfac knows @tensorflow/tfjs-backend-wasm 4`,
  );
}

/** The backend, if its heap can be reached in the form that is known here. */
function wasmBackend(candidate: unknown): WasmBackend {
  const backend = candidate as Partial<WasmBackend> | null | undefined;
  if (typeof backend?.makeOutput !== 'function') throw formError('a method makeOutput', 'the wasm backend', backend);
  if (typeof backend.disposeData !== 'function') throw formError('a method disposeData', 'the wasm backend', backend);
  if (typeof backend.dataIdMap?.get !== 'function')
    throw formError('a map dataIdMap', 'the wasm backend', backend.dataIdMap);
  if (!ArrayBuffer.isView(backend.wasm?.HEAPU8))
    throw formError('a Uint8Array wasm.HEAPU8', 'the wasm backend', backend.wasm?.HEAPU8);
  return backend as WasmBackend;
}

/** The shape to which two batch shapes broadcast; undefined where they do not. */
function broadcastShape(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const shape = Array.from({ length: rank }, (_, axis) => {
    const [left, right] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    return left === right || right === 1 ? left : left === 1 ? right : -1;
  });
  return shape.includes(-1) ? undefined : shape;
}

/** For each matrix of a batch shape the index of the one of `own`, which broadcasts to it. */
function matrixIndices(own: readonly number[], shape: readonly number[]): number[] {
  return shape.reduce(
    (indices, extent, axis) => {
      const owned = own[axis - shape.length + own.length] ?? 1;
      return indices.flatMap((index) =>
        Array.from({ length: extent }, (_, i) => index * owned + (owned === 1 ? 0 : i)),
      );
    },
    [0],
  );
}

function pairsOf(a: readonly number[], b: readonly number[], shape: readonly number[]): Uint32Array {
  if (size(shape) === 1) return onePair;
  const right = matrixIndices(b, shape);
  return Uint32Array.from(matrixIndices(a, shape).flatMap((index, at) => [index, right[at] ?? 0]));
}

/** The product of two tensors; undefined where there is nothing to compute, or nothing that can be. */
function productOf(a: TensorInfo, b: TensorInfo, transposeA: boolean, transposeB: boolean): Product | undefined {
  if (a.dtype !== 'float32' || b.dtype !== 'float32' || a.shape.length < 2 || b.shape.length < 2) return undefined;
  const [batchA, batchB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const [rowsA = 0, colsA = 0] = a.shape.slice(-2);
  const [rowsB = 0, colsB = 0] = b.shape.slice(-2);
  const [rows, inner] = transposeA ? [colsA, rowsA] : [rowsA, colsA];
  const [innerB, cols] = transposeB ? [colsB, rowsB] : [rowsB, colsB];
  const batch = broadcastShape(batchA, batchB);
  if (batch === undefined || inner !== innerB || size(batch) * rows * cols * inner === 0) return undefined;
  const pairs = pairsOf(batchA, batchB, batch);
  const [countA, countB] = [size(batchA), size(batchB)];
  return { shape: [...batch, rows, cols], pairs, countA, countB, rows, cols, inner, transposeA, transposeB };
}

/** How a tensor broadcasts to the results; undefined where it does not. */
function broadcastInput(tensor: TensorInfo, { pairs, rows, cols }: Product): BroadcastInput | undefined {
  const [batch = 1, height = 1, width = 1] = [
    ...Array<number>(Math.max(0, 3 - tensor.shape.length)).fill(1),
    ...tensor.shape,
  ];
  const fits = (own: number, extent: number) => own === 1 || own === extent;
  if (tensor.dtype !== 'float32' || tensor.shape.length > 3) return undefined;
  if (!fits(batch, pairs.length / 2) || !fits(height, rows) || !fits(width, cols)) return undefined;
  return { tensor, shape: [batch, height, width] };
}

/** What a fused product asks for after the product; undefined where it cannot be done here. */
function epilogueOf(args: Parameters<KernelFunc>[0], product: Product): Epilogue | undefined {
  const { bias, preluActivationWeights: weights } = args.inputs as Readonly<
    Record<string, TensorInfo | null | undefined>
  >;
  const activation = activations.find((candidate) => candidate === args.attrs?.activation);
  // beyond rank 3 a bias is not made for the tensor that the kernel gets
  if (activation === undefined || product.shape.length > 3) return undefined;
  const ownBias = bias ? broadcastInput(bias, product) : undefined;
  const slopes = activation === 'prelu' && weights ? broadcastInput(weights, product) : undefined;
  if ((bias && !ownBias) || (activation === 'prelu' && !slopes)) return undefined;
  return { bias: ownBias, activation, slope: Number(args.attrs?.leakyreluAlpha ?? 0), slopes };
}

const perColumn = (input: BroadcastInput | undefined): boolean =>
  input === undefined || input.shape[0] * input.shape[1] === 1;

/**
 * Whether the stock kernel computes this: it takes matrix p modulo their number (wrong where two batch shapes broadcast
 * to each other), a bias for each column, and one slope or one for each column.
 */
function stockComputes({ pairs, countA, countB, cols }: Product, { bias, slopes }: Epilogue): boolean {
  const inTurns = pairs.every((index, at) => index === (at >> 1) % (at % 2 === 0 ? countA : countB));
  const ownBias = bias === undefined || (bias.tensor.shape.length === 1 && bias.shape[2] === cols);
  return inTurns && ownBias && perColumn(slopes);
}

/** Several A with one B are one product with the rows of all of them. */
function stacked(product: Product, { bias, slopes }: Epilogue): Product {
  const { countA, countB, transposeA, rows } = product;
  if (countA === 1 || countB > 1 || transposeA || !perColumn(bias) || !perColumn(slopes)) return product;
  return { ...product, pairs: onePair, countA: 1, rows: countA * rows };
}

/** Computes on the wasm heap, and returns the output. */
function compute(backend: WasmBackend, a: TensorInfo, b: TensorInfo, product: Product, epilogue: Epilogue): TensorInfo {
  const offset = ({ dataId }: TensorInfo): number => {
    const data = backend.dataIdMap.get(dataId);
    if (typeof data?.memoryOffset !== 'number')
      throw formError('a number memoryOffset', 'a tensor of the wasm backend', data?.memoryOffset);
    return data.memoryOffset;
  };
  const place = (tensor: TensorInfo) => ({ start: offset(tensor), length: size(tensor.shape) });
  const placeOf = (input: BroadcastInput | undefined) => input && { ...place(input.tensor), shape: input.shape };
  // Each of these may make the heap grow: a tensor of another backend is moved here when it is first looked up.
  const [atA, atB, atBias, atSlopes] = [place(a), place(b), placeOf(epilogue.bias), placeOf(epilogue.slopes)];
  const out = backend.makeOutput([...product.shape], 'float32');
  try {
    const atOut = place(out);
    if (atOut.start === 0) {
      throw new CgfacError(
        'ERR_CGFAC_OUT_OF_MEMORY',
        `Expected memory of the wasm heap for a product of shape ${product.shape} but received none`,
      );
    }
    // from here on nothing allocates there, so the buffer stays what it is
    const heap = backend.wasm.HEAPU8.buffer;
    const values = ({ start, length }: ReturnType<typeof place>) => new Float32Array(heap, start, length);
    const { shape: _, ...matrices } = stacked(product, epilogue);
    matrixProducts({
      ...matrices,
      a: values(atA),
      b: values(atB),
      out: values(atOut),
      bias: atBias && { values: values(atBias), shape: atBias.shape },
      activation: epilogue.activation,
      slope: epilogue.slope,
      slopes: atSlopes && { values: values(atSlopes), shape: atSlopes.shape },
    });
    return out;
  } catch (error) {
    backend.disposeData(out.dataId);
    throw error;
  }
}

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
    const epilogue = product && (stock.kernelName === 'BatchMatMul' ? plain : epilogueOf(args, product));
    if (a && b && product && epilogue && worthwhile(product, epilogue)) {
      const out = compute(this.#backend(args.backend as object), a, b, product, epilogue);
      this.#native++;
      return out;
    }
    if (this.#installed) this.#stock++;
    return stock.kernelFunc(args);
  }
}

function worthwhile(product: Product, epilogue: Epilogue): boolean {
  const flops = 2 * size(product.shape) * product.inner;
  const least = product.transposeA || product.transposeB ? nativeFlops.transposed : nativeFlops.plain;
  return flops >= least || !stockComputes(product, epilogue);
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
    `Expected a kernel '${name}' of the TensorFlow.js backend '${WASM}' for installKernels but received none; import @tensorflow/tfjs-backend-wasm first`,
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
