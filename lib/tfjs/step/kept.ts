/**
 * Steps of gradients that no computation of this optimizer gave: those of `tf.variableGrads`, say, or of a capture that
 * was applied before. The factors that are kept precondition them.
 */
import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import {
  CgfacError,
  type NaturalGradientsResult,
  type Preconditioner,
  type ResolvedPreconditionerOptions,
  type StepOptions,
} from '../../adapter-kit';
import { variablesOf } from '../kinds/layer-kind';
import { type LayerGradient, noCapture } from './gradients';
import type { KnownLayer } from './layers';
import type { KeptStep } from './step';
import { copyOf, normsOf, ready } from './take';

type StepRule = ResolvedPreconditionerOptions['stepRule'];

/**
 * The step of gradients that were not captured.
 *
 * @param known - The layers and lone variables that earlier steps have met.
 * @param lone - Why the lone variables are alone.
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_NO_CAPTURE` for a gradient of another variable.
 */
export function keptStep(
  gradients: ReadonlyMap<string, Tensor>,
  known: readonly KnownLayer[],
  lone: ReadonlyMap<Variable, string>,
  iteration: number,
): KeptStep {
  const met = new Set([...known.flatMap(variablesOf), ...lone.keys()].map(({ name }) => name));
  if (met.size === 0) throw noCapture('gradients of computeGradients', 'others before any of these');
  if (gradients.size === 0) throw noCapture('gradients', 'none');
  for (const name of gradients.keys())
    if (!met.has(name)) throw noCapture('gradients of variables that a step has met', `one of ${name}`);
  const given = known.filter((layer) => variablesOf(layer).some(({ name }) => gradients.has(name)));
  const layered = new Set(given.filter((layer) => !layer.lone).flatMap(variablesOf));
  return {
    kept: true,
    iteration,
    // one that was a layer's, too, goes by the factors of that
    layers: given.filter((layer) => !layer.lone || !layered.has(layer.kernel.variable)),
    lone: [...lone].flatMap(([variable, reason]) => (gradients.has(variable.name) ? [{ variable, reason }] : [])),
    heads: [],
  };
}

/**
 * What tells the length of a step of other gradients than captured ones, whose loss is not known: that of the last
 * captured step, where the rule needs a loss.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_NO_CAPTURE` where the length depends on what is not known.
 */
function measureOf(stepRule: StepRule, last: number | undefined): Pick<StepOptions, 'stepSize'> {
  if (stepRule === 'kl-clip' || stepRule === 'fixed') return {};
  if (stepRule === 'quadratic')
    throw noCapture("gradients of computeGradients with stepRule 'quadratic', which needs sampled rows,", 'others');
  if (last === undefined)
    throw noCapture('gradients of computeGradients at the first step', 'others, of no known loss');
  return { stepSize: last };
}

/**
 * Takes a step of the gradients that are given, by the factors that are kept.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_NO_CAPTURE` where the length of the step depends on what is not known.
 */
export function takeKeptStep(
  preconditioner: Preconditioner,
  { layers }: KeptStep,
  gradients: readonly (() => LayerGradient)[],
  last: number | undefined,
  stepRule: StepRule,
  weightDecay: number,
): NaturalGradientsResult {
  const { measure, updates } = ready(preconditioner, () => ({
    measure: measureOf(stepRule, last),
    updates: Object.fromEntries(
      gradients.map((gradient, index) => [layers[index]?.name ?? '', copyOf(gradient())] as const),
    ),
  }));
  const weightNorms = normsOf(layers.map((layer) => ({ name: layer.name, layer })));
  try {
    return { summary: preconditioner.stepSync(updates, { ...measure, weightNorms, weightDecay }), updates };
  } catch (error) {
    if (!(error instanceof CgfacError) || error.code !== 'ERR_CGFAC_NO_RECORD') throw error;
    throw noCapture('gradients of computeGradients', 'others, of a layer that has no factors yet');
  }
}
