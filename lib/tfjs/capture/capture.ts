/** What one forward and backward pass leaves for the solver: the rows of every layer. */
import { onesLike, type Scalar, tidy, Variable } from '@tensorflow/tfjs-core';
import { CgfacError, concatenated, timed } from '../../adapter-kit';
import { endsOf, findMetric, type Metric, withOutputs } from '../heads/find';
import { floorsOf } from '../heads/floor';
import { linearOutputs } from '../heads/outputs';
import { saysLittle } from '../heads/target-errors';
import {
  type Block,
  blockName,
  isGiven,
  type Layer,
  type LayerSite,
  outputsOf,
  variablesOf,
} from '../kinds/layer-kind';
import { whole } from '../kinds/part';
import { backward, dependents } from '../tape/graph';
import { copier, type Reader } from '../tape/numbers';
import { type TapeNode, withoutRecording } from '../tape/tape';
import { sampledGradients, samplesOf, type TargetSampling } from './fisher';
import { type HeadReport, toldOfHeads } from './head-report';
import { isJudged } from './judged';
import { type CapturedVariable, capturedVariable } from './lone';
import { type LayerLossGrads, layerLossGrads, lossGradients, replaceKernels } from './loss-grads';
import { type FoundLayer, findLayers, type Layers, type LoneVariable, refusedOf, type UsedVariable } from './sites';

/** The rows of one layer at one step; the sites of a shared layer one after the other. */
export interface CapturedLayer extends FoundLayer, LayerLossGrads {
  /**
   * (rows × inFeatures), row-major, site by site; must not be written to. None of a layer whose gradient is given,
   * where no factor is refreshed.
   */
  readonly siteInputs: readonly (Float32Array | Int32Array)[];
  /** All of them, one after the other, of a layer whose gradient is that of its rows. */
  readonly inputs: Float32Array;
  /** Samples that the rows come from. */
  readonly samples: number;
  /** The output gradients of the sampled targets, per sample; `undefined` without any. */
  readonly siteSampled: readonly Float32Array[] | undefined;
  /** All of them, one after the other. */
  readonly sampledGrads: Float32Array | undefined;
  /** Whether what the heads are enters a network that is not trained. */
  readonly judged: boolean;
  /** Whether what it gives enters the loss as it is. */
  readonly output: boolean;
  /** The gradient of the penalties on a variable, where they were asked for and there are any. */
  readonly penaltyGrads: ReadonlyMap<Variable, Float32Array>;
}

/** What one step leaves for the solver. */
export interface Capture {
  readonly layers: readonly CapturedLayer[];
  readonly lone: readonly CapturedVariable[];
  /** The ids of the variables that the ops of the loss took in, those among them that are not trained by it. */
  readonly used: ReadonlySet<number>;
  /** Samples of the batch. */
  readonly samples: number;
  /** Where the layers enter the loss. */
  readonly heads: readonly HeadReport[];
  /** What the loss cannot fall below; `undefined` where there is no such number. */
  readonly floor: number | undefined;
  /** What stands for it where it is not known. */
  readonly assumedFloor: number | undefined;
  /** The share of its curvature that is assumed; `undefined` where nothing was sampled. */
  readonly assumedCurvature: number | undefined;
  /** What the loss is: a cross-entropy of targets of 0 and 1 on linear logits, or anything else. */
  readonly targets: 'hard' | 'soft';
  /** Samples whose targets were sampled. */
  readonly sampled: number;
  /** Whether a layer's gradient holds more than what its rows give: a penalty's. */
  readonly penalised: boolean;
  /** Whether anything is wanted of the normal backward pass. */
  readonly needsBackward: boolean;
}

/** Of a loss that no site enters. */
const NO_METRIC: Metric = { heads: [], other: undefined };

/** A capture of nothing. */
export const NOTHING: Capture = {
  layers: [],
  lone: [],
  used: new Set(),
  samples: 1,
  heads: [],
  floor: 0,
  assumedFloor: undefined,
  assumedCurvature: undefined,
  targets: 'hard',
  sampled: 0,
  penalised: false,
  needsBackward: true,
};

/** What is known of a loss when it is asked of how many samples targets are to be sampled. */
export interface Sampling extends Pick<Capture, 'targets'> {
  readonly samples: number;
  /** Whether a head is a cross-entropy. */
  readonly crossEntropy: boolean;
  /** Whether nothing that enters the loss is the head of a known distribution. */
  readonly unknown: boolean;
  /** Whether the first half of the samples says too little of the others. */
  readonly uneven: boolean;
}

