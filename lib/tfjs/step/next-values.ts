/** What a step makes of the variables: new values, tensors of the caller's tidy. */
import { mul, sub, type Tensor, tensor, type Variable } from '@tensorflow/tfjs-core';
import type { LayerVectors } from '../../adapter-kit';
import type { PlainVariable } from '../capture/sites';
import type { Layer } from '../kinds/layer-kind';

/** Variables and the values that they are to take on. */
export type NextValues = readonly (readonly [Variable, Tensor])[];

/** W ← W − rate·gradient, of the variables that have a gradient. */
export function plainValues(
  plain: readonly PlainVariable[],
  gradients: ReadonlyMap<string, Tensor>,
  rate: number,
): NextValues {
  return plain.flatMap(({ variable }) => {
    const gradient = gradients.get(variable.name);
    return gradient ? [[variable, sub(variable, mul(gradient, rate))] as const] : [];
  });
}

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
