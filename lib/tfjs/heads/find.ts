/**
 * The heads of a model: the tensors of logits z whose loss is the negative log-likelihood of a known output
 * distribution, so that targets can be sampled and the true Fisher matrix be had. What enters the loss otherwise has
 * the loss's own curvature for its metric.
 *
 * A head is proposed by its ops and accepted by its gradient: with a cross-entropy, and with nothing else, ∂loss/∂z =
 * u·s·(p − y) for the probabilities p, the targets y, one number u, and the weights s of the samples. That gradient is
 * measured at every step by the short backward pass from the loss to z. It also tells how the loss is reduced: B·u is
 * the weight of one distribution in the per-sample loss, which is 1 for a mean over samples and 1/D where the mean is
 * over D outputs too, as Keras's binary cross-entropy is.
 *
 * A squared error is the head of a Gaussian: what is squared, z = ŷ − y, stands for the logits, and the gradient is
 * u·s·z.
 */
import { onesLike, type Scalar, type Tensor } from '@tensorflow/tfjs-core';
import { backward, dependents, inputsOf, leadingTo, producers } from '../tape/graph';
import type { Reader } from '../tape/numbers';
import type { TapeNode } from '../tape/tape';
import { accept, unweighed } from './accept';
import { rangeOf } from './bounded';
import { type Candidate, type Frontier, proposals } from './candidates';
import type { Head } from './head';
import { findOutputs, type LossPart, madeFrom } from './outputs';

/**
 * Ops without one of which nothing is a log-likelihood, whatever its gradient looks like where all probabilities are
 * alike.
 */
const LOGARITHMS: readonly string[] = ['Log', 'Log1p', 'Softplus', 'logSoftmax__op', 'softmaxCrossEntropy__op'];

/**
 * The tensors that the loss multiplies something by and that do not depend on the sites: targets and sample weights
 * among them.
 */
function constantFactors(nodes: readonly TapeNode[], fromSites: ReadonlySet<number>): Tensor[] {
  return nodes.flatMap((node) => {
    if (node.kernel !== 'Multiply') return [];
    return ['a', 'b'].flatMap((name, index) => {
      const input = node.inputs.get(name);
      const saved = node.saved[index];
      return input && saved && !fromSites.has(input.id) ? [saved] : [];
    });
  });
}

/**
 * A gradient that is known no better than to float32 fits its own distribution to this. Next to the least of a loss it
 * is small, and others fit it by chance, less well: of proposals that fit the best is taken.
 */
const EXACT = 1e-4;

/** What the loss makes of the model's outputs: the heads that are known, and what enters it otherwise. */
export interface Metric {
  /** The heads of known output distributions. */
  readonly heads: readonly Head[];
  /** The loss's part of the tape, where something else enters it: its own curvature is the metric there. */
  readonly other: LossPart | undefined;
}

/** The ids of the tensors that a loss uses more than once, by themselves or by copies. */
function usedTwice(tape: readonly TapeNode[], loss: Tensor): Set<number> {
  const nodes = leadingTo(tape, loss.id);
  const originals = new Map<number, number>();
  const original = (id: number) => originals.get(id) ?? id;
  const [once, twice] = [new Set<number>(), new Set<number>()];
  for (const node of nodes) {
    const ids = new Set(inputsOf(node).map(({ id }) => original(id)));
    if (node.kernel === 'Identity') for (const { id } of node.outputs) originals.set(id, [...ids][0] ?? id);
    else for (const id of ids) (once.has(id) ? twice : once).add(id);
  }
  return twice;
}

/**
 * The heads among some candidates: those whose gradient is that of a negative log-likelihood. Beside one of them a
 * gradient of zero is that of a part of the loss without weight; alone it tells nothing.
 */
