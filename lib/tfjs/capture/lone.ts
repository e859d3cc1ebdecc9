/** What is known of the variables that no layer has. */
import type { Variable } from '@tensorflow/tfjs-core';
import { inputsOf } from '../tape/graph';
import type { TapeNode } from '../tape/tape';
import type { LoneVariable, UsedVariable } from './sites';

/** What is known of a lone variable at one step. */
export interface CapturedVariable extends LoneVariable {
  /** The sum of its gradients over the sampled samples; `undefined` without any, or where none reaches it. */
  readonly sampledSum: Float32Array | undefined;
  /** Whether it has curvature: it is used by more than penalties. */
  readonly curved: boolean;
  /** Whether it works on what it made itself. */
  readonly recurrent: boolean;
  /** Whether an attention is computed from it. */
  readonly attended: boolean;
  /** Whether the network that it is in enters one that is not trained. */
  readonly judged: boolean;
}

/** Whether an op that uses a variable, or what is made of it alone, works on what another one of its kind made. */
function worksOnItself(tape: readonly TapeNode[], { id }: Variable): boolean {
  const own = new Set([id]);
  const makers = new Map<number, ReadonlySet<string>>(); // the kernels of the uses that a tensor depends on
  for (const node of tape) {
    const inputs = inputsOf(node);
    const data = inputs.filter((input) => !own.has(input.id));
    if (data.length === 0 && inputs.length > 0) for (const output of node.outputs) own.add(output.id);
    const uses = data.length > 0 && data.length < inputs.length;
    const behind = data.flatMap((input) => [...(makers.get(input.id) ?? [])]);
    if (uses && behind.includes(node.kernel)) return true;
    const kernels = new Set(uses ? [...behind, node.kernel] : behind);
    if (kernels.size > 0) for (const output of node.outputs) makers.set(output.id, kernels);
  }
  return false;
}

/** What a step leaves of a lone variable, with the sums of sampled gradients. */
export function capturedVariable(
  tape: readonly TapeNode[],
  { variable, reason, nodes, attended }: UsedVariable,
  judged: boolean,
  sums: ReadonlyMap<Variable, Float32Array> | undefined,
): CapturedVariable {
  const recurrent = worksOnItself(tape, variable);
  return { variable, reason, curved: nodes.length > 0, recurrent, attended, judged, sampledSum: sums?.get(variable) };
}
