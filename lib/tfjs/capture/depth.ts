/** Which layers stand behind each other, and which beside each other. */
import { inputsOf } from '../tape/graph';
import type { TapeNode } from '../tape/tape';

/** Ops of several inputs whose changes add up, or of which one is chosen; those of others multiply. */
const SUMS: ReadonlySet<string> = new Set([
  ...['Add', 'AddN', 'Sub', 'SquaredDifference', 'Concat', 'Pack', 'Maximum', 'Minimum', 'Select', 'GatherV2'],
]);

/** A set of layers has a bit for each of them: the empty one. */
const NONE = 0n;

/**
 * The layers whose outputs are multiplied by what others made that they were not made by, as the two of a gated linear
 * unit are: a change of one multiplies with that of the other, though neither stands behind the other.
 */
function multiplied<Layer>(tape: readonly TapeNode[], layers: ReadonlyMap<TapeNode, Layer>): ReadonlySet<Layer> {
  const bits = new Map<Layer, bigint>();
  for (const layer of layers.values()) if (!bits.has(layer)) bits.set(layer, 1n << BigInt(bits.size));
  const makers = new Map<number, bigint>();
  let found = NONE;
  for (const node of tape) {
    const inputs = inputsOf(node).flatMap(({ id }) => makers.get(id) ?? []);
    const layer = layers.get(node);
    if (layer === undefined && !SUMS.has(node.kernel))
      for (const [at, first] of inputs.entries())
        for (const second of inputs.slice(at + 1)) {
          const [alone, other] = [first & ~second, second & ~first];
          if (alone !== NONE && other !== NONE) found |= alone | other;
        }
    let made = layer === undefined ? NONE : (bits.get(layer) ?? NONE);
    for (const each of inputs) made |= each;
    if (made !== NONE) for (const { id } of node.outputs) makers.set(id, made);
  }
  return new Set([...bits].flatMap(([layer, bit]) => (found & bit ? [layer] : [])));
}

/**
 * How many layers the data of each layer have passed, at the most. Layers whose outputs are multiplied by what others
 * made have no depth, nor has a layer that is the only one.
 *
 * @param layers - The layers that are used once, by the ops that apply their kernels.
 */
export function depthsOf<Layer>(
  tape: readonly TapeNode[],
  layers: ReadonlyMap<TapeNode, Layer>,
): ReadonlyMap<Layer, number> {
  if (layers.size < 2) return new Map();
  const depths = new Map<Layer, number>();
  const passed = new Map<number, number>();
  for (const node of tape) {
    let depth = 0;
    for (const { id } of inputsOf(node)) depth = Math.max(depth, passed.get(id) ?? 0);
    const layer = layers.get(node);
    if (layer !== undefined) depths.set(layer, depth++);
    if (depth > 0) for (const { id } of node.outputs) passed.set(id, depth);
  }
  // of layers each of which has a depth of its own none shares it
  if (new Set(depths.values()).size < depths.size) for (const layer of multiplied(tape, layers)) depths.delete(layer);
  return depths;
}
