import { CgfacError } from '../base/errors';
import {
  abortSignal,
  boolean,
  damping as checkedDamping,
  checkRequired,
  positive,
  positiveInteger,
  readOptions,
  valueError,
} from '../base/validate';
import {
  type Damping,
  float32,
  outputArrays,
  resultVector,
  vectorArrays,
  type WeightVector,
} from '../base/weight-vector';
import { callNative, callNativeAsync } from '../native/call';
import type { NativeOwnGradient } from '../native/layer';
import { Layer } from './layer';
import { type LayerPreconditionerOptions, parseLayerOptions } from './options';
import { newReport, withSummary } from './summary';
import type {
  LayerMemory,
  NaturalGradientResult,
  NaturalGradientRows,
  PreconditionOptions,
  PreconditionResult,
  RecordedRows,
} from './types';

declare global {
  /** So that the types below need no library newer than es2022; @types/node declares the same. */
  interface SymbolConstructor {
    readonly dispose: unique symbol;
  }
}

const recordNames = ['inputs', 'outputGrads', 'batch', 'fisherRows'];
const preconditionNames = ['out', 'spectrum'];
const preconditionAsyncNames = [...preconditionNames, 'signal'];
const naturalGradientNames = [...recordNames, 'lossGrads', 'out', 'applyTo', 'spectrum'];
const naturalGradientAsyncNames = [...naturalGradientNames, 'signal'];

const requiredRows = { inputs: 'a Float32Array', outputGrads: 'a Float32Array', batch: 'a positive integer' };

// What is read of the options of calls that cost next to nothing themselves.
const recordedRows = ({ inputs, outputGrads, batch, fisherRows }: RecordedRows) => ({
  inputs,
  outputGrads,
  batch,
  fisherRows,
});
const request = ({ out, spectrum }: PreconditionOptions) => ({ out, spectrum });
const asyncRequest = ({ out, spectrum, signal }: PreconditionOptions & { readonly signal?: AbortSignal }) => ({
  out,
  spectrum,
  signal,
});

/** The layer behind a preconditioner; not part of the public face. */
let layerOf: (preconditioner: unknown) => Layer | undefined;

export { layerOf };

/**
 * Turns one layer's gradients into natural-gradient directions, x = (F + λI)⁻¹ v, step after step: it keeps the
 * recorded batch, the workspace, and the previous solution, from which the next solve starts.
 *
 * `record` copies the rows of a batch; `precondition` solves with the batch recorded last, as often as you like.
 * Asynchronous calls of one object run one after another, each on the batch that was recorded when it was made; those
 * of several objects run at the same time on the pool threads. While calls are pending, `preconditionSync`,
 * `naturalGradientSync`, `setDamping`, `memoryUsage` and `reset` are refused. Memory kept: the batch, the workspace of
 * {@link ConjugateGradient} and, unless `warmStart` is `'none'`, one solution.
 *
 * Source: Y. Chen, "An iterative K-FAC algorithm for Deep Learning", arXiv 2101.00218, 2021, Algorithm 2.
 *
 * @typeParam Bias - whether the layer has a bias, and its vectors therefore are `{ kernel, bias }`.
 */
export class LayerPreconditioner<Bias extends boolean = false> {
  readonly #layer: Layer;
  #disposed = false;
  /** What the addon says of a call that waits; memory of its own for each call would cost more than a tiny solve. */
  readonly #report = newReport();

