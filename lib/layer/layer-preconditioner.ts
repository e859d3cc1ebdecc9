import { CgfacError } from '../base/errors';
import {
  abortSignal,
  boolean,
  damping as checkedDamping,
  checkOptions,
  checkRequired,
  positive,
  positiveInteger,
  valueError,
} from '../base/validate';
import {
  type Damping,
  float32,
  type LayerShape,
  outputArrays,
  resultVector,
  vectorArrays,
  type WeightVector,
} from '../base/weight-vector';
import {
  callNative,
  callNativeAsync,
  type NativeLayerPreconditioner,
  type NativeOwnGradient,
  type NativeSpectrum,
  native,
  reportPlaces,
} from '../native/addon';
import { type CgSummary, type LayerPreconditionerOptions, parseLayerOptions } from './options';
import { type SolutionProducts, Spectrum } from './spectrum';

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
  /** Whether the result carries the spectrum of an exact solve. Default: false. */
  readonly spectrum?: boolean;
}

/** How a direction was come by. */
export interface LayerSummary extends Partial<SolutionProducts> {
  /** The method that was used: what 'auto' chose. */
  readonly method: 'cg' | 'exact' | 'kfac';
  /** Conjugate-gradient iterations done; 0 for the other methods. */
  readonly iterations: number;
  /** Of 'cg': ‖r‖/‖v‖ at the end. */
  readonly residual?: number;
  /** Of 'cg': ‖v − (F + λI) x₀‖/‖v‖. */
  readonly initialResidual?: number;
  /** As {@link CgSummary.reason}; `'solved'` for a method that does not iterate. */
  readonly reason: CgSummary['reason'] | 'solved';
  /** Where it was solved. */
  readonly space: 'gram' | 'weight';
  /** Of 'cg' in Gram space: whether an iteration was two N × N products, or O(N²) in tridiagonal bases. */
  readonly basis?: 'plain' | 'tridiagonal';
  /** How the input side entered: through its rows, or, where they are more than its features, through A. */
  readonly inputForm: 'panel' | 'covariance';
  /** How the output side entered. */
  readonly outputForm: 'panel' | 'covariance';
  /** λ, or γ_A and γ_G, that were used; unknown for the per-sample block. */
  readonly damping?:
    | number
    | {
        /** γ_A. */
        readonly input: number;
        /** γ_G. */
        readonly output: number;
      };
  /** Of the spectral solution, with `spectrum: true` and where it was known anyway: the largest eigenvalue of F. */
  readonly lambdaMax?: number;
  /** The same: Σ E/(E + λ). */
  readonly effectiveRank?: number;
  /** Of the spectral solution: eigenvalues that rounding had made negative, taken as 0. */
  readonly clamped?: number;
  /** Where it was asked for and the method has one. */
  readonly spectrum?: Spectrum;
}

/** What a precondition call gives. */
export interface PreconditionResult<Bias extends boolean = boolean> extends LayerSummary {
  /** The natural-gradient direction, the damped inverse times v, in the layer's form: `out`, or new arrays. */
  readonly x: WeightVector<Bias>;
}

/** A batch, and the gradients its own gradient is made of, for {@link LayerPreconditioner.naturalGradient}. */
export interface NaturalGradientRows<Bias extends boolean = boolean> extends RecordedRows {
  /**
   * Gradients of the training loss with respect to the layer's pre-activations, `(batch × outFeatures)`, with the same
   * reduction as `outputGrads`: v = lossGradsᵀ·inputs/B for 'sum', lossGradsᵀ·inputs for 'mean'. The array of
   * `outputGrads` itself gives the empirical Fisher, `outputGrads` from sampled targets the true one. Borrowed.
   */
  readonly lossGrads: Float32Array;
  /** Where x goes. Default: new arrays. Not together with `applyTo`. */
  readonly out?: WeightVector<Bias>;
  /** Updates weights in place, weights ← weights − learningRate · x, by the one product that x would have cost. */
  readonly applyTo?: {
    /** What is updated, in the layer's form. */
    readonly weights: WeightVector<Bias>;
    /** The multiple of x that is subtracted, > 0. */
    readonly learningRate: number;
  };
  /** Whether the result carries the spectrum of an exact solve. Default: false. */
  readonly spectrum?: boolean;
}

