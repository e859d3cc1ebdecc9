/** Whether a step is taken, and how long it is. */

import type { VectorArrays } from '../../base/weight-vector';
import { callNative } from '../../native/call';
import type { ResolvedPreconditionerOptions } from '../options';
import type { NetworkEntry } from '../registry';
import { diagnose, NOTHING_TO_DO } from './diagnoses';
import { LEAST_SHARE, lossLeft, type StepHyperparameters, type StepMeasure, type StepRule, stepSize } from './length';
import { limitedStep, longest, partTogether, type ScaleOf, scalesOf, surelyWithin } from './limits';
import { type PreparedStep, productWithMomentum } from './prepared';
import { layerCoefficients, lengthening, modelAt, quadraticModel } from './quadratic';
import { layerStepSummary, type SkippedSteps, type StepSummary } from './summary';

/** A step between its phases. */
export interface StepPlan {
  readonly entries: readonly NetworkEntry[];
  /** The gradient of each entry, where it is given. */
  readonly gradients: readonly (VectorArrays | undefined)[];
  /** Whether gradients are rewritten; else weights are updated. */
  readonly rewrites: boolean;
  /** Whether it works on copies of the weights, which the caller's become in the end. */
  readonly owns: boolean;
  /** Whether updates are given in arrays of its own until the next step, not in copies. */
  readonly lends: boolean;
  readonly loss: number | undefined;
  readonly lossFloor: number;
  /** Whether it was given. */
  readonly floorGiven: boolean;
  /** Samples of this rank, where it says. */
  readonly samples?: number | undefined;
  /** η where it was given. */
  readonly stepSize?: number;
  /** The layers whose factors are to take in what was recorded. */
  readonly refresh: ReadonlySet<NetworkEntry>;
  readonly now: StepHyperparameters;
  readonly stepRule: StepRule;
  /** ‖W‖ of layers whose weights are not registered. */
  readonly weightNorms?: Readonly<Record<string, number>>;
  /** The share of the curvature that is assumed for factors that take in what was recorded, where it is told. */
  readonly assumedCurvature?: number | undefined;
  /** How many layers the data of a layer have passed, by name. */
  readonly depths?: ReadonlyMap<string, number>;
  /** The weight decay of weights that are not registered. */
  readonly decay?: number;
  /** Why it cannot be taken, where that is known before anything takes part in it. */
  readonly skipped?: string;
}

/** What a step is to be. */
export interface StepDecision {
  readonly summary: StepSummary;
  /** μ, the weight of the momentum, or what is left of it where M leads uphill. */
  readonly momentum: number;
  /** η of each layer, the learning rate apart. */
  readonly stepSizes: readonly number[];
  /** The bound of each ‖M‖; 0 for none. */
  readonly largest: readonly number[];
  /** What was decided on. */
  readonly prepared?: readonly PreparedStep[];
}

/** Steps done and skipped so far. */
export interface StepCounts {
  readonly steps: number;
  readonly skipped: SkippedSteps;
}

/**
 * The longest step of a layer, and the longest η that it may come from: whatever finite weights they are added to, with
 * momentum and again and again, the sum stays finite, because half a unit in the last place of the largest float32 is
 * 2¹⁰³, and they add up to less.
 */
const LONGEST_STEP = 2 ** 60;
const LARGEST_RATE = 2 ** 40;

/** Why the step cannot be taken, where it would take weights out of the range of float32, sooner or later. */
function outOfRange(
  { entries, now, decay: others = 0 }: StepPlan,
  prepared: readonly PreparedStep[],
  stepSizes: readonly number[],
  size: number,
) {
  for (const [l, { bound }] of prepared.entries()) {
    const step = stepSizes[l] ?? 0;
    const name = entries[l]?.name;
    if (!(Math.max(now.rate, 1) * step * bound <= LONGEST_STEP))
      return `the step of layer ${name} leaves the range of float32`;
    const decay = now.rate * step * now.weightDecay;
    if (!(decay <= 2))
      return `weightDecay times the length of the step is ${decay}: the weights of layer ${name} would grow`;
  }
  if (!(size * others <= 2))
    return `weightDecay times the length of the step is ${size * others}: the weights would grow`;
  if (now.rate <= LARGEST_RATE) return undefined;
  return `the learning rate ${now.rate} leaves the range of float32`;
}

/** The loss and L_min, as they were given. */
function toldLosses({ loss, lossFloor, floorGiven }: Pick<StepPlan, 'loss' | 'lossFloor' | 'floorGiven'>) {
  return { ...(loss === undefined ? {} : { loss }), ...(loss !== undefined && floorGiven ? { lossFloor } : {}) };
}

/**
 * A step that is skipped; an `idle` one has nothing to do, and does not count towards those in a row that are an error.
 */
