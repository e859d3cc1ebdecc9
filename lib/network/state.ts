/** The state of a {@link Preconditioner}: everything that training goes on with, its check, and its parts. */

import { CgfacError, isCgfacError } from '../base/errors';
import { copyOf } from '../base/float32';
import { plainCopy } from '../base/reading';
import { describe, finite, nonNegativeInteger, typeError, unit, valueError } from '../base/validate';
import { arraysOf, copied, vectorOf } from '../base/vectors';
import { type VectorArrays, vectorArrays } from '../base/weight-vector';
import type { Layer, LayerState } from '../layer/layer';
import { type AdaptationState, checkAdaptation, withoutProduct } from './adaptation';
import type { NetworkShape } from './kinds/layer-kind';
import type { Network } from './network';
import { seedOf } from './options';
import { expectedProduct, type NetworkEntry } from './registry';
import type { SkippedSteps } from './step/summary';

/** A vector of a layer, its bias apart. */
export interface StoredVector {
  /** The kernel, in the layer's layout. */
  readonly kernel: Float32Array;
  /** The bias, of a layer that has one. */
  readonly bias?: Float32Array;
}

/** One layer's part of a {@link PreconditionerState}. */
export interface StoredLayer extends LayerState {
  /** M. */
  readonly momentum?: StoredVector;
  /** The average of its weights. */
  readonly average?: StoredVector;
  /** Steps that it took part in, without those that were skipped; of states without it all of the network's. */
  readonly steps?: number;
  /** What ⟨v, M⟩ was right after the last of them, where the length of a step follows it. */
  readonly momentumProduct?: number;
  /** The share of the curvature that was assumed when its factors were refreshed last. Default: 0. */
  readonly assumedCurvature?: number;
}

/** Everything that training goes on with: {@link Preconditioner.stateDict}. Structured-cloneable. */
export interface PreconditionerState {
  /** The version of this form of a state. */
  readonly version: 1;
  /** Steps done, skipped ones included. */
  readonly steps: number;
  /** Steps skipped. */
  readonly skippedSteps: SkippedSteps;
  /** The seed of the uniform numbers. */
  readonly seed: number;
  /** That M is without the learning rate; of states without it, those of 0.1.0, it has it in it. */
  readonly momentum?: 'unscaled';
  /** What `adaptiveDamping` and `adaptiveFraction` have found. */
  readonly adaptation?: AdaptationState;
  /** By layer. */
  readonly layers: Readonly<Record<string, StoredLayer>>;
}

/** The states of layers, by name, as their owners have them. */
export type LayerStates = ReadonlyMap<string, LayerState>;

/** A copy as it is stored. */
function stored({ kernel, bias }: VectorArrays): StoredVector {
  return bias ? { kernel: copyOf(kernel), bias: copyOf(bias) } : { kernel: copyOf(kernel) };
}

/** The caller may have been given M, and have transferred it. */
const lentMomentum = (momentum: VectorArrays, name: string, shape: NetworkShape) =>
  vectorArrays(vectorOf(momentum), `the momentum of layer ${describe(name)}`, shape);

/** A copy of a stored vector, checked; `undefined` of none. */
function restored(vector: StoredVector | undefined, name: string, shape: NetworkShape): VectorArrays | undefined {
  if (vector === undefined) return undefined;
  if (typeof vector !== 'object' || vector === null) throw typeError('{ kernel, bias }', name, vector);
  const arrays = copied(vectorArrays(shape.bias ? vector : vector.kernel, name, shape));
  const bad = arraysOf(arrays).flatMap((array) => array.find((value) => !Number.isFinite(value)) ?? []);
  if (bad.length > 0)
    throw new CgfacError('ERR_CGFAC_NOT_FINITE', `Expected finite numbers for ${name} but received ${bad[0]}`);
  return arrays;
}

