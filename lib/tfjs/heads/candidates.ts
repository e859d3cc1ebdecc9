/** The heads that a model may have, proposed by the ops between its loss and its layers. */
import { exp, sigmoid, type Tensor, zerosLike } from '@tensorflow/tfjs-core';
import type { Distribution } from '../../adapter-kit';
import { backwards, dependents, producers } from '../tape/graph';
import type { TapeNode } from '../tape/tape';

/** What may be a head, until the gradient of the loss says that it is one. */
export interface Candidate {
  readonly distribution: Distribution;
  readonly logits: Tensor;
  /** Computes the probabilities p from a saved tensor. */
  readonly probabilities: () => Tensor;
  /** The targets where the op itself has them. */
  readonly targets?: Tensor;
}

/** What stands between the loss and the layers. */
export interface Frontier {
  readonly candidates: readonly Candidate[];
  /** The nodes between the heads and the loss. */
  readonly nodes: readonly TapeNode[];
  /** Whether the loss depends on a site otherwise than through a head. */
  readonly open: boolean;
}

/** The head whose op is this node, if it is one. */
function candidateAt(node: TapeNode, fromSites: ReadonlySet<number>): Candidate | undefined {
  const [saved, logProbabilities] = node.saved;
  const [factor, other] = [node.inputs.get('a') ?? node.inputs.get('x'), node.inputs.get('b')];
  if (saved && factor && (node.kernel === 'Square' || (node.kernel === 'Multiply' && factor === other)))
    return { distribution: 'gaussian', logits: factor, probabilities: () => saved, targets: zerosLike(saved) };
  if (node.kernel === 'SquaredDifference' && saved && logProbabilities && factor && other) {
    const [first, second] = [fromSites.has(factor.id), fromSites.has(other.id)];
    if (first === second) return undefined;
    const [mean, target, logits] = first ? [saved, logProbabilities, factor] : [logProbabilities, saved, other];
    return mean.size === target.size
      ? { distribution: 'gaussian', logits, probabilities: () => mean, targets: target }
      : undefined;
  }
  const logits = node.inputs.get('logits') ?? node.inputs.get('x');
  // Two ops with a gradient of their own, known by their scopes: tf.losses.softmaxCrossEntropy and tf.logSoftmax.
  if (node.kernel === 'softmaxCrossEntropy__op') {
    const second = node.inputs.get('1');
    if (!saved || !logProbabilities || !second) return undefined;
    return { distribution: 'categorical', logits: second, probabilities: () => exp(logProbabilities), targets: saved };
  }
  if (node.kernel === 'logSoftmax__op') {
    const first = node.inputs.get('0');
    return saved && first && { distribution: 'categorical', logits: first, probabilities: () => exp(saved) };
  }
  if (!saved || !logits) return undefined;
  const last = logits.rank - 1;
  const { dim } = node.attributes;
  if (node.kernel === 'Softmax' && (dim === last || dim === -1))
    return { distribution: 'categorical', logits, probabilities: () => saved };
  if (node.kernel === 'Sigmoid') return { distribution: 'bernoulli', logits, probabilities: () => saved };
  return undefined;
}

/** The logits of the loss log(1 + eᶻ) − y·z, written with softplus or with its stable form log1p(exp(−|z|)). */
function logisticCandidate(node: TapeNode, made: ReadonlyMap<number, TapeNode>): Candidate | undefined {
  let at: TapeNode | undefined = node;
  if (node.kernel === 'Log1p') {
    for (const kernel of ['Log1p', 'Exp', 'Neg']) {
      const input: Tensor | undefined = at?.kernel === kernel ? at.inputs.get('x') : undefined;
      at = input && made.get(input.id);
    }
    if (at?.kernel !== 'Abs') return undefined;
  } else if (node.kernel !== 'Softplus') {
    return undefined;
  }
  const logits = at?.inputs.get('x');
  const [saved] = at?.saved ?? [];
  return logits && saved && { distribution: 'bernoulli', logits, probabilities: () => sigmoid(saved) };
}

/** Goes from the loss towards the sites and stops at heads: at ops that are one, or at the tensors `stops`. */
function frontierOf(
  tape: readonly TapeNode[],
  loss: Tensor,
  siteOutputs: ReadonlySet<number>,
  stops: ReadonlyMap<number, Candidate>,
): Frontier {
  const fromSites = dependents(tape, siteOutputs);
  const wanted = new Set([loss.id]);
  const candidates = new Map<number, Candidate>();
  const nodes: TapeNode[] = [];
  let open = siteOutputs.has(loss.id);
  for (const node of backwards(tape)) {
    if (!node.outputs.some((output) => wanted.has(output.id))) continue;
    nodes.push(node);
    const head = stops.size === 0 ? candidateAt(node, fromSites) : undefined;
    if (head) {
      candidates.set(head.logits.id, head);
      continue;
    }
    for (const input of node.inputs.values()) {
      if (!fromSites.has(input.id)) continue;
      const stop = stops.get(input.id);
      if (stop) candidates.set(input.id, stop);
      else if (siteOutputs.has(input.id)) open = true;
      else wanted.add(input.id);
    }
  }
  return { candidates: [...candidates.values()], nodes, open };
}

/**
 * Proposes heads, the likeliest first: the ops next to the loss that are one; and the logits of a loss that is written
 * without such ops, a softmax under it or not.
 */
export function* proposals(
  tape: readonly TapeNode[],
  loss: Tensor,
  siteOutputs: ReadonlySet<number>,
): Generator<Frontier> {
  const byOp = frontierOf(tape, loss, siteOutputs, new Map());
  if (byOp.candidates.length > 0) yield byOp;
  const made = producers(tape);
  const stops = new Map<number, Candidate>();
  for (const node of byOp.nodes) {
    const candidate = logisticCandidate(node, made);
    if (candidate) stops.set(candidate.logits.id, candidate);
  }
  if (stops.size > 0) yield frontierOf(tape, loss, siteOutputs, stops);
}
