/** What is known of a step before anything takes part in it. */
import { CgfacError, isCgfacError } from '../../base/errors';
import { reading } from '../../base/reading';
import { anyNumber, describe, nonNegativeInteger, typeError, valueError } from '../../base/validate';
import { arraysOf } from '../../base/vectors';
import type { VectorArrays } from '../../base/weight-vector';
import { callNative } from '../../native/call';
import { native } from '../../native/load';
import type { ResolvedPreconditionerOptions } from '../options';
import type { NetworkEntry } from '../registry';
import type { LayerVectors, StepOptions } from '../types';
import type { StepRule } from './length';

/** The gradients that are given for layers, by their index: own properties alone, each read once. */
export function givenFor(entries: readonly NetworkEntry[], gradients: LayerVectors | undefined): unknown[] {
  if (gradients === undefined) return [];
  return reading('gradients by layer that can be read', 'gradients', () => {
    if (typeof gradients !== 'object' || gradients === null)
      throw typeError('gradients by layer', 'gradients', gradients);
    return entries.map(({ name }) => (Object.hasOwn(gradients, name) ? gradients[name] : undefined));
  });
}

/** Every layer of a step has rows, of this step or of one before, and what its gradient and its factors are made of. */
export function requireRows(
  entries: readonly NetworkEntry[],
  gradients: readonly (VectorArrays | undefined)[],
  call: string,
): void {
  const refuse = (what: string, name: string) => {
    throw new CgfacError(
      'ERR_CGFAC_NO_RECORD',
      `Expected ${what} of layer ${describe(name)} for ${call} but received none`,
    );
  };
  if (entries.length === 0)
    throw new CgfacError('ERR_CGFAC_NO_RECORD', `Expected recorded rows for ${call} but received none`);
  for (const [index, { name, layer }] of entries.entries()) {
    if (!layer.recorded && !layer.started) refuse('recorded rows', name);
    if (!layer.recorded || layer.ownGradient) continue;
    if (gradients[index] === undefined) refuse('lossGrads, or a gradient,', name);
    if (!layer.sampled) refuse('lossGrads, or outputGrads of recordFisher,', name);
  }
}

/** Every layer of a step whose length is made of sampled rows has such, of this step. */
export function requireSampledRows(
  entries: readonly NetworkEntry[],
  { stepRule }: Pick<ResolvedPreconditionerOptions, 'stepRule'>,
  call: string,
): void {
  const missing = entries.find(({ layer }) => !layer.sampled);
  if (missing === undefined) return;
  const rule = stepRule === 'auto' ? "stepRule 'auto' and targets 'soft'" : `stepRule '${stepRule}'`;
  throw new CgfacError(
    'ERR_CGFAC_NO_RECORD',
    `Expected sampled rows of layer ${describe(missing.name)} for ${call} with ${rule} but received none; call ` +
      'recordFisher at every step, or give another stepRule',
  );
}

/** Why no step can be taken with a loss. */
export function unusableLoss(loss: number | undefined, lossFloor: number): string | undefined {
  if (loss !== undefined && !Number.isFinite(loss)) return `the loss is ${loss}`;
  return Number.isFinite(lossFloor) ? undefined : `the lossFloor is ${lossFloor}`;
}

/** Why no step can be taken with gradients and recorded rows. */
export function unusableRows(
  entries: readonly NetworkEntry[],
  gradients: readonly (VectorArrays | undefined)[],
): string | undefined {
  const arrays = entries.flatMap((_, index) => {
    const gradient = gradients[index];
    return gradient ? arraysOf(gradient).map((array) => ({ array, index })) : [];
  });
  const bad = arrays[callNative(() => native.firstNotFinite(arrays.map(({ array }) => array)))];
  if (bad) return `the gradient of layer ${entries[bad.index]?.name} is not finite`;
  for (const { name, layer } of entries) {
    try {
      layer.requireFinite();
    } catch (error) {
      if (!isCgfacError(error) || error.code !== 'ERR_CGFAC_NOT_FINITE') throw error;
      return `layer ${name}: ${error.message}`;
    }
  }
  return undefined;
}

type AnyRule = ResolvedPreconditionerOptions['stepRule'];

/** The rule of a step: 'auto' chooses by its targets. */
export function ruleOf({ targets = 'hard' }: StepOptions, stepRule: AnyRule): StepRule {
  if (targets !== 'hard' && targets !== 'soft') throw valueError("'hard' or 'soft'", 'targets', targets);
  if (stepRule !== 'auto') return stepRule;
  return targets === 'soft' ? 'quadratic' : 'polyak';
}

/** The loss of a step, which some rules cannot do without. */
export function lossOf({ loss, stepSize }: StepOptions, stepRule: AnyRule, call: string): number | undefined {
  if (loss !== undefined) return anyNumber(loss, 'loss');
  if (stepRule === 'kl-clip' || stepRule === 'fixed' || stepSize !== undefined) return undefined;
  throw new CgfacError(
    'ERR_CGFAC_MISSING_OPTION',
    `Expected the loss for ${call} with stepRule '${stepRule}' but received undefined; give { loss }, or another ` +
      'stepRule',
  );
}

/** The norms of weights that are not registered. */
export function normsOf({ weightNorms }: StepOptions): StepOptions['weightNorms'] {
  if (weightNorms === undefined) return undefined;
  if (typeof weightNorms !== 'object' || weightNorms === null)
    throw typeError('norms by layer', 'weightNorms', weightNorms);
  const descriptors = reading('norms by layer that can be read', 'weightNorms', () =>
    Object.entries(Object.getOwnPropertyDescriptors(weightNorms)),
  );
  // what has to be computed is computed where it is needed
  for (const [name, { value, get }] of descriptors) if (get === undefined) anyNumber(value, `weightNorms.${name}`);
  return weightNorms;
}

/** The depths of layers by name. */
export function depthsOf({ depths }: StepOptions): ReadonlyMap<string, number> {
  if (depths === undefined) return new Map();
  if (typeof depths !== 'object' || depths === null) throw typeError('depths by layer', 'depths', depths);
  const given = reading('depths by layer that can be read', 'depths', () => Object.entries(depths));
  return new Map(given.map(([name, depth]) => [name, nonNegativeInteger(depth, `depths.${name}`)]));
}
