/**
 * What a layer's direction should be, in float64, by dense factors and naive loops that share nothing with the package.
 * A matrix is an array of its rows; a gradient is m × n, the bias its last column.
 */
import {
  choleskySolve,
  combined,
  damped,
  eigen,
  inner,
  type Matrix,
  norm,
  product,
  row,
  times,
  transposed,
} from './dense-matrices';
import { at } from './golden-case';

/** Half a unit in the last place of float32, relative. */
const unitRoundoff = 2 ** -24;

// --- Factors ---------------------------------------------------------------------------------------------------------

/** One side's factor F = RᵀR, and what damping and errors depend on. */
export interface Factor {
  /** The rows R. */
  readonly rows: Matrix;
  /** F itself. */
  readonly matrix: Matrix;
  readonly dimension: number;
  /** tr F of all that was taken in. */
  readonly trace: number;
  /** tr RᵀR: less where a panel has cut something off. */
  readonly keptTrace: number;
  /** Eigenvalues that the factor's form holds. */
  readonly held: number;
  /** How many times the rounding of a panel's rows turns up in it: s₁/(s_r − s_{r+1}) of its cut-offs. */
  readonly sharpness: number;
}

/** weight·[R 1] of a batch's rows, the 1 where `homogeneous`. */
export function weightedRows(numbers: Float32Array, features: number, weight: number, homogeneous = false): Matrix {
  return Array.from({ length: numbers.length / features }, (_, i) => {
    const values = Array.from(numbers.subarray(i * features, (i + 1) * features));
    return Float64Array.from(homogeneous ? [...values, 1] : values, (value) => weight * value);
  });
}

const traceOf = (rows: Matrix) => inner(rows, rows);

function factorOf(rows: Matrix, trace: number, held: number, sharpness: number): Factor {
  const matrix = product(transposed(rows), rows);
  return { rows, matrix, dimension: matrix.length, trace, keptTrace: traceOf(rows), held, sharpness };
}

/** Σ wᵢ RᵢᵀRᵢ */
function average(batches: readonly Matrix[], weights: readonly number[]): Factor {
  const rows = batches.flatMap((batch, i) => times(Math.sqrt(at(weights, i)), batch));
  return factorOf(rows, traceOf(rows), row(rows, 0).length, 0);
}

/** δ^(k − i)·(1 − δ)/(1 − δ^k) for batch i of k: what a running average free of its start gives each. */
export function averageWeights(decay: number, k: number): number[] {
  return Array.from({ length: k }, (_, i) => (decay ** (k - 1 - i) * (1 - decay)) / (1 - decay ** k));
}

/** The leading r eigen-directions of [√β·P ; √(1 − β)·R], batch after batch, β = 1 − (1 − δ)/(1 − δ^k). */
function panel(batches: readonly Matrix[], decay: number, rank: number): Factor {
  let rows: Matrix = [];
  let sharpness = 0;
  batches.forEach((batch, index) => {
    const share = 1 - (1 - decay) / (1 - decay ** (index + 1));
    const stack = [...times(Math.sqrt(share), rows), ...times(Math.sqrt(1 - share), batch)];
    const { values, vectors } = eigen(product(stack, transposed(stack)));
    rows = product(vectors.slice(0, rank), stack);
    if (rank < values.length) sharpness += at(values, 0) / (at(values, rank - 1) - at(values, rank));
  });
  const trace = traceOf(average(batches, averageWeights(decay, batches.length)).rows);
  return factorOf(rows, trace, rows.length, sharpness);
}

/** What a factor is made of. */
export interface Averaging {
  readonly factorHistory: 'none' | 'panel' | 'dense';
  /** The decay δ of averages. */
  readonly decay: number;
  /** The directions r of a panel. */
  readonly rank: number;
  /** Without a history: whether older batches, all of one size, fill up a window that is larger than them all. */
  readonly fillsWindow?: boolean;
}

/** Sides of at most so many features are dense under 'panel'. */
const DENSE_DIMENSION = 200;

/** The factor of batches that were taken in one after another. */
export function factor(batches: readonly Matrix[], { factorHistory, decay, rank, fillsWindow }: Averaging): Factor {
  const k = batches.length;
  const dimension = batches[0]?.[0]?.length ?? 0;
  if (factorHistory === 'panel' && dimension > DENSE_DIMENSION) return panel(batches, decay, rank);
  if (factorHistory !== 'none') return average(batches, averageWeights(decay, k));
  return fillsWindow ? average(batches, Array(k).fill(1 / k)) : average(batches.slice(-1), [1]);
}

