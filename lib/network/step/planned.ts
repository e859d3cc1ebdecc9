/** A step from its arguments: everything about it is checked, and nothing changed before. */
import { abortSignal, anyNumber, nonNegative, nonNegativeInteger, readOptions, unit } from '../../base/validate';
import { requireApart } from '../../base/vectors';
import { vectorArrays } from '../../base/weight-vector';
import type { NetworkAverages } from '../averages';
import type { ResolvedPreconditionerOptions } from '../options';
import { refreshing } from '../refresh';
import { type NetworkEntry, own, requireArrays } from '../registry';
import type { Turns } from '../turns';
import type { LayerVectors, StepOptions } from '../types';
import type { StepCounts, StepPlan } from './decide';
import { hyperparametersAt, type StepHyperparameters } from './length';
import {
  depthsOf,
  givenFor,
  lossOf,
  normsOf,
  requireRows,
  requireSampledRows,
  ruleOf,
  unusableLoss,
  unusableRows,
} from './plan';

/** The network that takes a step. */
export interface SteppingNetwork {
  readonly all: NetworkEntry[];
  readonly options: ResolvedPreconditionerOptions;
  readonly counts: StepCounts;
  readonly averages: NetworkAverages;
  readonly turns: Turns;
  requireIdle(call: string): void;
  absorb(): void;
}

/** The share of the curvature that is assumed, where it is told. */
function shareOf({ assumedCurvature }: StepOptions): number | undefined {
  return assumedCurvature === undefined ? undefined : unit(assumedCurvature, 'assumedCurvature');
}

/** How a step goes about what it is given. */
export type HowTaken = Pick<StepPlan, 'rewrites' | 'owns' | 'lends'>;

/** Checks a step's arguments; see the method `plan` of the network. */
export function plannedStep(
  network: SteppingNetwork,
  gradients: LayerVectors | undefined,
  options: StepOptions,
  call: string,
  { rewrites, owns, lends }: HowTaken,
): StepPlan {
  network.requireIdle(`${call}()`);
  const all = network.all;
  const given = givenFor(all, gradients);
  network.requireIdle(`${call}()`);
  const stepSize = options.stepSize === undefined ? undefined : nonNegative(options.stepSize, 'stepSize');
  const loss = lossOf(options, network.options.stepRule, call);
  const assumed = options.assumedFloor === undefined ? 0 : anyNumber(options.assumedFloor, 'assumedFloor');
  const lossFloor = options.lossFloor === undefined ? assumed : anyNumber(options.lossFloor, 'lossFloor');
  const unusable = unusableLoss(loss, lossFloor);
  const members = all.flatMap((entry, index) =>
    entry.layer.recorded || given[index] !== undefined ? [{ entry, gradient: given[index] }] : [],
  );
  const entries = members.map(({ entry }) => entry);
  const arrays = members.map(({ entry: { name, shape }, gradient }) =>
    gradient === undefined && !rewrites ? undefined : vectorArrays(gradient, `gradients.${name}`, shape),
  );
  requireApart(arrays, 'the gradients of layers');
  requireArrays(entries, arrays);
  if (!rewrites) requireArrays(all, []); // all are averaged
  const now = network.turns.asking(`${call}()`, () => hyperparametersAt(network.options, network.counts.steps));
  // weights may have been filled in since they were registered: averages start with those of the first step
  const untrained = network.counts.steps === network.counts.skipped.total;
  network.averages.restart(untrained ? network.all : entries.filter((entry) => entry.steps === 0));
  const stepRule = ruleOf(options, network.options.stepRule);
  if (unusable === undefined) requireRows(entries, arrays, call);
  if (unusable === undefined && stepRule === 'quadratic') requireSampledRows(entries, network.options, call);
  network.absorb();
  const refresh = network.turns.asking(`${call}()`, () => refreshing(entries, network.counts, network.options));
  const weightNorms = normsOf(options);
  const norms = weightNorms === undefined ? {} : { weightNorms };
  const depths = depthsOf(options);
  const floorGiven = options.lossFloor !== undefined;
  const samples = options.samples === undefined ? undefined : nonNegativeInteger(options.samples, 'samples');
  const assumedCurvature = shareOf(options);
  const decay = options.weightDecay === undefined ? 0 : nonNegative(options.weightDecay, 'weightDecay');
  const told = {
    loss,
    lossFloor,
    floorGiven,
    samples,
    decay,
    depths,
    assumedCurvature,
    ...norms,
    ...(stepSize === undefined ? {} : { stepSize }),
  };
  const plan = { entries, gradients: arrays, rewrites, owns, lends, refresh, now, stepRule, ...told };
  const skipped = unusable ?? unusableRows(entries, arrays);
  if (owns && skipped === undefined) own(entries);
  return skipped === undefined ? plan : { ...plan, skipped };
}

/** Of a step that is not taken. */
const NO_HYPERPARAMETERS: StepHyperparameters = {
  damping: 1,
  momentum: 0,
  weightDecay: 0,
  emaMomentum: Number.NaN,
  rate: 0,
  klClip: Number.NaN,
  polyakFraction: Number.NaN,
};

/** A step that the caller could not take, and why; nothing is asked of schedules for it. */
export function noStep(entries: readonly NetworkEntry[], skipped: string): StepPlan {
  return {
    entries,
    gradients: [],
    rewrites: false,
    owns: false,
    lends: false,
    loss: undefined,
    lossFloor: 0,
    floorGiven: false,
    refresh: new Set(),
    now: NO_HYPERPARAMETERS,
    stepRule: 'fixed',
    skipped,
  };
}

/** Makes a plan, unless it is aborted before. */
export function unlessAborted(signal: AbortSignal | undefined, make: () => StepPlan): () => StepPlan {
  return () => {
    signal?.throwIfAborted();
    return make();
  };
}

/** The options of a step, as they were read when it was called. */
interface ReadOptions<T> {
  readonly signal: AbortSignal | undefined;
  /** Gives them, or throws what is wrong with them: where the step is planned, so that other ranks are told. */
  readonly given: () => T;
}

/** Reads the options of a step. */
export function stepOptions<T extends object>(options: T, call: string, names: readonly string[]): ReadOptions<T> {
  try {
    const given: T & { readonly signal?: unknown } = readOptions(options, call, names);
    return { signal: abortSignal(given.signal), given: () => given };
  } catch (thrown) {
    return {
      signal: undefined,
      given: () => {
        throw thrown;
      },
    };
  }
}
