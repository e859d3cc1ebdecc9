/** M ← μM + ηx and what follows from it, once the length of a step is known. */
import { copied, forEachArray, newVector, vectorOf } from '../../base/vectors';
import type { VectorArrays, WeightVector } from '../../base/weight-vector';
import { callNative } from '../../native/call';
import type { NativeUpdatedLayer } from '../../native/declarations';
import { native } from '../../native/load';
import { type NetworkEntry, requireArrays, weightsOf } from '../registry';
import type { StepDecision, StepPlan } from './decide';

/** Whether M has to be kept apart from what it is added to: not of steps that never have a momentum. */
export type KeepsMomentum = (entry: NetworkEntry) => boolean;

/** Which arrays of each layer the update goes into. */
export function updatedLayers(
  { entries, gradients, rewrites, owns, now }: StepPlan,
  { stepSizes, largest }: Pick<StepDecision, 'stepSizes' | 'largest'>,
  keepsMomentum: KeepsMomentum,
  averaged: ReadonlySet<NetworkEntry>,
): NativeUpdatedLayer[] {
  requireArrays(entries, rewrites ? gradients : []); // what is read alone has been read
  return entries.map((entry, index) => {
    const { average } = entry;
    const weights = weightsOf(entry, owns);
    const gradient = rewrites ? gradients[index] : undefined;
    const keeps = keepsMomentum(entry) || (gradient === undefined && weights === undefined);
    if (keeps) entry.momentum ??= newVector(entry.shape);
    return {
      layer: entry.layer.native,
      stepSize: stepSizes[index] ?? 0,
      largest: keeps ? (largest[index] ?? 0) : 0,
      kept: keeps ? entry.momentum : undefined,
      weights: gradient === undefined || now.weightDecay > 0 ? weights : undefined,
      gradient,
      average: averaged.has(entry) && weights !== undefined ? average : undefined,
      weightsTo: owns && gradient === undefined ? entry.weights : undefined,
    };
  });
}

/** Keeps p, what ⟨v, M⟩ is right after the step: μ⟨v, M⟩ + η⟨v, x⟩, times what kept M within its bound. */
export function rememberProducts(
  { entries }: Pick<StepPlan, 'entries'>,
  { momentum, stepSizes, prepared = [] }: StepDecision,
  factors: Float64Array,
): void {
  for (const [l, { momentumProduct = 0, innerProduct }] of prepared.entries()) {
    const entry = entries[l];
    const product = momentum * momentumProduct + (stepSizes[l] ?? 0) * innerProduct;
    if (entry) entry.momentumProduct = (factors[l] ?? 1) * product;
  }
}

/** rate·M, in arrays that are used again at the next step where they are lent, or in new ones for a caller. */
function scaled(entry: NetworkEntry, momentum: VectorArrays, rate: number, lends: boolean): VectorArrays {
  const to = lends ? (entry.copy ?? newVector(entry.shape)) : newVector(entry.shape);
  if (lends) entry.copy = to;
  forEachArray(momentum, to, (x, out) => callNative(() => native.combine({ keep: rate, x, factor: 0, y: x, out })));
  return to;
}

/** The learning rate times M of the layers that have neither a gradient to be rewritten nor registered weights. */
export function unappliedUpdates({ entries, rewrites, lends, now }: StepPlan): Record<string, WeightVector> {
  if (rewrites) return {};
  return Object.fromEntries(
    entries.flatMap((entry): [string, WeightVector][] => {
      const { name, weights, momentum } = entry;
      if (weights !== undefined || momentum === undefined) return [];
      if (now.rate !== 1) return [[name, vectorOf(scaled(entry, momentum, now.rate, lends))]];
      if (!lends) return [[name, vectorOf(copied(momentum))]];
      entry.lent = true;
      return [[name, vectorOf(momentum)]];
    }),
  );
}
