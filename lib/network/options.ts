import { CgfacError } from '../base/errors';
import {
  boolean,
  checkOptions,
  checkRequired,
  damping as dampingOf,
  nonNegative,
  oneOf,
  positive,
  positiveInteger,
  typeError,
  valueError,
} from '../base/validate';
import type { Damping, LossReduction } from '../base/weight-vector';
import { type CgOptions, cgOptionNames, parseCgOptions } from '../layer/options';
import type { Adapted } from './adaptation';

/** A hyperparameter: a value, or a function of the step (0 for the first) that gives one. */
export type Schedule<T> = T | ((step: number) => T);

/** A set of defaults: see {@link PreconditionerOptions.preset}. */
export type Preset = 'safe' | 'reconstruction' | 'image-classifier';

/** Options of {@link Preconditioner}. Every hyperparameter that says so may be a function of the step. */
export interface PreconditionerOptions extends CgOptions {
  /** What the recorded gradients are gradients of. No default. */
  readonly lossReduction: LossReduction;
  /**
   * A set of defaults; any option given overrides it. `'safe'`: ρ 1, φ 1, μ 0.5, low-rank panels of rank 128, every 5
   * steps: for any head. `'reconstruction'`: ρ 0.3, φ 0.5, μ 0.5, the batch's own factors, every 2 steps: autoencoders
   * and regression. `'image-classifier'`: ρ 0.3, φ 2, μ 0, panels of rank 64, every 10 steps: feed-forward softmax
   * classifiers of images, and not for recurrent networks or losses with an entropy floor. Default: 'safe'.
   */
  readonly preset?: Preset;
  /**
   * `'exact'`: damped inverses of the factors. `'cg'`: CG-FAC, truncated conjugate gradients. `'kfac'`: direct K-FAC
   * with running averages. `'auto'`: 'cg' or 'exact' by estimated time. Default: 'exact'.
   */
  readonly method?: 'auto' | 'cg' | 'exact' | 'kfac';
  /** As `LayerPreconditionerOptions.dampingMode`. Default: 'factored' for 'exact', else 'tikhonov'. */
  readonly dampingMode?: 'tikhonov' | 'factored';
  /**
   * λ, a schedule: a number > 0, or `{ relative: ρ }`, with factored damping a multiple of each factor's mean
   * eigenvalue (the mean over the directions that a panel holds), else of the block's. Default: the preset's ρ; with
   * Tikhonov damping `{ relative: 3 }`, with 'cg' `{ relative: 10 }`.
   */
  readonly damping?: Schedule<Damping>;
  /**
   * The length η of a step. `'polyak'`: min(1, φ(1 − μ)(L − L_min)/Σ⟨v, x⟩), which needs the loss L at every step.
   * `'kl-clip'`: ν·learningRate, ν = min(1, √(klClip/(learningRate²·Σ⟨v, x⟩))). `'fixed'`: learningRate. Default:
   * 'polyak' for 'exact', else 'kl-clip'; 'fixed' with `trustRegion`.
   */
  readonly stepRule?: 'polyak' | 'kl-clip' | 'fixed';
  /** φ of 'polyak', > 0, a schedule. Default: the preset's. */
  readonly polyakFraction?: Schedule<number>;
  /** κ of 'kl-clip', > 0, a schedule. Default: 1e-2. */
  readonly klClip?: Schedule<number>;
  /**
   * For 'exact' with Tikhonov damping and 'fixed' steps: every layer's λ is multiplied by the one factor for which ½η²Σ
   * xᵀF x, the Kullback–Leibler divergence that the step predicts, is `kl`. It costs a second solve. Default: none.
   */
  readonly trustRegion?: {
    /** The divergence, > 0. */
    readonly kl: number;
  };
  /**
   * Whether `Preconditioner.reportLoss` adapts the damping, by the rule of Levenberg and Marquardt: smaller where the
   * loss fell by more than 3/4 of what was predicted, larger where by less than 1/4. Default: false.
   */
  readonly adaptiveDamping?: boolean;
  /** Whether it adapts φ of 'polyak' instead, by the same thresholds. Default: false. */
  readonly adaptiveFraction?: boolean;
  /** A factor of every step, > 0, a schedule. Default: 1. */
  readonly learningRate?: Schedule<number>;
  /** `'linear'`: steps keep their length for half of `totalSteps`, then shrink linearly to 0. Default: 'constant'. */
  readonly learningRateSchedule?: 'constant' | 'linear';
  /** Steps of the whole run, for 'linear' and for the default of `emaMomentum`. */
  readonly totalSteps?: number;
  /**
   * μ, 0 ≤ μ < 1, a schedule: M ← μM + ηx, the heavy ball after preconditioning. Default: the preset's for 'exact',
   * else 0.
   */
  readonly momentum?: Schedule<number>;
  /**
   * Decoupled weight decay, ≥ 0: weights ← weights·(1 − η·weightDecay) beside each step. Needs registered weights.
   * Default: 0.
   */
  readonly weightDecay?: Schedule<number>;
  /** Whether averages of the registered weights are kept, for evaluation. Default: true. */
  readonly useEma?: boolean;
  /**
   * Their decay, 0 ≤ β < 1: β_t = min(β, (1 + t)/(10 + t)) at step t. Default: 0.99; 0.95 with `totalSteps` below 200.
   */
  readonly emaMomentum?: Schedule<number>;
  /**
   * T: the factors take in a batch every so many steps, and at each of the first two, or of the first 10 where T ≥ 4.
   * Default: the preset's for 'exact', else 1.
   */
  readonly factorUpdateSteps?: Schedule<number>;
  /** Of 'kfac': the factors are decomposed every so many updates. Default: 1. */
  readonly inverseUpdateSteps?: number;
  /**
   * What factored damping's factors are made of. `'none'`: the last batch. `'panel'`: a running average by its leading
   * `rank` directions, dense for sides of at most 200. `'dense'`: a running average, d × d. Default: the preset's.
   */
  readonly factorHistory?: 'none' | 'panel' | 'dense';
  /** Weight of the old average, 0 ≤ decay < 1, with a history and of 'kfac'. Default: 0.95. */
  readonly factorDecay?: number;
  /** Directions of a panel. Default: the preset's, or 128. */
  readonly rank?: number;
  /** Rows of a batch that enter a panel at a time, drawn from all of it. Default: 128. */
  readonly panelRows?: number;
  /** Without a history: rows that a factor is made of at the least; shorter batches are filled up with older rows, and so is the share of them that
   * targets were sampled for. Default: 256. */
  readonly window?: number;
  /**
   * Share of a batch whose targets are sampled for the output factor, 0 < fraction ≤ 1: for whoever samples. Default:
   * 0.5.
   */
  readonly fisherFraction?: Schedule<number>;
  /**
   * Batches that make a step, where the loss of each is divided by their number: recorded gradients are multiplied by
   * it. Batches whose losses are not divided accumulate without it. Default: 1.
   */
  readonly accumulationSteps?: number;
  /** Where a 'cg' solve starts; see `LayerPreconditionerOptions.warmStart`. Default: 'previous'. */
  readonly warmStart?: 'none' | 'previous' | 'scaled';
  /** Layers that are left to the optimizer that follows: their names, or expressions that match them. Default: none. */
  readonly skipLayers?: readonly (string | RegExp)[];
  /** Seed of `Preconditioner.uniforms`, an integer from 0 to 2⁵³ − 1. Default: 0. */
  readonly seed?: number;
}