function accepted(
  tape: readonly TapeNode[],
  loss: Scalar,
  frontier: Frontier,
  fromSites: ReadonlySet<number>,
  read: Reader,
): Head[] {
  const { candidates, nodes } = frontier;
  const logarithmic = nodes.some((node) => LOGARITHMS.includes(node.kernel));
  // the gradient of one number is that of any squared error: with another use of it, it says nothing
  const single = ({ distribution, logits }: Candidate) => distribution === 'gaussian' && logits.size === 1;
  const twice = candidates.some(single) ? usedTwice(tape, loss) : new Set();
  const likely = candidates.filter((candidate) =>
    candidate.distribution === 'gaussian' ? !(single(candidate) && twice.has(candidate.logits.id)) : logarithmic,
  );
  if (likely.length === 0) return [];
  const within = dependents(
    tape,
    likely.map(({ logits }) => logits.id),
  );
  const gradients = backward(tape, [[loss.id, onesLike(loss)]], within);
  const constants = constantFactors(nodes, fromSites);
  const made = producers(tape);
  const judged = likely.map((candidate) => {
    const gradient = gradients.get(candidate.logits.id);
    return {
      candidate,
      gradient,
      head: gradient && accept(candidate, gradient, constants, rangeOf(candidate.logits, made), read),
    };
  });
  if (judged.every(({ head }) => head === undefined)) return [];
  return judged.flatMap(({ candidate, gradient, head }) => {
    if (head) return head;
    const values = gradient && read(gradient);
    return values?.every((value) => value === 0) ? unweighed(candidate, values, read) : [];
  });
}

/** What log(1 + eᶻ) is computed from, by softplus or as relu(z) + log1p(e^(−|z|)). */
const LOGISTIC: ReadonlySet<string> = new Set(['Softplus', 'Abs']);

/**
 * Some heads, with what enters the loss besides. Of log-cosh as d + log(1 + e^(−2d)) − log 2 the middle term is a
 * likelihood of −2d, and d has no curvature beside it: a logistic loss of what enters the loss besides is no head, and
 * its second derivative is known.
 */
function beside(
  tape: readonly TapeNode[],
  loss: Scalar,
  siteOutputs: ReadonlySet<number>,
  heads: readonly Head[],
): Metric {
  const other = findOutputs(tape, loss, siteOutputs, new Set(heads.map(({ logits }) => logits.id)));
  if (other.outputs.length === 0) return { heads, other: undefined };
  const logistic = new Set(
    tape.flatMap((node) => (LOGISTIC.has(node.kernel) ? inputsOf(node).map(({ id }) => id) : [])),
  );
  const proper = heads.filter(
    ({ distribution, logits }) =>
      distribution !== 'bernoulli' || !logistic.has(logits.id) || !madeFrom(tape, logits, siteOutputs, other.outputs),
  );
  return proper.length < heads.length ? beside(tape, loss, siteOutputs, proper) : { heads, other };
}

/**
 * Finds the heads of a model, measures how its loss weighs them, and finds what enters the loss otherwise. Call it with
 * recording paused and inside a `tidy`.
 *
 * @param siteOutputs - The ids of the outputs of all sites.
 * @param read - Gives numbers of a tensor that stay what they are.
 */
export function findMetric(
  tape: readonly TapeNode[],
  loss: Scalar,
  siteOutputs: ReadonlySet<number>,
  read: Reader,
): Metric {
  const fromSites = dependents(tape, siteOutputs);
  let best: { readonly heads: Head[]; readonly frontier: Frontier; readonly misfit: number } | undefined;
  for (const frontier of proposals(tape, loss, siteOutputs)) {
    const heads = accepted(tape, loss, frontier, fromSites, read);
    if (heads.length === 0) continue;
    const misfit = Math.max(...heads.map((head) => head.misfit));
    if (best === undefined || misfit < best.misfit) best = { heads, frontier, misfit };
    if (best.misfit <= EXACT) break;
  }
  if (best) {
    const { heads, frontier } = best;
    if (!frontier.open && heads.length === frontier.candidates.length) return { heads, other: undefined };
    return beside(tape, loss, siteOutputs, heads);
  }
  return { heads: [], other: findOutputs(tape, loss, siteOutputs, new Set()) };
}

/** The ids of the tensors where a metric begins. */
export function endsOf({ heads, other }: Metric): Set<number> {
  return new Set([...heads.map(({ logits }) => logits.id), ...(other?.outputs ?? []).map(({ id }) => id)]);
}

/**
 * A metric with what else enters the loss, past its heads: a learned weight of a term, say.
 *
 * @param outputs - The ids of the tensors that it enters by.
 */
export function withOutputs(
  tape: readonly TapeNode[],
  loss: Scalar,
  metric: Metric,
  outputs: ReadonlySet<number>,
): Metric {
  const more = findOutputs(tape, loss, outputs, endsOf(metric));
  const { other = { outputs: [], nodes: [] } } = metric;
  const nodes = new Set([...other.nodes, ...more.nodes]);
  const all = [...other.outputs, ...more.outputs];
  if (all.length === 0) return metric;
  return { ...metric, other: { outputs: all, nodes: tape.filter((node) => nodes.has(node)) } };
}
