import { abortSignal, readOptions } from '../base/validate';
import { type LayerShape, outputArrays, resultVector, vectorArrays, type WeightVector } from '../base/weight-vector';
import { callNative, callNativeAsync } from '../native/call';
import type { NativeFisherOperator } from '../native/declarations';
import { native } from '../native/load';
import { type FisherOperatorOptions, parseOperatorOptions } from './options';

/** Options of {@link FisherOperator.apply}. */
export interface ApplyOptions<Bias extends boolean = boolean> {
  /** Where the result goes; it may be the arrays of `v`, and must not overlap them otherwise. Default: new arrays. */
  readonly out?: WeightVector<Bias>;
}

const applyNames = ['out'];
const applyAsyncNames = ['out', 'signal'];
const request = ({ out }: ApplyOptions) => ({ out });
const asyncRequest = ({ out, signal }: ApplyOptions & { readonly signal?: AbortSignal }) => ({ out, signal });

/** The native object and the shape behind an operator; not part of the public face. */
export interface OperatorParts {
  readonly native: NativeFisherOperator;
  readonly shape: LayerShape;
}
let partsOf: (operator: unknown) => OperatorParts | undefined;

/**
 * The damped Fisher block of a layer as an operator: v ↦ (F + λI) v with F v = G v A, A = [a 1]ᵀ[a 1]/B and G = gᵀg/N,
 * computed as gᵀ(((g v) aᵀ) a)/(B·N) + λ v, or through the factor of a side that has more rows than features, where
 * that is cheaper. Neither F nor, for wide layers, A or G is ever formed.
 *
 * It borrows `inputs` and `outputGrads`: what they hold at the time of a call is what the call uses. A synchronous call
 * copies nothing; an asynchronous one copies what it reads, so that whatever becomes of the arrays before it settles
 * changes nothing. SharedArrayBuffer-backed arrays and non-zero byte offsets are welcome. Memory between calls: one N ×
 * (inFeatures or outFeatures) and one N × N float32 workspace. Asynchronous calls run on pool threads, several at a
 * time.
 *
 * Source: J. Martens and R. Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", 2015,
 * §3 (the block); Y. Chen, "An iterative K-FAC algorithm for Deep Learning", arXiv 2101.00218, 2021, §3 (the
 * matrix-free product).
 *
 * @typeParam Bias - whether the layer has a bias, and its vectors therefore are `{ kernel, bias }`.
 */
export class FisherOperator<Bias extends boolean = false> {
  readonly #native: NativeFisherOperator;
  readonly #shape: LayerShape;

  static {
    partsOf = (operator) =>
      typeof operator === 'object' && operator !== null && #native in operator
        ? { native: operator.#native, shape: operator.#shape }
        : undefined;
  }

  /**
   * @param options - The layer, the rows and the damping; see {@link FisherOperatorOptions}.
   * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
   * `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_DETACHED_BUFFER`.
   */
  constructor(options: FisherOperatorOptions<Bias>) {
    const resolved = parseOperatorOptions(options);
    this.#shape = resolved;
    this.#native = callNative(() => new native.FisherOperator({ ...resolved, kind: 'dense', columns: 0 }));
  }

  /**
   * (F + λI) v, on a pool thread.
   *
   * @param v - `(outFeatures × inFeatures)` in the operator's layout, with the bias as an array of its own where there
   * is one. Copied when the call is made.
   * @param options - `out`: where the result goes, written when the promise settles, on success only. `signal`: rejects
   * with its reason; an abort that comes after the work was done still rejects, and `out` then holds the result.
   * @returns `out`, or new arrays.
   * @throws {@link CgfacError} as {@link FisherOperator.applySync}, as a rejection; `ERR_CGFAC_DETACHED_BUFFER` for an
   * `out` that was transferred meanwhile, too.
   */
  async apply(
    v: WeightVector<Bias>,
    options: ApplyOptions<Bias> & { readonly signal?: AbortSignal } = {},
  ): Promise<WeightVector<Bias>> {
    const { out, signal: given } = readOptions(options, 'apply', applyAsyncNames, asyncRequest);
    const signal = abortSignal(given);
    const from = vectorArrays(v, 'v', this.#shape);
    const to = outputArrays(out, this.#shape);
    await callNativeAsync(signal, (token) =>
      this.#native.apply(from.kernel, from.bias, to.kernel, to.bias, token, out === undefined),
    );
    return resultVector<Bias>(out, to);
  }

  /**
   * (F + λI) v, on the calling thread.
   *
   * @param v - `(outFeatures × inFeatures)` in the operator's layout, with the bias as an array of its own where there
   * is one.
   * @param options - `out`: where the result goes, written on success only.
   * @returns `out`, or new arrays.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_DETACHED_BUFFER`,
   * `ERR_CGFAC_OVERLAP`, `ERR_CGFAC_UNKNOWN_OPTION`; `ERR_CGFAC_NOT_FINITE` for NaN or infinity in v or the rows, or a
   * result beyond float32; `ERR_CGFAC_INVALID_ARG_VALUE` for relative damping of rows that are all zero.
   */
  applySync(v: WeightVector<Bias>, options: ApplyOptions<Bias> = {}): WeightVector<Bias> {
    const { out } = readOptions(options, 'applySync', applyNames, request);
    const from = vectorArrays(v, 'v', this.#shape);
    const to = outputArrays(out, this.#shape);
    callNative(() => this.#native.applySync(from.kernel, from.bias, to.kernel, to.bias));
    return resultVector<Bias>(out, to);
  }
}

export { partsOf };
