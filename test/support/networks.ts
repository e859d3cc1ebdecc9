/** Networks of a few dense layers with random rows, and what a step should be, by naive loops in float64. */
import { type KernelLayout, Preconditioner, type PreconditionerOptions, type WeightVector } from 'cgfac';
import { at } from './golden-case';
import { arraysOf, randomNumbers, transposed } from './layers';

/** A layer of a test network. */
export interface TestLayer {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
  readonly kernelLayout: KernelLayout;
}

/** One batch of one layer; `sampled` makes the output factor. Gradients are those of each sample's own loss. */
export interface TestRows {
  readonly inputs: Float32Array;
  readonly lossGrads: Float32Array;
  readonly sampled: Float32Array;
  readonly batch: number;
  /** Samples of `sampled`. */
  readonly sampledBatch: number;
}

/** Every way to precondition a network. */
export const methods = {
  'factored, no history': { factorHistory: 'none' },
  'factored, panels': { factorHistory: 'panel' },
  'factored, panels of rank 4': { factorHistory: 'panel', rank: 4, panelRows: 3 },
  'factored, dense': { factorHistory: 'dense' },
  'exact, Tikhonov': { method: 'exact', dampingMode: 'tikhonov' },
  cg: { method: 'cg' },
  kfac: { method: 'kfac' },
  'kfac, factored': { method: 'kfac', dampingMode: 'factored' },
  auto: { method: 'auto' },
} as const satisfies Record<string, Partial<PreconditionerOptions>>;

/** The name of one of the methods. */
export type MethodName = keyof typeof methods;
/** The names of all methods, in order. */
export const methodNames = Object.keys(methods) as MethodName[];

/** Both layouts, with and without a bias. */
export const layers: readonly TestLayer[] = [
  { name: 'first', inFeatures: 7, outFeatures: 5, bias: true, kernelLayout: 'out-in' },
  { name: 'second', inFeatures: 5, outFeatures: 9, bias: false, kernelLayout: 'in-out' },
  { name: 'third', inFeatures: 9, outFeatures: 3, bias: true, kernelLayout: 'in-out' },
];

/** Rows of every layer for a step. */
export function rowsOf(
  step: number,
  batch = 12,
  sampledRows = batch,
  of: readonly TestLayer[] = layers,
): Map<string, TestRows> {
  return new Map(
    of.map(({ name, inFeatures, outFeatures }, index) => {
      const seed = 1000 * step + 10 * index + 1;
      const rows = {
        inputs: randomNumbers(batch * inFeatures, seed),
        lossGrads: randomNumbers(batch * outFeatures, seed + 1),
        sampled: randomNumbers(sampledRows * outFeatures, seed + 2),
        batch,
        sampledBatch: sampledRows,
      };
      return [name, rows];
    }),
  );
}

/** A preconditioner of the layers. */
export function network(
  options: Partial<PreconditionerOptions> = {},
  weights?: Readonly<Record<string, WeightVector>>,
  of: readonly TestLayer[] = layers,
): Preconditioner {
  const preconditioner = new Preconditioner({ lossReduction: 'sum', ...options });
  for (const { name, ...shape } of of) {
    const own = weights?.[name];
    preconditioner.registerDense(name, own === undefined ? shape : { ...shape, weights: own });
  }
  return preconditioner;
}

/** Records a batch, the sampled gradients where `fisher` says so. */
export function record(preconditioner: Preconditioner, rows: ReadonlyMap<string, TestRows>, fisher = true): void {
  for (const [name, { inputs, lossGrads, sampled, batch, sampledBatch }] of rows) {
    preconditioner.record(name, { inputs, lossGrads, batch });
    if (fisher) preconditioner.recordFisher(name, { outputGrads: sampled, batch: sampledBatch });
  }
}

/** One vector in the form of each layer. */
export function vectors(
  fill: (length: number, index: number) => Float32Array,
  of: readonly TestLayer[] = layers,
): Record<string, WeightVector> {
  return Object.fromEntries(
    of.map(({ name, inFeatures, outFeatures, bias }, index) => {
      const kernel = fill(inFeatures * outFeatures, 2 * index);
      return [name, bias ? { kernel, bias: fill(outFeatures, 2 * index + 1) } : kernel];
    }),
  );
}

/** Weights of every layer, the same for the same seed. */
export function randomWeights(seed: number): Record<string, WeightVector> {
  return vectors((length, index) => randomNumbers(length, seed + index));
}

/** lossGradsᵀ [inputs 1]/batch of every layer, summed in float64, in the layer's layout. */
export function gradientsOf(
  rows: ReadonlyMap<string, TestRows>,
  of: readonly TestLayer[] = layers,
): Record<string, WeightVector> {
  return Object.fromEntries(
    of.flatMap((layer) => {
      const found = rows.get(layer.name);
      return found ? [[layer.name, gradientOf(layer, found)]] : [];
    }),
  );
}

