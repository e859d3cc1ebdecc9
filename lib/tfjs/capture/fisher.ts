/**
 * The true Fisher matrix: targets are sampled from the model's own output distribution, and their errors are sent
 * backwards over the tape of the training step, to the outputs of the sites and no further. (Martens and Grosse,
 * "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", 2015, section 5.)
 */
import { type Scalar, type Tensor, tensor, type Variable } from '@tensorflow/tfjs-core';
import type { UniformNumbers } from '../../adapter-kit';
import { type CurvatureSeed, curvatureSeeds } from '../heads/curvature';
import type { Metric } from '../heads/find';
import { targetErrors } from '../heads/target-errors';
import { type LayerSite, outputsOf, type Site } from '../kinds/layer-kind';
import { Samples } from '../tape/array-rule';
import { backwardOfFirst } from '../tape/first-samples';
import { backward, dependents } from '../tape/graph';
import { copier } from '../tape/numbers';
import type { Room } from '../tape/room';
import type { TapeNode } from '../tape/tape';
import { allOf, inArrays, opsOf, type Seed } from './passes';

/** The output gradients of sampled targets. */
export interface SampledGradients {
  /** The samples of the batch whose targets were sampled: the first ones. */
  readonly samples: number;
  /**
   * The output gradients of each site, (rows × gradWidth), row-major, per sample: not divided by the size of the
   * batch. Their mean is that over the rows of the sampled samples; the rows may be fewer than the site's.
   */
  readonly outputGrads: ReadonlyMap<LayerSite, Float32Array>;
  /** The gradients of lone variables, summed over the sampled samples; of those that they reach. */
  readonly sums: ReadonlyMap<Variable, Float32Array>;
  /** The noise where something else than a head enters the loss. */
  readonly drawn: readonly CurvatureSeed[];
}

/** The samples of the batch that the loss sees. */
export function samplesOf({ heads, other }: Metric): number {
  const [samples = 1] = (heads[0]?.logits ?? other?.outputs[0])?.shape ?? [];
  return samples;
}

/** Whether all numbers from `start` on are zero. */
function zeroFrom(values: Float32Array, start: number): boolean {
  for (let at = start; at < values.length; at++) if (values[at] !== 0) return false;
  return true;
}

/**
 * The rows of a site that are not zero, and then as many zero ones as make `count`; `undefined` where those are more
 * than that.
 */
function gathered(rows: Float32Array, width: number, count: number, room: Room): Float32Array | undefined {
  // of samples that stand one after the other the sampled ones are the first
  if (zeroFrom(rows, count * width)) return rows.subarray(0, count * width);
  const kept = room.zeros(count * width);
  let taken = 0;
  for (let start = 0; start < rows.length; start += width) {
    const row = rows.subarray(start, start + width);
    if (zeroFrom(row, 0)) continue;
    if (taken === count) return undefined;
    kept.set(row, taken * width);
    taken++;
  }
  return kept;
}

/**
 * Makes the mean of g gᵀ over a site's rows that over the rows of the sampled samples. In whatever order the rows of
 * samples and positions stand, those of the other samples are zero, and are left out. Where samples see each other, in
 * a batch normalisation say, they are not zero: all rows stay, and are divided by the root of the share.
 */
function ofSampled(
  found: ReadonlyMap<LayerSite, Float32Array>,
  sampled: number,
  samples: number,
  room: Room,
): ReadonlyMap<LayerSite, Float32Array> {
  const fewer = new Map<LayerSite, Float32Array>();
  for (const [site, rows] of found) {
    const count = (sampled * site.rows) / samples;
    const kept = Number.isInteger(count) ? gathered(rows, site.gradWidth ?? site.outFeatures, count, room) : undefined;
    // the sites of a shared layer are averaged together: all in one way
    if (!kept)
      return new Map([...found].map(([each, all]) => [each, all.map((value) => value * Math.sqrt(samples / sampled))]));
    fewer.set(site, kept);
  }
  return fewer;
}

