/**
 * What the directions of layers of every kind should be, in float64, from the rows that their definitions make
 * (docs/math.md §12) and naive loops: the layers are those of kind-layers.ts.
 */
import { eigen, type Matrix, norm, product, times, transposed } from './dense-matrices';
import { at } from './golden-case';
import { C, CHANNELS, eachTap, filters, type KindRows, OH, OW, ROWS, WIDTH } from './kind-layers';

/** The rows a and g of a block of a layer, as many of each, and which rows of its m × n weights the block has. */
interface BlockRows {
  readonly a: Matrix;
  readonly g: Matrix;
  readonly first: number;
}

/** γ_A and γ_G; 0 of a side that is 1. */
interface Gammas {
  readonly input: number;
  readonly output: number;
}

/** A damping, as a network has it. */
export type NetworkDamping = number | { readonly relative: number };

const windows = OH * OW;
const taps = 6;

const table = (numbers: ArrayLike<number>, width: number): Matrix =>
  Array.from({ length: numbers.length / width }, (_, i) =>
    Float64Array.from({ length: width }, (__, j) => at(numbers, i * width + j)),
  );
const columns = (matrix: Matrix, first: number, count: number): Matrix =>
  matrix.map((values) => values.slice(first, first + count));
const withOnes = (matrix: Matrix): Matrix => matrix.map((values) => Float64Array.from([...values, 1]));

/** What the windows of all samples see: of each a row of taps × channels numbers. */
function patches(numbers: ArrayLike<number>): Matrix {
  const size = 5 * 4 * C;
  return Array.from({ length: numbers.length / size }, (_, sample) => {
    const rows = Array.from({ length: windows }, () => new Float64Array(taps * C));
    eachTap((place, tap, window) => {
      for (let c = 0; c < C; c++) {
        const row = rows[window];
        if (row !== undefined) row[tap * C + c] = at(numbers, sample * size + place * C + c);
      }
    });
    return rows;
  }).flat();
}

/** The blocks of a layer by its name, of rows of inputs and of gradients. */
const blocksOf: Readonly<
  Record<string, (inputs: ArrayLike<number>, grads: ArrayLike<number>) => readonly BlockRows[]>
> = {
  conv2d: (inputs, grads) => [{ a: withOnes(patches(inputs)), g: table(grads, filters), first: 0 }],
  conv2dTranspose: (inputs, grads) => [{ a: table(inputs, filters), g: patches(grads), first: 0 }],
  depthwiseConv2d: (inputs, grads) =>
    Array.from({ length: C }, (_, c) => ({
      a: withOnes(patches(inputs).map((values) => values.filter((__, i) => i % C === c))),
      g: columns(table(grads, 2 * C), 2 * c, 2),
      first: 2 * c,
    })),
  embedding: (ids, grads) => [
    {
      a: Array.from({ length: ids.length }, (_, i) => new Float64Array(9).fill(1, at(ids, i), at(ids, i) + 1)),
      g: table(grads, WIDTH),
      first: 0,
    },
  ],
  scaleShift: (inputs, grads) =>
    Array.from({ length: CHANNELS }, (_, c) => ({
      a: withOnes(columns(table(inputs, CHANNELS), c, 1)),
      g: columns(table(grads, CHANNELS), c, 1),
      first: c,
    })),
  diagonal: (_, grads) => {
    const g = table(grads, 7);
    return [{ a: g.map(() => Float64Array.of(1)), g, first: 0 }];
  },
};

/** The names of the layers that there is an oracle of. */
export const oracleNames = Object.keys(blocksOf);

/** A factor as it is averaged, its eigenvalues, and its trace over its dimension. */
interface Side {
  readonly values: readonly number[];
  readonly vectors: Matrix;
  readonly mean: number;
}

const one: Side = { values: [1], vectors: [Float64Array.of(1)], mean: 1 };

function side(rows: Matrix, scale: number, diagonal = false): Side {
  const full = times(scale, product(transposed(rows), rows));
  const matrix = diagonal ? full.map((values, i) => values.map((value, j) => (i === j ? value : 0))) : full;
  const { values, vectors } = eigen(matrix);
  const positive = values.map((value) => Math.max(value, 0));
  return { values: positive, vectors, mean: positive.reduce((sum, value) => sum + value, 0) / values.length };
}

/** Both factors of a block. */
function sidesOf(name: string, { a, g }: BlockRows, batch: number): { readonly a: Side; readonly g: Side } {
  if (name === 'diagonal') return { a: one, g: side(g, 1 / batch, true) };
  if (name !== 'scaleShift') return { a: side(a, 1 / batch, name === 'embedding'), g: side(g, 1 / g.length) };
  // u_b = (Σ g x̂, Σ g) over the rows of a sample
  const u = Array.from({ length: batch }, (_, b) => {
    const sums = new Float64Array(2);
    for (let row = b * ROWS; row < (b + 1) * ROWS; row++)
      a[row]?.forEach((value, j) => {
        sums[j] = at(sums, j) + value * at(g[row] ?? [], 0);
      });
    return sums;
  });
  return { a: side(u, 1 / batch), g: one };
}

