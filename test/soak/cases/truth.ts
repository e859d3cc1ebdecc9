/** Directions of small layers compared with solutions in float64 that share nothing with the package. */
import type { PreconditionResult, RecordedRows, WeightVector } from 'cgfac';
import { combined, type Matrix, norm } from '../../support/dense-matrices';
import {
  type Answer,
  factor,
  fisher,
  solveFactored,
  solveSample,
  solveTikhonov,
  weightedRows,
} from '../../support/dense-oracle';
import { matrixOf } from '../../support/golden-case';
import { unitRoundoff } from '../../support/solvers';
import type { Report } from '../tally';
import type { LayerCase } from './layer-case';

/** Sides and rows of at most so many are solved in float64, too. */
const LARGEST = 8;

/** The rows of the m × n matrix. */
function rowsOf(vector: WeightVector, { outFeatures, options }: LayerCase): Matrix {
  const flat = matrixOf(vector, outFeatures, options.kernelLayout);
  const n = flat.length / outFeatures;
  return Array.from({ length: outFeatures }, (_, i) => Float64Array.from(flat.slice(i * n, (i + 1) * n)));
}

const distance = (x: Matrix, y: Matrix) => norm(combined(1, x, -1, y));

/** The relative error that docs/math.md §6 allows, of a method that does not iterate. */
function boundOf({ inFeatures, outFeatures }: LayerCase, method: string, answer: Answer, dimensions: number): number {
  const condition = answer.rounding / (4 * unitRoundoff * Math.sqrt(dimensions));
  const factorOf = method === 'kfac' ? 8 * Math.sqrt(inFeatures + outFeatures + 1) : 4;
  return factorOf * unitRoundoff * condition;
}

/**
 * Compares the direction of a batch's first solve, where the layer is small. Conjugate gradients
 * are held to what they say of their residual.
 */
export function compareWithTruth(
  report: Report,
  given: LayerCase,
  { inputs, outputGrads, batch, fisherRows = batch }: RecordedRows,
  v: WeightVector,
  result: PreconditionResult<boolean>,
): void {
  const { options, inFeatures, outFeatures, bias, damping } = given;
  if (Math.max(inFeatures, outFeatures, batch, fisherRows) > LARGEST) return;
  const averaging = { factorHistory: 'none', decay: 0, rank: 1 } as const;
  const a = factor([weightedRows(inputs, inFeatures, batch ** -0.5, bias)], averaging);
  const g = factor([weightedRows(outputGrads, outFeatures, fisherRows ** -0.5)], averaging);
  const [x, right] = [rowsOf(result.x, given), rowsOf(v, given)];
  if (result.method === 'cg') {
    const lambda = typeof result.damping === 'number' ? result.damping : Number.NaN;
    const residual = distance(right, combined(1, fisher(a, g, x), lambda, x)) / norm(right);
    // what rounding x to float32 alone makes of a residual
    const rounding = (4 * unitRoundoff * (a.trace * g.trace * norm(x))) / norm(right) + 4 * unitRoundoff;
    const honest = residual <= 2 * (result.residual ?? Number.NaN) + rounding;
    report.count('float64 residual', honest ? 'right' : 'wrong', `${result.residual} where it is ${residual}`);
    return;
  }
  const solve =
    options.block === 'sample' ? solveSample : options.dampingMode === 'factored' ? solveFactored : solveTikhonov;
  const answer = solve(a, g, damping, right);
  const bound = boundOf(given, options.method ?? 'exact', answer, a.dimension + g.dimension);
  const error = distance(x, answer.x) / norm(answer.x);
  report.count('float64 solution', error <= bound ? 'right' : 'wrong', `${error} of at most ${bound}`);
}
