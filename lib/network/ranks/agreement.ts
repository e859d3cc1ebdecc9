/**
 * What ranks tell each other before a step: whether each can take it, that it is the same step, how many samples each
 * has, and its loss. They all know then what all of them do.
 */
import type { Communicator } from '../../base/communicator';
import { CgfacError } from '../../base/errors';
import type { AdaptationState } from '../adaptation';
import type { NetworkEntry } from '../registry';
import type { StepCounts, StepPlan } from '../step/decide';
import type { Phases } from '../step/phase';
import { unusableLoss } from '../step/plan';
import { countIn, unexpected } from './checked';
import { allgatherv } from './collectives';
import { requireSameWeights, weightsFingerprint } from './drift';
import { hashOf } from './hash';
import { countsOf, type RankTable } from './table';
import { allWords, settled, statusIn, Trouble } from './trouble';

/** What a rank would do in a step, or what keeps it from it. */
export type Attempt = { readonly plan: StepPlan } | { readonly thrown: unknown };

/** What is known of the whole run at a step. */
export interface RunState {
  /** All registered layers. */
  readonly entries: readonly NetworkEntry[];
  readonly counts: StepCounts;
  readonly adaptation: AdaptationState;
  /** Whether the weights of all ranks are compared at this step. */
  readonly checksWeights: boolean;
}

/** A step that all ranks take, or skip. */
export interface Agreement {
  /** With the loss of all ranks, and the reason of whichever cannot take it. */
  readonly plan: StepPlan;
  /** The weight of this rank's gradients in their mean. */
  readonly weight: number;
  /** What each rank recorded, where it is known without being told: they all recorded alike. */
  readonly table: RankTable | undefined;
}

/** The places of what a rank says. */
const place = {
  status: 0,
  samples: 1,
  loss: 2,
  lossFloor: 3,
  plan: 4,
  weights: 5,
  table: 6,
  floorGiven: 7,
  assumedCurvature: 8,
} as const;

/** In the place of a share that is not told. */
const NOT_TOLD = -1;

/** What must be the same on all ranks, in words, each with its value. */
function signature({ plan, run }: { readonly plan: StepPlan; readonly run: RunState }): [string, string][] {
  const { entries, rewrites, now, stepRule, stepSize, loss, refresh, gradients } = plan;
  const { counts, adaptation } = run;
  const recorded = entries.map(({ name, layer: { recorded, sampled, ownGradient, empirical }, ...entry }, index) => ({
    name,
    recorded,
    sampled,
    lossGrads: ownGradient,
    empirical,
    given: gradients[index] !== undefined,
    refresh: refresh.has(entries[index] as NetworkEntry),
    steps: entry.steps,
  }));
  return Object.entries({
    'registered layers': run.entries.map(({ name, shape }) => ({ name, ...shape })),
    'number of the step': counts,
    call: rewrites,
    'rows and gradients by layer': recorded,
    hyperparameters: { ...now, stepRule, stepSize, loss: loss !== undefined },
    'reports of losses': adaptation,
  }).map(([words, value]) => [words, JSON.stringify(value)]);
}

/** Of a rank that has nothing to say but that it failed. */
const NOTHING: readonly [string, string][] = [];

function samplesOf({ entries, samples }: StepPlan): number {
  return samples ?? Math.max(0, ...entries.flatMap((entry) => [...entry.samples.values()]));
}

/** What one rank says. */
function words(trouble: Trouble, plan: StepPlan | undefined, told: readonly [string, string][], run: RunState) {
  const numbers = new Float64Array(Object.keys(place).length);
  numbers[place.status] = trouble.status;
  if (plan === undefined) return numbers;
  numbers[place.samples] = samplesOf(plan);
  numbers[place.loss] = plan.loss ?? 0;
  numbers[place.lossFloor] = plan.lossFloor;
  numbers[place.floorGiven] = plan.floorGiven ? 1 : 0;
  numbers[place.assumedCurvature] = plan.assumedCurvature ?? NOT_TOLD;
  numbers[place.plan] = hashOf(JSON.stringify(told));
  numbers[place.weights] = run.checksWeights ? weightsFingerprint(run.entries) : 0;
  numbers[place.table] = hashOf(JSON.stringify(plan.entries.map(countsOf)));
  return numbers;
}

/** Whether all ranks say the same at a place. */
function same(said: readonly Float64Array[], at: keyof typeof place): boolean {
  return said.every((each) => each[place[at]] === said[0]?.[place[at]]);
}

