/** How large a loss is, of whose terms some are positive and some negative. */
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import { inputsOf, producers } from '../tape/graph';
import type { TapeNode } from '../tape/tape';

/** Ops that add up what enters them, or multiply it by what no output enters. */
const LINEAR: ReadonlySet<string> = new Set([
  'Add',
  'AddN',
  'Cast',
  'Identity',
  'Mean',
  'Multiply',
  'Neg',
  'RealDiv',
  'Reshape',
  'Sub',
  'Sum',
]);
/** Of these a factor may depend on the outputs, too, and no term is a multiple of its input then. */
const PRODUCTS: ReadonlySet<string> = new Set(['Multiply', 'RealDiv']);

/** What rounding may make of a sum in float32. */
const ROUNDING = 1e-3;

/** Σ|t·s| of numbers and their shares. */
function sizes(values: ArrayLike<number>, shares: ArrayLike<number>): number {
  let total = 0;
  for (let at = 0; at < values.length; at++) total += Math.abs((values[at] ?? 0) * (shares[at] ?? 0));
  return total;
}

/**
 * Σ|t| over the terms t of a loss that is a sum of them: the numbers that its last sums or means go over, each times
 * its share of the loss. Where terms have both signs they may leave a loss that is next to nothing beside them, and
 * says nothing of how far they can fall. It is |L| where they have one, and NaN where a term is not known any more.
 *
 * @param nodes - What leads from the outputs to the loss.
 * @param gradients - ∂L/∂t of tensors by their ids.
 * @param within - The tensors that depend on the outputs, by their ids.
 */
export function lossSize(
  loss: Scalar,
  nodes: readonly TapeNode[],
  gradients: ReadonlyMap<number, Tensor>,
  within: ReadonlySet<number>,
): number {
  const made = producers(nodes);
  const sizeOf = (term: Tensor): number => {
    const node = made.get(term.id);
    const inputs = node ? inputsOf(node).filter(({ id }) => within.has(id)) : [];
    const sums = node && LINEAR.has(node.kernel) && !(PRODUCTS.has(node.kernel) && inputs.length > 1);
    if (term.size === 1 && sums && inputs.length > 0) {
      return inputs.reduce((total, input) => total + sizeOf(input), 0);
    }
    const shares = gradients.get(term.id);
    // no gradient saved what a tidy has disposed of since
    return shares === undefined ? 0 : term.isDisposed ? Number.NaN : sizes(term.dataSync(), shares.dataSync());
  };
  const [value = Number.NaN] = loss.dataSync();
  const size = sizeOf(loss);
  // of terms of one sign it is |L| but for rounding
  return size <= (1 + ROUNDING) * Math.abs(value) ? Math.abs(value) : size;
}
