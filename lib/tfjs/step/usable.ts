import type { Tensor } from '@tensorflow/tfjs-core';
import type { ResolvedPreconditionerOptions } from '../../adapter-kit';
import { isGiven } from '../kinds/layer-kind';
import { type GradientReader, readGradient, unusable } from './gradients';
import type { StepRanks } from './ranks';
import type { KeptStep, Step } from './step';
import { whose } from './whose-gradients';

type Gradients = ReadonlyMap<string, Tensor>;

/** The gradients that a captured step takes, the same kind of them on all ranks. */
export interface UsableGradients {
  readonly gradients: Gradients;
  /** Whether the rows say it all, for no gradient but their own can be there. */
  readonly own: boolean;
  /** Reads the gradients of the layers, but of those whose rows say it all. */
  readonly read: readonly GradientReader[];
  /** Why the step cannot be taken; the same on all ranks. */
  readonly reason: string | undefined;
}

/** Whose gradients a captured step takes, and whether it can. Where one rank has others than its own, all have. */
export function usableGradients(
  step: Step,
  given: Gradients,
  stepRule: ResolvedPreconditionerOptions['stepRule'] | undefined,
  ranks: StepRanks | undefined,
): UsableGradients {
  const found = (isOwn: boolean, gradients: Gradients): UsableGradients => {
    const own = isOwn && !step.penalised;
    const read = step.layers.map((layer) =>
      Number.isFinite(step.loss) && (!own || isGiven(layer)) ? () => readGradient(layer, gradients) : undefined,
    );
    return { gradients, own, read, reason: unusable(step, gradients, read) };
  };
  let isOwn = true;
  let usable: UsableGradients | undefined;
  const find = (): UsableGradients => {
    const { isOwn: is, gradients } = whose(step, given, stepRule);
    isOwn = is;
    usable = found(is, gradients);
    return usable;
  };
  if (ranks === undefined) return find();
  const all = ranks.told(() => ({ reason: find().reason, isOwn }));
  const agreed = isOwn === all.every((each) => each.isOwn) ? usable : found(false, given);
  return { ...(agreed ?? found(false, given)), reason: ranks.reasonOf(all.map(({ reason }) => reason)) };
}

/** Why a step of kept factors cannot be taken; the same on all ranks. */
export function unusableKept(
  step: KeptStep,
  gradients: Gradients,
  read: readonly GradientReader[],
  ranks: StepRanks | undefined,
): string | undefined {
  const find = () => unusable(step, gradients, read);
  return ranks ? ranks.reasonOf(ranks.told(() => ({ reason: find() })).map(({ reason }) => reason)) : find();
}
