/**
 * Attention on a tape: matrix products of what layers made by what layers made, the factors of one of which come from
 * another, as the weighted sum of values has its weights from products of queries and keys.
 */
import { backwards, dependents, inputsOf } from '../tape/graph';
import type { TapeNode } from '../tape/tape';

/** Ops that multiply matrices. */
const PRODUCTS: ReadonlySet<string> = new Set(['BatchMatMul', '_FusedMatMul']);

const outputIds = (nodes: readonly TapeNode[]) => nodes.flatMap(({ outputs }) => outputs.map(({ id }) => id));

/**
 * The ids of all tensors that an attention is computed from.
 *
 * @param variables - The ids of the variables and of their views, which are the kernels of layers in a product.
 */
export function attendedOf(tape: readonly TapeNode[], variables: ReadonlySet<number>): ReadonlySet<number> {
  const attended = new Set<number>();
  const candidates = tape.filter(({ kernel }) => PRODUCTS.has(kernel));
  if (candidates.length < 2) return attended;
  const made = dependents(tape, variables);
  const products = candidates.filter((node) => {
    const factors = inputsOf(node).filter(({ id }) => made.has(id) && !variables.has(id));
    return factors.length >= 2;
  });
  const behind = dependents(tape, outputIds(products));
  const sums = new Set(products.filter((node) => inputsOf(node).some(({ id }) => behind.has(id))));
  for (const node of backwards(tape)) {
    if (!sums.has(node) && !node.outputs.some(({ id }) => attended.has(id))) continue;
    for (const { id } of inputsOf(node)) attended.add(id);
  }
  return attended;
}