/** The options that hold for a whole network, with defaults. */
export interface ResolvedPreconditionerOptions {
  readonly lossReduction: LossReduction;
  readonly preset: Preset;
  readonly method: 'auto' | 'cg' | 'exact' | 'kfac';
  readonly dampingMode: 'tikhonov' | 'factored';
  readonly damping: Schedule<Damping>;
  readonly stepRule: 'polyak' | 'kl-clip' | 'fixed';
  readonly polyakFraction: Schedule<number>;
  readonly klClip: Schedule<number>;
  readonly trustRegion: { readonly kl: number } | undefined;
  readonly adapted: Adapted;
  readonly learningRate: Schedule<number>;
  readonly learningRateSchedule: 'constant' | 'linear';
  readonly totalSteps: number | undefined;
  readonly momentum: Schedule<number>;
  readonly weightDecay: Schedule<number>;
  readonly useEma: boolean;
  readonly emaMomentum: Schedule<number>;
  readonly factorUpdateSteps: Schedule<number>;
  readonly inverseUpdateSteps: number;
  readonly factorHistory: 'none' | 'panel' | 'dense';
  readonly factorDecay: number;
  readonly rank: number;
  readonly panelRows: number;
  readonly window: number;
  readonly fisherFraction: Schedule<number>;
  readonly accumulationSteps: number;
  readonly warmStart: 'none' | 'previous' | 'scaled';
  readonly skipLayers: readonly (string | RegExp)[];
  readonly seed: number;
  readonly cg: {
    readonly maxIterations: number;
    readonly tolerance: number;
    readonly space: 'auto' | 'weight' | 'gram';
  };
}

