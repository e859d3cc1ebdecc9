/** Whether a candidate is a head: by the gradient of the loss with respect to its logits, which also scales it. */
import type { Tensor } from '@tensorflow/tfjs-core';
import { type Distribution, headFit, targetEntropy } from '../../adapter-kit';
import { numbersOf, type Reader } from '../tape/numbers';
import { excessOf, type Range } from './bounded';
import type { Candidate } from './candidates';
import { divergenceOf } from './fit';
import { hardTargets } from './hard-targets';
import type { Head } from './head';

/** How far the measured gradient may be from u·s·(p − y), relative to its norm. Another loss is much further off. */
const TOLERANCE = 1e-2;

/** √(B·u·|s|) */
const factorsOf = (samples: number, u: number, weights: ArrayLike<number>): Float64Array =>
  Float64Array.from(weights, (weight) => Math.sqrt(Math.abs(samples * u * weight)));

/** Of weights of both signs, advantages say: such a loss has no least, and its Hessian no sign; |s| is its metric. */
const UNBOUNDED = { floor: 0, excess: 0, bounded: false, soft: true, divergence: undefined };

/** 1 for each row of targets that sum to 1, 0 for each that is padding; `undefined` where no row or every row is. */
function padding(y: ArrayLike<number>, width: number): Float32Array | undefined {
  const rows = new Float32Array(y.length / width).fill(1);
  for (let row = 0; row < rows.length; row++) {
    let total = 0;
    for (let at = row * width; at < (row + 1) * width; at++) total += Math.abs(y[at] ?? 0);
    if (total === 0) rows[row] = 0;
  }
  return rows.includes(0) && rows.includes(1) ? rows : undefined;
}

/** Weights of samples, or of rows, that targets may have: even ones, those among the constants, without the padding. */
function* weightsFor(
  distribution: Distribution,
  y: ArrayLike<number>,
  width: number,
  samples: number,
  constants: readonly Tensor[],
): Generator<ArrayLike<number>> {
  const weights = constants.filter(({ size, dtype }) => size === samples && samples > 1 && dtype === 'float32');
  const known: ArrayLike<number>[] = [new Float32Array(samples).fill(1)];
  yield* known;
  for (const each of weights) {
    const values = each.dataSync<'float32'>();
    known.push(values);
    yield values;
  }
  const kept = distribution === 'categorical' ? padding(y, width) : undefined;
  if (kept === undefined) return;
  const perRow = kept.length / samples;
  for (const each of known) yield kept.map((keep, row) => keep * (each[Math.floor(row / perRow)] ?? 0));
}

/** The head of a part of the loss that has no weight: that of a position where all targets are padding, say. */
export function unweighed(
  { distribution, logits, probabilities }: Candidate,
  gradient: Float32Array,
  read: Reader,
): Head {
  const [samples = 1] = logits.shape;
  const p = read(probabilities());
  const nothing = { floor: 0, excess: 0, misfit: 0, bounded: true, soft: false, divergence: { value: 0, exact: true } };
  return { distribution, logits, probabilities: p, gradient, factors: new Float64Array(samples), ...nothing };
}

/**
 * Accepts a candidate by the gradient of the loss with respect to its logits, and scales it; `undefined` where the
 * gradient is that of another loss.
 *
 * @param constants - What the loss multiplies something by and does not depend on the sites.
 * @param range - That of the logits, where they have one.
 * @param read - Gives numbers of a tensor that stay what they are.
 */
export function accept(
  candidate: Candidate,
  gradient: Tensor,
  constants: readonly Tensor[],
  range: Range | undefined,
  read: Reader,
): Head | undefined {
  const { distribution, logits } = candidate;
  const [samples = 1] = logits.shape;
  const width = logits.shape.at(-1) ?? 1;
  const probabilities = candidate.probabilities();
  // where they lie: nothing is computed by TensorFlow.js before they are copied, or not wanted
  const [p, d] = [numbersOf(probabilities), numbersOf(gradient)];
  const common = () => ({ distribution, logits, probabilities: read(probabilities), gradient: read(gradient) });
  // a gradient that is not finite fits nothing: a floor that is none either has the step left out
  const notFinite = () => ({ ...unweighed(candidate, read(gradient), read), floor: Number.NaN });
  const targets = candidate.targets ? [candidate.targets] : constants.filter((tensor) => tensor.size === logits.size);
  for (const target of targets) {
    const y = numbersOf(target);
    for (const s of weightsFor(distribution, y, width, samples, constants)) {
      const head = { distribution, targets: y, weights: s, width };
      const { u, misfit, compared, finite } = headFit(head, p, d);
      if (!finite) return notFinite();
      // where all is saturated nothing was compared: a sign tells nothing
      if (!(misfit <= TOLERANCE) || (u < 0 && !compared)) continue;
      const known = { ...common(), factors: factorsOf(samples, u, s), misfit: compared ? misfit : TOLERANCE };
      if (Array.prototype.some.call(s, (weight: number) => u * weight < 0)) return { ...known, ...UNBOUNDED };
      const { sum, soft } = targetEntropy(head);
      const measured = { floor: u * sum, soft, divergence: divergenceOf(distribution, p, y, s, u) };
      const excess = u * excessOf(distribution, y, s, width, range);
      return { ...known, ...measured, excess, bounded: true };
    }
  }
  if (d.some((value) => !Number.isFinite(value))) return notFinite();
  const hard = hardTargets(distribution, p, d, distribution === 'categorical' ? width : 1, TOLERANCE);
  const unmeasured = { floor: 0, excess: 0, bounded: true, soft: false, divergence: undefined };
  return hard && { ...common(), factors: factorsOf(samples, 1, hard.weights), misfit: hard.misfit, ...unmeasured };
}
