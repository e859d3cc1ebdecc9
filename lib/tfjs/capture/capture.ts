/** What one forward and backward pass leaves for the solver: the rows of every layer. */
import { onesLike, type Scalar, type Tensor, tidy, type Variable } from '@tensorflow/tfjs-core';
import { CgfacError } from '../../base/errors';
import { concatenated } from '../../base/vectors';
import { findHeads, type Head } from '../heads/head';
import type { Site } from '../kinds/layer-kind';
import { backward, skipKernelGradient } from '../tape/graph';
import { type TapeNode, withoutRecording } from '../tape/tape';
import { outputsOf, sampledGradients, samplesOf } from './fisher';
import { findLayers, type Layer, type Layers, type PlainVariable } from './sites';

/** The rows of one layer at one step; the sites of a shared layer one after the other. */
export interface CapturedLayer extends Layer {
  /** (rows × inFeatures), row-major; must not be written to. */
  readonly inputs: Float32Array;
  /** Samples that the rows come from. */
  readonly samples: number;
  /** The output gradients of the sampled targets, per sample; `undefined` without any. */
  readonly sampledGrads: Float32Array | undefined;
  /**
   * The output gradients of the loss itself, site by site, filled by the normal backward pass where they are asked for.
   */
  readonly lossGrads: (Float32Array | undefined)[];
  /** The gradient of the penalties on a variable, where they were asked for and there are any. */
  readonly penaltyGrads: ReadonlyMap<Variable, Float32Array>;
}

/** One step's capture. */
export interface Capture {
  readonly layers: readonly CapturedLayer[];
  readonly plain: readonly PlainVariable[];
  /** What the loss cannot fall below, and whether targets are soft: 0 and false where no head was found. */
  readonly floor: number;
  readonly soft: boolean;
  /** Samples whose targets were sampled. */
  readonly sampled: number;
  /** Whether a layer's gradient holds more than what its rows give: a penalty's. */
  readonly penalised: boolean;
}

/** A capture of nothing. */
export const NOTHING: Capture = { layers: [], plain: [], floor: 0, soft: false, sampled: 0, penalised: false };

/** How to capture. */
export interface CaptureOptions {
  readonly fisher: 'true' | 'empirical';
  /** Of the samples, those whose targets are sampled, given what is known of the head: from 0 to 1. */
  readonly share: (soft: boolean, layers: readonly Layer[]) => number;
  /** Uniform numbers for the sampled targets. */
  readonly uniform: () => number;
  /** Whether the loss's own output gradients are wanted of every layer. */
  readonly lossGrads: boolean;
  /**
   * Whether gradients of kernels may be left out, where every layer is checked and none has penalties: they are zero
   * then.
   */
  readonly kernelsMayBeSkipped: boolean;
  /** Which layers may be preconditioned; the variables of the others are plain, for the reason given. */
  readonly refused: (layer: Layer) => string | undefined;
  /** Which layers are checked against the framework's own gradient at this step. */
  readonly checked: (layer: Layer) => boolean;
}

/**
 * Samples that a layer's rows come from: those of the head, but not of a layer with other rows than the head has
 * samples of.
 */
function samplesIn({ sites: [site] }: Layer, heads: readonly Head[]): number {
  const own = site.samples ?? site.rows;
  if (heads.length === 0) return own;
  const samples = samplesOf(heads);
  return site.rows % samples === 0 ? samples : own;
}

function penaltyGradients(
  tape: readonly TapeNode[],
  loss: Scalar,
  layer: Layer,
  penalties: Layers['penalties'],
): Map<Variable, Float32Array> {
  const gradients = new Map<Variable, Float32Array>();
  for (const variable of layer.bias ? [layer.kernel, layer.bias] : [layer.kernel]) {
    const passed = penalties.get(variable);
    const gradient = passed && backward(tape, [[loss.id, onesLike(loss)]], passed).get(variable.id);
    if (gradient) gradients.set(variable, gradient.dataSync<'float32'>());
  }
  return gradients;
}

