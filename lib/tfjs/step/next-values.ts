/** What a step makes of the variables: new values, tensors of the caller's tidy. */
import { mul, sub, type Tensor, tensor, type Variable } from '@tensorflow/tfjs-core';
import { type LayerVectors, timed } from '../../adapter-kit';
import type { Block } from '../kinds/layer-kind';
import { type Part, whole, writePart } from '../kinds/part';

/** Variables and the values that they are to take on. */
export type NextValues = readonly (readonly [Variable, Tensor])[];

/** M of variables, put together from those of their parts. */
class Updates {
  readonly #found = new Map<Variable, Float32Array>();

  add(part: Part, update: Float32Array): void {
    const { variable, range } = part;
    const all = range === undefined ? update : (this.#found.get(variable) ?? new Float32Array(variable.size));
    if (range !== undefined) writePart(part, all, update);
    this.#found.set(variable, all);
  }

  /** W ← decay·W − M. */
  values(decay: number): NextValues {
    return [...this.#found].map(([variable, update]) => {
      const kept = decay === 1 ? variable : mul(variable, decay);
      return [variable, sub(kept, tensor(update, variable.shape))] as const;
    });
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
  return timed('assignment', () => found.values(decay));
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
