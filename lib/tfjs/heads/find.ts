/**
 * The heads of a model: the tensors of logits z whose loss is the negative log-likelihood of a known output
 * distribution, so that targets can be sampled and the true Fisher matrix be had.
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
import { CgfacError, type Distribution } from '../../adapter-kit';
import { backward, dependents } from '../tape/graph';
import type { TapeNode } from '../tape/tape';
import { type Candidate, propose } from './candidates';
import { entropyOf, leastSquares, saturated } from './fit';
import type { Head } from './head';

/**
 * Ops without one of which nothing is a log-likelihood, whatever its gradient looks like where all probabilities are
 * alike.
 */
const LOGARITHMS: readonly string[] = ['Log', 'Log1p', 'Softplus', 'logSoftmax__op', 'softmaxCrossEntropy__op'];

/** How far the measured gradient may be from u·s·(p − y), relative to its norm. Another loss is much further off. */
const TOLERANCE = 1e-2;

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

function unrecognised(received: string): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_TFJS_HEAD',
    'Expected a softmax with a categorical cross-entropy, a sigmoid with a binary cross-entropy or a squared error ' +
      `for the head of the model but received ${received}; is the softmax or sigmoid of the last layer missing? ` +
      "fisher: 'empirical' works with every loss",
  );
}

function opsOf(nodes: readonly TapeNode[]): string {
  return [...new Set(nodes.map((node) => node.kernel).filter((kernel) => kernel !== 'Identity'))].reverse().join(', ');
}

const OPS: Readonly<Record<Distribution, string>> = {
  categorical: 'softmax',
  bernoulli: 'sigmoid',
  gaussian: 'square',
};

/** Accepts a candidate by the gradient of the loss with respect to its logits, and scales it. */
function accept(
  candidate: Candidate,
  gradient: Tensor,
  constants: readonly Tensor[],
  nodes: readonly TapeNode[],
): Head {
  const { distribution, logits } = candidate;
  const [samples = 1] = logits.shape;
  const p = candidate.probabilities().dataSync<'float32'>();
  const d = gradient.dataSync();
  const targets = candidate.targets ? [candidate.targets] : constants.filter((tensor) => tensor.size === logits.size);
  // a gradient that is not finite fits nothing: a floor that is none either has the step left out
  if (d.some((value) => !Number.isFinite(value))) {
    const factors = new Float64Array(samples);
    return { distribution, logits, probabilities: p, factors, floor: Number.NaN, soft: false };
  }
  const weights = constants.filter((tensor) => tensor.size === samples && samples > 1 && tensor.dtype === 'float32');
  const evenly = new Float32Array(samples).fill(1);
  for (const target of targets) {
    const y = target.dataSync();
    const leftOut = saturated(distribution, p, y, logits.shape.at(-1) ?? 1);
    for (const s of [evenly, ...weights.map((tensor) => tensor.dataSync())]) {
      const { u, misfit } = leastSquares(p, y, s, d, leftOut);
      if (!(misfit <= TOLERANCE) || u < 0) continue;
      return {
        distribution,
        logits,
        probabilities: p,
        factors: Float64Array.from(s, (weight) => Math.sqrt(Math.max(0, samples * u * weight))),
        ...entropyOf(distribution, y, s, u),
      };
    }
  }
  throw unrecognised(`a ${OPS[distribution]} with another loss (${opsOf(nodes)})`);
}

/**
 * Finds the heads of a model and measures how its loss weighs them. Call it with recording paused and inside a `tidy`.
 *
 * @param siteOutputs - The ids of the outputs of all sites.
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_HEAD` when the loss depends on a site in another way than through such a
 * head.
 */
export function findHeads(tape: readonly TapeNode[], loss: Scalar, siteOutputs: ReadonlySet<number>): readonly Head[] {
  const { candidates, nodes, open } = propose(tape, loss, siteOutputs);
  const logarithmic = nodes.some((node) => LOGARITHMS.includes(node.kernel));
  const likelihoods = candidates.some(({ distribution }) => distribution !== 'gaussian');
  if (open || (likelihoods && !logarithmic) || candidates.length === 0)
    throw unrecognised(`another output or loss (${opsOf(nodes)})`);
  const within = dependents(
    tape,
    candidates.map(({ logits }) => logits.id),
  );
  const gradients = backward(tape, [[loss.id, onesLike(loss)]], within);
  const constants = constantFactors(nodes, dependents(tape, siteOutputs));
  return candidates.map((candidate) => {
    const gradient = gradients.get(candidate.logits.id);
    if (!gradient) throw unrecognised(`an output that the loss does not depend on (${opsOf(nodes)})`);
    return accept(candidate, gradient, constants, nodes);
  });
}
