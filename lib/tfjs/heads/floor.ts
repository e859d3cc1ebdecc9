/**
 * What a loss cannot fall below. The gradient of a head tells its loss but for a constant: Σ y·ln(1/p) has the entropy
 * of the targets for its least, the Kullback–Leibler divergence Σ y·ln(y/p), with the same gradient, has 0, and what is
 * shifted something else. All of them are above their least by the divergence, and their value says which it is.
 */
import type { Metric } from './find';

/** The divergence is known to this share of itself. */
const KNOWN = 0.1;
/** The rounding of a loss in float32, a mean of many terms, relative to itself. */
const ROUNDING = 1e-5;

/** What a loss cannot fall below, or what stands for it where that is not known. */
export interface Floors {
  readonly floor: number | undefined;
  readonly assumedFloor: number | undefined;
}

/**
 * L_min of a loss: the entropy of the targets of a cross-entropy, 0 of a divergence and of a squared error, what a
 * shifted loss has as its least, and more where logits have bounds. It is below the loss. A part of the loss that is
 * not known counts as one above 0; where it is below, and where samples have weights of both signs, there is none.
 */
export function floorOf(loss: number, metric: Metric): number | undefined {
  if (metric.heads.some(({ bounded }) => !bounded)) return undefined;
  const least = leastOf(loss, metric);
  // logits with bounds keep it further up; a loss that is below that is another one
  const bounded = least + metric.heads.reduce((sum, { excess }) => sum + excess, 0);
  if (loss >= (1 - ROUNDING) * bounded) return bounded;
  return metric.other !== undefined && loss < least ? undefined : least;
}

/**
 * L_min of a loss. Where no head is known it is 0 of terms that are all above 0; of others none is, and what stands for
 * it is as far below the loss as all of its terms are large.
 *
 * @param size - Σ|t| over the terms of the loss, where it is known.
 */
export function floorsOf(loss: number, metric: Metric, size = Number.NaN): Floors {
  const unknown = metric.heads.length === 0 && size > 0 && size !== loss;
  if (unknown) return { floor: undefined, assumedFloor: loss - size };
  return { floor: floorOf(loss, metric), assumedFloor: undefined };
}

/** L_min where logits may be any numbers. */
function leastOf(loss: number, { heads, other }: Metric): number {
  const entropy = heads.reduce((sum, { floor }) => sum + floor, 0);
  if (!Number.isFinite(entropy)) return entropy; // the step is left out
  const divergences = heads.flatMap(({ divergence }) => divergence ?? []);
  const divergence = divergences.reduce((sum, { value }) => sum + value, 0);
  const least = (1 - KNOWN) * divergence;
  if (other !== undefined || divergences.length < heads.length)
    return loss >= (1 - ROUNDING) * (least + entropy) ? entropy : 0;
  if (entropy > 0 && loss >= divergence + entropy / 2)
    return loss >= (1 - ROUNDING) * entropy ? entropy : loss - divergence;
  return loss >= least || divergences.some(({ exact }) => !exact) ? 0 : loss - divergence;
}
