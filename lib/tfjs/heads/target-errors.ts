/**
 * The errors of targets that are sampled from the model's own output distribution (J. Martens and R. Grosse,
 * "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", 2015, section 5). A model that is sure of
 * wrong answers samples none but these, and the errors of its own targets take their place.
 */
import { sampledErrors, type UniformNumbers } from '../../adapter-kit';
import type { Room } from '../tape/room';
import type { Head } from './head';

/** Errors are nothing beside others where their squares add up to so little of those of the others. */
const NOTHING = 2 ** -64;

const squaresOf = (values: Float64Array) => values.reduce((sum, value) => sum + value * value, 0);

/** Whether squares of numbers add up to no more than `most`; NaN is more. */
function squaresWithin(values: Iterable<number>, most: number): boolean {
  let sum = 0;
  for (const value of values) {
    sum += value * value;
    if (!(sum <= most)) return false;
  }
  return true;
}

/** f·(p − y) of the first numbers for the targets of the loss, f the factor of a sample: B/f times its gradient. */
function* ownErrors({ gradient, factors, logits }: Head, count: number): Generator<number> {
  const [samples = 1] = logits.shape;
  const each = gradient.length / factors.length;
  for (let at = 0; at < count; at++) {
    const factor = factors[Math.floor(at / each)] ?? 0;
    yield factor > 0 ? ((gradient[at] ?? 0) * samples) / factor : 0;
  }
}

/** Σf²(p − y)², were each number as wrong as a probability can be. */
const largestSquares = ({ factors, gradient }: Head) => (squaresOf(factors) * gradient.length) / factors.length;

/** How many of a head's factors are those of the first samples, a share of the batch that is rounded up. */
function factorsOfFirst({ logits, factors }: Head, share: number): number {
  const [samples = 1] = logits.shape;
  return (Math.ceil(share * samples) * factors.length) / samples;
}

/**
 * Whether the first half of a batch says too little of the rest: it has less than a quarter of the weight, as where
 * its samples are padding or have no labels; or it has errors that are nothing beside those of all, where a model is
 * sure of answers that are right in the first half alone.
 */
export function saysLittle(head: Head): boolean {
  const { factors, gradient, distribution } = head;
  const half = factorsOfFirst(head, 1 / 2);
  if (4 * squaresOf(factors.subarray(0, half)) < squaresOf(factors)) return true;
  if (distribution === 'gaussian' || half === factors.length) return false;
  const count = (half * gradient.length) / factors.length;
  if (!squaresWithin(ownErrors(head, count), NOTHING * largestSquares(head))) return false;
  const all = squaresOf(Float64Array.from(ownErrors(head, gradient.length)));
  return all > 0 && squaresWithin(ownErrors(head, count), NOTHING * all);
}

/**
 * Where the errors are nothing beside those of the loss's own targets, makes them these, with the curvature of a
 * parabola that has the value and the slope of the loss: divided by √(2ℓ), ℓ the mean loss of a row, that of all heads
 * together, and 1 at the least. Cross-entropies are all but straight there, and a step goes as far as the loss says.
 */
function replaceNothing(head: Head, loss: number, errors: Float32Array): void {
  const { factors, gradient, logits } = head;
  if (!squaresWithin(errors, NOTHING * largestSquares(head))) return;
  const own = Float64Array.from(ownErrors(head, errors.length));
  const squares = squaresOf(own);
  if (!(squares > 0) || !squaresWithin(errors, NOTHING * squares)) return;
  const [samples = 1] = logits.shape;
  const rows = logits.rank > 2 ? gradient.length / (samples * (logits.shape.at(-1) ?? 1)) : 1;
  const height = (Math.abs(loss) * factors.length) / (squaresOf(factors) * rows);
  const scale = 1 / Math.sqrt(2 * (height > 1 ? height : 1));
  errors.set(own.map((error) => scale * error));
}

/**
 * f·(p − y) for the targets of the first samples, the rest zero.
 *
 * @param loss - L, of which the head is a part.
 * @param share - Of the samples of the batch, those whose targets are sampled, rounded up.
 */
export function targetErrors(
  head: Head,
  loss: number,
  share: number,
  uniform: UniformNumbers,
  room: Room,
): Float32Array {
  const { distribution, logits, probabilities, factors } = head;
  const width = distribution === 'categorical' ? (logits.shape.at(-1) ?? 1) : 1;
  const count = factorsOfFirst(head, share);
  const some = probabilities.subarray(0, (count * probabilities.length) / factors.length);
  const errors = room.take(probabilities.length);
  const first = errors.subarray(0, some.length);
  sampledErrors(distribution, some, width, factors.subarray(0, count), uniform, first);
  if (distribution !== 'gaussian') replaceNothing(head, loss, first);
  errors.fill(0, some.length);
  return errors;
}
