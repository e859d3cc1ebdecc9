/** The matrix products of a training step, and the time that they take by sgemm alone: its floor. */
import type { KernelConfig, TensorInfo } from '@tensorflow/tfjs-core';
import { benchAddon } from '../../../harness/floor';
import { median, timer } from '../../../harness/measure';

type Tfjs = typeof import('@tensorflow/tfjs-core');

/** (rows × inner) times (inner × columns), so many times; a convolution is that of its patches. */
export interface Product {
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  /** Whether it is the gradient of a kernel: a sum over rows of data. */
  readonly ofKernel: boolean;
}

const size = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);
const keyOf = ({ rows, inner, columns, ofKernel }: Product) =>
  `${rows}x${inner}x${columns}${ofKernel ? ' kernel' : ''}`;

type Inputs = Readonly<Record<string, TensorInfo>>;
type Attributes = Readonly<Record<string, unknown>>;

/** Stacks of matrices are as many products, those with one matrix on the right one product of all rows. */
function matrixProducts({ a, b }: Inputs, { transposeA, transposeB }: Attributes): Product[] {
  if (!a || !b) return [];
  const [stackA, stackB] = [size(a.shape.slice(0, -2)), size(b.shape.slice(0, -2))];
  const [height = 0, width = 0] = a.shape.slice(-2);
  const [rows, inner] = transposeA === true ? [width, height] : [height, width];
  const columns = b.shape.at(transposeB === true ? -2 : -1) ?? 0;
  const ofKernel = transposeA === true;
  if (stackB === 1 && !ofKernel) return [{ rows: stackA * rows, inner, columns, ofKernel }];
  return Array.from({ length: Math.max(stackA, stackB) }, () => ({ rows, inner, columns, ofKernel }));
}

/** A convolution of images is a product of patches: (places × patch) times (patch × filters). */
function convolution(filter: readonly number[], places: number, which: 'output' | 'input' | 'kernel'): Product[] {
  const filters = filter.at(-1) ?? 1;
  const patch = size(filter) / filters;
  if (which === 'kernel') return [{ rows: patch, inner: places, columns: filters, ofKernel: true }];
  const [inner, columns] = which === 'output' ? [patch, filters] : [filters, patch];
  return [{ rows: places, inner, columns, ofKernel: false }];
}

/** What a call of a kernel multiplies, by the kernel's name. */
const multiplied: Readonly<Record<string, (inputs: Inputs, attributes: Attributes, output: TensorInfo) => Product[]>> =
  {
    BatchMatMul: matrixProducts,
    _FusedMatMul: matrixProducts,
    Conv2D: ({ filter }, _, { shape }) => convolution(filter?.shape ?? [], size(shape.slice(0, -1)), 'output'),
    FusedConv2D: ({ filter }, _, { shape }) => convolution(filter?.shape ?? [], size(shape.slice(0, -1)), 'output'),
    Conv2DBackpropInput: ({ dy, filter }) =>
      convolution(filter?.shape ?? [], size((dy?.shape ?? []).slice(0, -1)), 'input'),
    Conv2DBackpropFilter: ({ dy }, _, { shape }) => convolution(shape, size((dy?.shape ?? []).slice(0, -1)), 'kernel'),
  };

/** Calls `step` and notes the products that the kernels of the wasm backend are asked for meanwhile. */
export async function productsDuring(tf: Tfjs, step: () => Promise<unknown>): Promise<Product[]> {
  const found: Product[] = [];
  const before = Object.entries(multiplied).flatMap(([name, productsOf]) => {
    const own = tf.getKernel(name, 'wasm');
    if (own === undefined) return [];
    const noting: KernelConfig = {
      ...own,
      kernelFunc: (call) => {
        const output = own.kernelFunc(call);
        found.push(...productsOf(call.inputs as Inputs, (call.attrs ?? {}) as Attributes, output as TensorInfo));
        return output;
      },
    };
    return [{ name, own, noting }];
  });
  const replace = (name: string, kernel: KernelConfig) => {
    tf.unregisterKernel(name, 'wasm');
    tf.registerKernel(kernel);
  };
  for (const { name, noting } of before) replace(name, noting);
  try {
    await step();
  } finally {
    for (const { name, own } of before) replace(name, own);
  }
  return found;
}

/** Of each product as many as the list with more of them has. */
function union(a: readonly Product[], b: readonly Product[]): Product[] {
  const left = new Map<string, number>();
  for (const product of a) left.set(keyOf(product), (left.get(keyOf(product)) ?? 0) + 1);
  const more = b.filter((product) => {
    const count = left.get(keyOf(product)) ?? 0;
    left.set(keyOf(product), count - 1);
    return count <= 0;
  });
  return [...a, ...more];
}

/**
 * The products that a step of cgfac() cannot do without: those of a step of Adam, whose gradients of kernels it makes
 * itself, and those of kernels among its own; and with one length for each layer what each direction makes of the
 * sampled rows, half of them. Products of a backward pass in arrays, which no kernel makes, are left out: the floor of
 * a step that samples is below what it cannot do without.
 */
export function ownProducts(adam: readonly Product[], cgfac: readonly Product[], soft: boolean): Product[] {
  const along = adam.filter(({ ofKernel }) => soft && ofKernel);
  return [
    ...union(adam, cgfac),
    ...along.map(({ rows, inner, columns }) => ({ rows: inner / 2, inner: rows, columns, ofKernel: false })),
  ];
}

/** 10⁹ operations of products. */
export const gigaflops = (products: readonly Product[]): number =>
  products.reduce((sum, { rows, inner, columns }) => sum + (2 * rows * inner * columns) / 1e9, 0);

/** Memory that the matrices of products lie in, which turns so that none is there from the product before. */
class Matrices {
  readonly #memory: Float32Array;
  #at = 0;

  constructor(largest: number) {
    this.#memory = new Float32Array(8 * largest).map((_, place) => Math.sin(place));
  }

  take(numbers: number): Float32Array {
    if (this.#at + numbers > this.#memory.length) this.#at = 0;
    const taken = this.#memory.subarray(this.#at, this.#at + numbers);
    this.#at += numbers;
    return taken;
  }
}

const TURNS = 5;

/** Computes all of the products, each over the split that is fastest here of those that `threads` can use. */
export function floorOf(products: readonly Product[], threads: number): () => void {
  const addon = benchAddon();
  addon.setThreads(threads);
  const sizes = products.flatMap(({ rows, inner, columns }) => [rows * inner, inner * columns, rows * columns]);
  const matrices = new Matrices(Math.max(...sizes));
  const run = ({ rows, inner, columns }: Product, blocks: number) => {
    const [a, b] = [matrices.take(rows * inner), matrices.take(inner * columns)];
    addon.product(a, b, matrices.take(rows * columns), rows, inner, columns, blocks);
  };
  const best = new Map<string, number>();
  for (const product of products) {
    if (best.has(keyOf(product))) continue;
    const splits = [...new Set([1, threads, 2 * threads, 4 * threads])];
    const times = splits.map((blocks) => {
      const { time } = timer(() => run(product, blocks));
      return median(Array.from({ length: TURNS }, (_, turn) => time(turn)));
    });
    best.set(keyOf(product), splits[times.indexOf(Math.min(...times))] ?? 1);
  }
  return () => {
    for (const product of products) run(product, best.get(keyOf(product)) ?? 1);
  };
}
