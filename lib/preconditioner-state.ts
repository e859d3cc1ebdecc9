/** The state of a {@link Preconditioner}: everything that training goes on with, its check, and its parts. */
import type { AdaptationState } from './adaptation';
import type { NetworkLayerState, NetworkShape } from './network-layer';
import { seedOf } from './preconditioner-options';
import type { SkippedSteps } from './step-summary';
import { describe, typeError, valueError } from './validate';
import { type VectorArrays, vectorArrays } from './weight-vector';

/** A vector of a layer, its bias apart. */
export interface StoredVector {
  /** The kernel, in the layer's layout. */
  readonly kernel: Float32Array;
  /** The bias, of a layer that has one. */
  readonly bias?: Float32Array;
}

/** One layer's part of a {@link PreconditionerState}. */
export interface StoredLayer extends NetworkLayerState {
  /** M. */
  readonly momentum?: StoredVector;
  /** The average of its weights. */
  readonly average?: StoredVector;
}

/** Everything that training goes on with: {@link Preconditioner.stateDict}. Structured-cloneable. */
export interface PreconditionerState {
  /** Of this form. */
  readonly version: 1;
  /** Steps done, skipped ones included. */
  readonly steps: number;
  /** Steps skipped. */
  readonly skippedSteps: SkippedSteps;
  /** The seed of the uniform numbers. */
  readonly seed: number;
  /** What `adaptiveDamping` and `adaptiveFraction` have found. */
  readonly adaptation?: AdaptationState;
  /** By layer. */
  readonly layers: Readonly<Record<string, StoredLayer>>;
}

/** A copy of a vector's arrays. */
export function copied(from: VectorArrays): VectorArrays {
  return { kernel: from.kernel.slice(), bias: from.bias?.slice() };
}

/** A copy as it is stored. */
export function stored({ kernel, bias }: VectorArrays): StoredVector {
  return bias ? { kernel: kernel.slice(), bias: bias.slice() } : { kernel: kernel.slice() };
}

/** A copy of a stored vector, checked; `undefined` of none. */
export function restored(vector: StoredVector | undefined, name: string, shape: NetworkShape): VectorArrays | undefined {
  if (vector === undefined) return undefined;
  if (typeof vector !== 'object' || vector === null) throw typeError('{ kernel, bias }', name, vector);
  return copied(vectorArrays(shape.bias ? vector : vector.kernel, name, shape));
}

function object(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function counter(value: unknown, name: string): void {
  if (typeof value !== 'number') throw typeError('an integer ≥ 0', name, value);
  if (!Number.isSafeInteger(value) || value < 0) throw valueError('an integer ≥ 0', name, value);
}

/** Checks all of a state but the arrays of its layers. */
export function checkState(state: unknown): asserts state is PreconditionerState {
  if (!object(state) || state.version !== 1 || !object(state.layers) || !object(state.skippedSteps))
    throw typeError('a state of stateDict(), version 1', 'state', state);
  counter(state.steps, 'state.steps');
  counter(state.skippedSteps.total, 'state.skippedSteps.total');
  counter(state.skippedSteps.inARow, 'state.skippedSteps.inARow');
  seedOf(state.seed, 'state.seed');
}

/** A layer's part of a state. */
export function layerOf(state: PreconditionerState, name: string): StoredLayer {
  const found = Object.hasOwn(state.layers, name) ? state.layers[name] : undefined;
  if (!object(found)) throw valueError(`the state of layer ${describe(name)}`, 'state.layers', state.layers);
  return found;
}
