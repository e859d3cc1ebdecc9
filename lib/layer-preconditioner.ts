import { CgfacError } from './error';
import { callNative, callNativeAsync, type NativeLayerPreconditioner, native } from './native';
import {
  type CgOptions,
  type CgSummary,
  cgOptionNames,
  type LayerOptions,
  layerOptionNames,
  parseCgOptions,
  parseLayerOptions,
} from './options';
import { abortSignal, checkOptions, checkRequired, oneOf, positiveInteger } from './validate';
import { float32, type LayerShape, outputArrays, resultVector, vectorArrays, type WeightVector } from './weight-vector';

/** Options of {@link LayerPreconditioner}. */
export interface LayerPreconditionerOptions<Bias extends boolean = boolean> extends LayerOptions<Bias>, CgOptions {
  /** How directions are solved for. Default: 'cg', conjugate gradients (CG-FAC). */
  readonly method?: 'cg';
  /**
   * Where a solve starts: `'previous'`, from the previous solution (the paper's proposal; it often starts with a larger
   * residual, and trains better all the same); `'scaled'`, from its multiple of least error; `'none'`, from zero. Default: 'previous'.
   */
  readonly warmStart?: 'none' | 'previous' | 'scaled';
}

/** A batch for {@link LayerPreconditioner.record}. */
export interface RecordedRows {
  /** Input activations a, `(batch × inFeatures)`, row-major Float32Array. Copied. */
  readonly inputs: Float32Array;
  /** Output gradients g, `(fisherRows × outFeatures)`, row-major Float32Array. Copied. */
  readonly outputGrads: Float32Array;
  /** Rows of `inputs`. */
  readonly batch: number;
  /** Rows of `outputGrads`. Default: `batch`. */
  readonly fisherRows?: number;
}

/** Options of {@link LayerPreconditioner.precondition}. */
export interface PreconditionOptions<Bias extends boolean = boolean> {
  /** Where x goes; it may be the arrays of `v`, and must not overlap them otherwise. Default: new arrays. */
  readonly out?: WeightVector<Bias>;
}

/** What a precondition call gives. */
export interface PreconditionResult<Bias extends boolean = boolean> extends CgSummary {
  /** The natural-gradient direction (F + λI)⁻¹ v, in the layer's form: `out`, or new arrays. */
  readonly x: WeightVector<Bias>;
}

const names = [...layerOptionNames, ...cgOptionNames, 'method', 'warmStart'];
const recordNames = ['inputs', 'outputGrads', 'batch', 'fisherRows'];
const preconditionNames = ['out'];
const preconditionAsyncNames = ['out', 'signal'];

/**
 * Turns one layer's gradients into natural-gradient directions, x = (F + λI)⁻¹ v, step after step: it keeps the recorded
 * batch, the workspace, and the previous solution, from which the next solve starts.
 *
 * `record` copies the rows of a batch; `precondition` solves with the batch recorded last, as often as you like.
 * Asynchronous calls of one object run one after another, each on the batch that was recorded when it was made; those of
 * several objects run at the same time on the pool threads. While calls are pending, `preconditionSync` and `reset` are
 * refused. Memory kept: the batch, the workspace of {@link ConjugateGradient} and, unless `warmStart` is `'none'`, one solution.
 *
 * Source: Y. Chen, "An iterative K-FAC algorithm for Deep Learning", arXiv 2101.00218, 2021, Algorithm 2.
 *
 * @typeParam Bias - whether the layer has a bias, and its vectors therefore are `{ kernel, bias }`.
 */
export class LayerPreconditioner<Bias extends boolean = false> {
  readonly #native: NativeLayerPreconditioner;
  readonly #shape: LayerShape;
  #disposed = false;