  static {
    layerOf = (preconditioner) => {
      if (typeof preconditioner !== 'object' || preconditioner === null || !(#layer in preconditioner))
        return undefined;
      preconditioner.#requireAlive();
      return preconditioner.#layer;
    };
  }

  /**
   * @param options - The layer, the damping and the solve; see {@link LayerPreconditionerOptions}.
   * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
   * `ERR_CGFAC_INVALID_ARG_VALUE`.
   */
  constructor(options: LayerPreconditionerOptions<Bias>) {
    const resolved = parseLayerOptions(options);
    this.#layer = new Layer({ ...resolved, kind: 'dense', columns: 0 }, { ...resolved, window: 1, fillsUp: false });
  }

  /**
   * Takes the rows that the layer's Fisher block is made of, in place of those recorded before.
   *
   * @param rows - The batch, copied; see {@link RecordedRows}.
   * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
   * `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_DETACHED_BUFFER`, `ERR_CGFAC_NOT_FINITE`,
   * `ERR_CGFAC_OUT_OF_MEMORY`, `ERR_CGFAC_DISPOSED`; the batch recorded before is then kept.
   */
  record(rows: RecordedRows): void {
    this.#requireAlive();
    const given = readOptions(rows, 'record', recordNames, recordedRows);
    const { inputs, outputGrads, batch, fisherRows } = this.#rows(given, 'record');
    callNative(() => this.#layer.native.recordBatch(inputs, outputGrads, batch, fisherRows));
  }

  /**
   * Changes the damping of the calls to come.
   *
   * @param damping - λ, as in the options.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_BUSY` while
   * calls are pending, `ERR_CGFAC_DISPOSED`.
   */
  setDamping(damping: Damping): void {
    this.#requireAlive();
    const checked = checkedDamping(damping);
    callNative(() => this.#layer.native.setDamping({ damping: checked }));
  }

  /**
   * The natural-gradient direction (F + λI)⁻¹ v, on a pool thread.
   *
   * @param v - The gradient, `(outFeatures × inFeatures)` in the layer's layout, with the bias gradient as an array of
   * its own where there is a bias. Copied when the call is made.
   * @param options - `out`: where x goes, written when the promise settles, after a successful solve. `signal`: read
   * once per iteration; the promise rejects with its reason. An abort that comes after the work was done still rejects;
   * `out` and the warm start then hold the result.
   * @returns x and how the solve went.
   * @throws {@link CgfacError} as {@link LayerPreconditioner.preconditionSync}, as a rejection;
   * `ERR_CGFAC_DETACHED_BUFFER` for an `out` that was transferred meanwhile, too, after which the warm start holds the
   * result.
   */
  async precondition(
    v: WeightVector<Bias>,
    options: PreconditionOptions<Bias> & { readonly signal?: AbortSignal } = {},
  ): Promise<PreconditionResult<Bias>> {
    const given = readOptions(options, 'precondition', preconditionAsyncNames, asyncRequest);
    const { out, to, system, spectrum } = this.#system(v, given);
    const report = newReport();
    const found = await callNativeAsync(abortSignal(given.signal), (token) =>
      this.#layer.native.precondition(...system, report, spectrum, token, out === undefined),
    );
    return withSummary({ x: resultVector<Bias>(out, to) }, report, found);
  }

  /**
   * The natural-gradient direction (F + λI)⁻¹ v, on the calling thread.
   *
   * @param v - The gradient, `(outFeatures × inFeatures)` in the layer's layout, with the bias gradient as an array of
   * its own where there is a bias.
   * @param options - `out`: where x goes, written at the end of a successful solve.
   * @returns x and how the solve went.
   * @throws {@link CgfacError} `ERR_CGFAC_NO_RECORD`, `ERR_CGFAC_BUSY`, `ERR_CGFAC_DISPOSED`,
   * `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_DETACHED_BUFFER`, `ERR_CGFAC_OVERLAP`,
   * `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_OUT_OF_MEMORY`; `ERR_CGFAC_NOT_FINITE` for NaN or infinity in v, or a
   * solution beyond float32; `ERR_CGFAC_INVALID_ARG_VALUE` for relative damping of rows that are all zero.
   */
  preconditionSync(v: WeightVector<Bias>, options: PreconditionOptions<Bias> = {}): PreconditionResult<Bias> {
    const given = readOptions(options, 'preconditionSync', preconditionNames, request);
    const { out, to, system, spectrum } = this.#system(v, given);
    const report = this.#report;
    const found = callNative(() => this.#layer.native.preconditionSync(...system, report, spectrum));
    return withSummary({ x: resultVector<Bias>(out, to) }, report, found);
  }

  /**
   * The damped inverse times the batch's own gradient, on a pool thread. Where both sides have fewer rows than features
   * the gradient is never formed: one product of its size instead of two passes over it. Nothing is recorded, and no
   * warm start used or left; with 'kfac' the batch enters the factors.
   *
   * @param rows - The batch; its arrays are copied when the call is made, and so are the weights of `applyTo`. `out`,
   * or `applyTo`: where the result goes, written when the promise settles: what the weights were when the call was
   * made, or what calls of this object that are still pending make of them, and the update. `signal`: read once per
   * iteration; an abort that comes after the work was done still rejects, and the result is then written.
   * @returns How it went: ⟨v, x⟩ and xᵀF x, the latter not with factored damping that `'exact'` solves by averages or
   * by a side's covariance, and x unless weights were updated.
   * @throws {@link CgfacError} as {@link LayerPreconditioner.naturalGradientSync}, as a rejection;
   * `ERR_CGFAC_DETACHED_BUFFER` for an `out` or weights that were transferred meanwhile, too, and `ERR_CGFAC_OVERLAP`
   * for weights that a pending call of another object updates.
   */
  async naturalGradient(
    rows: NaturalGradientRows<Bias> & { readonly signal?: AbortSignal },
  ): Promise<NaturalGradientResult<Bias>> {
    const given = readOptions(rows, 'naturalGradient', naturalGradientAsyncNames);
    const signal = abortSignal(given.signal);
    const { call, report, x } = this.#ownGradient(given, 'naturalGradient');
    const found = await callNativeAsync(signal, (token) => this.#layer.native.naturalGradient(call, token));
    return withSummary(x, report, found);
  }

  /**
   * The damped inverse times the batch's own gradient, on the calling thread and the pool.
   *
   * @param rows - The batch; see {@link NaturalGradientRows}.
   * @returns How it went: ⟨v, x⟩ and xᵀF x, the latter not with factored damping that `'exact'` solves by averages or
   * by a side's covariance, and x unless weights were updated.
   * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
   * `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_DETACHED_BUFFER`, `ERR_CGFAC_OVERLAP`,
   * `ERR_CGFAC_NOT_FINITE`, `ERR_CGFAC_BUSY`, `ERR_CGFAC_DISPOSED`, `ERR_CGFAC_OUT_OF_MEMORY`.
   */
  naturalGradientSync(rows: NaturalGradientRows<Bias>): NaturalGradientResult<Bias> {
    const given = readOptions(rows, 'naturalGradientSync', naturalGradientNames);
    const { call, report, x } = this.#ownGradient(given, 'naturalGradientSync');
    const found = callNative(() => this.#layer.native.naturalGradientSync(call));
    return withSummary(x, report, found);
  }

  /**
   * Bytes that the layer keeps between steps; results and borrowed arrays are not among them.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_BUSY` while a call is pending, `ERR_CGFAC_DISPOSED`.
   */
  memoryUsage(): LayerMemory {
    this.#requireAlive();
    const { recorded: batch, workspace, previous, factors } = callNative(() => this.#layer.native.memoryUsage());
    return { batch, workspace, previous, factors, total: batch + workspace + previous + factors };
  }

  /**
   * Forgets the recorded batch and the previous solution.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_BUSY` while a call is pending, `ERR_CGFAC_DISPOSED`.
   */
  reset(): void {
    this.#requireAlive();
    callNative(() => this.#layer.native.reset());
  }

  /**
   * Frees the native memory; calls under way finish first. Every later call but this one throws `ERR_CGFAC_DISPOSED`.
   */
  dispose(): void {
    this.#disposed = true;
    this.#layer.native.dispose();
  }

  /** Frees the native memory, as {@link LayerPreconditioner.dispose} does, at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #system(v: WeightVector<Bias>, { out, spectrum: wanted = false }: PreconditionOptions<Bias>) {
    this.#requireAlive();
    const { shape } = this.#layer;
    const from = vectorArrays(v, 'v', shape);
    const spectrum = boolean(wanted, 'spectrum');
    const to = outputArrays(out, shape);
    const system = [from.kernel, from.bias, to.kernel, to.bias] as const;
    return { out, to, system, spectrum };
  }

  #rows(rows: RecordedRows, owner: string) {
    this.#requireAlive();
    checkRequired(rows, owner, requiredRows);
    const { inFeatures, outFeatures } = this.#layer.shape;
    const batch = positiveInteger(rows.batch, 'batch');
    const fisherRows = positiveInteger(rows.fisherRows ?? batch, 'fisherRows');
    const inputs = float32(rows.inputs, 'inputs', batch * inFeatures, `batch ${batch} × inFeatures ${inFeatures}`);
    const extents = `fisherRows ${fisherRows} × outFeatures ${outFeatures}`;
    return {
      inputs,
      outputGrads: float32(rows.outputGrads, 'outputGrads', fisherRows * outFeatures, extents),
      batch,
      fisherRows,
    };
  }

  #ownGradient(rows: NaturalGradientRows<Bias>, owner: string) {
    const { inputs, outputGrads, batch, fisherRows } = this.#rows(rows, owner);
    checkRequired(rows, owner, { lossGrads: 'a Float32Array' });
    const { outFeatures } = this.#layer.shape;
    const lossGrads = float32(
      rows.lossGrads,
      'lossGrads',
      batch * outFeatures,
      `batch ${batch} × outFeatures ${outFeatures}`,
    );
    const spectrum = boolean(rows.spectrum ?? false, 'spectrum');
    const { out, applyTo } = rows;
    const report = newReport();
    const fresh = applyTo === undefined && out === undefined;
    const source = { inputs, outputGrads, lossGrads, batch, fisherRows, spectrum, report, fresh };
    if (applyTo === undefined) {
      const to = outputArrays(out, this.#layer.shape);
      const call: NativeOwnGradient = { ...source, kernel: to.kernel, bias: to.bias, factor: 1, keep: 0 };
      return { call, report, x: { x: resultVector<Bias>(out, to) } };
    }
    if (out !== undefined) throw valueError('no out together with applyTo', 'out', out);
    const update = readOptions(applyTo, 'applyTo', ['weights', 'learningRate']);
    checkRequired(update, 'applyTo', { weights: 'the weights', learningRate: 'a number > 0' });
    const { kernel, bias } = vectorArrays(update.weights, 'applyTo.weights', this.#layer.shape);
    const learningRate = positive(update.learningRate, 'applyTo.learningRate');
    const call: NativeOwnGradient = { ...source, kernel, bias, factor: -learningRate, keep: 1 };
    return { call, report, x: {} };
  }

  #requireAlive(): void {
    if (this.#disposed) {
      throw new CgfacError(
        'ERR_CGFAC_DISPOSED',
        'Expected a live LayerPreconditioner for this call but received one that was disposed of',
      );
    }
  }
}
