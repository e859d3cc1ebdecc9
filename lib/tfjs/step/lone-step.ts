/** The lone variables of a step, and the rows that are recorded of them: the sums over all samples. */
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Capture } from '../capture/capture';
import type { CapturedVariable } from '../capture/lone';
import type { Block } from '../kinds/layer-kind';
import { whole } from '../kinds/part';
import { times } from '../tape/numbers';
import type { StepRanks } from './ranks';

/** A lone variable that takes part in a step. */
export interface MovingVariable extends Pick<CapturedVariable, 'variable' | 'recurrent' | 'attended' | 'judged'> {
  /** The gradient of the variable, of the mean over the samples of all ranks. */
  readonly gradient: Float32Array;
  /** What is recorded as the gradient of the loss, of the mean over the samples of this rank. */
  readonly lossGrads: Float32Array;
  /** What is recorded of sampled targets, of the mean over those of this rank; `undefined` where none were sampled. */
  readonly outputGrads: Float32Array | undefined;
  /** Whether the gradient is given to the step, beside what is recorded. */
  readonly given: boolean;
}

/** A lone variable, and what the preconditioner calls it. */
export interface LoneStep extends MovingVariable {
  readonly name: string;
}

/** How many samples there are, and of how many targets were sampled. */
export interface SampleCounts {
  readonly samples: number;
  readonly sampled: number;
}

/** A gradient of a lone variable, as it was captured here. */
export interface LoneGradient {
  readonly captured: CapturedVariable;
  readonly gradient: Float32Array;
}

function movingOf(
  { variable, recurrent, attended, judged }: CapturedVariable,
  numbers: Pick<MovingVariable, 'gradient' | 'lossGrads' | 'outputGrads' | 'given'>,
): MovingVariable {
  return { variable, recurrent, attended, judged, ...numbers };
}

/** The lone variables of one process, which has all samples. */
export function movingAlone(lone: readonly LoneGradient[], { sampled }: SampleCounts): MovingVariable[] {
  return lone.map(({ captured, gradient }) => {
    const outputGrads = captured.sampledSum && times(captured.sampledSum, 1 / sampled);
    return movingOf(captured, { gradient, lossGrads: gradient, outputGrads, given: false });
  });
}

/**
 * The lone variables of a step of several ranks. The diagonal of one process is made of the square of one sum over its
 * samples, and not of the sum of squares of those of ranks: so all ranks have the mean over all samples, and record it
 * times √(all samples/their own), whose squares add up to that of the whole sum, and whose own are a share of it.
 *
 * @param lone - The same variables on all ranks.
 * @param own - The samples of this rank.
 * @param all - Those of all ranks.
 */
export function movingTogether(
  lone: readonly LoneGradient[],
  own: SampleCounts,
  all: SampleCounts,
  ranks: StepRanks,
): MovingVariable[] {
  if (lone.length === 0) return [];
  const sums = lone.flatMap(({ captured: { sampledSum }, gradient }) => [
    times(gradient, own.samples),
    ...(sampledSum ? [sampledSum] : []),
  ]);
  const totals = ranks.sums(sums).values();
  const next = (): Float32Array => totals.next().value ?? new Float32Array();
  return lone.map(({ captured }) => {
    const gradient = times(next(), 1 / all.samples);
    const lossGrads = times(gradient, Math.sqrt(all.samples / own.samples));
    const sum = captured.sampledSum ? next() : undefined;
    const outputGrads = sum && times(sum, 1 / Math.sqrt(all.sampled * own.sampled));
    return movingOf(captured, { gradient, lossGrads, outputGrads, given: true });
  });
}

/**
 * The lone variables that take part in a step: those with a gradient, and with factors of sampled targets where these
 * are asked for.
 *
 * @param know - Whether a step has met a variable, here or before it was saved.
 */
export function loneGradients(
  { lone, sampled }: Pick<Capture, 'lone' | 'sampled'>,
  gradients: ReadonlyMap<string, Tensor>,
  fisher: 'true' | 'empirical',
  know: (block: Block) => boolean,
): LoneGradient[] {
  return lone.flatMap((captured) => {
    const { variable, curved, sampledSum } = captured;
    const gradient = gradients.get(variable.name)?.dataSync<'float32'>();
    const known = know({ kernel: whole(variable), bias: undefined });
    const usable = fisher === 'empirical' || sampledSum !== undefined || (known && sampled === 0);
    return gradient && curved && usable ? [{ captured, gradient }] : [];
  });
}
