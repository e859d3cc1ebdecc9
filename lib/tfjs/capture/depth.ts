/** Which layers stand behind each other, and which beside each other. */
import { inputsOf } from '../tape/graph';
import type { TapeNode } from '../tape/tape';

/**
 * Layers that each tensor has passed, at the most, by tensor id; of one that has passed none there is no entry.
 *
 * @param ops - The ops that apply the kernels of layers.
 */
export function depthsOf(tape: readonly TapeNode[], ops: ReadonlySet<TapeNode>): ReadonlyMap<number, number> {
  const depths = new Map<number, number>();
  for (const node of tape) {
    let passed = 0;
    for (const { id } of inputsOf(node)) passed = Math.max(passed, depths.get(id) ?? 0);
    const depth = passed + (ops.has(node) ? 1 : 0);
    if (depth > 0) for (const { id } of node.outputs) depths.set(id, depth);
  }
  return depths;
}
