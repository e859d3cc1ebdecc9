/** The tensors that enter a loss of any kind: the last outputs of layers on the way to it. */
import type { Tensor } from '@tensorflow/tfjs-core';
import { backwards, dependents, inputsOf } from '../tape/graph';
import type { TapeNode } from '../tape/tape';

/** Ops after which an output of a layer is one still: activations, and those that only bring it into another form. */
const PASSING: ReadonlySet<string> = new Set([
  ...['Relu', 'Relu6', 'LeakyRelu', 'Prelu', 'Elu', 'Selu', 'Sigmoid', 'Tanh', 'Softplus', 'Softmax', 'logSoftmax__op'],
  ...['Identity', 'Cast', 'Reshape', 'Transpose', 'ExpandDims', 'Squeeze', 'Pack', 'Unpack', 'Concat', 'Slice'],
]);

/** Those of them that leave it linear. */
const LINEAR: ReadonlySet<string> = new Set([
  ...['Identity', 'Cast', 'Reshape', 'Transpose', 'ExpandDims', 'Squeeze', 'Pack', 'Unpack', 'Concat', 'Slice'],
]);

/** The outputs of layers, each with those that it was made of by passing ops alone, itself among them. */
function layerOutputs(
  tape: readonly TapeNode[],
  siteOutputs: ReadonlySet<number>,
  fromSites: ReadonlySet<number>,
  passing: ReadonlySet<string>,
): Map<number, ReadonlySet<number>> {
  const found = new Map<number, ReadonlySet<number>>([...siteOutputs].map((id) => [id, new Set([id])]));
  for (const node of tape) {
    const data = inputsOf(node).filter(({ id }) => fromSites.has(id));
    const passes = passing.has(node.kernel) || (node.kernel === 'Add' && data.length === 1); // a bias
    if (data.length === 0 || !passes || !data.every(({ id }) => found.has(id))) continue;
    const above = data.flatMap(({ id }) => [...(found.get(id) ?? [])]);
    for (const { id } of node.outputs) if (!found.has(id)) found.set(id, new Set([...above, id]));
  }
  return found;
}

/** The tensors that are linear in the outputs of sites, with these and what lies between. */
export function linearOutputs(
  tape: readonly TapeNode[],
  siteOutputs: ReadonlySet<number>,
): ReadonlyMap<number, ReadonlySet<number>> {
  return layerOutputs(tape, siteOutputs, dependents(tape, siteOutputs), LINEAR);
}

/** What lies between a loss and the tensors that enter it. */
export interface LossPart {
  /** The tensors that enter the loss, those of heads apart. */
  readonly outputs: readonly Tensor[];
  /** The nodes between them and the loss, in the order of execution. */
  readonly nodes: readonly TapeNode[];
}

/** Goes from the loss backwards to the tensors `stops`, of which it tells those that it meets. */
function walk(
  tape: readonly TapeNode[],
  loss: Tensor,
  fromSites: ReadonlySet<number>,
  stops: (id: number) => boolean,
): { readonly met: Map<number, Tensor>; readonly nodes: TapeNode[] } {
  const wanted = new Set([loss.id]);
  const met = new Map<number, Tensor>(stops(loss.id) ? [[loss.id, loss]] : []);
  const nodes: TapeNode[] = [];
  for (const node of met.size > 0 ? [] : backwards(tape)) {
    if (!node.outputs.some(({ id }) => wanted.has(id))) continue;
    nodes.push(node);
    for (const input of inputsOf(node)) {
      if (!fromSites.has(input.id)) continue;
      if (stops(input.id)) met.set(input.id, input);
      else wanted.add(input.id);
    }
  }
  return { met, nodes: nodes.reverse() };
}

/** Whether logits are computed from one of some outputs by ops of the loss, and not by passing ones alone. */
export function madeFrom(
  tape: readonly TapeNode[],
  logits: Tensor,
  siteOutputs: ReadonlySet<number>,
  outputs: readonly Tensor[],
): boolean {
  const ids = new Set(outputs.map(({ id }) => id));
  const fromSites = dependents(tape, siteOutputs);
  const { met, nodes } = walk(tape, logits, fromSites, (id) => siteOutputs.has(id) || ids.has(id));
  return [...met.keys()].some((id) => ids.has(id)) && nodes.some(({ kernel }) => !PASSING.has(kernel));
}

/**
 * Finds the tensors through which the sites enter the loss. Of what passing ops make of one output (a logit, its
 * softmax, its log-softmax), where the loss uses several, the output that they have in common is the one.
 *
 * @param heads - Tensors at which known heads begin: the search stops there, too.
 */
export function findOutputs(
  tape: readonly TapeNode[],
  loss: Tensor,
  siteOutputs: ReadonlySet<number>,
  heads: ReadonlySet<number>,
): LossPart {
  const fromSites = dependents(tape, siteOutputs);
  const possible = layerOutputs(tape, siteOutputs, fromSites, PASSING);
  // what passing ops make of a head's logits is the head's
  for (const [id, above] of possible) if ([...above].some((each) => heads.has(each))) possible.delete(id);
  for (;;) {
    const { met, nodes } = walk(tape, loss, fromSites, (id) => heads.has(id) || possible.has(id));
    const doubled = [...met.keys()].filter((id) => {
      const own = heads.has(id) ? new Set<number>() : (possible.get(id) ?? new Set());
      return [...met.keys()].some((other) => {
        if (other === id) return false;
        const common = [...(possible.get(other) ?? [])].filter((each) => own.has(each));
        return common.length > 0 && !common.includes(id);
      });
    });
    if (doubled.length === 0) return { outputs: [...met.values()].filter(({ id }) => !heads.has(id)), nodes };
    for (const id of doubled) possible.delete(id);
  }
}
