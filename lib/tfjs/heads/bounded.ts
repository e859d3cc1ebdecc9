/**
 * What a cross-entropy cannot fall below where its logits cannot be any numbers: those of a softmax under a softmax lie
 * between 0 and 1, and no row of them gives its class more than e/(e + K − 1).
 */
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Distribution } from '../../adapter-kit';
import type { TapeNode } from '../tape/tape';

/** The least and the largest number of what an op gives. */
export type Range = readonly [low: number, high: number];

const RANGES: ReadonlyMap<string, Range> = new Map<string, Range>([
  ['Softmax', [0, 1]],
  ['Sigmoid', [0, 1]],
  ['Tanh', [-1, 1]],
]);
const VIEWS: ReadonlySet<string> = new Set(['Identity', 'Reshape']);

/** The range of logits that an activation with bounds has made; `undefined` of others. */
export function rangeOf(logits: Tensor, made: ReadonlyMap<number, TapeNode>): Range | undefined {
  let node = made.get(logits.id);
  while (node && VIEWS.has(node.kernel)) {
    const input: Tensor | undefined = node.inputs.get('x');
    node = input && made.get(input.id);
  }
  return node && RANGES.get(node.kernel);
}

/** The least of a row's cross-entropy of K classes whose target is one of them. */
const ofClasses = (classes: number, [low, high]: Range) => Math.log1p((classes - 1) * Math.exp(low - high));

const entropyOf = (y: number) => (y > 0 && y < 1 ? -y * Math.log(y) - (1 - y) * Math.log(1 - y) : 0);

/** How much more than its entropy the cross-entropy of one number's target is at the least. */
function ofNumber(y: number, [low, high]: Range): number {
  const wanted = y <= 0 ? low : y >= 1 ? high : Math.log(y / (1 - y));
  const z = Math.min(high, Math.max(low, wanted));
  return Math.log1p(Math.exp(z)) - y * z - entropyOf(y);
}

/**
 * The weighed sum of what the least of the cross-entropies is above the entropies of the targets. A row of several
 * classes counts with nothing where its target is not one of them.
 *
 * @param weights - One for each of as many equal groups of rows.
 */
export function excessOf(
  distribution: Distribution,
  y: ArrayLike<number>,
  weights: ArrayLike<number>,
  width: number,
  range: Range | undefined,
): number {
  if (range === undefined || distribution === 'gaussian') return 0;
  const perWeight = y.length / weights.length;
  const ofRow = ofClasses(width, range);
  let sum = 0;
  for (let at = 0; at < y.length; at += distribution === 'categorical' ? width : 1) {
    const weight = weights[Math.floor(at / perWeight)] ?? 0;
    if (weight === 0) continue;
    if (distribution === 'bernoulli') {
      sum += weight * ofNumber(y[at] ?? 0, range);
      continue;
    }
    for (let j = at; j < at + width; j++) if ((y[j] ?? 0) === 1) sum += weight * ofRow;
  }
  return sum;
}