export function skippedStep(
  losses: Pick<StepPlan, 'loss' | 'lossFloor' | 'floorGiven'>,
  { steps, skipped }: StepCounts,
  reason: string,
  idle = false,
): StepDecision {
  const summary: StepSummary = {
    step: steps,
    skipped: reason,
    ...(idle ? { idle } : {}),
    skippedSteps: { total: skipped.total + 1, inARow: idle ? skipped.inARow : skipped.inARow + 1 },
    ...toldLosses(losses),
    innerProduct: Number.NaN,
    stepSize: 0,
    predictedDecrease: 0,
    refreshed: false,
    layers: [],
    diagnoses: [`step ${steps} was skipped: ${reason}`],
  };
  return { summary, momentum: 0, stepSizes: [], largest: [] };
}

type Rule = Pick<ResolvedPreconditionerOptions, 'fractionRule' | 'maxRelativeChange'>;

/** Of a layer that nothing is known of. */
const NO_BOUND = { bound: 0 };

/** ‖M‖ of the quadratic rule, and ‖ηx‖ of embeddings by the other one, beside ‖ηx‖ of all else. */
const SHORTER = 0.3;

/** How much of what a step's directions descend its momentum may climb. */
const MOST_CLIMB = 0.5;

/**
 * μ, or less where M leads uphill: a step keeps at least half of the descent Σ ηᵢ⟨vᵢ, xᵢ⟩ of its directions, as far as
 * ⟨v, M⟩ tells, which is that of half of the samples where these are many. Where M is not measured with v, it is μ.
 */
function boundedMomentum(momentum: number, prepared: readonly PreparedStep[], descent: number): number {
  const product = productWithMomentum(prepared);
  return product < 0 ? Math.max(0, Math.min(momentum, (MOST_CLIMB * descent) / -product)) : momentum;
}

/** What a rule makes of the directions. */
interface Lengths {
  readonly stepSizes: readonly number[];
  readonly largest: readonly number[];
  /** What the model of the loss promises, momentum apart. */
  readonly decrease: number;
}

/** Lengths, or the part of them that hidden layers together may go. */
function togetherWithin(
  plan: StepPlan,
  prepared: readonly PreparedStep[],
  lengths: readonly number[],
  { maxRelativeChange }: Rule,
  scaleOf: ScaleOf,
): readonly number[] {
  if (maxRelativeChange === undefined) return lengths;
  const part = partTogether(plan, prepared, lengths, maxRelativeChange, scaleOf);
  return part < 1 ? lengths.map((length) => length * part) : lengths;
}

/** e of each layer by the quadratic model, within φ(L − L_min); M ← μM + (1 − μ)e x. */
function layerLengths(plan: StepPlan, prepared: readonly PreparedStep[], measure: StepMeasure, rule: Rule): Lengths {
  const { entries, now } = plan;
  const r = prepared.map(({ innerProduct }) => innerProduct);
  const change = rule.maxRelativeChange;
  const scaleOf = scalesOf(plan);
  const largest = entries.map((entry) =>
    change === undefined || entry.output ? 0 : longest(entry, SHORTER * change, scaleOf),
  );
  const within = (entry: NetworkEntry, coefficient: number, l: number) =>
    largest[l] ? limitedStep(entry, coefficient, prepared[l] ?? NO_BOUND, largest[l]) : coefficient;
  const least = layerCoefficients(
    prepared,
    entries.map((entry, l) => within(entry, 1, l)),
  );
  // as far as every layer can go along: bounds keep the direction
  const longer = least.reduce(
    (s, e, l) => {
      const entry = entries[l];
      return entry && e > 0 ? Math.min(s, within(entry, s * e, l) / e) : s;
    },
    lengthening(prepared, least),
  );
  const found = longer > 1 ? least.map((e) => longer * e) : least;
  const sum = found.reduce((total, e, l) => total + e * (r[l] ?? 0), 0);
  const left = lossLeft(measure, rule.fractionRule);
  const most = now.polyakFraction * left;
  // a loss of 0 or less has no bound but where it is told one below it
  const { loss = 0, lossFloor } = measure;
  const share = (loss > 0 || loss > lossFloor) && sum > most ? Math.max(most, 0) / sum : 1;
  const e = togetherWithin(
    plan,
    prepared,
    found.map((each) => each * share),
    rule,
    scaleOf,
  );
  return {
    stepSizes: e.map((each) => (1 - now.momentum) * each),
    largest,
    decrease: -modelAt(
      quadraticModel(prepared),
      r,
      e.map((each) => now.rate * each),
    ),
  };
}