/** What {@link LayerPreconditioner.naturalGradient} gives. */
export interface NaturalGradientResult<Bias extends boolean = boolean> extends LayerSummary {
  /** The direction: `out`, or new arrays. With `applyTo` there is none, and its weights are updated. */
  readonly x?: WeightVector<Bias>;
}

/** Bytes that a layer keeps between steps. */
export interface LayerMemory {
  /** The recorded rows. */
  readonly batch: number;
  /**
   * Scratch of the solvers: 8 N × N float64 matrices, or 128 KiB where that is more; in weight space vectors as well.
   */
  readonly workspace: number;
  /** The previous solution, unless `warmStart` is 'none'. */
  readonly previous: number;
  /** Of 'kfac': factors, eigenvectors and scratch. */
  readonly factors: number;
  /** The sum. */
  readonly total: number;
}

const recordNames = ['inputs', 'outputGrads', 'batch', 'fisherRows'];
const preconditionNames = ['out', 'spectrum'];
const preconditionAsyncNames = [...preconditionNames, 'signal'];
const naturalGradientNames = [...recordNames, 'lossGrads', 'out', 'applyTo', 'spectrum'];
const naturalGradientAsyncNames = [...naturalGradientNames, 'signal'];

/** The native object and the shape behind a layer; not part of the public face. */
export interface LayerParts {
  readonly native: NativeLayerPreconditioner;
  readonly shape: LayerShape;
}
let partsOfLayer: (layer: unknown) => LayerParts | undefined;

export { partsOfLayer };

const methods = ['cg', 'exact', 'kfac'] as const;
const reasons = ['converged', 'max-iterations', 'indefinite', 'broken-down', 'solved'] as const;
const spaces = ['gram', 'weight'] as const;
const bases = ['plain', 'tridiagonal'] as const;
const forms = ['panel', 'covariance'] as const;
const known = ['lambdaMax', 'effectiveRank', 'clamped', 'vx', 'xFx', 'xx'] as const;
const firstKnown = reportPlaces.indexOf('lambdaMax');

/** Room for what the addon says of a solve. */
export function newReport(): Float64Array {
  return new Float64Array(reportPlaces.length);
}

/** A report as the facade gives it. */
export function layerSummary(report: Float64Array, spectrum: NativeSpectrum | undefined): LayerSummary {
  const at = (index: number): number => report[index] ?? Number.NaN;
  const summary: { -readonly [Name in keyof LayerSummary]: LayerSummary[Name] } = {
    method: methods[at(0)] ?? 'cg',
    iterations: at(1),
    reason: reasons[at(4)] ?? 'solved',
    space: spaces[at(5)] ?? 'gram',
    inputForm: forms[at(7)] ?? 'panel',
    outputForm: forms[at(8)] ?? 'panel',
  };
  if (summary.reason !== 'solved') {
    summary.residual = at(2);
    summary.initialResidual = at(3);
  }
  const basis = bases[at(6)];
  if (basis !== undefined) summary.basis = basis;
  const damping = at(9);
  if (!Number.isNaN(damping)) summary.damping = Number.isNaN(at(10)) ? damping : { input: damping, output: at(10) };
  for (let index = 0; index < known.length; index++) {
    const value = at(firstKnown + index);
    if (!Number.isNaN(value)) summary[known[index] as (typeof known)[number]] = value;
  }
  if (spectrum !== undefined) summary.spectrum = new Spectrum(spectrum);
  return summary;
}