// --- Damping ---------------------------------------------------------------------------------------------------------

/** λ, or a multiple of a mean eigenvalue. */
export type Damping = number | { readonly relative: number };

/** The two dampings γ_A and γ_G. */
export interface Gammas {
  readonly input: number;
  readonly output: number;
}

/** λ, or ρ times the mean of the eigenvalues that are held; and the mean of those that panels have cut off. */
export function tikhonovDamping(a: Factor, g: Factor, damping: Damping): number {
  const lambda = typeof damping === 'number' ? damping : (damping.relative * a.trace * g.trace) / (a.held * g.held);
  return lambda + (a.trace * g.trace - a.keptTrace * g.keptTrace) / (a.dimension * g.dimension);
}

/** π√λ and √λ/π, π² = (tr A/n)/(tr G/m), or ρ times each mean; and the mean of what each panel has cut off. */
export function factoredDamping(a: Factor, g: Factor, damping: Damping): Gammas {
  const pi = Math.sqrt(a.trace / a.dimension / (g.trace / g.dimension));
  const gamma = (of: Factor, absolute: (root: number) => number) =>
    (typeof damping === 'number' ? absolute(Math.sqrt(damping)) : (damping.relative * of.trace) / of.held) +
    (of.trace - of.keptTrace) / of.dimension;
  return { input: gamma(a, (root) => pi * root), output: gamma(g, (root) => root / pi) };
}

// --- Solutions -------------------------------------------------------------------------------------------------------

/** A direction, and what comes with it. */
export interface Answer {
  readonly x: Matrix;
  /** ‖v‖ */
  readonly vNorm: number;
  readonly vx: number;
  readonly xFx: number;
  /** λ or γ's; none of the per-sample block, which says none. */
  readonly damping?: number | Gammas;
  /** ‖v‖/(λ‖x‖), what a relative residual may make of itself in x, where there may be one. */
  readonly amplification?: number;
  /** The relative error that float32 may leave in x; see {@link roundingOf}. */
  readonly rounding: number;
}

/** Eigenvalues and eigenvectors of a factor as far as they are not 0: its own, or with fewer rows those of RRᵀ. */
function spectrumOf(of: Factor): Spectrum {
  const spectrum = spectra.get(of) ?? decomposed(of);
  spectra.set(of, spectrum);
  return spectrum;
}

type Spectrum = ReturnType<typeof eigen>;

/** Decompositions that were asked for. */
const spectra = new WeakMap<Factor, Spectrum>();

function decomposed({ rows, matrix, dimension }: Factor): Spectrum {
  if (rows.length >= dimension) return eigen(matrix);
  const { values, vectors } = eigen(product(rows, transposed(rows)));
  // those that are the rounding of the largest belong to rows that depend on others
  const count = values.filter((value) => value > 1e-14 * at(values, 0)).length;
  const unit = product(vectors.slice(0, count), rows);
  const scaled = unit.map((u, i) => u.map((value) => value / Math.sqrt(at(values, i))));
  return { values: values.slice(0, count), vectors: scaled };
}

/**
 * The relative error of a solution in float32 from what it is made of: sums of up to n + m products, whose roundings
 * add up as a random walk does, in each of four stages (a factor, its damped inverse, the product from each side),
 * magnified by the condition of the damped block, (λ + max E)/λ or the product of that of its factors, and in a panel
 * by the sharpness of its cut-offs.
 */
function roundingOf(a: Factor, g: Factor, condition: number): number {
  return 4 * unitRoundoff * Math.sqrt(a.dimension + g.dimension) * condition * (1 + a.sharpness + g.sharpness);
}

/** F x = G x A */
export function fisher(a: Factor, g: Factor, x: Matrix): Matrix {
  return product(product(g.matrix, x), a.matrix);
}

const largest = (of: Factor) => at(spectrumOf(of).values, 0);

/** What comes with x, (F + λI) x = v or an approximation of it. */
function tikhonovAnswer(a: Factor, g: Factor, lambda: number, v: Matrix, x: Matrix, fx: Matrix): Answer {
  const condition = 1 + (largest(a) * largest(g)) / lambda;
  return {
    x,
    vNorm: norm(v),
    vx: inner(v, x),
    xFx: inner(x, fx),
    damping: lambda,
    amplification: norm(v) / (lambda * norm(x)),
    rounding: roundingOf(a, g, condition),
  };
}