/** η by a rule that has one for all layers, with ‖ηx‖ bounded. */
function commonLength(plan: StepPlan, prepared: readonly PreparedStep[], measure: StepMeasure, rule: Rule): Lengths {
  const { entries, now, stepRule } = plan;
  const eta = plan.stepSize ?? stepSize(stepRule, rule.fractionRule, now, measure);
  const change = rule.maxRelativeChange;
  const scaleOf = scalesOf(plan);
  const alone = entries.map((entry, l) => {
    const step = prepared[l] ?? NO_BOUND;
    if (change === undefined || entry.output) return eta;
    // what an attention is computed from has less than that
    const own = entry.shape.kind === 'embedding' && !entry.attended ? SHORTER * change : change;
    return surelyWithin(entry, eta, step, own) ? eta : limitedStep(entry, eta, step, longest(entry, own, scaleOf));
  });
  const stepSizes = togetherWithin(plan, prepared, alone, rule, scaleOf);
  const decrease = prepared.reduce((sum, { innerProduct }, l) => {
    const own = stepSizes[l] ?? 0;
    return sum + now.rate * own * (1 - (now.rate * own) / 2) * innerProduct;
  }, 0);
  return { stepSizes, largest: entries.map(() => 0), decrease };
}

/** φ as it came out, where a rule has one: what was taken of L − L_min. */
function fraction({ stepRule, now }: StepPlan, moved: number, left: number) {
  const known = (stepRule === 'polyak' || stepRule === 'quadratic') && left > 0;
  const found = moved / ((1 - now.momentum) * left);
  // what is left may be so little that its share of it is no number
  return known && Number.isFinite(found) ? { fraction: found } : {};
}

/** Says so where the loss is below what it was told to be unable to fall below, and what becomes of the step. */
function belowFloor({ stepRule, stepSize, loss, lossFloor, floorGiven }: StepPlan, { fractionRule }: Rule): string[] {
  const aims = (stepRule === 'polyak' || stepRule === 'quadratic') && stepSize === undefined;
  if (!aims || loss === undefined || loss >= lossFloor) return [];
  if (fractionRule !== 'fixed' && !floorGiven) return []; // 0 is no bound of it then
  const consequence =
    fractionRule === 'fixed'
      ? 'a step of length 0'
      : `steps aim at ${100 * LEAST_SHARE} % of the loss; where that lasts, give a lower lossFloor, or none`;
  return [`the loss ${loss} is below lossFloor ${lossFloor}: ${consequence}`];
}

/** The length of a step whose directions are prepared, or why it is skipped. */
export function decide(
  plan: StepPlan,
  prepared: readonly PreparedStep[],
  counts: StepCounts,
  rule: Rule,
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
    const entry = entries[index];
    return entry === undefined ? [] : diagnose(layer, entry);
  });
  const skipped = (why: string, idle = false): StepDecision => {
    const { summary, ...rest } = skippedStep(plan, counts, why, idle);
    const diagnoses = [...summary.diagnoses, ...(idle ? [NOTHING_TO_DO] : found)];
    return { ...rest, summary: { ...summary, innerProduct, layers, diagnoses } };
  };
  if (innerProduct === 0) return skipped('Σ⟨v, x⟩ is 0', true);
  if (!(innerProduct > 0 && Number.isFinite(innerProduct))) return skipped(`Σ⟨v, x⟩ is ${innerProduct}`);
  const measure = { innerProduct, loss, lossFloor };
  const byLayer = plan.stepRule === 'quadratic' && plan.stepSize === undefined;
  const lengths = byLayer ? layerLengths : commonLength;
  const { stepSizes, largest, decrease } = lengths(plan, prepared, measure, rule);
  const moved = prepared.reduce((sum, step, l) => sum + (stepSizes[l] ?? 0) * step.innerProduct, 0);
  const size = new Set(stepSizes).size === 1 ? now.rate * (stepSizes[0] ?? 0) : (now.rate * moved) / innerProduct;
  const beyond = outOfRange(plan, prepared, stepSizes, size);
  if (beyond !== undefined) return skipped(beyond);
  const summary: StepSummary = {
    step: counts.steps,
    skippedSteps: { total: counts.skipped.total, inARow: 0 },
    ...toldLosses(plan),
    innerProduct,
    stepSize: size,
    ...(loss === undefined ? {} : fraction(plan, moved, lossLeft(measure, rule.fractionRule))),
    predictedDecrease: decrease,
    refreshed: plan.refresh.size > 0,
    layers: layers.map((layer, l) => ({ ...layer, stepSize: now.rate * (stepSizes[l] ?? 0) })),
    diagnoses: [...belowFloor(plan, rule), ...found],
  };
  return { summary, momentum: boundedMomentum(now.momentum, prepared, moved), stepSizes, largest };
}
