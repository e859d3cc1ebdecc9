/** What of a head cannot be compared, and how far its part of the loss is above the least. */
import type { Distribution } from '../../adapter-kit';

/**
 * Probabilities this near to 0 or 1 are left out of the comparison. Keras clips at 1e-7, which makes their gradient
 * zero; and float32 has 1 − p to 6e-8 only, so that at this distance p − y itself is known to 0.3 %.
 */
const SATURATED = 2e-5;

type Numbers = ArrayLike<number>;

/**
 * Marks with 1 where p is so near to its bounds, in a row of a categorical or at a number of a Bernoulli, that nothing
 * can be compared.
 */
export function saturated(distribution: Distribution, p: Numbers, y: Numbers, width: number): Uint8Array {
  const marks = new Uint8Array(p.length);
  if (distribution === 'gaussian') return marks;
  for (let row = 0; row < p.length; row += width) {
    let whole = 0;
    for (let at = row; at < row + width; at++) {
      const probability = p[at] ?? 0;
      const high = probability > 1 - SATURATED;
      if (distribution === 'bernoulli') marks[at] = high || probability < SATURATED ? 1 : 0;
      else if (high || (probability < SATURATED && (y[at] ?? 0) > 0)) whole = 1;
    }
    if (whole) marks.fill(1, row, row + width);
  }
  return marks;
}

/** A divergence of more numbers than these is estimated from some of the samples, of these at the least. */
const MANY_NUMBERS = 8192;
const FEWEST_SAMPLES = 8;

/** Keras takes a smaller probability for this one. */
const LEAST_PROBABILITY = 1e-7;

/** The divergence of one number's target from its probability; of a squared error half of it. */
function divergenceAt(distribution: Distribution, target: number, probability: number): number {
  if (distribution === 'gaussian') return (probability - target) ** 2 / 2;
  const term = (y: number, p: number) => (y > 0 ? y * Math.log(y / Math.max(p, LEAST_PROBABILITY)) : 0);
  return term(target, probability) + (distribution === 'bernoulli' ? term(1 - target, 1 - probability) : 0);
}

/** The weighed sum of the divergences of the targets from the probabilities. */
export interface Divergence {
  readonly value: number;
  /** Whether it is of all samples, and no estimate from some of them. */
  readonly exact: boolean;
}

/**
 * The weighed sum of the Kullback–Leibler divergences of the targets from the probabilities: what a head's part of the
 * loss is above its least, whatever constant the loss has beside it.
 */
export function divergenceOf(distribution: Distribution, p: Numbers, y: Numbers, s: Numbers, u: number): Divergence {
  const perSample = y.length / s.length;
  const most = Math.max(1, Math.floor(s.length / FEWEST_SAMPLES));
  const stride = Math.min(most, Math.max(1, Math.floor(y.length / MANY_NUMBERS)));
  let [found, seen, all] = [0, 0, 0];
  for (let sample = 0; sample < s.length; sample++) {
    const weight = s[sample] ?? 0;
    all += weight;
    if (sample % stride !== 0) continue;
    seen += weight;
    for (let at = sample * perSample; at < (sample + 1) * perSample; at++)
      found += weight * divergenceAt(distribution, y[at] ?? 0, p[at] ?? 0);
  }
  return { value: seen === 0 ? 0 : (u * found * all) / seen, exact: stride === 1 };
}