/**
 * The solution x = v/λ + U_gᵀ [(1/(λ + s_g s_a) − 1/λ) ∘ (U_g v U_aᵀ)] U_a by the eigenvectors of both factors. It
 * has to leave no residual of (F + λI) x = v with dense factors.
 */
export function solveTikhonov(a: Factor, g: Factor, damping: Damping, v: Matrix): Answer {
  const lambda = tikhonovDamping(a, g, damping);
  const [input, output] = [spectrumOf(a), spectrumOf(g)];
  const c = product(product(output.vectors, v), transposed(input.vectors)).map((values, i) =>
    values.map((value, j) => value * (1 / (lambda + at(output.values, i) * at(input.values, j)) - 1 / lambda)),
  );
  const x = combined(1 / lambda, v, 1, product(product(transposed(output.vectors), c), input.vectors));
  const fx = fisher(a, g, x);
  const residual = combined(1, v, -1, combined(1, fx, lambda, x));
  // rotations leave 1e-15 of each factor off its diagonal
  const rounding = 1e-11 * Math.max(1, (largest(a) * largest(g)) / lambda / 1e3);
  if (!(norm(residual) <= rounding * norm(v))) throw new Error(`the oracle leaves a residual of ${norm(residual)}`);
  return tikhonovAnswer(a, g, lambda, v, x, fx);
}

/** x = (G + γ_G I)⁻¹ v (A + γ_A I)⁻¹ by two Choleskys. */
export function solveFactored(a: Factor, g: Factor, damping: Damping, v: Matrix): Answer {
  const gamma = factoredDamping(a, g, damping);
  const half = choleskySolve(damped(g.matrix, gamma.output), v);
  const x = transposed(choleskySolve(damped(a.matrix, gamma.input), transposed(half)));
  const condition = (1 + largest(a) / gamma.input) * (1 + largest(g) / gamma.output);
  const rounding = roundingOf(a, g, condition);
  const xFx = inner(x, fisher(a, g, x));
  return { x, vNorm: norm(v), vx: inner(v, x), xFx, damping: gamma, rounding };
}

/** The per-sample block (1/B) Σ vec(gᵢaᵢᵀ)vec(gᵢaᵢᵀ)ᵀ of rows aᵢ/√B and gᵢ/√B, by one Cholesky. */
export function solveSample(a: Factor, g: Factor, damping: Damping, v: Matrix): Answer {
  const batch = a.rows.length;
  const n = a.dimension;
  const jacobian = a.rows.map((values, i) =>
    Float64Array.from({ length: n * g.dimension }, (_, k) => {
      return Math.sqrt(batch) * at(row(g.rows, i), Math.floor(k / n)) * at(values, k % n);
    }),
  );
  const block = factorOf(jacobian, traceOf(jacobian), n * g.dimension, 0);
  const lambda = typeof damping === 'number' ? damping : (damping.relative * block.trace) / block.dimension;
  const flat = [Float64Array.from(v.flatMap((values) => [...values]))];
  const solution = row(transposed(choleskySolve(damped(block.matrix, lambda), transposed(flat))), 0);
  const x = v.map((_, i) => solution.slice(i * n, (i + 1) * n));
  const condition = 1 + largest(block) / lambda;
  const rounding = roundingOf(a, g, condition);
  const xFx = inner([solution], product([solution], block.matrix));
  return { x, vNorm: norm(v), vx: inner(v, x), xFx, rounding };
}

/** Conjugate gradients that are cut short: their iterations, and x₀ where it is not 0. */
export interface Cut {
  readonly iterations: number;
  readonly start: Matrix | undefined;
}

/** The iterate of so many conjugate-gradient iterations from x₀, in weight space. */
export function conjugateGradients(
  a: Factor,
  g: Factor,
  damping: Damping,
  v: Matrix,
  { iterations, start }: Cut,
): Answer {
  const lambda = tikhonovDamping(a, g, damping);
  const apply = (x: Matrix) => combined(1, fisher(a, g, x), lambda, x);
  let x = start ?? times(0, v);
  let r = start ? combined(1, v, -1, apply(start)) : v;
  let p = r;
  for (let k = 0; k < iterations; k++) {
    const q = apply(p);
    const rho = inner(r, r);
    const alpha = rho / inner(p, q);
    x = combined(1, x, alpha, p);
    r = combined(1, r, -alpha, q);
    p = combined(1, r, inner(r, r) / rho, p);
  }
  return tikhonovAnswer(a, g, lambda, v, x, fisher(a, g, x));
}
