/**
 * The true Fisher matrix: targets are sampled from the model's own output distribution, and their errors are sent backwards over the
 * tape of the training step, to the outputs of the sites and no further. (Martens and Grosse, "Optimizing Neural Networks with
 * Kronecker-factored Approximate Curvature", 2015, section 5.)
 */
import { type Scalar, type Tensor, tensor } from '@tensorflow/tfjs-core';
import { CgfacError } from '../error';
import { sampledErrors } from '../sampler';
import { backward, dependents } from './graph';
import { findHeads } from './head';
import type { Site } from './layer-kind';
import type { TapeNode } from './tape';

/** The output gradients of sampled targets. */
export interface SampledGradients {
  /** The samples of the batch. */
  readonly samples: number;
  /** The output gradients of each site, (rows × outFeatures), row-major, per sample: not divided by the size of the batch. */
  readonly outputGrads: ReadonlyMap<Site, Float32Array>;
}

/**
 * Samples targets at every head and sends (p − y) of them back to the `sites`. Call it with recording paused and inside a `tidy`.
 *
 * @param uniform - Uniform numbers in [0, 1).
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_HEAD` when a head is not recognised.
 */
export function sampledGradients(tape: readonly TapeNode[], loss: Scalar, sites: readonly Site[], uniform: () => number): SampledGradients {
  const siteOutputs = new Set(sites.flatMap((site) => site.node.outputs.map((output) => output.id)));
  const heads = findHeads(tape, loss, siteOutputs);
  const seeds = heads.map(({ distribution, logits, probabilities, factors }): readonly [number, Tensor] => {
    const errors = sampledErrors(distribution, probabilities, logits.shape.at(-1) ?? 1, factors, uniform);
    return [logits.id, tensor(errors, logits.shape)];
  });
  const byNode = new Map(sites.map((site) => [site.node, site]));
  const outputGrads = new Map<Site, Float32Array>();
  backward(tape, seeds, dependents(tape, siteOutputs), (node, outputGradient) => {
    const site = byNode.get(node);
    if (site) outputGrads.set(site, site.readOutputGrads(outputGradient));
  });
  for (const site of sites) {
    if (!outputGrads.has(site)) {
      throw new CgfacError(
        'ERR_CGFAC_INTERNAL',
        `Expected a path from a head to the op ${site.node.kernel} but received none; please report this`,
      );
    }
  }
  const [samples = 1] = heads[0]?.logits.shape ?? [];
  return { samples, outputGrads };
}
