/** Reachability and backward passes over a recorded tape. */
import { add, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { CgfacError } from '../../adapter-kit';
import type { TapeNode } from './tape';

/** The ids of the tensors in `sources` and of all that was computed from them. */
export function dependents(tape: readonly TapeNode[], sources: Iterable<number>): Set<number> {
  const found = new Set(sources);
  for (const node of tape) {
    if (!inputsOf(node).some((input) => found.has(input.id))) continue;
    for (const output of node.outputs) found.add(output.id);
  }
  return found;
}

/** The nodes that lead to the tensor `target`, in the order of execution. */
export function leadingTo(tape: readonly TapeNode[], target: number): TapeNode[] {
  const wanted = new Set([target]);
  const nodes: TapeNode[] = [];
  for (const node of backwards(tape)) {
    if (!node.outputs.some((output) => wanted.has(output.id))) continue;
    for (const input of inputsOf(node)) wanted.add(input.id);
    nodes.push(node);
  }
  return nodes.reverse();
}

/** The node that made each tensor, by tensor id. */
export function producers(tape: readonly TapeNode[]): Map<number, TapeNode> {
  const made = new Map<number, TapeNode>();
  for (const node of tape) {
    for (const output of node.outputs) made.set(output.id, node);
  }
  return made;
}

/** The nodes in the order of the backward pass. */
export function backwards(tape: readonly TapeNode[]): TapeNode[] {
  return [...tape].reverse();
}

/** The input tensors of a node. */
export function inputsOf(node: TapeNode): Tensor[] {
  return [...node.inputs.values()];
}

/** Throws where a kernel gives a gradient of another shape, as that of squared differences of [B, 1] and [B] does. */
function requireShape({ shape }: Tensor, input: Tensor, name: string, { kernel, inputs }: TapeNode): void {
  if (shape.length === input.shape.length && shape.every((size, axis) => size === input.shape[axis])) return;
  const told = [...inputs].map(([each, { shape: own }]) => `${each} has [${own}]`).join(', ');
  throw new CgfacError(
    'ERR_CGFAC_SHAPE_MISMATCH',
    `Expected a gradient of shape [${input.shape}] for the input ${name} of the TensorFlow.js kernel '${kernel}' but ` +
      `received [${shape}]; ${told}: give its inputs one shape, for example outputs and targets`,
  );
}

/**
 * One backward pass over a recorded tape, apart from the framework's own.
 *
 * Starts from the gradients `seeds` (by tensor id) and goes only where `within` has the id of a tensor, so that
 * weights, whose gradients cost as much as all the rest, are passed by. `visit` sees each node that a gradient reaches,
 * with the gradients of its outputs. Call it with recording paused and inside a `tidy`.
 *
 * @returns The gradients by tensor id, the seeds among them.
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_KERNEL` for a kernel that gives no gradient, and
 * `ERR_CGFAC_SHAPE_MISMATCH` for one that gives a gradient of another shape than its input.
 */
export function backward(
  tape: readonly TapeNode[],
  seeds: Iterable<readonly [number, Tensor]>,
  within: ReadonlySet<number>,
  visit?: (node: TapeNode, outputGradient: Tensor) => void,
): Map<number, Tensor> {
  const gradients = new Map(seeds);
  for (const node of backwards(tape)) {
    const outputGradients = node.outputs.map((output) => gradients.get(output.id) ?? null);
    const reached = outputGradients.find((gradient) => gradient !== null);
    if (!reached) continue;
    visit?.(node, reached);
    const wanted = [...node.inputs].filter(([, input]) => within.has(input.id));
    if (wanted.length === 0) continue;
    const names = wanted.map(([name]) => name);
    const computed = node.gradient(outputGradients, names);
    for (const [name, input] of wanted) {
      const gradient = computed[name];
      if (!gradient)
        throw new CgfacError(
          'ERR_CGFAC_TFJS_KERNEL',
          `Expected a gradient for the input ${name} of the TensorFlow.js kernel '${node.kernel}' but received none`,
        );
      const share = tidy(gradient);
      requireShape(share, input, name, node);
      const before = gradients.get(input.id);
      gradients.set(input.id, before ? add(before, share) : share);
    }
  }
  return gradients;
}
