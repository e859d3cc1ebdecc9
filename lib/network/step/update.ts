/** M ← μM + ηx and what follows from it, once the length of a step is known. */

import { combine, forEachArray, newVector, vectorOf } from '../../base/vectors';
import type { VectorArrays, WeightVector } from '../../base/weight-vector';
import type { WriteTarget } from '../layer';
import { type NetworkEntry, requireArrays } from '../registry';
import type { StepDecision, StepPlan } from './decide';

/** Whether M has to be kept apart from what it is added to: not of steps that never have a momentum. */
export type KeepsMomentum = (entry: NetworkEntry) => boolean;

/** Where the directions are written; `undefined` where they are in the gradients already. */
export function writeTargets(
  { entries, gradients, now }: StepPlan,
  { momentum, stepSize }: StepDecision,
  keepsMomentum: KeepsMomentum,
): WriteTarget[] | undefined {
  requireArrays(entries, gradients);
  if (gradients.some((gradient) => gradient !== undefined)) return undefined;
  return entries.map((entry) => {
    const { weights } = entry;
    if (weights && !keepsMomentum(entry))
      return { out: weights, factor: -stepSize, keep: 1 - stepSize * now.weightDecay };
    entry.momentum ??= newVector(entry.shape);
    return { out: entry.momentum, factor: stepSize, keep: momentum };
  });
}

/** gradient ← M + η·weightDecay·W, of a direction that has taken the gradient's place. */
function rewrite(
  entry: NetworkEntry,
  gradient: VectorArrays,
  { momentum, stepSize }: StepDecision,
  weightDecay: number,
  keepsMomentum: KeepsMomentum,
): void {
  if (keepsMomentum(entry)) {
    entry.momentum ??= newVector(entry.shape);
    forEachArray(entry.momentum, gradient, (m, x) => {
      combine(m, momentum, x, stepSize);
      x.set(m);
    });
  } else {
    forEachArray(gradient, gradient, (x) => combine(x, 0, x, stepSize));
  }
  if (entry.weights && weightDecay > 0)
    forEachArray(gradient, entry.weights, (m, w) => combine(m, 1, w, stepSize * weightDecay));
}

/** Rewrites gradients, or moves registered weights by M; returns M of the layers that have neither. */
export function applyStep(
  { entries, gradients, now }: StepPlan,
  decision: StepDecision,
  keepsMomentum: KeepsMomentum,
): Record<string, WeightVector> {
  const updates: Record<string, WeightVector> = {};
  entries.forEach((entry, index) => {
    const gradient = gradients[index];
    const { weights, momentum: m } = entry;
    if (gradient) {
      rewrite(entry, gradient, decision, now.weightDecay, keepsMomentum);
      return;
    }
    if (!m || (weights && !keepsMomentum(entry))) return;
    if (weights)
      forEachArray(weights, m, (w, update) => combine(w, 1 - decision.stepSize * now.weightDecay, update, -1));
    else updates[entry.name] = vectorOf(m);
  });
  return updates;
}