function gradientOf(
  { inFeatures, outFeatures, bias, kernelLayout }: TestLayer,
  { inputs, lossGrads, batch }: TestRows,
): WeightVector {
  const kernel = new Float64Array(outFeatures * inFeatures);
  const sums = new Float64Array(outFeatures);
  const count = inputs.length / inFeatures;
  for (let row = 0; row < count; row++) {
    for (let i = 0; i < outFeatures; i++) {
      const g = at(lossGrads, row * outFeatures + i) / batch;
      sums[i] = at(sums, i) + g;
      for (let j = 0; j < inFeatures; j++)
        kernel[i * inFeatures + j] = at(kernel, i * inFeatures + j) + g * at(inputs, row * inFeatures + j);
    }
  }
  const v: WeightVector = bias
    ? { kernel: Float32Array.from(kernel), bias: Float32Array.from(sums) }
    : Float32Array.from(kernel);
  return kernelLayout === 'out-in' ? v : transposed(v, outFeatures, 'out-in');
}

/** All numbers of all layers, in order. */
export function numbersOf(vectorsByName: Readonly<Record<string, WeightVector>>): Float64Array {
  return Float64Array.from(
    Object.values(vectorsByName).flatMap((vector) => arraysOf(vector).flatMap((array) => [...array])),
  );
}

/** A copy in arrays of its own. */
export function copyOf(vectorsByName: Readonly<Record<string, WeightVector>>): Record<string, WeightVector> {
  const copy = (vector: WeightVector): WeightVector =>
    vector instanceof Float32Array ? vector.slice() : { kernel: vector.kernel.slice(), bias: vector.bias.slice() };
  return Object.fromEntries(Object.entries(vectorsByName).map(([name, vector]) => [name, copy(vector)]));
}

/** m × n, the bias as last column. */
type Matrix = readonly (readonly number[])[];

/** The vector as rows of [kernel bias]. */
export function matrixOf(vector: WeightVector, { inFeatures, outFeatures, kernelLayout }: TestLayer): Matrix {
  const [kernel = new Float32Array(), bias] = arraysOf(vector);
  return Array.from({ length: outFeatures }, (_, i) => {
    const row = Array.from({ length: inFeatures }, (__, j) =>
      at(kernel, kernelLayout === 'out-in' ? i * inFeatures + j : j * outFeatures + i),
    );
    return bias ? [...row, at(bias, i)] : row;
  });
}

/** scale · RᵀR of rows in order, with a last coordinate of 1 where `homogeneous`. */
export function factorOf(rows: Float32Array, features: number, scale: number, homogeneous: boolean): number[][] {
  const count = rows.length / features;
  const d = features + (homogeneous ? 1 : 0);
  const element = (row: number, j: number) => (j < features ? at(rows, row * features + j) : 1);
  return Array.from({ length: d }, (_, i) =>
    Array.from({ length: d }, (__, j) => {
      let sum = 0;
      for (let row = 0; row < count; row++) sum += element(row, i) * element(row, j);
      return scale * sum;
    }),
  );
}

/** M⁻¹ by elimination with pivoting. */
export function inverse(matrix: Matrix): number[][] {
  const d = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...Array.from({ length: d }, (_, j) => (i === j ? 1 : 0))]);
  const cell = (i: number, j: number) => rows[i]?.[j] ?? Number.NaN;
  for (let k = 0; k < d; k++) {
    let pivot = k;
    for (let i = k + 1; i < d; i++) if (Math.abs(cell(i, k)) > Math.abs(cell(pivot, k))) pivot = i;
    [rows[k], rows[pivot]] = [rows[pivot] ?? [], rows[k] ?? []];
    const top = (rows[k] ?? []).map((value) => value / cell(k, k));
    rows[k] = top;
    for (let i = 0; i < d; i++) {
      const factor = cell(i, k);
      if (i !== k) rows[i] = (rows[i] ?? []).map((value, j) => value - factor * (top[j] ?? 0));
    }
  }
  return rows.map((row) => row.slice(d));
}

/** A product of matrices. */
export function product(a: Matrix, b: Matrix): number[][] {
  return a.map((row) =>
    Array.from({ length: b[0]?.length ?? 0 }, (_, j) =>
      row.reduce((sum, value, k) => sum + value * (b[k]?.[j] ?? 0), 0),
    ),
  );
}

/** M + γI, of a square matrix. */
export function shifted(matrix: Matrix, gamma: number): number[][] {
  return matrix.map((row, i) => row.map((value, j) => (i === j ? value + gamma : value)));
}

/** tr M, the sum of the diagonal. */
export function trace(matrix: Matrix): number {
  return matrix.reduce((sum, row, i) => sum + (row[i] ?? 0), 0);
}

/** Σ of products of equal elements. */
export function inner(a: Matrix, b: Matrix): number {
  return a.reduce((sum, row, i) => sum + row.reduce((part, value, j) => part + value * (b[i]?.[j] ?? 0), 0), 0);
}

/** x = (G + γ_G I)⁻¹ v (A + γ_A I)⁻¹ with γ's of relative damping, for the factors given. */
export function factoredDirection(v: Matrix, a: Matrix, g: Matrix, relative: number): number[][] {
  const damped = (factor: Matrix) => inverse(shifted(factor, (relative * trace(factor)) / factor.length));
  return product(product(damped(g), v), damped(a));
}
