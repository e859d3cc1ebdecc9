/** How a loss weighs the errors of a head, and the entropy of its targets, on the pool. */
import { isFloat32Array } from 'node:util/types';
import { callNative } from '../native/call';
import { native } from '../native/load';
import type { Distribution } from './sampled-errors';

type Numbers = ArrayLike<number>;

/** The targets of a head, and what the loss multiplies its errors by. */
export interface HeadTargets {
  readonly distribution: Distribution;
  /** The matrix y, (rows × width), row-major. */
  readonly targets: Numbers;
  /** The factors s, one for each of as many equal groups of rows. */
  readonly weights: Numbers;
  /** Numbers in a row. */
  readonly width: number;
}

/** How well the measured gradient of a loss is that of a head. */
export interface Fit {
  /** The weight of one distribution in the loss. */
  readonly u: number;
  /** ‖∂loss/∂z − u·s·(p − y)‖ / ‖∂loss/∂z‖, the misfit. */
  readonly misfit: number;
  /** Whether anything was compared, and u is not that of what is left out. */
  readonly compared: boolean;
  /** Whether the gradient is finite. */
  readonly finite: boolean;
}

const floats = (numbers: Numbers): Float32Array => (isFloat32Array(numbers) ? numbers : Float32Array.from(numbers));

/** What the addon takes: rows of a group of single numbers may be taken for one. */
function nativeTargets({ distribution, targets, weights, width }: HeadTargets) {
  const perGroup = targets.length / weights.length;
  const row = distribution === 'categorical' || !Number.isInteger(perGroup) ? width : perGroup;
  return { distribution, targets: floats(targets), weights: floats(weights), width: row };
}

/**
 * The u that brings u·s·(p − y) nearest to a gradient d, in the least-squares sense, and how near that is. Of a
 * categorical rows, and of a Bernoulli numbers, whose probabilities are within 2e-5 of their bounds are not compared,
 * and give u where there is nothing else.
 *
 * @param head - The targets and their weights.
 * @param probabilities - p, of the size of the targets.
 * @param gradient - d, of that size.
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for sizes that do not fit.
 */
export function headFit(head: HeadTargets, probabilities: Numbers, gradient: Numbers): Fit {
  const sums = new Float64Array(7);
  const given = { ...nativeTargets(head), probabilities: floats(probabilities), gradient: floats(gradient), sums };
  callNative(() => native.fitHead(given));
  const [dd = 0, de = 0, ee = 0, ddLeft = 0, deLeft = 0, eeLeft = 0, count = 0] = sums;
  const finite = Number.isFinite(dd + ddLeft);
  if (ee > 0) {
    const misfit = dd > 0 ? Math.sqrt(Math.max(0, dd - (de * de) / ee) / dd) : 0;
    return { u: de / ee, misfit, compared: count > 0, finite };
  }
  // everything is saturated: nothing can be compared, and little is left to be learned
  return { u: eeLeft > 0 ? deLeft / eeLeft : 0, misfit: 0, compared: count > 0, finite };
}

/**
 * The sum of the entropies of targets, each times its weight, and whether any target is between 0 and 1. A Gaussian has
 * none, and is soft.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for sizes that do not fit.
 */
export function targetEntropy(head: HeadTargets): { readonly sum: number; readonly soft: boolean } {
  const sums = new Float64Array(2);
  callNative(() => native.targetEntropy({ ...nativeTargets(head), sums }));
  const [sum = 0, soft] = sums;
  return { sum, soft: soft === 1 };
}