  /**
   * @param options - The layer, the damping and the solve; see {@link LayerPreconditionerOptions}.
   * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
   * `ERR_CGFAC_INVALID_ARG_VALUE`.
   */
  constructor(options: LayerPreconditionerOptions<Bias>) {
    const owner = 'LayerPreconditioner';
    checkOptions(options, owner, names);
    const layer = parseLayerOptions(options, owner);
    oneOf(options.method ?? 'cg', 'method', ['cg']);
    const warmStart = oneOf(options.warmStart ?? 'previous', 'warmStart', ['none', 'previous', 'scaled']);
    this.#shape = layer;
    this.#native = new native.LayerPreconditioner({ ...layer, ...parseCgOptions(options), warmStart });
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
    checkOptions(rows, 'record', recordNames);
    checkRequired(rows, 'record', { inputs: 'a Float32Array', outputGrads: 'a Float32Array', batch: 'a positive integer' });
    const { inFeatures, outFeatures } = this.#shape;
    const batch = positiveInteger(rows.batch, 'batch');
    const fisherRows = positiveInteger(rows.fisherRows ?? batch, 'fisherRows');
    const inputs = float32(rows.inputs, 'inputs', batch * inFeatures, `batch ${batch} × inFeatures ${inFeatures}`);
    const outputGrads = float32(
      rows.outputGrads,
      'outputGrads',
      fisherRows * outFeatures,
      `fisherRows ${fisherRows} × outFeatures ${outFeatures}`,
    );
    callNative(() => this.#native.record(inputs, outputGrads, batch, fisherRows));
  }

  /**
   * The natural-gradient direction (F + λI)⁻¹ v, on a pool thread.
   *
   * @param v - The gradient, `(outFeatures × inFeatures)` in the layer's layout, with the bias gradient as an array of its own
   * where there is a bias. Borrowed until the promise settles.
   * @param options - `out`: where x goes, written at the end of a successful solve. `signal`: read once per iteration;
   * the promise rejects with its reason. An
   * abort that comes after the work was done still rejects; `out` and the warm start then hold the result.
   * @returns x and how the solve went.
   * @throws {@link CgfacError} as {@link LayerPreconditioner.preconditionSync}, as a rejection.
   */
  async precondition(
    v: WeightVector<Bias>,
    options: PreconditionOptions<Bias> & { readonly signal?: AbortSignal } = {},
  ): Promise<PreconditionResult<Bias>> {
    this.#requireAlive();
    checkOptions(options, 'precondition', preconditionAsyncNames);
    const signal = abortSignal(options.signal);
    const from = vectorArrays(v, 'v', this.#shape);
    const { out } = options; // read once: the object may change before the promise settles
    const to = outputArrays(out, this.#shape);
    const summary = await callNativeAsync(signal, (token) => this.#native.precondition(from.kernel, from.bias, to.kernel, to.bias, token));
    return { x: resultVector<Bias>(out, to), ...summary };
  }

  /**
   * The natural-gradient direction (F + λI)⁻¹ v, on the calling thread.
   *
   * @param v - The gradient, `(outFeatures × inFeatures)` in the layer's layout, with the bias gradient as an array of its own
   * where there is a bias.
   * @param options - `out`: where x goes, written at the end of a successful solve.
   * @returns x and how the solve went.
   * @throws {@link CgfacError} `ERR_CGFAC_NO_RECORD`, `ERR_CGFAC_BUSY`, `ERR_CGFAC_DISPOSED`, `ERR_CGFAC_INVALID_ARG_TYPE`,
   * `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_DETACHED_BUFFER`, `ERR_CGFAC_OVERLAP`, `ERR_CGFAC_UNKNOWN_OPTION`,
   * `ERR_CGFAC_OUT_OF_MEMORY`; `ERR_CGFAC_NOT_FINITE` for NaN or infinity in v, or a solution beyond float32;
   * `ERR_CGFAC_INVALID_ARG_VALUE` for relative damping of rows that are all zero.
   */
  preconditionSync(v: WeightVector<Bias>, options: PreconditionOptions<Bias> = {}): PreconditionResult<Bias> {
    this.#requireAlive();
    checkOptions(options, 'preconditionSync', preconditionNames);
    const from = vectorArrays(v, 'v', this.#shape);
    const { out } = options; // read once: the object may change before the promise settles
    const to = outputArrays(out, this.#shape);
    const summary = callNative(() => this.#native.preconditionSync(from.kernel, from.bias, to.kernel, to.bias));
    return { x: resultVector<Bias>(out, to), ...summary };
  }

  /**
   * Forgets the recorded batch and the previous solution.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_BUSY` while a call is pending, `ERR_CGFAC_DISPOSED`.
   */
  reset(): void {
    this.#requireAlive();
    callNative(() => this.#native.reset());
  }

  /** Frees the native memory; calls under way finish first. Every later call but this one throws `ERR_CGFAC_DISPOSED`. */
  dispose(): void {
    this.#disposed = true;
    this.#native.dispose();
  }

  /** The same as {@link LayerPreconditioner.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #requireAlive(): void {
    if (this.#disposed) {
      throw new CgfacError('ERR_CGFAC_DISPOSED', 'Expected a live LayerPreconditioner for this call but received one that was disposed of');
    }
  }
}
