/** What a step makes of the variables. */
import { mul, sub, tensor, type Variable } from '@tensorflow/tfjs-core';
import type { LayerVectors } from '../../adapter-kit';
import type { Block } from '../kinds/layer-kind';
import { type Part, whole, writePart } from '../kinds/part';
import { combined } from '../tape/numbers';
import type { KnownLayer } from './layers';

/** W ← keep·W − M of a variable. */
export interface NextValue {
  readonly variable: Variable;
  readonly keep: number;
  /** M; must not be written to. */
  readonly update: Float32Array;
}

/** The variables that a step changes. */
export type NextValues = readonly NextValue[];

/** M of variables, put together from those of their parts. */
class Updates {
  readonly #found = new Map<Variable, Float32Array>();

  add(part: Part, update: Float32Array): void {
    const { variable, range } = part;
    const all = range === undefined ? update : (this.#found.get(variable) ?? new Float32Array(variable.size));
    if (range !== undefined) writePart(part, all, update);
    this.#found.set(variable, all);
  }

  values(keep: number): NextValues {
    return [...this.#found].map(([variable, update]) => ({ variable, keep, update }));
  }
}

/** W ← decay·W − M, of the layers called `names`, where `updates` has M by name. */
export function layerValues(
  layers: readonly Block[],
  names: readonly string[],
  updates: LayerVectors,
  decay: number,
): NextValues {
  const found = new Updates();
  for (const [index, { kernel, bias }] of layers.entries()) {
    const update = updates[names[index] ?? ''];
    if (update === undefined) continue;
    found.add(kernel, 'kernel' in update ? update.kernel : update);
    if (bias && 'kernel' in update) found.add(bias, update.bias);
  }
  return found.values(decay);
}

/** W ← W − M, of lone variables called `names`, where `updates` has M by name. They do not decay. */
export function loneValues(
  variables: readonly Variable[],
  names: readonly string[],
  updates: LayerVectors,
): NextValues {
  const blocks = variables.map((variable) => ({ kernel: whole(variable), bias: undefined }));
  return layerValues(blocks, names, updates, 1);
}

/** W ← decay·W − M, of layers and lone variables that are known; the latter do not decay. */
export function keptValues(known: readonly KnownLayer[], updates: LayerVectors, decay: number): NextValues {
  const valuesOf = (lone: boolean) => {
    const layers = known.filter((each) => each.lone === lone);
    const names = layers.map(({ name }) => name);
    return layerValues(layers, names, updates, lone ? 1 : decay);
  };
  return [...valuesOf(false), ...valuesOf(true)];
}

/** Changes the variables, all of whose values are made before the first is changed. Call it inside a `tidy`. */
export function takeOn(next: NextValues): void {
  const made = next.map(({ variable, keep, update }) => {
    const value = combined(keep, variable, -1, update);
    if (value) return [variable, value] as const;
    const kept = keep === 1 ? variable : mul(variable, keep);
    return [variable, sub(kept, tensor(update, variable.shape))] as const;
  });
  for (const [variable, value] of made) variable.assign(value);
}
