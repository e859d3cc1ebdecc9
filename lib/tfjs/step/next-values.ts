/** What a step makes of the variables: new values, tensors of the caller's tidy. */
import { mul, sub, type Tensor, tensor, type Variable } from '@tensorflow/tfjs-core';
import type { LayerVectors } from '../../adapter-kit';
import type { Layer } from '../kinds/layer-kind';

/** Variables and the values that they are to take on. */
export type NextValues = readonly (readonly [Variable, Tensor])[];

/** W ← decay·W − M, of the layers called `names`, where `updates` has M by name. */
export function layerValues(
  layers: readonly Pick<Layer, 'kernel' | 'bias'>[],
  names: readonly string[],
  updates: LayerVectors,
  decay: number,
): NextValues {
  const moved = (variable: Variable, update: Float32Array) =>
    [variable, sub(decay === 1 ? variable : mul(variable, decay), tensor(update, variable.shape))] as const;
  return layers.flatMap(({ kernel, bias }, index) => {
    const update = updates[names[index] ?? ''];
    if (update === undefined) return [];
    if (!('kernel' in update)) return [moved(kernel, update)];
    return bias ? [moved(kernel, update.kernel), moved(bias, update.bias)] : [moved(kernel, update.kernel)];
  });
}

/** W ← W − M, of lone variables called `names`, where `updates` has M by name. They do not decay. */
export function loneValues(
  variables: readonly Variable[],
  names: readonly string[],
  updates: LayerVectors,
): NextValues {
  return variables.flatMap((variable, index) => {
    const update = updates[names[index] ?? ''];
    return update instanceof Float32Array ? [[variable, sub(variable, tensor(update, variable.shape))] as const] : [];
  });
}