/** A layer's factors for directions of any gradient and damping. */
export class KindOracle {
  readonly #blocks: readonly { readonly a: Side; readonly g: Side; readonly rows: BlockRows }[];
  readonly #mean: { readonly a: number; readonly g: number };

  constructor(
    readonly name: string,
    readonly rows: KindRows,
  ) {
    const made = blocksOf[name]?.(rows.inputs, rows.outputGrads) ?? [];
    this.#blocks = made.map((block) => ({ ...sidesOf(name, block, rows.batch), rows: block }));
    const mean = (of: (block: { readonly a: Side; readonly g: Side }) => number) =>
      this.#blocks.reduce((sum, block) => sum + of(block), 0) / this.#blocks.length;
    this.#mean = { a: mean(({ a }) => a.mean), g: mean(({ g }) => g.mean) };
  }

  /** The least trace of any factor. */
  get leastTrace(): number {
    return Math.min(...this.#blocks.flatMap(({ a, g }) => [a.mean * a.values.length, g.mean * g.values.length]));
  }

  /** The rows' own gradient Σ g [a 1]ᵀ/B as m × n. */
  gradient(): Matrix {
    const blocks = blocksOf[this.name]?.(this.rows.inputs, this.rows.lossGrads) ?? [];
    return blocks.flatMap(({ a, g }) => times(1 / this.rows.batch, product(transposed(g), a)));
  }

  /** How much larger than the gradient the sum of the sizes of its terms is. */
  cancellation(): number {
    const blocks = blocksOf[this.name]?.(this.rows.inputs, this.rows.lossGrads) ?? [];
    const sizes = (matrix: Matrix) => matrix.map((values) => values.map(Math.abs));
    const sums = blocks.flatMap(({ a, g }) => times(1 / this.rows.batch, product(transposed(sizes(g)), sizes(a))));
    return norm(sums) / norm(this.gradient());
  }

  /** The direction of a gradient, and the condition of the worst block. */
  direction(v: Matrix, damping: NetworkDamping): { readonly x: Matrix; readonly condition: number } {
    let condition = 1;
    const x = this.#blocks.flatMap(({ a, g, rows: { first } }) => {
      const { input, output } = this.#gammas(a, g, damping);
      const [worstA, worstG] = [
        input === 0 ? 1 : 1 + at(a.values, 0) / input,
        output === 0 ? 1 : 1 + at(g.values, 0) / output,
      ];
      condition = Math.max(condition, worstA * worstG);
      const part = v.slice(first, first + g.vectors.length);
      const c = product(product(g.vectors, part), transposed(a.vectors)).map((values, i) =>
        values.map((value, j) => value / ((at(g.values, i) + output) * (at(a.values, j) + input))),
      );
      return product(product(transposed(g.vectors), c), a.vectors);
    });
    return { x, condition };
  }

  #gammas(a: Side, g: Side, damping: NetworkDamping): Gammas {
    const mean = this.#mean;
    const relative = typeof damping === 'number' ? undefined : damping.relative;
    const value = typeof damping === 'number' ? damping : damping.relative;
    if (this.name === 'diagonal') return { input: 0, output: relative === undefined ? value : value * mean.g };
    if (this.name === 'scaleShift') return { input: relative === undefined ? value : value ** 2 * mean.a, output: 0 };
    if (relative === undefined) {
      const pi = Math.sqrt(mean.a / mean.g);
      return { input: pi * Math.sqrt(value), output: Math.sqrt(value) / pi };
    }
    const least = 0.01; // of the mean over the channels
    return { input: value * Math.max(a.mean, least * mean.a), output: value * Math.max(g.mean, least * mean.g) };
  }
}

/** How the kernel of a layer lies: whether an input's weights lie together, as m × n has those of an output. */
const inputFirst = (name: string) => name !== 'conv2dTranspose';

/** A vector, its kernel and bias one after the other, as m × n with the bias last. */
export function kindMatrix(name: string, kernel: Float32Array, bias: Float32Array | undefined, m: number): Matrix {
  const n = kernel.length / m;
  return Array.from({ length: m }, (_, i) => {
    const values = Array.from({ length: n }, (__, j) => at(kernel, inputFirst(name) ? j * m + i : i * n + j));
    return Float64Array.from(bias === undefined ? values : [...values, at(bias, i)]);
  });
}

/** Outputs of a layer by its name. */
export const outputsOf: Readonly<Record<string, number>> = {
  conv2d: filters,
  conv2dTranspose: taps * C,
  depthwiseConv2d: 2 * C,
  embedding: WIDTH,
  scaleShift: CHANNELS,
  diagonal: 7,
};
