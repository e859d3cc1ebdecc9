/** What is saved of an optimizer: its form, its check, and its parts. */
import { isFloat32Array } from 'node:util/types';
import type { Variable } from '@tensorflow/tfjs-core';
import type { AdaptationState, Preset, StoredLayer, StoredVector } from '../../adapter-kit';
import { type Block, variablesOf } from '../kinds/layer-kind';

/** The average of a variable. */
export interface SavedAverage {
  /** The place of its variable among those with averages, in the order in which they were created. */
  readonly created: number;
  readonly values: Float32Array;
}

/** One layer's part of a {@link SavedState}. */
export interface SavedLayer {
  readonly name: string;
  readonly state: StoredLayer;
  /** The averages of the variables of the kernel and of the bias; where several layers have parts of one, once. */
  readonly averages: readonly [SavedAverage | undefined, SavedAverage | undefined];
}

/** What is kept of a lone variable; 0.1.0, which took plain gradient steps for it, kept the average alone. */
export interface SavedPlain {
  readonly name: string;
  readonly average?: SavedAverage | undefined;
  readonly state?: StoredLayer;
}

/** What is saved of an optimizer, the number of its steps and its seed apart. */
export interface SavedState {
  readonly steps: number;
  readonly skippedSteps: { readonly total: number; readonly inARow: number };
  /** Steps that entered the averages. */
  readonly averaged: number;
  /** Whether the preset was that of soft targets, where none is named. */
  readonly soft: boolean;
  /** The preset of the steps. */
  readonly preset?: Preset;
  /** How far φ has come. */
  readonly adaptation?: AdaptationState;
  readonly layers: readonly SavedLayer[];
  readonly plain: readonly SavedPlain[];
}

/** The parts of a state by layer and variable. */
export type SavedParts = Pick<SavedState, 'layers' | 'plain'>;

/** A layer and its state. */
export interface StatedLayer extends Block {
  readonly name: string;
  /** Whether it is a lone variable. */
  readonly lone: boolean;
  readonly state: StoredLayer;
}

/** The averages of variables, to be read. */
export interface ReadableAverages {
  /** The variables that have averages. */
  variables(): Variable[];
  /** A copy of the numbers of the average of a variable. */
  read(variable: Variable): Float32Array | undefined;
}

/** The state of layers, and the averages of their variables and of all others that have one. */
export function savedParts(layers: readonly StatedLayer[], averages: ReadableAverages): SavedParts {
  const averaged = averages.variables();
  const places = new Map([...averaged].sort((a, b) => a.id - b.id).map((variable, created) => [variable, created]));
  const saved = new Set<Variable>();
  // of a variable that several layers have parts of with the first of them
  const averageOf = (variable: Variable | undefined): SavedAverage | undefined => {
    if (variable === undefined || saved.has(variable)) return undefined;
    saved.add(variable);
    const created = places.get(variable);
    const values = averages.read(variable);
    return created === undefined || values === undefined ? undefined : { created, values };
  };
  const known = new Set(layers.flatMap(variablesOf));
  const lone = layers.filter((layer) => layer.lone);
  return {
    layers: layers.flatMap(({ name, kernel, bias, state, lone: isLone }): SavedLayer[] =>
      isLone ? [] : [{ name, state, averages: [averageOf(kernel.variable), averageOf(bias?.variable)] }],
    ),
    plain: [
      ...lone.map(({ name, kernel, state }) => ({ name, average: averageOf(kernel.variable), state })),
      ...averaged.flatMap((variable) =>
        known.has(variable) ? [] : [{ name: variable.name, average: averageOf(variable) }],
      ),
    ],
  };
}

/** The own parts and, behind `count` averages of these, the parts that were loaded and are not taken over yet. */
export function withPending(own: SavedParts, pending: SavedParts | undefined, count: number): SavedParts {
  if (pending === undefined) return own;
  const later = (average: SavedAverage): SavedAverage => ({ ...average, created: count + average.created });
  const layers = pending.layers.map(({ averages: [kernel, bias], ...layer }): SavedLayer => {
    return { ...layer, averages: [kernel && later(kernel), bias && later(bias)] };
  });
  const plain = pending.plain.map(({ average, ...rest }) => ({ ...rest, average: average && later(average) }));
  return { layers: [...own.layers, ...layers], plain: [...own.plain, ...plain] };
}

/** All averages of a state, in the order in which their variables were created. */
export function averagesOf({ layers, plain }: SavedParts): SavedAverage[] {
  const all = [
    ...layers.flatMap(({ averages }) => averages.flatMap((each) => each ?? [])),
    ...plain.flatMap(({ average }) => average ?? []),
  ];
  return all.sort((a, b) => a.created - b.created);
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** Whether a value is an integer ≥ 0. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isMissingOr<T>(value: unknown, check: (value: unknown) => value is T): value is T | undefined {
  return value === undefined || check(value);
}

function isAverage(value: unknown): value is SavedAverage {
  return isObject(value) && isCount(value.created) && isFloat32Array(value.values);
}

function isVector(value: unknown): value is StoredVector {
  return isObject(value) && isFloat32Array(value.kernel) && isMissingOr(value.bias, isFloat32Array);
}

/** Of the factors and of a solver's state the native half knows the form. */
function isStoredLayer(value: unknown): value is StoredLayer {
  return (
    isObject(value) &&
    typeof value.started === 'boolean' &&
    isMissingOr(value.momentum, isVector) &&
    (value.rows === undefined || (isObject(value.rows) && isCount(value.rows.input) && isCount(value.rows.output))) &&
    isMissingOr(value.factors, isObject) &&
    isMissingOr(value.solver, isObject)
  );
}

function isLayer(value: unknown): value is SavedLayer {
  if (
    !isObject(value) ||
    typeof value.name !== 'string' ||
    !isStoredLayer(value.state) ||
    !Array.isArray(value.averages)
  )
    return false;
  return value.averages.length === 2 && value.averages.every((average) => isMissingOr(average, isAverage));
}

function isPlain(value: unknown): value is SavedPlain {
  return (
    isObject(value) &&
    typeof value.name === 'string' &&
    isMissingOr(value.average, isAverage) &&
    isMissingOr(value.state, isStoredLayer)
  );
}

const isText = (value: unknown): value is string => typeof value === 'string';

/** Whether a value has the form of a state, whatever layers it is of. */
export function isState(value: unknown): value is SavedState {
  if (!isObject(value) || !isObject(value.skippedSteps)) return false;
  const { steps, skippedSteps, averaged, soft, layers, plain } = value;
  if (!isMissingOr(value.adaptation, isObject) || !isMissingOr(value.preset, isText)) return false;
  if (![steps, skippedSteps.total, skippedSteps.inARow, averaged].every(isCount) || typeof soft !== 'boolean')
    return false;
  return Array.isArray(layers) && layers.every(isLayer) && Array.isArray(plain) && plain.every(isPlain);
}
