/** The layers that a {@link Preconditioner} knows, and what goes with each. */
import { CgfacError } from '../base/errors';
import { lengthOf } from '../base/float32';
import { reading } from '../base/reading';
import { describe, valueError } from '../base/validate';
import { arraysOf, copied, forEachArray, newVector, vectorOf } from '../base/vectors';
import { type VectorArrays, vectorArrays } from '../base/weight-vector';
import { Layer } from '../layer/layer';
import { callNative } from '../native/call';
import { native } from '../native/load';
import { InputRows } from './input-rows';
import type { LayerKind, NetworkShape, ParsedLayer } from './kinds/layer-kind';
import type { ResolvedPreconditionerOptions } from './options';

/** A registered layer and what goes with it. */
export interface NetworkEntry {
  readonly name: string;
  readonly kind: LayerKind;
  shape: NetworkShape;
  /** What it was registered with, its weights apart. */
  readonly options: object;
  /** Borrowed for good. */
  readonly weights: VectorArrays | undefined;
  /** Whether it is used again on what it made itself, as a recurrent kernel is. */
  readonly recurrent: boolean;
  /** Whether an attention is computed from what it gives. */
  readonly attended: boolean;
  /** Whether what its network gives enters one that the step does not train. */
  readonly judged: boolean;
  /** Whether what it gives is an output of the network as it is. */
  readonly output: boolean;
  readonly layer: Layer;
  /** The number of the step to come when it was. */
  readonly registered: number;
  /** Steps that it took part in, without those that were skipped. */
  steps: number;
  /** Samples of the step to come by the site that recorded them: the sites of shared weights see the same ones. */
  readonly samples: Map<number, number>;
  /** What its inputs of the step to come are like. */
  readonly inputs: InputRows;
  /** M, the momentum; none before it is needed. */
  momentum: VectorArrays | undefined;
  /** What ⟨v, M⟩ was right after its last step, where φ follows it. */
  momentumProduct: number | undefined;
  /** The share of the curvature that was assumed when its factors were refreshed last. */
  assumedCurvature: number;
  /** Whether the caller has been given the arrays of M. */
  lent: boolean;
  /**
   * Room for the weights that a step which is pending works on, from the first one on; without weights for the updates
   * that are given back, where they are not M itself.
   */
  copy: VectorArrays | undefined;
  /** The average of the weights. */
  average: VectorArrays | undefined;
}

/** What ⟨v, M⟩ of layers together was right after their last steps; `undefined` where one of them has none. */
export function expectedProduct(entries: readonly NetworkEntry[]): number | undefined {
  let sum = 0;
  for (const { momentumProduct } of entries) {
    if (momentumProduct === undefined) return undefined;
    sum += momentumProduct;
  }
  return sum;
}

/**
 * The share of the curvature that was assumed for factors of layers, the largest of them; those that are `refreshed`
 * have what is told.
 */
export function curvatureAssumed(
  entries: readonly NetworkEntry[],
  refreshed: ReadonlySet<NetworkEntry> = new Set(),
  told?: number,
): number {
  const shares = entries.map((entry) =>
    refreshed.has(entry) ? (told ?? entry.assumedCurvature) : entry.assumedCurvature,
  );
  return Math.max(0, ...shares);
}

/** A layer that is not skipped needs its weights for what changes them. */
export function requireWeights(name: string, weights: VectorArrays | undefined, option: string): void {
  if (weights !== undefined) return;
  throw new CgfacError(
    'ERR_CGFAC_MISSING_OPTION',
    `Expected the weights of layer ${describe(name)} for ${option} but received undefined`,
  );
}

/** The weights that a step works on: those of the caller, or a copy of its own. */
export function weightsOf({ weights, copy }: NetworkEntry, owns: boolean): VectorArrays | undefined {
  return owns ? weights && copy : weights;
}

