/** The hyperparameters of a step, and its length. */

import type { Damping } from '../../base/weight-vector';
import { at, type ResolvedPreconditionerOptions, scheduled } from '../options';

/** What the schedules give at a step. */
export interface StepHyperparameters {
  readonly damping: Damping;
  /** μ, the weight of the momentum. */
  readonly momentum: number;
  readonly weightDecay: number;
  /** β; NaN without averages. */
  readonly emaMomentum: number;
  /** learningRate, with its schedule. */
  readonly rate: number;
  /** κ, the bound of a step by 'kl-clip'. */
  readonly klClip: number;
  /** φ, the share of a step by 'polyak'. */
  readonly polyakFraction: number;
}

/** Calls the schedules, those alone that the step rule needs, and checks what they give. */
export function hyperparametersAt(options: ResolvedPreconditionerOptions, step: number): StepHyperparameters {
  const { stepRule, learningRateSchedule, totalSteps } = options;
  const rate = at(options.learningRate, step, 'learningRate', scheduled.learningRate);
  const constant = learningRateSchedule === 'constant' || totalSteps === undefined;
  return {
    damping: at(options.damping, step, 'damping', scheduled.damping),
    momentum: at(options.momentum, step, 'momentum', scheduled.momentum),
    weightDecay: at(options.weightDecay, step, 'weightDecay', scheduled.weightDecay),
    emaMomentum: options.useEma ? at(options.emaMomentum, step, 'emaMomentum', scheduled.emaMomentum) : Number.NaN,
    rate: constant ? rate : rate * Math.min(1, Math.max(0, (2 * (totalSteps - step)) / totalSteps)),
    klClip: stepRule === 'kl-clip' ? at(options.klClip, step, 'klClip', scheduled.klClip) : Number.NaN,
    polyakFraction:
      stepRule === 'polyak' ? at(options.polyakFraction, step, 'polyakFraction', scheduled.polyakFraction) : Number.NaN,
  };
}

/** What a step's length depends on besides its hyperparameters. */
export interface StepMeasure {
  /** Σ⟨v, x⟩, > 0. */
  readonly innerProduct: number;
  readonly loss: number | undefined;
  readonly lossFloor: number;
}

/** The length η of a step by its rule. */
export function stepSize(
  rule: ResolvedPreconditionerOptions['stepRule'],
  { momentum, rate, klClip, polyakFraction }: StepHyperparameters,
  { innerProduct, loss, lossFloor }: StepMeasure,
): number {
  switch (rule) {
    case 'fixed':
      return rate;
    case 'kl-clip': // ν·rate, ν = min(1, √(κ/(rate²·Σ⟨v, x⟩)))
      return Math.min(rate, Math.sqrt(klClip / innerProduct));
    case 'polyak': // min(1, φ(1 − μ)(L − L_min)/Σ⟨v, x⟩)
      return (
        rate * Math.min(1, (polyakFraction * (1 - momentum) * Math.max((loss ?? 0) - lossFloor, 0)) / innerProduct)
      );
  }
}
