/**
 * The errors of targets that are sampled from the model's own output distribution (J. Martens and R. Grosse,
 * "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", 2015, section 5). A model that is sure of
 * wrong answers samples none but these, and the errors of its own targets take their place.
 */
import { sampledErrors, type UniformNumbers } from '../../adapter-kit';
import type { Room } from '../tape/room';
import type { Head } from './head';

/** Errors of sampled targets are nothing where their squares add up to so little beside those of the model's own. */
const NOTHING = 2 ** -64;

const squaresOf = (factors: Float64Array) => factors.reduce((sum, factor) => sum + factor * factor, 0);

/** Whether squares of numbers add up to no more than `most`. */
function squaresWithin(values: Float32Array, most: number): boolean {
  let sum = 0;
  for (const value of values) {
    sum += value * value;
    if (sum > most) return false;
  }
  return true;
}

/**
 * f·(p − y) of the first targets, as many as there are errors, with f of the samples' factors: what the gradient of the
 * loss is by B/f.
 */
function ownErrors({ gradient, factors, logits }: Head, count: number): Float64Array {
  const [samples = 1] = logits.shape;
  const each = gradient.length / factors.length;
  return Float64Array.from({ length: count }, (_, at) => {
    const factor = factors[Math.floor(at / each)] ?? 0;
    return factor > 0 ? ((gradient[at] ?? 0) * samples) / factor : 0;
  });
}

/**
 * Where the errors are nothing beside those of the model's own targets, makes them these, with the curvature of a
 * parabola that has the value and the slope of the loss: divided by √(2ℓ), ℓ = L/mean f² the mean loss of a sample.
 * Cross-entropies are all but straight there, and a step goes as far as the loss says.
 */
function replaceNothing(head: Head, loss: number, errors: Float32Array): void {
  const { factors, gradient } = head;
  const squares = squaresOf(factors);
  // no error of a probability is more than 1
  const largest = (squares * gradient.length) / factors.length;
  if (!(loss > 0) || !squaresWithin(errors, NOTHING * largest)) return;
  const own = ownErrors(head, errors.length);
  const ownSquares = own.reduce((sum, error) => sum + error * error, 0);
  if (ownSquares === 0 || !squaresWithin(errors, NOTHING * ownSquares)) return;
  const scale = Math.sqrt(squares / factors.length / (2 * loss));
  errors.set(own.map((error) => scale * error));
}

/** How many of a head's factors are those of the first samples, a share of the batch that is rounded up. */
function factorsOfFirst({ logits, factors }: Head, share: number): number {
  const [samples = 1] = logits.shape;
  return (Math.ceil(share * samples) * factors.length) / samples;
}

/**
 * Whether the first samples weigh less in the loss than half of what as many would on average, such as those of a batch
 * whose targets are padded in front, or known of its second half alone: they say too little of the others.
 */
export function weighLittle(head: Head, share: number): boolean {
  const first = squaresOf(head.factors.subarray(0, factorsOfFirst(head, share)));
  return 2 * first < share * squaresOf(head.factors);
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
