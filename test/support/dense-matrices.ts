/** Matrices in float64 as arrays of their rows, by naive loops. */
import { at } from './golden-case';

/** Rows of a matrix. */
export type Matrix = readonly Float64Array[];

/** All numbers 0. */
const zeros = (rows: number, cols: number) => Array.from({ length: rows }, () => new Float64Array(cols));

/** y ← y + factor·x. An element that is missing would make it NaN. */
function axpy(factor: number, x: Float64Array, y: Float64Array): void {
  for (let j = 0; j < y.length; j++) y[j] = (y[j] ?? Number.NaN) + factor * (x[j] ?? Number.NaN);
}

/** ⟨x, y⟩, likewise. */
function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < x.length; j++) sum += (x[j] ?? Number.NaN) * (y[j] ?? Number.NaN);
  return sum;
}

/** Row i of a matrix. */
export function row(matrix: Matrix, i: number): Float64Array {
  const found = matrix[i];
  if (found === undefined) throw new RangeError(`row ${i} of ${matrix.length}`);
  return found;
}

/** The product ab of two matrices. */
export function product(a: Matrix, b: Matrix): Matrix {
  return a.map((factors) => {
    const sum = new Float64Array(row(b, 0).length);
    b.forEach((other, k) => {
      axpy(at(factors, k), other, sum);
    });
    return sum;
  });
}

/** The transpose aᵀ of a matrix. */
export function transposed(a: Matrix): Matrix {
  return Array.from(row(a, 0), (_, j) => Float64Array.from(a, (values) => at(values, j)));
}

/** The sum α·a + β·b. */
export function combined(alpha: number, a: Matrix, beta: number, b: Matrix): Matrix {
  return a.map((values, i) => values.map((value, j) => alpha * value + beta * at(row(b, i), j)));
}

/** The inner product ⟨a, b⟩. */
export function inner(a: Matrix, b: Matrix): number {
  return a.reduce((sum, values, i) => sum + dot(values, row(b, i)), 0);
}

/** The Frobenius norm ‖a‖. */
export const norm = (a: Matrix): number => Math.sqrt(inner(a, a));

/** The sum a + γI. */
export function damped(a: Matrix, gamma: number): Matrix {
  return a.map((values, i) => values.map((value, j) => value + (i === j ? gamma : 0)));
}

/** S⁻¹b of a symmetric positive definite matrix, by its Cholesky factor. */
export function choleskySolve(s: Matrix, b: Matrix): Matrix {
  const factor = zeros(s.length, s.length);
  s.forEach((values, i) => {
    for (let j = 0; j <= i; j++) {
      const rest = at(values, j) - dot(row(factor, i).subarray(0, j), row(factor, j).subarray(0, j));
      row(factor, i)[j] = i === j ? Math.sqrt(rest) : rest / at(row(factor, j), j);
    }
  });
  const x = b.map((values) => values.slice());
  const upper = transposed(factor);
  const substitute = (i: number, triangle: Matrix, from: number, to: number) => {
    for (let k = from; k < to; k++) axpy(-at(row(triangle, i), k), row(x, k), row(x, i));
    row(x, i).forEach((value, j, values) => {
      values[j] = value / at(row(triangle, i), i);
    });
  };
  for (let i = 0; i < x.length; i++) substitute(i, factor, 0, i);
  for (let i = x.length - 1; i >= 0; i--) substitute(i, upper, i + 1, x.length);
  return x;
}

/**
 * Eigenvalues and eigenvectors (the rows of `vectors`) of a symmetric matrix, the largest first, by cyclic rotations.
 *
 * Source: C. G. J. Jacobi, 1846; the rotation's angle as in G. Golub and C. Van Loan, "Matrix Computations", §8.5.
 */
export function eigen(symmetric: Matrix): { readonly values: readonly number[]; readonly vectors: Matrix } {
  const d = symmetric.length;
  const s = symmetric.map((values) => values.slice());
  const q: Matrix = zeros(d, d).map((values, i) => values.fill(1, i, i + 1));
  const rotate = (x: Float64Array, y: Float64Array, c: number, t: number) => {
    for (let j = 0; j < x.length; j++) {
      const [xj, yj] = [at(x, j), at(y, j)];
      x[j] = c * (xj - t * yj);
      y[j] = c * (t * xj + yj);
    }
  };
  const size = norm(s);
  const corners = () => s.reduce((sum, values, i) => sum + dot(values.subarray(0, i), values.subarray(0, i)), 0);
  for (let sweep = 0; sweep < 40 && corners() > (1e-15 * size) ** 2; sweep++) {
    for (let i = 0; i < d; i++) {
      for (let j = i + 1; j < d; j++) {
        const corner = at(row(s, i), j);
        if (corner === 0) continue;
        const tau = (at(row(s, j), j) - at(row(s, i), i)) / (2 * corner);
        const t = (tau >= 0 ? 1 : -1) / (Math.abs(tau) + Math.sqrt(1 + tau * tau));
        const c = 1 / Math.sqrt(1 + t * t);
        rotate(row(s, i), row(s, j), c, t);
        for (const values of s) rotate(values.subarray(i, i + 1), values.subarray(j, j + 1), c, t);
        rotate(row(q, i), row(q, j), c, t);
      }
    }
  }
  const order = Array.from({ length: d }, (_, i) => i).sort((i, j) => at(row(s, j), j) - at(row(s, i), i));
  return { values: order.map((i) => at(row(s, i), i)), vectors: order.map((i) => row(q, i)) };
}

/** The multiple factor·a of a matrix. */
export const times = (factor: number, a: Matrix): Matrix => a.map((values) => values.map((value) => factor * value));
