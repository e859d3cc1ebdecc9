import type { Tensor } from '@tensorflow/tfjs-core';
import type { ResolvedPreconditionerOptions } from '../../adapter-kit';
import { isGiven } from '../kinds/layer-kind';
import { type GradientReader, readGradient, unusable } from './gradients';
import type { KnownLayer } from './layers';
import { type LoneGradient, type MovingVariable, movingAlone, movingTogether } from './lone-step';
import { requireSame, type StepRanks } from './ranks';
import type { KeptStep, Step } from './step';
import { whose } from './whose-gradients';

type Gradients = ReadonlyMap<string, Tensor>;

/** The gradients that a captured step takes, the same kind of them on all ranks. */
export interface UsableGradients {
  /** Whether the rows say it all, for no gradient but their own can be there. */
  readonly own: boolean;
  /** Reads the gradients of the layers, but of those whose rows say it all. */
  readonly read: readonly GradientReader[];
  /** Why the step cannot be taken; the same on all ranks. */
  readonly reason: string | undefined;
  /** The lone variables that take part; none where it cannot be taken. */
  readonly moving: readonly MovingVariable[];
}

/** What a recipe knows besides the step. */
export interface Known {
  readonly stepRule: ResolvedPreconditionerOptions['stepRule'] | undefined;
  readonly ranks: StepRanks | undefined;
  /** The layers whose variables were disposed of since the last step. */
  readonly gone: readonly KnownLayer[];
  /** The lone variables that take part with these gradients. */
  lone(gradients: Gradients): readonly LoneGradient[];
}

/** What one process finds of the gradients of a step. */
interface Found extends Pick<UsableGradients, 'own' | 'read' | 'reason'> {
  readonly lone: readonly LoneGradient[];
}

const namesOf = (layers: readonly KnownLayer[]): string[] => layers.map(({ name }) => name);

/** The same words on all ranks, for each of what must not differ. */
function requireAlike(all: readonly { readonly gone: readonly string[]; readonly lone?: readonly string[] }[]): void {
  const words = (names: readonly string[] = []) => (names.length === 0 ? 'none' : names.join(', '));
  requireSame(
    all.map(({ gone }) => words(gone)),
    'the same variables disposed of between steps',
  );
  requireSame(
    all.map(({ lone }) => words(lone)),
    'the same gradients of variables that no layer has',
  );
}

/** Whose gradients a captured step takes, and whether it can. Where one rank has others than its own, all have. */
export function usableGradients(step: Step, given: Gradients, known: Known): UsableGradients {
  const { ranks, gone } = known;
  const find = (isOwn: boolean, gradients: Gradients): Found => {
    const own = isOwn && !step.penalised;
    const read = step.layers.map((layer) =>
      Number.isFinite(step.loss) && (!own || isGiven(layer)) ? () => readGradient(layer, gradients) : undefined,
    );
    return { own, read, reason: unusable(step, gradients, read), lone: known.lone(gradients) };
  };
  const findFirst = () => {
    const { isOwn, gradients } = whose(step, given, known.stepRule);
    return { isOwn, found: find(isOwn, gradients) };
  };
  if (ranks === undefined) {
    const { lone, ...found } = findFirst().found;
    return { ...found, moving: found.reason === undefined ? movingAlone(lone, step) : [] };
  }
  let first: ReturnType<typeof findFirst> | undefined;
  const all = ranks.told(() => {
    first = findFirst();
    const { isOwn, found } = first;
    const lone = found.lone.map(({ captured: { variable, sampledSum }, gradient }) =>
      [variable.name, gradient.length, ...(sampledSum ? ['sampled'] : [])].join(' '),
    );
    return { reason: found.reason, isOwn, gone: namesOf(gone), lone, samples: step.samples, sampled: step.sampled };
  });
  requireAlike(all);
  const isOwn = all.every((each) => each.isOwn);
  const { lone, ...found } = first?.isOwn === isOwn ? first.found : find(isOwn, given);
  const reason = ranks.reasonOf(all.map((each) => each.reason));
  const samples = all.reduce((sum, each) => sum + each.samples, 0);
  const sampled = all.reduce((sum, each) => sum + each.sampled, 0);
  const moving = reason === undefined ? movingTogether(lone, step, { samples, sampled }, ranks) : [];
  return { ...found, reason, moving };
}

/** Why a step of kept factors cannot be taken; the same on all ranks. */
export function unusableKept(
  step: KeptStep,
  gradients: Gradients,
  read: readonly GradientReader[],
  { ranks, gone }: Pick<Known, 'ranks' | 'gone'>,
): string | undefined {
  const find = () => unusable(step, gradients, read);
  if (ranks === undefined) return find();
  const all = ranks.told(() => ({ reason: find(), gone: namesOf(gone) }));
  requireAlike(all);
  return ranks.reasonOf(all.map(({ reason }) => reason));
}