function object(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Checks all of a state but the arrays of its layers. */
function checkState(state: unknown): asserts state is PreconditionerState {
  if (!object(state) || state.version === undefined) throw typeError('a state of stateDict()', 'state', state);
  if (state.version !== 1)
    throw typeError(
      '1, all that this release reads (load the state with the release that saved it, or go on without it),',
      'state.version',
      state.version,
    );
  if (!object(state.layers)) throw typeError('the states of layers', 'state.layers', state.layers);
  if (!object(state.skippedSteps)) throw typeError('{ total, inARow }', 'state.skippedSteps', state.skippedSteps);
  const steps = nonNegativeInteger(state.steps, 'state.steps');
  const { total, inARow } = state.skippedSteps;
  if (nonNegativeInteger(total, 'state.skippedSteps.total') > steps)
    throw valueError(`no more than the ${steps} steps of the state`, 'state.skippedSteps.total', total);
  if (nonNegativeInteger(inARow, 'state.skippedSteps.inARow') > Number(total))
    throw valueError(`no more than all ${total} of them`, 'state.skippedSteps.inARow', inARow);
  seedOf(state.seed, 'state.seed');
  if (state.adaptation !== undefined) checkAdaptation(state.adaptation, 'state.adaptation', steps);
}

/** A layer's part of a state. */
function storedLayer(state: PreconditionerState, name: string): StoredLayer {
  const found = Object.hasOwn(state.layers, name) ? state.layers[name] : undefined;
  if (!object(found)) throw valueError(`the state of layer ${describe(name)}`, 'state.layers', state.layers);
  if (typeof found.started !== 'boolean') throw typeError('a boolean', `state.layers.${name}.started`, found.started);
  if (found.rows !== undefined) {
    if (!object(found.rows)) throw typeError('{ input, output }', `state.layers.${name}.rows`, found.rows);
    nonNegativeInteger(found.rows.input, `state.layers.${name}.rows.input`);
    nonNegativeInteger(found.rows.output, `state.layers.${name}.rows.output`);
  }
  if (found.steps !== undefined) nonNegativeInteger(found.steps, `state.layers.${name}.steps`);
  if (found.momentumProduct !== undefined) finite(found.momentumProduct, `state.layers.${name}.momentumProduct`);
  if (found.assumedCurvature !== undefined) unit(found.assumedCurvature, `state.layers.${name}.assumedCurvature`);
  return found;
}

/** A layer and the state that it is to have. */
interface RestoredLayer {
  readonly name: string;
  readonly layer: Layer;
  readonly state: LayerState;
  /** Whether its factors are kept here. */
  readonly keeps: boolean;
  /** Refreshes before, of those whose factors are not. */
  readonly refreshes?: number;
}

/** The error of a layer's state, with what to do about one that was saved under other options. */
function refusedState(error: unknown, name: string): unknown {
  if (!isCgfacError(error) || error.code !== 'ERR_CGFAC_SHAPE_MISMATCH') return error;
  return new CgfacError(
    error.code,
    `Expected the state of a layer of the same shape, method, dampingMode and factorHistory for state.layers.${name} ` +
      'but received another; load it under the options that it was saved with, or go on without it',
    { cause: error },
  );
}

/** Restores all layers, or none. */
function restoreLayers(layers: readonly RestoredLayer[]): void {
  const before: RestoredLayer[] = [];
  try {
    for (const { name, layer, state, keeps } of layers) {
      before.push({ name, layer, keeps, refreshes: layer.refreshes, state: layer.state() });
      layer.restore(state, keeps);
    }
  } catch (error) {
    for (const { layer, state, keeps, refreshes } of before) layer.restore(state, keeps, refreshes);
    throw refusedState(error, before[before.length - 1]?.name ?? '');
  }
}

/** Everything that training goes on with, the weights apart; copies. `parts`: of the layers of other ranks. */
export function networkState(network: Network, seed: number, parts?: LayerStates): PreconditionerState {
  network.absorb();
  // by whatever name, '__proto__' too
  const layers = Object.fromEntries(
    network.all.map(({ name, shape, layer, momentum, average, steps, ...entry }): [string, StoredLayer] => [
      name,
      {
        ...(parts?.get(name) ?? layer.state()),
        steps,
        ...(momentum ? { momentum: stored(lentMomentum(momentum, name, shape)) } : {}),
        ...measured(entry),
        ...(average ? { average: stored(average) } : {}),
      },
    ]),
  );
  const { steps, skipped } = network.counts;
  const momentumProduct = expectedProduct(network.all);
  const adaptation = {
    ...network.adaptation.state(),
    ...(momentumProduct && Number.isFinite(momentumProduct) ? { momentumProduct } : {}),
  };
  return { version: 1, steps, skippedSteps: { ...skipped }, seed, momentum: 'unscaled', adaptation, layers };
}

/** What a layer keeps of what was measured. */
function measured({
  momentumProduct,
  assumedCurvature,
}: Pick<NetworkEntry, 'momentumProduct' | 'assumedCurvature'>): Partial<StoredLayer> {
  return {
    ...(momentumProduct !== undefined && Number.isFinite(momentumProduct) ? { momentumProduct } : {}),
    ...(assumedCurvature === 0 ? {} : { assumedCurvature }),
  };
}

/** Takes over a state, or nothing of it; what was recorded for the step to come is forgotten. Returns its seed. */
export function restoreNetwork(network: Network, given: unknown): number {
  const state = object(given) ? plainCopy(given, 'state') : given;
  checkState(state);
  const loaded = network.all.map((entry) => {
    const found = storedLayer(state, entry.name);
    const vector = (name: 'momentum' | 'average') =>
      restored(found[name], `state.layers.${entry.name}.${name}`, entry.shape);
    return { entry, found, momentum: vector('momentum'), average: vector('average') };
  });
  const scale = state.momentum === 'unscaled' ? 1 : 1 / (network.rateAt(state.steps) || 1);
  for (const { momentum } of loaded)
    for (const array of momentum && scale !== 1 ? arraysOf(momentum) : []) array.set(array.map((each) => each * scale));
  network.forgetRows();
  network.ranks?.owners.include(network.all);
  restoreLayers(
    loaded.map(({ entry, found }) => ({
      name: entry.name,
      layer: entry.layer,
      state: found,
      keeps: network.ranks?.owns(entry) ?? true,
    })),
  );
  for (const { entry, found, momentum, average } of loaded) {
    entry.momentum = momentum;
    entry.lent = false;
    entry.momentumProduct = found.momentumProduct;
    entry.assumedCurvature = found.assumedCurvature ?? 0;
    entry.steps = found.steps ?? state.steps - state.skippedSteps.total;
    if (entry.average && entry.weights) entry.average = average ?? copied(entry.weights);
  }
  network.counts = { steps: state.steps, skipped: { ...state.skippedSteps } };
  // the layers have their own
  const known = loaded.some(({ found }) => found.momentumProduct !== undefined);
  network.adaptation.restore(known && state.adaptation ? withoutProduct(state.adaptation) : state.adaptation);
  network.averages.forget();
  return state.seed;
}