/** What a step that is pending works on is its own: nothing that becomes of the caller's arrays changes it. */
export function own(entries: readonly NetworkEntry[]): void {
  const copies: { readonly from: Float32Array; readonly to: Float32Array }[] = [];
  for (const entry of entries) {
    if (entry.lent && entry.momentum) entry.momentum = copied(entry.momentum);
    entry.lent = false;
    if (entry.weights === undefined) continue;
    entry.copy ??= newVector(entry.shape);
    forEachArray(entry.copy, entry.weights, (to, from) => copies.push({ from, to }));
  }
  if (copies.length > 0) callNative(() => native.copyAll(copies));
}

/** Whether the weights that a layer was registered with have not been transferred since. */
export function isThere({ weights }: NetworkEntry): boolean {
  return weights === undefined || arraysOf(weights).every((array) => lengthOf(array) > 0);
}

/** The arrays that a step writes to are still there: buffers may have been transferred while it was prepared. */
export function requireArrays(
  entries: readonly NetworkEntry[],
  gradients: readonly (VectorArrays | undefined)[],
): void {
  for (const [index, { name, shape, weights, momentum }] of entries.entries()) {
    const gradient = gradients[index];
    if (weights) vectorArrays(vectorOf(weights), `the weights of layer ${describe(name)}`, shape);
    if (momentum) vectorArrays(vectorOf(momentum), `the momentum of layer ${describe(name)}`, shape);
    if (gradient) vectorArrays(vectorOf(gradient), `gradients.${name}`, shape);
  }
}

/**
 * The number of the first of a batch's samples, and how many of them are new: those that another site has recorded
 * already are the same ones.
 */
export function newSamples({ samples }: NetworkEntry, site: number, batch: number) {
  const before = Math.max(0, ...samples.values());
  const firstSample = samples.get(site) ?? 0;
  return { samples: Math.max(0, firstSample + batch - before), firstSample };
}

/** The pattern of those that leave a layer out, in words; `undefined` where none does. */
export function skippedBy(patterns: readonly (string | RegExp)[], name: string): string | undefined {
  return reading('expressions that can be searched for', 'skipLayers', () => {
    const found = patterns.find((each) => (typeof each === 'string' ? each === name : name.search(each) >= 0));
    return found === undefined ? undefined : String(found);
  });
}

/** A layer that is registered before the step of that number. */
export function newEntry(
  name: string,
  kind: LayerKind,
  parsed: ParsedLayer,
  options: ResolvedPreconditionerOptions,
  registered: number,
): NetworkEntry {
  const { shape, weights } = parsed;
  return {
    ...parsed,
    name,
    kind,
    registered,
    average: options.useEma && weights !== undefined ? copied(weights) : undefined,
    layer: newLayer(shape, options),
    samples: new Map(),
    inputs: new InputRows(),
    steps: 0,
    momentum: undefined,
    momentumProduct: undefined,
    assumedCurvature: 0,
    lent: false,
    copy: undefined,
  };
}

/** The core's half of a layer of that shape. */
function newLayer(shape: NetworkShape, options: ResolvedPreconditionerOptions): Layer {
  const { method, window } = options;
  return new Layer(
    { ...shape, lossReduction: 'sum' },
    {
      ...options,
      damping: 1, // each step sets its own
      block: 'kronecker',
      factorUpdateSteps: 1,
      window: window ?? 1,
      // not where averages make up for it
      fillsUp: window === undefined && method !== 'kfac',
    },
  );
}

/** Has the samples of a convolution have another size from now on. */
export function resizeEntry(entry: NetworkEntry, size: object, options: ResolvedPreconditionerOptions): void {
  const { patches } = entry.shape;
  if (patches === undefined) throw valueError('the name of a convolution', 'the layer', entry.name);
  const { shape } = entry.kind.parse({ ...entry.options, ...size }, options);
  if (shape.inFeatures !== entry.shape.inFeatures || shape.outFeatures !== entry.shape.outFeatures)
    throw valueError('a size with as many channels as before', 'inputShape', shape.patches?.channels);
  if (shape.patches === undefined || JSON.stringify(shape.patches) === JSON.stringify(patches)) return;
  entry.layer.setPatches(shape.patches);
  entry.shape = shape;
}
