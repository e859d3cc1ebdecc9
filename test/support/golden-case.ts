import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WeightVector } from 'cgfac';

/** Where an array of a golden case stands, and what it is. */
export interface GoldenArray {
  readonly name: string;
  readonly dtype: 'float32' | 'float64' | 'int32';
  readonly shape: readonly number[];
  readonly offset: number;
}

interface Manifest {
  readonly batch: number;
  readonly fisherRows: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
  readonly dampings: readonly number[];
  readonly arrays: readonly GoldenArray[];
}

/** The names of all golden cases of test/golden. */
export const goldenNames = [
  'one-sample',
  'tiny',
  'wide-batch',
  'input-covariance',
  'output-covariance',
  'fewer-fisher-rows',
  'low-rank',
  'odd',
  'rank-one-input',
  'real-encoder-layer',
];

/** A manifest, and the arrays that it names: NAME.json and NAME.bin of test/golden, or of test/golden/kinds. */
export class GoldenFile<M extends { readonly arrays: readonly GoldenArray[] }> {
  readonly manifest: M;
  readonly #bytes: Buffer;

  /** @param name - Where it is beneath test/golden. */
  constructor(readonly name: string) {
    const path = join(__dirname, '../golden', name);
    this.manifest = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as M;
    this.#bytes = readFileSync(`${path}.bin`);
  }

  has(name: string): boolean {
    return this.manifest.arrays.some((entry) => entry.name === name);
  }

  float32(name: string): Float32Array {
    const { start, size } = this.#locate(name, 'float32');
    return Float32Array.from({ length: size }, (_, i) => this.#bytes.readFloatLE(start + 4 * i));
  }

  float64(name: string): Float64Array {
    const { start, size } = this.#locate(name, 'float64');
    return Float64Array.from({ length: size }, (_, i) => this.#bytes.readDoubleLE(start + 8 * i));
  }

  int32(name: string): Int32Array {
    const { start, size } = this.#locate(name, 'int32');
    return Int32Array.from({ length: size }, (_, i) => this.#bytes.readInt32LE(start + 4 * i));
  }

  /** The extents of an array. */
  shape(name: string): readonly number[] {
    return this.#entry(name).shape;
  }

  #entry(name: string): GoldenArray {
    const entry = this.manifest.arrays.find((candidate) => candidate.name === name);
    if (entry === undefined) throw new Error(`no array ${name} in ${this.name}`);
    return entry;
  }

  #locate(name: string, dtype: GoldenArray['dtype']) {
    const entry = this.#entry(name);
    if (entry.dtype !== dtype) throw new Error(`no ${dtype} array ${name} in ${this.name}`);
    return { start: entry.offset, size: entry.shape.reduce((product, extent) => product * extent, 1) };
  }
}

/** One golden case: float32 inputs and the float64 results of independent code (test/golden/generate.py). */
export class GoldenCase extends GoldenFile<Manifest> {
  /** The layer's options but for the damping. */
  get layer() {
    const { inFeatures, outFeatures, bias } = this.manifest;
    return { inFeatures, outFeatures, bias, lossReduction: 'sum' } as const;
  }

  /** The rows as `record` and `FisherOperator` take them. */
  get rows() {
    const { batch, fisherRows } = this.manifest;
    return { inputs: this.float32('inputs'), outputGrads: this.float32('outputGrads'), batch, fisherRows };
  }

  /** A float32 m × n array as a vector of the public face: with a bias its last column is taken apart. */
  vector(name: string): WeightVector {
    const matrix = this.float32(name);
    const { inFeatures, outFeatures, bias } = this.manifest;
    if (!bias) return matrix;
    const n = inFeatures + 1;
    return {
      kernel: Float32Array.from({ length: outFeatures * inFeatures }, (_, i) =>
        at(matrix, Math.floor(i / inFeatures) * n + (i % inFeatures)),
      ),
      bias: Float32Array.from({ length: outFeatures }, (_, i) => at(matrix, i * n + inFeatures)),
    };
  }
}

/** The element at an index that is known to exist. */
export function at(array: ArrayLike<number>, index: number): number {
  const value = array[index];
  if (value === undefined) throw new RangeError(`index ${index} of ${array.length}`);
  return value;
}

/** A vector of the public face as one m × n matrix, the bias its last column, in 'out-in' order. */
export function matrixOf(x: WeightVector, outFeatures: number, layout: 'out-in' | 'in-out' = 'out-in'): Float64Array {
  const kernel = x instanceof Float32Array ? x : x.kernel;
  const bias = x instanceof Float32Array ? undefined : x.bias;
  const inFeatures = kernel.length / outFeatures;
  const n = inFeatures + (bias ? 1 : 0);
  const matrix = new Float64Array(outFeatures * n);
  for (let i = 0; i < outFeatures; i++) {
    for (let j = 0; j < inFeatures; j++) {
      matrix[i * n + j] = at(kernel, layout === 'out-in' ? i * inFeatures + j : j * outFeatures + i);
    }
    if (bias) matrix[i * n + inFeatures] = at(bias, i);
  }
  return matrix;
}

/** ⟨x, y⟩ in float64. */
export function dot(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += at(x, i) * at(y, i);
  return sum;
}

/** ‖x − y‖/‖y‖, in float64. */
export function relativeError(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let difference = 0;
  for (let i = 0; i < x.length; i++) difference += (at(x, i) - at(y, i)) ** 2;
  return Math.sqrt(difference / dot(y, y));
}
