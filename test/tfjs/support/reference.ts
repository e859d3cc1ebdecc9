/** The step of one block in double precision, with the Fisher matrix written out: for a few dozen weights. */

/** A matrix as its rows. */
export type Rows = readonly (readonly number[])[];

/** One layer at one step. */
export interface ReferenceLayer {
  /** Inputs, with a last 1 where there is a bias. */
  readonly inputs: Rows;
  /** Per-sample output gradients. */
  readonly outputGrads: Rows;
  /** Samples that the rows come from. */
  readonly samples: number;
  /** λ. */
  readonly damping: number;
}

/** Solves a symmetric positive definite system by elimination. */
function solve(matrix: Rows, right: readonly number[]): number[] {
  const system = matrix.map((row, index) => [...row, right[index] ?? 0]);
  const size = right.length;
  for (const [pivot, from] of system.entries()) {
    for (const [index, row] of system.entries()) {
      if (index === pivot) continue;
      const factor = (row[pivot] ?? 0) / (from[pivot] ?? 1);
      for (let column = pivot; column <= size; column++)
        row[column] = (row[column] ?? 0) - factor * (from[column] ?? 0);
    }
  }
  return system.map((row, index) => (row[size] ?? 0) / (row[index] ?? 1));
}

/** Sums of products of columns: rowsᵀ rows / divisor. */
function gram(rows: Rows, divisor: number): number[][] {
  const width = rows[0]?.length ?? 0;
  return Array.from({ length: width }, (_, i) =>
    Array.from(
      { length: width },
      (_, j) => rows.reduce((sum, row) => sum + (row[i] ?? 0) * (row[j] ?? 0), 0) / divisor,
    ),
  );
}

/**
 * (A ⊗ G + λI)⁻¹ v: A sums over the rows of a sample and G averages over them.
 *
 * @param v - (inFeatures, and one more for a bias, × outFeatures).
 */
export function referenceDirection({ inputs, outputGrads, samples, damping }: ReferenceLayer, v: Rows): number[][] {
  const [a, g] = [gram(inputs, samples), gram(outputGrads, outputGrads.length)];
  const [n, m] = [a.length, g.length];
  const fisher = Array.from({ length: n * m }, (_, row) =>
    Array.from({ length: n * m }, (_, column) => {
      const factor = (a[Math.floor(row / m)]?.[Math.floor(column / m)] ?? 0) * (g[row % m]?.[column % m] ?? 0);
      return factor + (row === column ? damping : 0);
    }),
  );
  const x = solve(fisher, v.flat());
  return Array.from({ length: n }, (_, i) => x.slice(i * m, (i + 1) * m));
}
