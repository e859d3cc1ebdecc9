/**
 * A damping that meets a predicted divergence, found on the spectra of exact solves, without another pass over the
 * weights.
 */
import type { Spectrum } from '../../layer/spectrum';

/** One layer's exact solve. */
export interface SolvedSpectrum {
  readonly spectrum: Spectrum;
  /** λ that it was solved with. */
  readonly damping: number;
}

/** The factors that are searched, and the digits of the result. */
const LEAST = 1e-6;
const MOST = 1e8;
const BISECTIONS = 48; // of log c over 14 decades: to 1e-13

/** ½η²Σ xᵀF x over the layers with λ times c: the Kullback–Leibler divergence that a step of length η predicts. */
export function predictedDivergence(layers: readonly SolvedSpectrum[], c: number, eta: number): number {
  return (eta ** 2 / 2) * layers.reduce((sum, { spectrum, damping }) => sum + spectrum.at(c * damping).xFx, 0);
}

/**
 * c, by which every layer's λ is multiplied for ½η²Σ xᵀF x to be `kl`; where no c between 10⁻⁶ and 10⁸ does, the
 * nearest.
 */
export function trustFactor(layers: readonly SolvedSpectrum[], kl: number, eta: number): number {
  if (layers.length === 0) return 1;
  // xᵀF x falls as λ grows
  let low = Math.log(LEAST);
  let high = Math.log(MOST);
  if (predictedDivergence(layers, LEAST, eta) <= kl) return LEAST;
  for (let step = 0; step < BISECTIONS; step++) {
    const middle = (low + high) / 2;
    if (predictedDivergence(layers, Math.exp(middle), eta) > kl) low = middle;
    else high = middle;
  }
  return Math.exp(high);
}
