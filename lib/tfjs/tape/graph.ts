/** Reachability and backward passes over a recorded tape. */
import { add, matMul, reshape, sum, type Tensor, tidy, transpose, zeros } from '@tensorflow/tfjs-core';
import { CgfacError } from '../../base/errors';
import { FUSED_MAT_MUL, type TapeNode } from './tape';

/**
 * The ids of the tensors in `sources` and of all that was computed from them, by way of nodes that `through` admits.
 */
export function dependents(
  tape: readonly TapeNode[],
  sources: Iterable<number>,
  through: (node: TapeNode) => boolean = () => true,
): Set<number> {
  const found = new Set(sources);
  for (const node of tape) {
    if (!through(node) || !inputsOf(node).some((input) => found.has(input.id))) continue;
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

/** A matrix, or a stack of matrices, with the last two axes exchanged. */
export function exchangeLastAxes(tensor: Tensor): Tensor {
  const axes = tensor.shape.map((_, axis) => axis);
  const last = axes.length - 1;
  return transpose(tensor, [...axes.slice(0, -2), last, last - 1]);
}

/**
 * The gradient of a matrix product for its first operand alone, dx = dy·Wᵀ. The product's own gradient function will
 * not do here: that of a fused product computes the weight gradient too, which nobody asks for, and both multiply by a
 * transposed flag, which the wasm backend does eight times slower than transposing a copy first (256×784 by 784×256:
 * 133 ms against 16).
 */
function firstOperandGradient(node: TapeNode, outputGradient: Tensor): (() => Tensor) | undefined {
  const [left, right] = node.saved;
  const { transposeA, transposeB, activation = 'linear' } = node.attributes;
  if (!left || !right || left.rank !== right.rank || activation !== 'linear') return undefined;
  const rows = left.shape[left.rank - (transposeA ? 1 : 2)];
  const columns = right.shape[right.rank - (transposeB ? 2 : 1)];
  if (rows === undefined || columns === undefined) return undefined;
  return () => {
    const gradient = reshape(outputGradient, [...left.shape.slice(0, -2), rows, columns]);
    const product = matMul(gradient, transposeB ? right : exchangeLastAxes(right));
    return transposeA ? exchangeLastAxes(product) : product;
  };
}

/**
 * Has the normal backward pass take zeros for the gradient of a kernel instead of computing it. A fused product's own
 * gradient function computes all of its gradients at once, so that its others are replaced too.
 */
export function skipKernelGradient(node: TapeNode, kernelInput: string): void {
  const kernel = node.inputs.get(kernelInput);
  if (!kernel) return;
  node.replaceGradient((outputGradient, own) => {
    const nothing = { [kernelInput]: () => zeros(kernel.shape) };
    const data = node.kernel === FUSED_MAT_MUL ? firstOperandGradient(node, outputGradient) : undefined;
    if (!data) return { ...own(), ...nothing };
    const bias = node.inputs.get('2');
    const width = outputGradient.shape.at(-1) ?? 1;
    const biasGradient = () => reshape(sum(reshape(outputGradient, [-1, width]), 0), bias?.shape ?? []);
    return {
      '0': () => reshape(data(), node.inputs.get('0')?.shape ?? []),
      ...nothing,
      ...(bias ? { '2': biasGradient } : {}),
    };
  });
}

function inputGradients(
  node: TapeNode,
  outputGradients: readonly (Tensor | null)[],
  wanted: readonly string[],
): Readonly<Record<string, () => Tensor>> {
  const [outputGradient] = outputGradients;
  const [name] = wanted;
  const product = node.kernel === FUSED_MAT_MUL || node.kernel === 'BatchMatMul';
  if (product && outputGradient && wanted.length === 1 && (name === '0' || name === 'a')) {
    const gradient = firstOperandGradient(node, outputGradient);
    if (gradient) return { [name]: gradient };
  }
  return node.gradient(outputGradients);
}

/**
 * One backward pass over a recorded tape, apart from the framework's own.
 *
 * Starts from the gradients `seeds` (by tensor id) and goes only where `within` has the id of a tensor, so that
 * weights, whose gradients cost as much as all the rest, are passed by. `visit` sees each node that a gradient reaches,
 * with the gradients of its outputs. Call it with recording paused and inside a `tidy`.
 *
 * @returns The gradients by tensor id, the seeds among them.
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
    const computed = inputGradients(node, outputGradients, names);
    for (const [name, input] of wanted) {
      const gradient = computed[name];
      if (!gradient)
        throw new CgfacError(
          'ERR_CGFAC_TFJS_KERNEL',
          `Expected a gradient for the input ${name} of the TensorFlow.js kernel '${node.kernel}' but received none`,
        );
      const share = tidy(gradient);
      const before = gradients.get(input.id);
      gradients.set(input.id, before ? add(before, share) : share);
    }
  }
  return gradients;
}
