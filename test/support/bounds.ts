/** The bounds of docs/math.md §6 by the ways of solving that have one, and the oracle that they are held against. */
import type { WeightVector } from 'cgfac';
import type { Matrix } from './dense-matrices';
import { type Answer, type Factor, solveFactored, solveSample, solveTikhonov } from './dense-oracle';
import { matrixOf } from './golden-case';
import { unitRoundoff } from './methods';

const exact = () => 4;
const directKfac = (dimensions: number) => 8 * Math.sqrt(dimensions);

/** In units of 2⁻²⁴·(λ + max E)/λ, or of the product of both factors' conditions, by m + n. */
export const bounds = {
  exact: { options: { method: 'exact' }, bound: exact, oracle: solveTikhonov },
  'exact, averages': { options: { method: 'exact', factorHistory: 'dense' }, bound: exact, oracle: solveTikhonov },
  factored: { options: { method: 'exact', dampingMode: 'factored' }, bound: exact, oracle: solveFactored },
  'factored, averages': {
    options: { method: 'exact', dampingMode: 'factored', factorHistory: 'dense' },
    bound: exact,
    oracle: solveFactored,
  },
  'the per-sample block': { options: { method: 'exact', block: 'sample' }, bound: exact, oracle: solveSample },
  'direct K-FAC': { options: { method: 'kfac' }, bound: directKfac, oracle: solveTikhonov },
  'direct K-FAC, factored': {
    options: { method: 'kfac', dampingMode: 'factored' },
    bound: directKfac,
    oracle: solveFactored,
  },
} as const;

/** How much larger what is summed up for the batch's own gradient is than the gradient, √8 of the mean at the most. */
const CANCELLATION = Math.sqrt(8);

/** The relative error of a direction that is allowed for a condition, of a given gradient or a batch's own. */
export function boundOf(name: keyof typeof bounds, dimensions: number, condition: number, isGiven: boolean): number {
  return bounds[name].bound(dimensions) * (isGiven ? 1 : CANCELLATION) * unitRoundoff * condition;
}

/** The condition of what an answer was solved for. */
export function conditionOf({ rounding }: Answer, a: Factor, g: Factor): number {
  return rounding / (4 * unitRoundoff * Math.sqrt(a.dimension + g.dimension));
}

/** A vector as the rows of the m × n matrix. */
export function rowsOf(x: WeightVector | undefined, outFeatures: number): Matrix {
  const flat = matrixOf(x ?? new Float32Array(), outFeatures);
  const n = flat.length / outFeatures;
  return Array.from({ length: outFeatures }, (_, i) => Float64Array.from(flat.slice(i * n, (i + 1) * n)));
}
