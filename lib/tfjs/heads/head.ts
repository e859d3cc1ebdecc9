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
import { exp, onesLike, type Scalar, sigmoid, type Tensor, zerosLike } from '@tensorflow/tfjs-core';
import { CgfacError } from '../../base/errors';
import type { Distribution } from '../../base/random';
import { backward, backwards, dependents, producers } from '../tape/graph';
import type { TapeNode } from '../tape/tape';

/** One head of the model at this step. */
export interface Head {
  readonly distribution: Distribution;
  /** The logits. */
  readonly logits: Tensor;
  /** p, in the shape of the logits; must not be written to. */
  readonly probabilities: ArrayLike<number>;
  /** √(B·u·s) of each of the B samples: what makes E[g gᵀ] the Hessian of the per-sample loss. */
  readonly factors: Float64Array;
  /**
   * What this head's part of the loss cannot fall below: the entropy of its targets, weighed as the loss weighs them.
   */
  readonly floor: number;
  /** Whether its targets are probabilities other than 0 and 1, or those of a squared error. */
  readonly soft: boolean;
}

/**
 * Ops without one of which nothing is a log-likelihood, whatever its gradient looks like where all probabilities are
 * alike.
 */
const LOGARITHMS: readonly string[] = ['Log', 'Log1p', 'Softplus', 'logSoftmax__op', 'softmaxCrossEntropy__op'];

interface Candidate {
  readonly distribution: Distribution;
  readonly logits: Tensor;
  /** Computes p from a saved tensor. */
  readonly probabilities: () => Tensor;
  /** The targets where the op itself has them. */
  readonly targets?: Tensor;
}

interface Frontier {
  readonly candidates: readonly Candidate[];
  /** The nodes between the heads and the loss. */
  readonly nodes: readonly TapeNode[];
  /** Whether the loss depends on a site otherwise than through a head. */
  readonly open: boolean;
}

/** How far the measured gradient may be from u·s·(p − y), relative to its norm. Another loss is much further off. */
const TOLERANCE = 1e-2;

/**
 * Probabilities this near to 0 or 1 are left out of the comparison. Keras clips at 1e-7, which makes their gradient
 * zero; and float32 has 1 − p to 6e-8 only, so that at this distance p − y itself is known to 0.3 %.
 */
const SATURATED = 2e-5;

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

function propose(tape: readonly TapeNode[], loss: Tensor, siteOutputs: ReadonlySet<number>): Frontier {
  const byOp = frontierOf(tape, loss, siteOutputs, new Map());
  if (!byOp.open && byOp.candidates.length > 0) return byOp;
  const made = producers(tape);
  const stops = new Map<number, Candidate>();
  for (const node of byOp.nodes) {
    const candidate = logisticCandidate(node, made);
    if (candidate) stops.set(candidate.logits.id, candidate);
  }
  return stops.size === 0 ? byOp : frontierOf(tape, loss, siteOutputs, stops);
}

interface Fit {
  readonly u: number;
  /** ‖∂loss/∂z − u·s·(p − y)‖ / ‖∂loss/∂z‖. */
  readonly misfit: number;
}

type Numbers = ArrayLike<number>;

/**
 * Marks with 1 where p is so near to its bounds, in a row of a categorical or at a number of a Bernoulli, that nothing
 * can be compared.
 */
function saturated(distribution: Distribution, p: Numbers, y: Numbers, width: number): Uint8Array {
  const marks = new Uint8Array(p.length);
  if (distribution === 'gaussian') return marks;
  for (let row = 0; row < p.length; row += width) {
    let whole = 0;
    for (let at = row; at < row + width; at++) {
      const probability = p[at] ?? 0;
      const high = probability > 1 - SATURATED;
      if (distribution === 'bernoulli') marks[at] = high || probability < SATURATED ? 1 : 0;
      else if (high || (probability < SATURATED && (y[at] ?? 0) > 0)) whole = 1;
    }
    if (whole) marks.fill(1, row, row + width);
  }
  return marks;
}

/** The u that brings u·s·(p − y) nearest to the gradient d, in the least-squares sense, and how near that is. */
function leastSquares(p: Numbers, y: Numbers, s: Numbers, d: Numbers, leftOut: Uint8Array): Fit {
  const perSample = p.length / s.length;
  // The sums of d², d·e and e², e = s·(p − y), apart for what is compared and what is left out.
  const [dd, de, ee] = [new Float64Array(2), new Float64Array(2), new Float64Array(2)];
  for (let at = 0, sample = 0; sample < s.length; sample++) {
    const weight = s[sample] ?? 0;
    for (const end = at + perSample; at < end; at++) {
      const gradient = d[at] ?? 0;
      const error = weight * ((p[at] ?? 0) - (y[at] ?? 0));
      const part = leftOut[at] ?? 0;
      dd[part] = (dd[part] ?? 0) + gradient * gradient;
      de[part] = (de[part] ?? 0) + gradient * error;
      ee[part] = (ee[part] ?? 0) + error * error;
    }
  }
  const [ddKept = 0, deKept = 0, eeKept = 0, deLeft = 0, eeLeft = 0] = [dd[0], de[0], ee[0], de[1], ee[1]];
  if (eeKept > 0) {
    const misfit = ddKept > 0 ? Math.sqrt(Math.max(0, ddKept - (deKept * deKept) / eeKept) / ddKept) : 0;
    return { u: deKept / eeKept, misfit };
  }
  // Everything is saturated: nothing can be compared, and little is left to be learned.
  return { u: eeLeft > 0 ? deLeft / eeLeft : 0, misfit: 0 };
}

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

/** −y·ln y */
function surprise(y: number): number {
  return y > 0 && y < 1 ? -y * Math.log(y) : 0;
}

/** The weighed sum of the entropies of the targets, and whether there is any. */
function entropyOf(distribution: Distribution, y: Numbers, s: Numbers, u: number): { floor: number; soft: boolean } {
  if (distribution === 'gaussian') return { floor: 0, soft: true };
  const perSample = y.length / s.length;
  let floor = 0;
  let soft = false;
  for (let at = 0, sample = 0; sample < s.length; sample++) {
    let entropy = 0;
    for (const end = at + perSample; at < end; at++) {
      const target = y[at] ?? 0;
      if (target <= 0 || target >= 1) continue;
      soft = true;
      entropy += surprise(target) + (distribution === 'bernoulli' ? surprise(1 - target) : 0);
    }
    floor += u * (s[sample] ?? 0) * entropy;
  }
  return { floor, soft };
}

function unrecognised(received: string): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_TFJS_HEAD',
    `Expected a softmax with a categorical cross-entropy, a sigmoid with a binary cross-entropy or a squared error for the head of the model but received ${received}; is the softmax or sigmoid of the last layer missing? fisher: 'empirical' works with every loss`,
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
  const p = candidate.probabilities().dataSync();
  const d = gradient.dataSync();
  const targets = candidate.targets ? [candidate.targets] : constants.filter((tensor) => tensor.size === logits.size);
  // a gradient that is not finite fits nothing: a floor that is none either has the step left out
  if (d.some((value) => !Number.isFinite(value))) {
    return {
      distribution,
      logits,
      probabilities: p,
      factors: new Float64Array(samples),
      floor: Number.NaN,
      soft: false,
    };
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
