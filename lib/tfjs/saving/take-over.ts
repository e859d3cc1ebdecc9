/** What of a saved state goes to the layers and variables that a step meets for the first time. */
import type { Variable } from '@tensorflow/tfjs-core';
import { CgfacError, type StoredLayer } from '../../adapter-kit';
import type { Block } from '../kinds/layer-kind';
import type { Part } from '../kinds/part';
import type { SavedAverage, SavedState } from './saved-state';

/** A layer, or a lone variable, that a step meets for the first time. */
export interface NewLayer extends Block {
  readonly name: string;
  /** Whether it is a lone variable. */
  readonly lone: boolean;
}

/** The parts of a saved state that find their layers and variables, and what is left of it. */
export interface TakenOver {
  /** The states of the new layers, in their order. */
  readonly states: readonly StoredLayer[];
  readonly averages: readonly (readonly [Variable, SavedAverage])[];
  /** What waits for layers and variables to come; `undefined` where nothing does. */
  readonly rest: SavedState | undefined;
}

/** The error of a model that a saved state is not of. */
export function unlikeSaved(name: string, cause: CgfacError): CgfacError {
  const expected = 'Expected the layers of the saved state in the same order for the step after setWeights';
  return new CgfacError(cause.code, `${expected} but received ${name}: ${cause.message}`, { cause });
}

/**
 * What was saved of some layers: by their names where all have one that was saved, for layers may have joined in
 * another order; else by order, for loaders rename variables.
 */
function partsOf<T extends { readonly name: string }>(saved: readonly T[], layers: readonly NewLayer[]): readonly T[] {
  const named = layers.flatMap(({ name }) => saved.find((part) => part.name === name) ?? []);
  return named.length === layers.length ? named : saved.slice(0, layers.length);
}

/**
 * Finds the parts of a saved state for layers and lone variables. Nothing is changed.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for an average that is not of its variable's size.
 */
export function takeOver(saved: SavedState, fresh: readonly NewLayer[]): TakenOver {
  const layers = fresh.filter(({ lone }) => !lone);
  const alone = fresh.filter(({ lone }) => lone);
  const taken = partsOf(saved.layers, layers);
  const takenAlone = partsOf(saved.plain, alone);
  const averages: (readonly [Variable, SavedAverage])[] = [];
  const give = (part: Part | undefined, average: SavedAverage | undefined) => {
    if (part && average) averages.push([part.variable, average]);
  };
  layers.forEach(({ kernel, bias }, index) => {
    const [ofKernel, ofBias] = taken[index]?.averages ?? [];
    give(kernel, ofKernel);
    give(bias, ofBias);
  });
  alone.forEach(({ kernel }, index) => {
    give(kernel, takenAlone[index]?.average);
  });
  const unlike = averages.find(([variable, { values }]) => variable.size !== values.length);
  if (unlike)
    throw unlikeSaved(unlike[0].name, new CgfacError('ERR_CGFAC_SHAPE_MISMATCH', 'its average has another shape'));
  const rest = {
    ...saved,
    layers: saved.layers.filter((layer) => !taken.includes(layer)),
    plain: saved.plain.filter((variable) => !takenAlone.includes(variable)),
  };
  const stateOf = (layer: NewLayer) =>
    layer.lone ? takenAlone[alone.indexOf(layer)]?.state : taken[layers.indexOf(layer)]?.state;
  return {
    states: fresh.map((layer) => stateOf(layer) ?? { started: false }),
    averages,
    rest: rest.layers.length + rest.plain.length > 0 ? rest : undefined,
  };
}

/** A layer's state whose momentum has been divided by the learning rate that was in it. */
export function withoutRate(state: StoredLayer, rate: number): StoredLayer {
  const { momentum } = state;
  if (momentum === undefined || rate === 1 || rate === 0) return state;
  const divided = (array: Float32Array) => array.map((value) => value / rate);
  const { kernel, bias } = momentum;
  return { ...state, momentum: { kernel: divided(kernel), ...(bias ? { bias: divided(bias) } : {}) } };
}
