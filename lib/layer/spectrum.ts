import { positive } from '../base/validate';
import type { NativeSpectrum } from '../native/layer';

/** Inner products of a solution x of (F + λI) x = v: what step sizes and trust regions are made of. */
export interface SolutionProducts {
  /** ⟨v, x⟩: the first-order decrease that a step −x predicts. */
  readonly vx: number;
  /** xᵀF x: twice the Kullback–Leibler divergence that a step −x predicts. */
  readonly xFx: number;
  /** ‖x‖². */
  readonly xx: number;
}

/** What a spectrum says of a damping. */
export interface SpectrumValues extends SolutionProducts {
  /** The largest eigenvalue of F. */
  readonly lambdaMax: number;
  /** Σ E/(E + λ) over the eigenvalues E of F: how many directions the damping leaves to the curvature. */
  readonly effectiveRank: number;
}

/**
 * The spectrum of an exact solve: ⟨v, x⟩, xᵀF x and ‖x‖² of x = (F + λI)⁻¹ v for any λ at the cost of N² operations,
 * without the weights. A λ that meets a predicted divergence or a norm is a one-dimensional search on it.
 *
 * Memory: N × N float64 numbers (the projected size), freed with the object.
 */
export class Spectrum {
  readonly #native: NativeSpectrum;

  /** @internal */
  constructor(inner: NativeSpectrum) {
    this.#native = inner;
  }

  /**
   * The products for a damping.
   *
   * @param damping - λ > 0, absolute.
   * @returns What x = (F + λI)⁻¹ v would have.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`.
   */
  at(damping: number): SpectrumValues {
    return this.#native.at(positive(damping, 'damping'));
  }
}
