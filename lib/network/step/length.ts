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
  /** φ of 'polyak' and 'quadratic'. */
  readonly polyakFraction: number;
}

/** Damping that falls is a half after so many steps, a third after twice as many, and so on. */
const FALLS_EVERY = 50;
/** It falls to the part that this is the denominator of, and no further. */
const LEAST_PART = 4;

/** λ or ρ of a step: what `damping` gives, or less of it in the course of a run. */
function dampingAt({ damping, dampingSchedule }: ResolvedPreconditionerOptions, step: number): Damping {
  const given = at(damping, step, 'damping', scheduled.damping);
  if (dampingSchedule === 'constant') return given;
  const part = Math.min(LEAST_PART, 1 + Math.floor(step / FALLS_EVERY));
  return typeof given === 'number' ? given / part : { relative: given.relative / part };
}

/** How much larger falling ρ is where all of the curvature is assumed: 1 + 5. */
const ASSUMED = 5;

/** λ or ρ of a step where a share of the curvature is assumed: a guess of it is trusted less. */
export function dampingOf(
  { damping }: StepHyperparameters,
  { dampingSchedule }: Pick<ResolvedPreconditionerOptions, 'dampingSchedule'>,
  assumedCurvature: number,
): Damping {
  if (typeof damping === 'number' || dampingSchedule === 'constant') return damping;
  return { relative: damping.relative * (1 + ASSUMED * assumedCurvature) };
}

/** Calls the schedules, those alone that the step rule needs, and checks what they give. */
export function hyperparametersAt(options: ResolvedPreconditionerOptions, step: number): StepHyperparameters {
  const { stepRule, learningRateSchedule, totalSteps } = options;
  const rate = at(options.learningRate, step, 'learningRate', scheduled.learningRate);
  const constant = learningRateSchedule === 'constant' || totalSteps === undefined;
  return {
    damping: dampingAt(options, step),
    momentum: at(options.momentum, step, 'momentum', scheduled.momentum),
    weightDecay: at(options.weightDecay, step, 'weightDecay', scheduled.weightDecay),
    emaMomentum: options.useEma ? at(options.emaMomentum, step, 'emaMomentum', scheduled.emaMomentum) : Number.NaN,
    rate: constant ? rate : rate * Math.min(1, Math.max(0, (2 * (totalSteps - step)) / totalSteps)),
    klClip: stepRule === 'kl-clip' ? at(options.klClip, step, 'klClip', scheduled.klClip) : Number.NaN,
    polyakFraction:
      stepRule !== 'kl-clip' && stepRule !== 'fixed'
        ? at(options.polyakFraction, step, 'polyakFraction', scheduled.polyakFraction)
        : Number.NaN,
  };
}

/** The rule of a step: 'auto' is one of the others then. */
export type StepRule = Exclude<ResolvedPreconditionerOptions['stepRule'], 'auto'>;

/** What a step's length depends on besides its hyperparameters. */
export interface StepMeasure {
  /** Σ⟨v, x⟩, > 0. */
  readonly innerProduct: number;
  readonly loss: number | undefined;
  readonly lossFloor: number;
}

/** φ of Newton's step along x: Σ⟨v, x⟩ is twice L − L_min where F is the curvature of the loss. */
const NEWTON = 2;

/**
 * By how much φ may grow beyond where it started: to Newton's, where one length serves all layers. Rates above 1 take
 * their part of that; below 1 they ask for short steps, after which much of the slope is left anyway.
 */
export function mostLengthening(stepRule: StepRule, { polyakFraction, rate }: StepHyperparameters): number {
  if (stepRule !== 'polyak') return 1;
  return Math.max(1, Math.min(NEWTON * Math.min(1, rate), NEWTON / (polyakFraction * Math.max(1, rate))));
}

/** The least share of the loss that is taken for what is left of it, where φ finds the floor. */
export const LEAST_SHARE = 0.02;

/** What is left of the loss; 0 or less where it is at its floor and φ does not look for another. */
export function lossLeft({ loss, lossFloor }: StepMeasure, fractionRule: 'fixed' | 'momentum'): number {
  const left = (loss ?? 0) - lossFloor;
  return fractionRule === 'fixed' ? left : Math.max(left, LEAST_SHARE * Math.abs(loss ?? 0));
}

/** The length η of a step by a rule that has one for all layers; the learning rate is a factor of its own. */
export function stepSize(
  stepRule: StepRule,
  fractionRule: 'fixed' | 'momentum',
  { momentum, rate, klClip, polyakFraction }: StepHyperparameters,
  measure: StepMeasure,
): number {
  const { innerProduct } = measure;
  switch (stepRule) {
    case 'kl-clip': // ν = min(1, √(κ/(rate²·Σ⟨v, x⟩))), which a rate of 0 makes 1
      return rate > 0 ? Math.min(1, Math.sqrt(klClip / innerProduct) / rate) : 1;
    case 'polyak': // min(1, φ(1 − μ)(L − L_min)/Σ⟨v, x⟩)
      return Math.min(
        1,
        (polyakFraction * (1 - momentum) * Math.max(lossLeft(measure, fractionRule), 0)) / innerProduct,
      );
    default:
      return 1;
  }
}
