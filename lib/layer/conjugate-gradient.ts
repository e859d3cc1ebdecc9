import { abortSignal, readOptions, typeError } from '../base/validate';
import { outputArrays, resultVector, vectorArrays, type WeightVector } from '../base/weight-vector';
import { callNative, callNativeAsync } from '../native/call';
import type { NativeConjugateGradient, NativeSummary } from '../native/declarations';
import { native } from '../native/load';
import { reasonNames, spaceNames } from '../native/reports';
import { type FisherOperator, partsOf } from './fisher-operator';
import { type CgSummary, type ConjugateGradientOptions, parseCgOptions } from './options';
import { named } from './summary';

/** Options of {@link ConjugateGradient.solve}. */
export interface SolveOptions<Bias extends boolean = boolean> {
  /** A start. Default: zero. */
  readonly x0?: WeightVector<Bias>;
  /** Where x goes; it may be the arrays of `v` or of `x0`, and must not overlap them otherwise. Default: new arrays. */
  readonly out?: WeightVector<Bias>;
}

/** What a solve gives. */
export interface ConjugateGradientResult<Bias extends boolean = boolean> extends CgSummary {
  /** The solution, in the operator's form: `out`, or new arrays. */
  readonly x: WeightVector<Bias>;
  /** With `history`: `residuals[k − 1]` is ‖r‖/‖v‖ after k iterations. */
  readonly residuals?: readonly number[];
}

const solveNames = ['x0', 'out'];
const solveAsyncNames = ['x0', 'out', 'signal'];

/**
 * Conjugate gradients for (F + λI) x = v, the CG-FAC solve, in weight space (float32, one product FV per iteration) or
 * in Gram space (float64, on N × N matrices: an iteration costs nothing that grows with the layer's width).
 *
 * Running out of iterations is normal: a truncated solve is regularised. Read `residual` and `reason`; do not expect
 * convergence at small damping. The object keeps its workspaces, so that a second solve of the same shape allocates
 * only its result; in Gram space 8 N × N float64 matrices, or 128 KiB where that is more, in weight space four vectors.
 * Asynchronous solves run on pool threads, several at a time, each with a workspace of its own.
 *
 * Source: M. Hestenes and E. Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", 1952, eqs. (3:1a–f);
 * Y. Chen, "An iterative K-FAC algorithm for Deep Learning", arXiv 2101.00218, 2021, Algorithm 2.
 */
export class ConjugateGradient {
  readonly #native: NativeConjugateGradient;

  /**
   * @param options - Budget, tolerance and space; see {@link ConjugateGradientOptions}.
   * @throws {@link CgfacError} `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`.
   */
  constructor(options: ConjugateGradientOptions = {}) {
    this.#native = new native.ConjugateGradient(parseCgOptions(options));
  }

  /**
   * Solves (F + λI) x = v on a pool thread.
   *
   * @param operator - F + λI. Its arrays are copied when the call is made.
   * @param v - The right-hand side, `(outFeatures × inFeatures)` in the operator's form. Copied when the call is made.
   * @param options - `x0`: a start, copied when the call is made. `out`: where x goes, written when the promise
   * settles, after a successful solve. `signal`: read once per iteration; the promise rejects with its reason. An abort
   * that comes after the work was done still rejects; `out` then holds the result.
   * @returns x and how the solve went.
   * @throws {@link CgfacError} as {@link ConjugateGradient.solveSync}, as a rejection; `ERR_CGFAC_DETACHED_BUFFER` for
   * an `out` that was transferred meanwhile, too.
   */
  async solve<Bias extends boolean>(
    operator: FisherOperator<Bias>,
    v: WeightVector<Bias>,
    options: SolveOptions<Bias> & { readonly signal?: AbortSignal } = {},
  ): Promise<ConjugateGradientResult<Bias>> {
    const given = readOptions(options, 'solve', solveAsyncNames);
    const signal = abortSignal(given.signal);
    const { parts, out, to, system } = parse(operator, v, given);
    const summary = await callNativeAsync(signal, (token) => this.#native.solve(parts.native, system, token));
    return { x: resultVector<Bias>(out, to), ...summaryOf(summary) };
  }

  /**
   * Solves (F + λI) x = v on the calling thread.
   *
   * @param operator - F + λI.
   * @param v - The right-hand side, `(outFeatures × inFeatures)` in the operator's form.
   * @param options - `x0`: a start. `out`: where x goes, written at the end of a successful solve.
   * @returns x and how the solve went.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_DETACHED_BUFFER`,
   * `ERR_CGFAC_OVERLAP`, `ERR_CGFAC_UNKNOWN_OPTION`; `ERR_CGFAC_NOT_FINITE` for NaN or infinity in the rows, v or x0,
   * or a solution beyond float32; `ERR_CGFAC_INVALID_ARG_VALUE` for relative damping of rows that are all zero.
   */
  solveSync<Bias extends boolean>(
    operator: FisherOperator<Bias>,
    v: WeightVector<Bias>,
    options: SolveOptions<Bias> = {},
  ): ConjugateGradientResult<Bias> {
    const { parts, out, to, system } = parse(operator, v, readOptions(options, 'solveSync', solveNames));
    const summary = callNative(() => this.#native.solveSync(parts.native, system));
    return { x: resultVector<Bias>(out, to), ...summaryOf(summary) };
  }
}

function parse<Bias extends boolean>(
  operator: FisherOperator<Bias>,
  v: WeightVector<Bias>,
  options: SolveOptions<Bias>,
) {
  const parts = partsOf(operator);
  if (parts === undefined) throw typeError('a FisherOperator', 'operator', operator);
  const { out, x0 } = options;
  const from = vectorArrays(v, 'v', parts.shape);
  const to = outputArrays(out, parts.shape);
  const start = x0 === undefined ? undefined : vectorArrays(x0, 'x0', parts.shape);
  const system = {
    vKernel: from.kernel,
    vBias: from.bias,
    outKernel: to.kernel,
    outBias: to.bias,
    x0Kernel: start?.kernel,
    x0Bias: start?.bias,
    fresh: out === undefined,
  };
  return { parts, out, to, system };
}

function summaryOf({ reason, space, residuals, ...rest }: NativeSummary): Omit<ConjugateGradientResult, 'x'> {
  return {
    ...rest,
    reason: named(reasonNames, reason) as CgSummary['reason'],
    space: named(spaceNames, space) as CgSummary['space'],
    ...(residuals === undefined ? {} : { residuals: Array.from(residuals) }),
  };
}