interface PresetValues {
  readonly relative: number;
  readonly polyakFraction: number;
  readonly momentum: number;
  readonly factorHistory: 'none' | 'panel';
  readonly rank: number;
  readonly factorUpdateSteps: number;
  readonly fisherFraction: number;
}

/** The presets: ρ, φ, μ, factors and T. */
export const presets: Readonly<Record<Preset, PresetValues>> = {
  safe: {
    relative: 1,
    polyakFraction: 1,
    momentum: 0.5,
    factorHistory: 'panel',
    rank: 128,
    factorUpdateSteps: 5,
    fisherFraction: 0.5,
  },
  reconstruction: {
    relative: 0.3,
    polyakFraction: 0.5,
    momentum: 0.5,
    factorHistory: 'none',
    rank: 128,
    factorUpdateSteps: 2,
    fisherFraction: 0.5,
  },
  'image-classifier': {
    relative: 0.3,
    polyakFraction: 2,
    momentum: 0,
    factorHistory: 'panel',
    rank: 64,
    factorUpdateSteps: 10,
    fisherFraction: 0.5,
  },
};

const cgOnly = [...cgOptionNames, 'warmStart'];
const kfacOnly = ['inverseUpdateSteps'];
const factoredOnly = ['factorHistory', 'rank', 'panelRows', 'window'];

/** Names of the options of {@link Preconditioner}. */
export const preconditionerOptionNames: readonly (keyof PreconditionerOptions)[] = [
  'lossReduction',
  'preset',
  'method',
  'dampingMode',
  'damping',
  'stepRule',
  'polyakFraction',
  'klClip',
  'trustRegion',
  'adaptiveDamping',
  'adaptiveFraction',
  'learningRate',
  'learningRateSchedule',
  'totalSteps',
  'momentum',
  'weightDecay',
  'useEma',
  'emaMomentum',
  'factorUpdateSteps',
  'inverseUpdateSteps',
  'factorHistory',
  'factorDecay',
  'rank',
  'panelRows',
  'window',
  'fisherFraction',
  'accumulationSteps',
  'warmStart',
  'skipLayers',
  'seed',
  'maxIterations',
  'tolerance',
  'space',
];

/** A number ≥ 0 and < 1. */
export function fraction(value: unknown, name: string): number {
  if (typeof value !== 'number') throw typeError('a number ≥ 0 and < 1', name, value);
  if (!(value >= 0 && value < 1)) throw valueError('a number ≥ 0 and < 1', name, value);
  return value;
}

function share(value: unknown, name: string): number {
  if (typeof value !== 'number') throw typeError('a number > 0 and ≤ 1', name, value);
  if (!(value > 0 && value <= 1)) throw valueError('a number > 0 and ≤ 1', name, value);
  return value;
}

/** A seed: an integer that a double holds exactly. */
export function seedOf(value: unknown, name: string): number {
  if (typeof value !== 'number') throw typeError('an integer from 0 to 2^53 - 1', name, value);
  if (!Number.isSafeInteger(value) || value < 0) throw valueError('an integer from 0 to 2^53 - 1', name, value);
  return value;
}

function layerPatterns(value: unknown, name: string): readonly (string | RegExp)[] {
  if (!Array.isArray(value)) throw typeError('an array of names and regular expressions', name, value);
  value.forEach((pattern, index) => {
    if (typeof pattern !== 'string' && Object.prototype.toString.call(pattern) !== '[object RegExp]')
      throw typeError('a name or a regular expression', `${name}[${index}]`, pattern);
  });
  return [...value];
}

function trustRegionOf(value: unknown, name: string): { readonly kl: number } {
  checkOptions(value, name, ['kl']);
  checkRequired(value, name, { kl: 'a number > 0' });
  return { kl: positive((value as { readonly kl: unknown }).kl, `${name}.kl`) };
}

type Check<T> = (value: unknown, name: string) => T;