/**
 * Turns one layer's gradients into natural-gradient directions, x = (F + λI)⁻¹ v, step after step: it keeps the
 * recorded batch, the workspace, and the previous solution, from which the next solve starts.
 *
 * `record` copies the rows of a batch; `precondition` solves with the batch recorded last, as often as you like.
 * Asynchronous calls of one object run one after another, each on the batch that was recorded when it was made; those
 * of several objects run at the same time on the pool threads. While calls are pending, `preconditionSync` and `reset`
 * are refused. Memory kept: the batch, the workspace of {@link ConjugateGradient} and, unless `warmStart` is `'none'`,
 * one solution.
 *
 * Source: Y. Chen, "An iterative K-FAC algorithm for Deep Learning", arXiv 2101.00218, 2021, Algorithm 2.
 *
 * @typeParam Bias - whether the layer has a bias, and its vectors therefore are `{ kernel, bias }`.
 */
export class LayerPreconditioner<Bias extends boolean = false> {
  readonly #native: NativeLayerPreconditioner;
  readonly #shape: LayerShape;
  #disposed = false;

  static {
    partsOfLayer = (layer) => {
      if (typeof layer !== 'object' || layer === null || !(#native in layer)) return undefined;
      layer.#requireAlive();
      return { native: layer.#native, shape: layer.#shape };
    };
  }

  /**
   * @param options - The layer, the damping and the solve; see {@link LayerPreconditionerOptions}.
   * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
   * `ERR_CGFAC_INVALID_ARG_VALUE`.
   */
  constructor(options: LayerPreconditionerOptions<Bias>) {
    const resolved = parseLayerOptions(options);
    this.#shape = resolved;
    this.#native = new native.LayerPreconditioner(resolved);
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
    const { inputs, outputGrads, batch, fisherRows } = this.#rows(rows, 'record');
    callNative(() => this.#native.record(inputs, outputGrads, batch, fisherRows, false));
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
    callNative(() => this.#native.setDamping({ damping: checked }));
  }

  /**
   * The natural-gradient direction (F + λI)⁻¹ v, on a pool thread.
   *
   * @param v - The gradient, `(outFeatures × inFeatures)` in the layer's layout, with the bias gradient as an array of
   * its own where there is a bias. Borrowed until the promise settles.
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
    const spectrum = boolean(options.spectrum ?? false, 'spectrum');
    const to = outputArrays(out, this.#shape);
    const report = newReport();
    const found = await callNativeAsync(signal, (token) =>
      this.#native.precondition(from.kernel, from.bias, to.kernel, to.bias, spectrum, report, token),
    );
    return { x: resultVector<Bias>(out, to), ...layerSummary(report, found) };
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
    this.#requireAlive();
    checkOptions(options, 'preconditionSync', preconditionNames);
    const from = vectorArrays(v, 'v', this.#shape);
    const { out } = options; // read once: a getter might give another one
    const spectrum = boolean(options.spectrum ?? false, 'spectrum');
    const to = outputArrays(out, this.#shape);
    const report = newReport();
    const found = callNative(() =>
      this.#native.preconditionSync(from.kernel, from.bias, to.kernel, to.bias, spectrum, report),
    );
    return { x: resultVector<Bias>(out, to), ...layerSummary(report, found) };
  }

  /**
   * The damped inverse times the batch's own gradient, on a pool thread. Where both sides have fewer rows than features
   * the gradient is never formed: one product of its size instead of two passes over it. Nothing is recorded, and no
   * warm start used or left; with 'kfac' the batch enters the factors.
   *
   * @param rows - The batch; its arrays are borrowed until the promise settles. `out`, or `applyTo`: where the result
   * goes, written at the end. `signal`: read once per iteration; an abort that comes after the work was done still
   * rejects.
   * @returns How it went: ⟨v, x⟩ and xᵀF x with every method, and x unless weights were updated.
   * @throws {@link CgfacError} as {@link LayerPreconditioner.naturalGradientSync}, as a rejection.
   */
  async naturalGradient(
    rows: NaturalGradientRows<Bias> & { readonly signal?: AbortSignal },
  ): Promise<NaturalGradientResult<Bias>> {
    this.#requireAlive();
    checkOptions(rows, 'naturalGradient', naturalGradientAsyncNames);
    const signal = abortSignal(rows.signal);
    const { call, report, x } = this.#ownGradient(rows, 'naturalGradient');
    const found = await callNativeAsync(signal, (token) => this.#native.naturalGradient(...call, token));
    return { ...x, ...layerSummary(report, found) };
  }

  /**
   * The damped inverse times the batch's own gradient, on the calling thread and the pool.
   *
   * @param rows - The batch; see {@link NaturalGradientRows}.
   * @returns How it went: ⟨v, x⟩ and xᵀF x with every method, and x unless weights were updated.
   * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
   * `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_DETACHED_BUFFER`, `ERR_CGFAC_OVERLAP`,
   * `ERR_CGFAC_NOT_FINITE`, `ERR_CGFAC_BUSY`, `ERR_CGFAC_DISPOSED`, `ERR_CGFAC_OUT_OF_MEMORY`.
   */
  naturalGradientSync(rows: NaturalGradientRows<Bias>): NaturalGradientResult<Bias> {
    this.#requireAlive();
    checkOptions(rows, 'naturalGradientSync', naturalGradientNames);
    const { call, report, x } = this.#ownGradient(rows, 'naturalGradientSync');
    const found = callNative(() => this.#native.naturalGradientSync(...call));
    return { ...x, ...layerSummary(report, found) };
  }

  /**
   * Bytes that the layer keeps between steps; results and borrowed arrays are not among them.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_BUSY` while a call is pending, `ERR_CGFAC_DISPOSED`.
   */
  memoryUsage(): LayerMemory {
    this.#requireAlive();
    const memory = callNative(() => this.#native.memoryUsage());
    return { ...memory, total: memory.batch + memory.workspace + memory.previous + memory.factors };
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

  /**
   * Frees the native memory; calls under way finish first. Every later call but this one throws `ERR_CGFAC_DISPOSED`.
   */
  dispose(): void {
    this.#disposed = true;
    this.#native.dispose();
  }

  /** The same as {@link LayerPreconditioner.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #rows(rows: RecordedRows, owner: string) {
    checkRequired(rows, owner, {
      inputs: 'a Float32Array',
      outputGrads: 'a Float32Array',
      batch: 'a positive integer',
    });
    const { inFeatures, outFeatures } = this.#shape;
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
    const { outFeatures } = this.#shape;
    const lossGrads = float32(
      rows.lossGrads,
      'lossGrads',
      batch * outFeatures,
      `batch ${batch} × outFeatures ${outFeatures}`,
    );
    const spectrum = boolean(rows.spectrum ?? false, 'spectrum');
    const { out, applyTo } = rows;
    const source = [inputs, outputGrads, lossGrads, batch, fisherRows] as const;
    const report = newReport();
    if (applyTo === undefined) {
      const to = outputArrays(out, this.#shape);
      const call: NativeOwnGradient = [...source, to.kernel, to.bias, 1, 0, spectrum, report];
      return { call, report, x: { x: resultVector<Bias>(out, to) } };
    }
    if (out !== undefined) throw valueError('no out together with applyTo', 'out', out);
    checkOptions(applyTo, 'applyTo', ['weights', 'learningRate']);
    checkRequired(applyTo, 'applyTo', { weights: 'the weights', learningRate: 'a number > 0' });
    const weights = vectorArrays(applyTo.weights, 'applyTo.weights', this.#shape);
    const learningRate = positive(applyTo.learningRate, 'applyTo.learningRate');
    const call: NativeOwnGradient = [...source, weights.kernel, weights.bias, -learningRate, 1, spectrum, report];
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
