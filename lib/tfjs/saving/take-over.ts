/** What of a saved state goes to the layers and variables that a step meets for the first time. */
import type { Variable } from '@tensorflow/tfjs-core';
import { CgfacError, type StoredLayer } from '../../adapter-kit';
import type { SavedAverage, SavedState } from './saved-state';

/** A layer that a step meets for the first time. */
export interface NewLayer {
  readonly name: string;
  readonly kernel: Variable;
  readonly bias: Variable | undefined;
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
 * Finds the parts of a saved state for new layers and for the variables `plain` that take plain gradient steps. Nothing
 * is changed.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for an average that is not of its variable's size.
 */
export function takeOver(saved: SavedState, layers: readonly NewLayer[], plain: readonly Variable[]): TakenOver {
  // by their names where all have one that was saved: layers may have joined in another order; else by order, for
  // loaders rename variables
  const named = layers.flatMap(({ name }) => saved.layers.find((layer) => layer.name === name) ?? []);
  const taken = named.length === layers.length ? named : saved.layers.slice(0, layers.length);
  const averages: (readonly [Variable, SavedAverage])[] = [];
  const give = (variable: Variable | undefined, average: SavedAverage | undefined) => {
    if (variable && average) averages.push([variable, average]);
  };
  layers.forEach(({ kernel, bias }, index) => {
    const [ofKernel, ofBias] = taken[index]?.averages ?? [];
    give(kernel, ofKernel);
    give(bias, ofBias);
  });
  saved.plain.slice(0, plain.length).forEach(({ average }, index) => {
    give(plain[index], average);
  });
  const unlike = averages.find(([variable, { values }]) => variable.size !== values.length);
  if (unlike)
    throw unlikeSaved(unlike[0].name, new CgfacError('ERR_CGFAC_SHAPE_MISMATCH', 'its average has another shape'));
  const rest = {
    ...saved,
    layers: saved.layers.filter((layer) => !taken.includes(layer)),
    plain: saved.plain.slice(plain.length),
  };
  return {
    states: layers.map((_, index) => taken[index]?.state ?? { started: false }),
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
