/** Whether a step is taken, and how long it is. */

import type { VectorArrays } from '../../base/weight-vector';
import { callNative } from '../../native/call';
import type { ResolvedPreconditionerOptions } from '../options';
import type { NetworkEntry } from '../registry';
import { type StepHyperparameters, stepSize } from './length';
import type { PreparedStep } from './prepared';
import { diagnose, layerStepSummary, type SkippedSteps, type StepSummary } from './summary';

/** A step between its phases. */
export interface StepPlan {
  readonly entries: readonly NetworkEntry[];
  /** The gradient of each entry, where it is given. */
  readonly gradients: readonly (VectorArrays | undefined)[];
  readonly loss: number | undefined;
  readonly lossFloor: number;
  /** Whether the factors are to take in what was recorded. */
  readonly refresh: boolean;
  /** Whether any does. */
  readonly refreshes: boolean;
  readonly now: StepHyperparameters;
  /** Why it cannot be taken, where that is known before anything takes part in it. */
  readonly skipped?: string;
}

/** What a step is to be. */
export interface StepDecision {
  readonly summary: StepSummary;
  /** μ, the weight of the momentum. */
  readonly momentum: number;
  /** η, the length of the step. */
  readonly stepSize: number;
}

/** Steps done and skipped so far. */
export interface StepCounts {
  readonly steps: number;
  readonly skipped: SkippedSteps;
}

/** Beyond it x, or a sum of two, may leave the range of float32. */
const LARGEST_NORM = 3.4028234663852886e38 / 4;

/**
 * A step that is skipped; an `idle` one has nothing to do, and does not count towards those in a row that are an error.
 */
export function skippedStep(
  { loss, lossFloor }: Pick<StepPlan, 'loss' | 'lossFloor'>,
  { steps, skipped }: StepCounts,
  reason: string,
  idle = false,
): StepDecision {
  const summary: StepSummary = {
    step: steps,
    skipped: reason,
    ...(idle ? { idle } : {}),
    skippedSteps: { total: skipped.total + 1, inARow: idle ? skipped.inARow : skipped.inARow + 1 },
    ...(loss === undefined ? {} : { loss, lossFloor }),
    innerProduct: Number.NaN,
    stepSize: 0,
    predictedDecrease: 0,
    refreshed: false,
    layers: [],
    diagnoses: [`step ${steps} was skipped: ${reason}`],
  };
  return { summary, momentum: 0, stepSize: 0 };
}

/** The length of a step whose directions are prepared, or why it is skipped. */
export function decide(
  plan: StepPlan,
  prepared: readonly PreparedStep[],
  counts: StepCounts,
  stepRule: ResolvedPreconditionerOptions['stepRule'],
): StepDecision {
  const { loss, lossFloor, entries, now } = plan;
  const innerProduct = prepared.reduce((sum, step) => sum + step.innerProduct, 0);
  const layers = prepared.flatMap((step, index) => {
    const entry = entries[index];
    if (entry === undefined) return [];
    const { factors, recorded, workspace, previous } = callNative(() => entry.layer.native.memoryUsage());
    return [layerStepSummary(entry.name, step, factors + recorded + workspace + previous)];
  });
  const found = layers.flatMap((layer, index) => {
    const shape = entries[index]?.shape;
    return shape === undefined ? [] : diagnose(layer, shape);
  });
  const skipped = (why: string, idle = false): StepDecision => {
    const { summary, ...rest } = skippedStep(plan, counts, why, idle);
    return { ...rest, summary: { ...summary, innerProduct, layers, diagnoses: [...summary.diagnoses, ...found] } };
  };
  if (innerProduct === 0) return skipped('Σ⟨v, x⟩ is 0', true);
  if (!(innerProduct > 0 && Number.isFinite(innerProduct))) return skipped(`Σ⟨v, x⟩ is ${innerProduct}`);
  const eta = stepSize(stepRule, now, { innerProduct, loss, lossFloor });
  const beyond = prepared.findIndex(({ bound }) => !(eta * bound <= LARGEST_NORM));
  if (beyond >= 0) return skipped(`the step of layer ${entries[beyond]?.name} leaves the range of float32`);
  const below = loss !== undefined && loss < lossFloor && stepRule === 'polyak';
  const summary: StepSummary = {
    step: counts.steps,
    skippedSteps: { total: counts.skipped.total, inARow: 0 },
    ...(loss === undefined ? {} : { loss, lossFloor }),
    innerProduct,
    stepSize: eta,
    predictedDecrease: (eta - eta ** 2 / 2) * innerProduct,
    refreshed: plan.refreshes,
    layers,
    diagnoses: [...(below ? [`the loss ${loss} is below lossFloor ${lossFloor}: a step of length 0`] : []), ...found],
  };
  return { summary, momentum: now.momentum, stepSize: eta };
}