/** Checks a value now, or what a function gives when it is called. */
function schedule<T>(check: Check<T>): Check<Schedule<T>> {
  return (value, name) => (typeof value === 'function' ? (value as (step: number) => T) : check(value, name));
}

/** The value of a schedule at a step, checked. */
export function at<T>(value: Schedule<T>, step: number, name: string, check: Check<T>): T {
  return typeof value === 'function' ? check((value as (step: number) => unknown)(step), `${name}(${step})`) : value;
}

/** Checks of the hyperparameters that may be functions. */
export const scheduled = {
  damping: dampingOf,
  polyakFraction: positive,
  klClip: positive,
  learningRate: positive,
  momentum: fraction,
  weightDecay: nonNegative,
  emaMomentum: fraction,
  factorUpdateSteps: positiveInteger,
  fisherFraction: share,
};

/**
 * Checks the options and fills in the defaults, those of the preset first.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
 * `ERR_CGFAC_INVALID_ARG_VALUE`.
 */
export function resolvePreconditionerOptions(options: unknown, owner: string): ResolvedPreconditionerOptions {
  checkOptions(options, owner, preconditionerOptionNames);
  checkRequired(options, owner, { lossReduction: "'sum' or 'mean'" });
  const given = options as Readonly<Record<string, unknown>>;
  const read = <T>(name: keyof PreconditionerOptions, check: Check<T>, otherwise: T): T =>
    given[name] === undefined ? otherwise : check(given[name], name);
  const among =
    <const T extends string>(allowed: readonly T[]): Check<T> =>
    (value, name) =>
      oneOf(value, name, allowed);

  const preset = read('preset', among(['safe', 'reconstruction', 'image-classifier']), 'safe');
  const defaults = presets[preset];
  const method = read('method', among(['auto', 'cg', 'exact', 'kfac']), 'exact');
  const dampingMode = read(
    'dampingMode',
    among(['tikhonov', 'factored']),
    method === 'exact' ? 'factored' : 'tikhonov',
  );
  if (dampingMode === 'factored' && method !== 'exact' && method !== 'kfac')
    throw valueError("'exact' or 'kfac' with dampingMode 'factored'", 'method', method);
  const factored = method === 'exact' && dampingMode === 'factored';
  const refuse = (names: readonly string[], allowed: string, received: string) => {
    const found = names.find((name) => given[name] !== undefined);
    if (found !== undefined)
      throw new CgfacError(
        'ERR_CGFAC_INVALID_ARG_VALUE',
        `Expected ${allowed} with the option ${found} but received ${received}`,
      );
  };
  if (method === 'exact' || method === 'kfac') refuse(cgOnly, "method 'cg' or 'auto'", `'${method}'`);
  if (method !== 'kfac') refuse(kfacOnly, "method 'kfac'", `'${method}'`);
  if (!factored)
    refuse(factoredOnly, "method 'exact' with dampingMode 'factored'", `'${method}' with '${dampingMode}'`);
  if (!factored && method !== 'kfac')
    refuse(['factorDecay'], "method 'kfac' or a factorHistory", `'${method}' with '${dampingMode}'`);

  const trustRegion = read<{ readonly kl: number } | undefined>('trustRegion', trustRegionOf, undefined);
  if (method !== 'exact' || factored)
    refuse(['trustRegion'], "method 'exact' with dampingMode 'tikhonov'", `'${method}' with '${dampingMode}'`);
  const usual = trustRegion ? 'fixed' : method === 'exact' ? 'polyak' : 'kl-clip';
  const stepRule = read('stepRule', among(['polyak', 'kl-clip', 'fixed']), usual);
  if (stepRule !== 'fixed') refuse(['trustRegion'], "stepRule 'fixed'", `'${stepRule}'`);
  const adaptiveDamping = read('adaptiveDamping', boolean, false);
  const adaptiveFraction = read('adaptiveFraction', boolean, false);
  if (adaptiveDamping && trustRegion) refuse(['adaptiveDamping'], 'no trustRegion', 'one');
  if (adaptiveFraction && stepRule !== 'polyak') refuse(['adaptiveFraction'], "stepRule 'polyak'", `'${stepRule}'`);
  if (adaptiveFraction && adaptiveDamping) refuse(['adaptiveFraction'], 'no adaptiveDamping', 'both');
  if (stepRule !== 'polyak') refuse(['polyakFraction'], "stepRule 'polyak'", `'${stepRule}'`);
  if (stepRule !== 'kl-clip') refuse(['klClip'], "stepRule 'kl-clip'", `'${stepRule}'`);
  const factorHistory = read('factorHistory', among(['none', 'panel', 'dense']), defaults.factorHistory);
  if (factored && factorHistory !== 'panel')
    refuse(['rank', 'panelRows'], "factorHistory 'panel'", `'${factorHistory}'`);
  if (factored && factorHistory !== 'none') refuse(['window'], "factorHistory 'none'", `'${factorHistory}'`);
  if (factored && factorHistory === 'none') refuse(['factorDecay'], "factorHistory 'panel' or 'dense'", "'none'");
  const learningRateSchedule = read('learningRateSchedule', among(['constant', 'linear']), 'constant');
  const totalSteps = read<number | undefined>('totalSteps', positiveInteger, undefined);
  if (learningRateSchedule === 'linear' && totalSteps === undefined)
    throw new CgfacError(
      'ERR_CGFAC_MISSING_OPTION',
      `Expected a positive integer for totalSteps of ${owner} with learningRateSchedule 'linear' but received undefined`,
    );
  const exact = method === 'exact';
  const relative = factored ? defaults.relative : method === 'cg' ? 10 : 3;
  return {
    lossReduction: oneOf(given.lossReduction, 'lossReduction', ['sum', 'mean']),
    preset,
    method,
    dampingMode,
    damping: read<Schedule<Damping>>('damping', schedule(dampingOf), { relative }),
    stepRule,
    polyakFraction: read('polyakFraction', schedule(positive), defaults.polyakFraction),
    klClip: read('klClip', schedule(positive), 1e-2),
    trustRegion,
    adapted: adaptiveDamping ? 'damping' : adaptiveFraction ? 'fraction' : 'nothing',
    learningRate: read('learningRate', schedule(positive), 1),
    learningRateSchedule,
    totalSteps,
    momentum: read('momentum', schedule(fraction), exact ? defaults.momentum : 0),
    weightDecay: read<Schedule<number>>('weightDecay', schedule(nonNegative), 0),
    useEma: read('useEma', boolean, true),
    emaMomentum: read<Schedule<number>>(
      'emaMomentum',
      schedule(fraction),
      totalSteps !== undefined && totalSteps < 200 ? 0.95 : 0.99,
    ),
    factorUpdateSteps: read<Schedule<number>>(
      'factorUpdateSteps',
      schedule(positiveInteger),
      exact ? defaults.factorUpdateSteps : 1,
    ),
    inverseUpdateSteps: read('inverseUpdateSteps', positiveInteger, 1),
    factorHistory,
    factorDecay: read('factorDecay', fraction, 0.95),
    rank: read('rank', positiveInteger, defaults.rank),
    panelRows: read('panelRows', positiveInteger, 128),
    window: read('window', positiveInteger, 256),
    fisherFraction: read<Schedule<number>>('fisherFraction', schedule(share), defaults.fisherFraction),
    accumulationSteps: read('accumulationSteps', positiveInteger, 1),
    warmStart: read('warmStart', among(['none', 'previous', 'scaled']), 'previous'),
    skipLayers: read('skipLayers', layerPatterns, []),
    seed: read('seed', seedOf, 0),
    cg: parseCgOptions({
      maxIterations: given.maxIterations ?? 15,
      tolerance: given.tolerance ?? 0.3,
      space: given.space,
    }),
  };
}

/** Method, damping, step rule and factors in one sentence. */
export function recipeOf(options: ResolvedPreconditionerOptions): string {
  const { method, dampingMode, damping, stepRule, factorHistory, rank, factorUpdateSteps } = options;
  const of = (value: Damping) => (typeof value === 'number' ? String(value) : `${value.relative} × mean eigenvalue`);
  const histories = { panel: `panels of rank ${rank}`, dense: 'dense averages', none: "the batch's own factors" };
  const factors = method === 'exact' && dampingMode === 'factored' ? `, ${histories[factorHistory]}` : '';
  const every =
    typeof factorUpdateSteps === 'function'
      ? 'as a function tells'
      : factorUpdateSteps === 1
        ? 'every step'
        : `every ${factorUpdateSteps} steps`;
  return `${method} with ${dampingMode} damping (${typeof damping === 'function' ? 'a function of the step' : of(damping)}), ${stepRule} steps${factors}, factors ${every}`;
}
