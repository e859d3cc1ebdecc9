/** What one forward and backward pass leaves for the solver: the rows of every layer. */
import { onesLike, type Scalar, type Tensor, tidy, type Variable } from '@tensorflow/tfjs-core';
import { CgfacError, concatenated, type UniformNumbers } from '../../adapter-kit';
import { findHeads } from '../heads/find';
import type { Head } from '../heads/head';
import { type Layer, type Site, variablesOf } from '../kinds/layer-kind';
import { backward } from '../tape/graph';
import { type TapeNode, withoutRecording } from '../tape/tape';
import { outputsOf, sampledGradients, samplesOf } from './fisher';
import { findLayers, type Layers, type PlainVariable } from './sites';

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

/** What one step leaves for the solver. */
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

/** How a step is to be captured. */
export interface CaptureOptions {
  readonly fisher: 'true' | 'empirical';
  /** The share of the samples whose targets are sampled, from 0 to 1, given what is known of the head. */
  readonly share: (soft: boolean, layers: readonly Layer[]) => number;
  /** Uniform numbers for the sampled targets. */
  readonly uniform: UniformNumbers;
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
  for (const variable of variablesOf(layer)) {
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

/**
 * The gradients of the loss at the sites, which a step cannot do without.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_NO_CAPTURE` where the backward pass did not reach them all.
 */
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

/** The layers that are not refused; the variables of the others are plain, for the reason given. */
function admitted(found: Layers, refused: CaptureOptions['refused']): Layers {
  const layers = found.layers.filter((layer) => refused(layer) === undefined);
  const plain = found.layers.flatMap((layer) => {
    const reason = refused(layer);
    return reason === undefined ? [] : variablesOf(layer).map((variable) => ({ variable, reason }));
  });
  return { ...found, layers, plain: [...found.plain, ...plain] };
}

/** What {@link capture} does, inside a scope that disposes of its tensors. */
function captureLayers(
  tape: readonly TapeNode[],
  loss: Scalar,
  { layers, plain, penalties }: Layers,
  options: CaptureOptions,
): Capture {
  const sites = layers.flatMap((layer) => layer.sites);
  const penalised = layers.flatMap(variablesOf).some((variable) => penalties.has(variable));
  const heads = sites.length > 0 ? headsOf(tape, loss, sites, options.fisher) : [];
  const floor = heads.reduce((sum, head) => sum + head.floor, 0);
  const soft = heads.some((head) => head.soft);
  const share = heads.length > 0 && options.fisher === 'true' ? options.share(soft, layers) : 0;
  const sampled = share > 0 ? sampledGradients(tape, heads, sites, share, options.uniform) : undefined;
  // before the listeners, which see every gradient that comes
  if (options.kernelsMayBeSkipped && !penalised && !layers.some(options.checked)) {
    for (const site of sites) site.skipKernelGradient();
  }
  const captured = layers.map((layer): CapturedLayer => {
    const checked = options.checked(layer);
    return {
      ...layer,
      inputs: concatenated(layer.sites.map((site) => site.readInputs())),
      samples: samplesIn(layer, heads),
      sampledGrads: sampled && concatenated(layer.sites.flatMap((site) => sampled.outputGrads.get(site) ?? [])),
      lossGrads: options.lossGrads || !sampled || checked ? lossGradsOf(layer) : [],
      penaltyGrads: checked ? penaltyGradients(tape, loss, layer, penalties) : new Map(),
    };
  });
  return { layers: captured, plain, floor, soft, sampled: sampled?.samples ?? 0, penalised };
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
  const found = admitted(findLayers(tape, variables, loss), options.refused);
  let captured = NOTHING;
  withoutRecording(() =>
    // tidy looks for tensors in what it is given back, in every number of an array: nothing is given
    tidy(() => {
      captured = captureLayers(tape, loss, found, options);
    }),
  );
  return captured;
}