/** The gradients of the loss at the sites, if the backward pass reached them all. */
export function reachedGrads(layer: CapturedLayer): Float32Array | undefined {
  const reached = layer.lossGrads.flatMap((gradients) => gradients ?? []);
  return reached.length === layer.sites.length ? concatenated(reached) : undefined;
}

/** The same, where a step cannot do without. */
export function requiredGrads(layer: CapturedLayer): Float32Array {
  const found = reachedGrads(layer);
  if (found) return found;
  throw new CgfacError(
    'ERR_CGFAC_TFJS_NO_CAPTURE',
    `Expected output gradients of ${layer.kernel.name} but received none from the backward pass`,
  );
}

/** Has the normal backward pass leave its output gradients at the sites of `layer`. */
function lossGradsOf(layer: Layer): (Float32Array | undefined)[] {
  const gradients: (Float32Array | undefined)[] = layer.sites.map(() => undefined);
  for (const [index, site] of layer.sites.entries()) {
    site.node.observe((outputGradient: Tensor) => {
      tidy(() => {
        gradients[index] = site.readOutputGrads(outputGradient);
      });
    });
  }
  return gradients;
}

/** The heads: what samples targets, and what knows L_min, which the empirical Fisher matrix can do without. */
function headsOf(
  tape: readonly TapeNode[],
  loss: Scalar,
  sites: readonly Site[],
  fisher: 'true' | 'empirical',
): readonly Head[] {
  try {
    return findHeads(tape, loss, outputsOf(sites));
  } catch (error) {
    if (fisher === 'true' || !(error instanceof CgfacError) || error.code !== 'ERR_CGFAC_TFJS_HEAD') throw error;
    return [];
  }
}

/**
 * Reads the rows of every layer from the tape, samples targets and sends their errors back for the true Fisher matrix,
 * and puts listeners into the backward pass that is still to come for the empirical one and for the check.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_HEAD` when the true Fisher matrix is asked for and a head is not
 * recognised.
 */
export function capture(
  tape: readonly TapeNode[],
  loss: Scalar,
  variables: readonly Variable[],
  options: CaptureOptions,
): Capture {
  const found = findLayers(tape, variables, loss);
  const layers = found.layers.filter((layer) => options.refused(layer) === undefined);
  const plain = [...found.plain];
  for (const layer of found.layers) {
    const reason = options.refused(layer);
    if (reason === undefined) continue;
    plain.push({ variable: layer.kernel, reason });
    if (layer.bias) plain.push({ variable: layer.bias, reason });
  }
  const captured: CapturedLayer[] = [];
  const sites = layers.flatMap((layer) => layer.sites);
  const kernels = layers.flatMap((layer) => [layer.kernel, ...(layer.bias ? [layer.bias] : [])]);
  const penalised = kernels.some((variable) => found.penalties.has(variable));
  let [floor, soft, count] = [0, false, 0];
  withoutRecording(() =>
    tidy(() => {
      const heads = sites.length > 0 ? headsOf(tape, loss, sites, options.fisher) : [];
      floor = heads.reduce((sum, head) => sum + head.floor, 0);
      soft = heads.some((head) => head.soft);
      const share = heads.length > 0 && options.fisher === 'true' ? options.share(soft, layers) : 0;
      const sampled = share > 0 ? sampledGradients(tape, heads, sites, share, options.uniform) : undefined;
      count = sampled?.samples ?? 0;
      // before the listeners, which see every gradient that comes
      if (options.kernelsMayBeSkipped && !penalised && !layers.some(options.checked)) {
        for (const site of sites) skipKernelGradient(site.node, site.kernelInput);
      }
      for (const layer of layers) {
        const checked = options.checked(layer);
        captured.push({
          ...layer,
          inputs: concatenated(layer.sites.map((site) => site.readInputs())),
          samples: samplesIn(layer, heads),
          sampledGrads: sampled && concatenated(layer.sites.flatMap((site) => sampled.outputGrads.get(site) ?? [])),
          lossGrads: options.lossGrads || !sampled || checked ? lossGradsOf(layer) : [],
          penaltyGrads: checked ? penaltyGradients(tape, loss, layer, found.penalties) : new Map(),
        });
      }
    }),
  );
  return { layers: captured, plain, floor, soft, sampled: count, penalised };
}