/** What another rank says in the form of {@link signature}. */
function toldIn(text: string): [string, string][] {
  try {
    const told: unknown = JSON.parse(text);
    const isPair = (each: unknown) => Array.isArray(each) && each.every((word) => typeof word === 'string');
    if (Array.isArray(told) && told.every(isPair)) return told as [string, string][];
  } catch {
    // no JSON
  }
  throw unexpected('allgatherv', 'the words of each rank for its step', cut(text));
}

/** The error of ranks that are at different steps, which names what differs first. */
function* differing(communicator: Communicator, told: readonly [string, string][]): Phases<never> {
  const all = (yield* allWords(communicator, JSON.stringify(told))).map(toldIn);
  for (const [index, [name, expected]] of (all[0] ?? []).entries()) {
    const rank = all.findIndex((each) => each[index]?.[1] !== expected);
    if (rank < 0) continue;
    throw new CgfacError(
      'ERR_CGFAC_COMMUNICATION',
      `Expected the same ${name} on all ranks but received ${cut(expected)} on rank 0 and ` +
        `${cut(all[rank]?.[index]?.[1] ?? 'nothing')} on rank ${rank}`,
    );
  }
  throw new CgfacError('ERR_CGFAC_COMMUNICATION', 'Expected the same step on all ranks but received others');
}

/** What differs between long texts is told elsewhere. */
const cut = (text: string): string => (text.length > 300 ? `${text.slice(0, 300)}…` : text);

/** The mean of the shares of the curvature that ranks tell, by the weights of those that do. */
function meanShare(said: readonly Float64Array[], weights: readonly number[]): number {
  const told = said.flatMap((each, rank) => {
    const share = each[place.assumedCurvature] ?? NOT_TOLD;
    return share >= 0 ? [{ share, weight: weights[rank] ?? 0 }] : [];
  });
  const all = told.reduce((sum, { weight }) => sum + weight, 0);
  const mean = told.reduce((sum, { share, weight }) => sum + (all > 0 ? weight / all : 1 / told.length) * share, 0);
  return Math.min(1, mean);
}

/**
 * All ranks take the same step, with the loss of all of them; where one cannot, none does.
 *
 * @throws {@link CgfacError} on all ranks: of the rank that failed its own error, on the others
 * `ERR_CGFAC_COMMUNICATION`, as for steps that are not the same, and for weights that are not.
 */
export function* agreed(communicator: Communicator, attempt: Attempt, run: RunState): Phases<Agreement> {
  const trouble = new Trouble();
  const plan = 'plan' in attempt ? attempt.plan : undefined;
  if ('thrown' in attempt) trouble.fail(attempt.thrown);
  else if (plan?.skipped !== undefined) trouble.skip(plan.skipped);
  const told = plan === undefined ? NOTHING : signature({ plan, run });
  const said = yield* allgatherv(communicator, words(trouble, plan, told, run));
  const statuses = said.map((each) => statusIn(each[place.status], 'allgatherv'));
  const skipped = yield* settled(communicator, trouble, statuses);
  if (plan === undefined) throw new Error('Expected the error of a plan to be thrown');
  if (skipped !== undefined) return { plan: { ...plan, skipped }, weight: 0, table: undefined };
  if (!same(said, 'plan')) yield* differing(communicator, told);
  if (!same(said, 'weights')) yield* requireSameWeights(communicator, run.entries);
  const samples = said.map((each) => countIn(each[place.samples], 'allgatherv'));
  const all = samples.reduce((sum, each) => sum + each, 0);
  const weights = samples.map((each) => (all === 0 ? 1 / samples.length : each / all));
  const mean = (at: 'loss' | 'lossFloor') =>
    said.reduce((sum, each, rank) => sum + (weights[rank] ?? 0) * (each[place[at]] ?? 0), 0);
  const loss = plan.loss === undefined ? undefined : mean('loss');
  const lossFloor = same(said, 'lossFloor') ? plan.lossFloor : mean('lossFloor');
  const assumedCurvature = same(said, 'assumedCurvature') ? plan.assumedCurvature : meanShare(said, weights);
  // a batch of one rank may have a loss whose least is known, where that of another has not
  const floorGiven = said.every((each) => each[place.floorGiven] === 1);
  const unusable = unusableLoss(loss, lossFloor);
  const own = plan.entries.map(countsOf);
  const common = { loss, lossFloor, floorGiven, assumedCurvature };
  return {
    plan: { ...plan, ...common, ...(unusable === undefined ? {} : { skipped: unusable }) },
    weight: weights[communicator.rank] ?? 0,
    table: same(said, 'table') ? said.map(() => own) : undefined,
  };
}