/** Noise, of as many samples as enter the loss there, as a seed of `sampled` samples. */
function seedOf({ output, seed }: CurvatureSeed, share: number, sampled: number): Seed {
  // what has no samples of its own, or others, counts as much as the batch does
  const own = Math.ceil(share * (output.shape[0] ?? 1));
  const factor = Math.sqrt(sampled / own);
  return { at: output, values: own === sampled ? seed : seed.map((value) => value * factor) };
}

/** What a pass has read: the output gradients of ops, of the sampled samples alone where `apart`. */
interface Passed {
  readonly read: ReadonlyMap<Site, Float32Array>;
  readonly apart: boolean;
  /** What has come to variables, where any are asked for. */
  readonly sums?: SampledGradients['sums'];
}

/** The pass by the ops of TensorFlow.js, over the first samples alone where that can be. */
function inTensors(
  tape: readonly TapeNode[],
  seeds: ReadonlyMap<number, Seed>,
  within: ReadonlySet<number>,
  ops: ReadonlyMap<TapeNode, Site>,
  { samples, count, all }: Samples,
  variables: readonly Variable[],
  room: Room,
): Passed {
  const copy = copier(room);
  const read = new Map<Site, Float32Array>();
  const sums = new Map<Variable, Float32Array>();
  const tensors = new Map([...seeds].map(([id, { at, values }]) => [id, tensor(values, at.shape)] as const));
  const visit = (node: TapeNode, outputGradient: Tensor) => {
    const op = ops.get(node);
    if (op) read.set(op, op.readOutputGrads(outputGradient, copy));
  };
  const byRows = (node: TapeNode) => {
    const op = ops.get(node);
    return op?.takesFewerRows === true && op.rows === samples;
  };
  const some = { samples, count, byRows };
  const apart = !all && variables.length === 0 && backwardOfFirst(tape, tensors, within, some, visit);
  if (apart) return { read, sums, apart };
  const gradients = backward(tape, tensors, within, visit);
  for (const variable of variables) {
    const gradient = gradients.get(variable.id);
    if (gradient) sums.set(variable, gradient.dataSync<'float32'>().slice());
  }
  return { read, sums, apart };
}

/** How targets are sampled. */
export interface TargetSampling {
  /** The share of the batch whose targets are sampled, rounded up; 0 < share ≤ 1. */
  readonly share: number;
  /** Uniform numbers in [0, 1). */
  readonly uniform: UniformNumbers;
  /** Whether the pass may be in arrays. */
  readonly arrays: boolean;
  /** Where arrays of the step are from. */
  readonly room: Room;
}

/**
 * Samples targets at the heads and sends (p − y) of them back to the `sites`, and noise with the loss's own curvature
 * from what enters it otherwise. Call it with recording paused and inside a `tidy`.
 *
 * @param variables - Those whose own gradients are wanted, too.
 */
export function sampledGradients(
  tape: readonly TapeNode[],
  loss: Scalar,
  metric: Metric,
  sites: readonly LayerSite[],
  variables: readonly Variable[],
  { share, uniform, arrays, room }: TargetSampling,
): SampledGradients {
  const batch = samplesOf(metric);
  const sampled = Math.ceil(share * batch);
  const samples = new Samples(batch, sampled);
  const { heads, other } = metric;
  const seeds = new Map<number, Seed>();
  const [value = Number.NaN] = heads.length > 0 ? loss.dataSync() : [];
  for (const head of heads)
    seeds.set(head.logits.id, { at: head.logits, values: targetErrors(head, value, share, uniform, room) });
  const drawn = other ? curvatureSeeds(tape, loss, other, share, uniform) : [];
  for (const each of drawn) seeds.set(each.output.id, seedOf(each, share, sampled));
  const ops = opsOf(sites);
  const within = dependents(tape, [...outputsOf(sites), ...variables.map(({ id }) => id)]);
  const some = arrays && variables.length === 0 ? inArrays(tape, seeds, within, ops, samples, room) : undefined;
  const passed = some && { read: some, apart: true };
  const {
    read,
    apart,
    sums = new Map(),
  }: Passed = passed ?? inTensors(tape, seeds, within, ops, samples, variables, room);
  const outputGrads = allOf(sites, read, room);
  return {
    samples: sampled,
    outputGrads: samples.all || apart ? outputGrads : ofSampled(outputGrads, sampled, batch, room),
    sums,
    drawn,
  };
}