/** How a step is to be captured. */
export interface CaptureOptions extends Pick<TargetSampling, 'uniform' | 'arrays' | 'room'> {
  /** The share of the samples whose targets are sampled, from 0 to 1, given what is known of the head. */
  readonly share: (sampling: Sampling, blocks: readonly Block[]) => number;
  /** Whether the loss's own output gradients are wanted of every layer whose gradient is that of its rows. */
  readonly lossGrads: boolean;
  /** Whether factors are made of them. */
  readonly empirical: boolean;
  /**
   * Whether gradients of kernels may be left out, where every layer is checked and none has penalties: they are zero
   * then.
   */
  readonly kernelsMayBeSkipped: boolean;
  /** Which layers may be preconditioned as such; the variables of the others are alone, for the reason given. */
  readonly refused: (layer: Layer) => string | undefined;
  /** Which layers are checked against the framework's own gradient at this step. */
  readonly checked: (layer: Layer) => boolean;
}

/**
 * Samples that a layer's rows come from: those of the head, but not of a layer with other rows than the head has
 * samples of.
 */
function samplesIn({ sites: [site] }: Layer, metric: Metric): number {
  const own = site.samples ?? site.rows;
  const samples = samplesOf(metric);
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
 * The gradients of the loss at each site, which a step cannot do without where they make the gradient of the layer, or
 * its factors; none of others.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_NO_CAPTURE` where the backward pass did not reach them all.
 */
export function requiredGrads(layer: CapturedLayer, empirical: boolean): readonly Float32Array[] {
  if (isGiven(layer) && !empirical) return [];
  const reached = layer.lossGrads.flatMap((gradients) => gradients ?? []);
  if (reached.length === layer.sites.length) return reached;
  throw new CgfacError(
    'ERR_CGFAC_TFJS_NO_CAPTURE',
    `Expected output gradients of ${blockName(layer)} but received none from the backward pass`,
  );
}

/** The layers that are not refused; the variables of the others are alone, for the reason given. */
function admitted(found: Layers, refused: CaptureOptions['refused']): Layers {
  const reasons = refusedOf(found.layers, refused);
  const alone = new Map<Variable, UsedVariable>();
  for (const [layer, reason] of reasons) {
    const { attended } = layer;
    for (const variable of variablesOf(layer)) {
      const nodes = layer.sites.flatMap(({ ops }) => ops.map(({ node }) => node));
      alone.set(variable, { variable, reason, attended, nodes: [...(alone.get(variable)?.nodes ?? []), ...nodes] });
    }
  }
  const layers = found.layers.filter((layer) => !reasons.has(layer));
  return { ...found, layers, lone: [...found.lone, ...alone.values()] };
}

/** Whether what a layer gives enters the loss without an activation. */
function isOutput(
  { sites }: Layer,
  linear: ReadonlyMap<number, ReadonlySet<number>>,
  ends: ReadonlySet<number>,
): boolean {
  const own = outputsOf(sites);
  return [...ends].some((end) => [...(linear.get(end) ?? [])].some((id) => own.has(id)));
}

const idsOf = (used: readonly LoneVariable[]) => new Set(used.map(({ variable: { id } }) => id));

/** The metric of the sites, or of lone variables where there are none; and that of lone variables beside its heads. */
function wholeMetric(
  tape: readonly TapeNode[],
  loss: Scalar,
  sites: readonly LayerSite[],
  used: readonly UsedVariable[],
  read: Reader,
): Metric {
  if (sites.length === 0 && used.length === 0) return NO_METRIC;
  if (sites.length === 0) return findMetric(tape, loss, idsOf(used), read);
  const metric = findMetric(tape, loss, outputsOf(sites), read);
  const ends = endsOf(metric);
  const beside = used.filter(({ variable }) => {
    const reached = dependents(tape, [variable.id]);
    return ![...ends].some((id) => reached.has(id));
  });
  return beside.length === 0 ? metric : withOutputs(tape, loss, metric, idsOf(beside));
}

/** What is known of a loss by its metric and the outputs of sites that reach it without an activation. */
function samplingOf(metric: Metric, linear: ReadonlyMap<number, unknown>): Sampling {
  const { heads, other } = metric;
  const soft = other || heads.some((head) => head.soft || !linear.has(head.logits.id));
  const crossEntropy = heads.some(({ distribution }) => distribution !== 'gaussian');
  const unknown = other !== undefined && heads.length === 0;
  const uneven = heads.some(saysLittle);
  return { targets: soft ? 'soft' : 'hard', samples: samplesOf(metric), crossEntropy, unknown, uneven };
}

/**
 * The output gradients of the loss by a pass of our own, where the rows of layers say all that a step takes of it;
 * `undefined` where the normal backward pass has to give them. A run that was resumed checks its layers anew, which
 * decides nothing here: it has the bits of one that went on.
 */
function ownLossGrads(
  tape: readonly TapeNode[],
  loss: Scalar,
  metric: Metric,
  { layers, lone }: Pick<Layers, 'layers' | 'lone'>,
  penalised: boolean,
  options: CaptureOptions,
): ReadonlyMap<LayerSite, Float32Array> | undefined {
  if (!options.lossGrads || !options.arrays || penalised) return undefined;
  if (layers.length === 0 || lone.length > 0 || layers.some(isGiven)) return undefined;
  const sites = layers.flatMap((layer) => layer.sites);
  return timed('backward', () => lossGradients(tape, loss, metric, sites, options.room));
}

/** What {@link capture} does, inside a scope that disposes of its tensors. */
function captureLayers(
  tape: readonly TapeNode[],
  loss: Scalar,
  { layers, lone, penalties }: Layers,
  options: CaptureOptions,
): Omit<Capture, 'used'> {
  const sites = layers.flatMap((layer) => layer.sites);
  const judged = isJudged(tape, sites, { layers, lone });
  const penalised = layers.flatMap(variablesOf).some((variable) => penalties.has(variable));
  const used = lone.filter(({ nodes }) => nodes.length > 0);
  const curved = used.map(({ variable }) => variable);
  const read = copier(options.room);
  const metric = timed('heads', () => wholeMetric(tape, loss, sites, used, read));
  const linear = linearOutputs(tape, sites.length > 0 ? outputsOf(sites) : idsOf(used));
  const sampling = samplingOf(metric, linear);
  const blocks = [...layers, ...curved.map((variable) => ({ kernel: whole(variable), bias: undefined }))];
  const asked = blocks.length > 0 ? options.share(sampling, blocks) : 0;
  // lone variables alone may be the samples themselves
  const share = sites.length === 0 && asked > 0 ? 1 : asked;
  const sample = () => sampledGradients(tape, loss, metric, sites, curved, { ...options, share });
  const sampled = share > 0 ? timed('sampled backward', sample) : undefined;
  const lossGrads = ownLossGrads(tape, loss, metric, { layers, lone }, penalised, options);
  const needsBackward = !lossGrads || !options.kernelsMayBeSkipped || layers.some(options.checked);
  // before the listeners, which see every gradient that comes
  if (needsBackward && options.kernelsMayBeSkipped && !penalised) replaceKernels(sites, layers.some(options.checked));
  const captured = layers.map((layer): CapturedLayer => {
    const checked = options.checked(layer);
    const given = isGiven(layer);
    const siteInputs = given && !sampled && !options.empirical ? [] : layer.sites.map((site) => site.readInputs(read));
    const wanted = given ? options.empirical : options.lossGrads || !sampled || checked;
    const siteSampled = sampled && layer.sites.flatMap((site) => sampled.outputGrads.get(site) ?? []);
    return {
      ...layer,
      siteInputs,
      get inputs() {
        return concatenated(siteInputs.flatMap((rows) => (rows instanceof Float32Array ? [rows] : [])));
      },
      samples: samplesIn(layer, metric),
      siteSampled,
      get sampledGrads() {
        return siteSampled && concatenated(siteSampled);
      },
      judged,
      output: !judged && isOutput(layer, linear, endsOf(metric)),
      ...layerLossGrads(layer, lossGrads, wanted, checked, options.room),
      penaltyGrads: checked ? penaltyGradients(tape, loss, layer, penalties) : new Map(),
    };
  });
  return {
    layers: captured,
    lone: lone.map((each) => capturedVariable(tape, each, judged, sampled?.sums)),
    samples: samplesOf(metric),
    ...toldOfHeads(metric, sampled?.drawn),
    ...floorsOf(loss.dataSync()[0] ?? Number.NaN, metric, sampled?.drawn[0]?.lossSize),
    targets: sampling.targets,
    sampled: sampled?.samples ?? 0,
    penalised,
    needsBackward,
  };
}

/**
 * Reads the rows of every layer from the tape, samples targets and sends their errors back for the true Fisher matrix,
 * and puts listeners into the backward pass that is still to come for the empirical one and for the check.
 */
export function capture(
  tape: readonly TapeNode[],
  loss: Scalar,
  variables: readonly Variable[],
  options: CaptureOptions,
): Capture {
  const found = admitted(findLayers(tape, variables, loss), options.refused);
  const used = new Set<number>();
  for (const { inputs } of tape) for (const input of inputs.values()) if (input instanceof Variable) used.add(input.id);
  let captured: Omit<Capture, 'used'> = NOTHING;
  withoutRecording(() =>
    // tidy looks for tensors in what it is given back, in every number of an array: nothing is given
    tidy(() => {
      captured = captureLayers(tape, loss, found, options);
    }),
  );
  return { ...captured, used };
}
