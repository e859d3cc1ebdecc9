import type { Communicator } from '../base/communicator';
import { type ResolvedOptions, resolveOptions } from '../base/option-table';
import type { Damping, LossReduction } from '../base/weight-vector';
import type { Adapted } from './adaptation';
import { preconditionerRows } from './option-rows';
import type { Preset } from './presets';
import type { Check, Schedule } from './schedule';

export { fraction, seedOf } from '../base/validate';
export type { Preset } from './presets';
export { at, type Schedule } from './schedule';

/** Options of {@link Preconditioner}. Every hyperparameter that is a schedule may be a function of the step. */
export interface PreconditionerOptions {
  // options:begin, written by scripts/generate-options.mjs
  /** What the recorded gradients are gradients of. No default. */
  readonly lossReduction: LossReduction;
  /**
   * A set of defaults; any option given overrides it. `'adaptive'`: for any loss and any head: steps and their bounds
   * find their own length (damping { relative: 0.5 }, polyakFraction 1, fractionRule 'momentum', maxRelativeChange 1,
   * momentum 0.5, factorUpdateSteps 5, factorHistory 'panel', factorDecay 0.9, rank 128, fisherFraction 0.5). `'safe'`:
   * for any head, with φ and without bounds (damping { relative: 1 }, polyakFraction 1, fractionRule 'fixed',
   * maxRelativeChange none, momentum 0.5, factorUpdateSteps 5, factorHistory 'panel', factorDecay 0.95, rank 128,
   * fisherFraction 0.5). `'reconstruction'`: for autoencoders and regression (damping { relative: 0.3 }, polyakFraction
   * 0.5, fractionRule 'fixed', maxRelativeChange none, momentum 0.5, factorUpdateSteps 2, factorHistory 'none',
   * factorDecay 0.95, rank 128, fisherFraction 0.5). `'image-classifier'`: for feed-forward softmax classifiers of
   * images, and not for recurrent networks or losses with an entropy floor (damping { relative: 0.3 }, polyakFraction
   * 2, fractionRule 'fixed', maxRelativeChange none, momentum 0, factorUpdateSteps 10, factorHistory 'panel',
   * factorDecay 0.95, rank 64, fisherFraction 0.5). Default: 'safe'.
   */
  readonly preset?: Preset;
  /**
   * How directions are solved for. `'auto'`: 'cg' or 'exact' by estimated time. `'cg'`: CG-FAC, truncated conjugate
   * gradients. `'exact'`: damped inverses of the factors. `'kfac'`: direct K-FAC with running averages. Default:
   * 'exact'.
   */
  readonly method?: 'auto' | 'cg' | 'exact' | 'kfac';
  /**
   * What λ is added to. `'tikhonov'`: λI is added to F = A ⊗ G. `'factored'`: γ_A I is added to A and γ_G I to G, with
   * γ_A = π√λ, γ_G = √λ/π and π² = (tr A/n)/(tr G/m); for `{ relative: ρ }` γ_A = ρ·tr A/n and γ_G = ρ·tr G/m (only
   * with `method` 'exact' or 'kfac'). Default: 'factored' with `method` 'exact'; else 'tikhonov'.
   */
  readonly dampingMode?: 'tikhonov' | 'factored';
  /**
   * λ: a number > 0, or `{ relative: ρ }`, with factored damping a multiple of each factor's mean eigenvalue (the mean
   * over the directions that a panel holds), else of the block's. Default: `{ relative: 0.5 }` (`{ relative: 1 }` with
   * `preset` 'safe', `{ relative: 0.3 }` with `preset` 'reconstruction' or 'image-classifier') with `method` 'exact'
   * and `dampingMode` 'factored'; `{ relative: 10 }` with `method` 'cg'; else `{ relative: 3 }`.
   */
  readonly damping?: Schedule<Damping>;
  /**
   * What becomes of λ, or ρ, in the course of a run. `'constant'`: it is what `damping` gives. `'falling'`: it is that
   * divided by min(4, 1 + ⌊t/50⌋) at step t: a half, a third and a quarter of it from steps 50, 100 and 150 on; ρ is up
   * to six times that where the curvature of the loss is assumed (`assumedCurvature`). Default: 'constant' with
   * `damping`; 'falling' with `preset` 'adaptive' and `method` 'exact' and `dampingMode` 'factored'; else 'constant'.
   */
  readonly dampingSchedule?: 'constant' | 'falling';
  /**
   * The length η of a step. `'auto'`: 'quadratic' for a step whose `targets` are 'soft', else 'polyak': hard targets
   * have one length for all layers that the loss itself tells, everything else one for each layer. `'polyak'`: min(1,
   * φ(1 − μ)(L − L_min)/Σ⟨v, x⟩), which needs the loss L at every step. `'quadratic'`: a length for each layer, (1 −
   * μ)e with the e of least ½eᵀQe − Σe⟨v, x⟩ and 0 ≤ e ≤ 1, times s = Σe⟨v, x⟩/(eᵀQe) where that is above 10 and
   * nothing holds e back, scaled down to Σe⟨v, x⟩ = φ(L − L_min) where it is more and L above L_min; Q from the rows of
   * `recordFisher`, which it needs at every step, as it needs L. `'kl-clip'`: ν·learningRate, ν = min(1,
   * √(klClip/(learningRate²·Σ⟨v, x⟩))). `'fixed'`: learningRate. Default: 'fixed' with `trustRegion`; 'kl-clip' with
   * `klClip`; 'auto' with `preset` 'adaptive'; 'polyak' with `method` 'exact'; else 'kl-clip'.
   */
  readonly stepRule?: 'auto' | 'polyak' | 'quadratic' | 'kl-clip' | 'fixed';
  /**
   * φ of 'polyak' and 'quadratic'. A number > 0, or a function of the step. Only with `stepRule` 'auto', 'polyak' or
   * 'quadratic'. Default: 1 (0.5 with `preset` 'reconstruction', 2 with `preset` 'image-classifier').
   */
  readonly polyakFraction?: Schedule<number>;
  /**
   * What becomes of φ. `'fixed'`: it stays. `'momentum'`: φ ← min(1, φ·exp(a/10)), a = ⟨v, M⟩/p within ±1 with p = ⟨v,
   * M⟩ as it was right after the last step; an a that is usually small counts for more, and is less a twentieth where
   * curvature is assumed: φ grows while a step goes on to be one downhill and shrinks where it turns out too long;
   * where one length serves all layers it grows on from 1 to 2, by 2 % a step at the most, and steps that were too
   * long, or a loss that has doubled, take it back to 1; and L − L_min is at least a fiftieth of L. Default: 'momentum'
   * ('fixed' with `preset` 'safe', 'reconstruction' or 'image-classifier').
   */
  readonly fractionRule?: 'fixed' | 'momentum';
  /**
   * τ of the bound ‖ηx‖ ≤ τR of 'polyak' (0.3τR for an embedding), and ‖M‖ ≤ 0.3τR of 'quadratic', for each layer but
   * an output, with R = max(‖W‖, Glorot's norm); a tenth of it for what an attention is computed from, for what enters
   * a network that the step does not train, for a recurrent kernel, with R = max(‖W‖, √min(inFeatures, outFeatures)),
   * and for a scale and shift, with R = max(‖W‖, √features). Hidden dense layers and convolutions used once go together
   * as far as one of them alone may, Σ‖ηx‖/(τR) ≤ 1; of branches, the one that changes most. A number > 0. Only with
   * `stepRule` 'auto', 'polyak' or 'quadratic'. Default: 1 (none with `preset` 'safe', 'reconstruction' or
   * 'image-classifier') with `stepRule` 'auto', 'polyak' or 'quadratic'; else none.
   */
  readonly maxRelativeChange?: number;
  /**
   * κ of 'kl-clip', in the units of the loss: of one that is a mean over D outputs it is D times as much as of their
   * sum. A number > 0, or a function of the step. Only with `stepRule` 'kl-clip'. Default: 0.01.
   */
  readonly klClip?: Schedule<number>;
  /**
   * Every layer's λ is multiplied by the one factor for which ½η²Σ xᵀF x, the Kullback–Leibler divergence that the step
   * predicts, is `kl`. It costs a second solve. Only with `method` 'exact' and `dampingMode` 'tikhonov', with
   * `stepRule` 'fixed', without `communicator`. Default: none.
   */
  readonly trustRegion?: {
    /** The divergence, > 0. */
    readonly kl: number;
  };
  /**
   * Whether `Preconditioner.reportLoss` adapts the damping, by the rule of Levenberg and Marquardt: smaller where the
   * loss fell by more than 3/4 of what was predicted, larger where by less than 1/4. Only without `trustRegion`.
   * Default: false.
   */
  readonly adaptiveDamping?: boolean;
  /**
   * Whether `Preconditioner.reportLoss` adapts φ of 'polyak' instead, by the same thresholds. Only with `stepRule`
   * 'auto', 'polyak' or 'quadratic', without `adaptiveDamping`. Default: false.
   */
  readonly adaptiveFraction?: boolean;
  /**
   * A factor of everything that moves, the part of the momentum too: 1 is the own length of a step. A number ≥ 0, or a
   * function of the step. Default: 1.
   */
  readonly learningRate?: Schedule<number>;
  /**
   * What becomes of the length of steps in the course of a run. `'constant'`: steps keep their length. `'linear'`: they
   * keep it for half of `totalSteps`, then shrink linearly to 0 (needs `totalSteps`). Default: 'constant'.
   */
  readonly learningRateSchedule?: 'constant' | 'linear';
  /**
   * Steps of the whole run, for `learningRateSchedule: 'linear'` and for the default of `emaMomentum`. A positive
   * integer. Default: none.
   */
  readonly totalSteps?: number;
  /**
   * μ of M ← μM + ηx, the heavy ball after preconditioning. With `fractionRule` 'momentum' less where M leads uphill,
   * so that a step keeps at least half of its own descent, as far as half of the samples tell. A number ≥ 0 and < 1, or
   * a function of the step. Default: 0.5 (0 with `preset` 'image-classifier') with `method` 'exact'; else 0.
   */
  readonly momentum?: Schedule<number>;
  /**
   * Decoupled weight decay: weights ← weights·(1 − η·weightDecay) beside each step. Needs registered weights. A number
   * ≥ 0, or a function of the step. Default: 0.
   */
  readonly weightDecay?: Schedule<number>;
  /** Whether averages of the registered weights are kept, for evaluation. Default: true. */
  readonly useEma?: boolean;
  /**
   * The decay β of the averages of weights: β_t = min(β, (1 + t)/(10 + t)) at step t. A number ≥ 0 and < 1, or a
   * function of the step. Default: 0.95 with `totalSteps` below 200; else 0.99.
   */
  readonly emaMomentum?: Schedule<number>;
  /**
   * T: the factors take in a batch every so many steps, and at each of the first two, or of the first 10 where T ≥ 4. A
   * positive integer, or a function of the step. Default: 5 (2 with `preset` 'reconstruction', 10 with `preset`
   * 'image-classifier') with `method` 'exact'; else 1.
   */
  readonly factorUpdateSteps?: Schedule<number>;
  /** The factors are decomposed every so many updates. A positive integer. Only with `method` 'kfac'. Default: 1. */
  readonly inverseUpdateSteps?: number;
  /**
   * What the factors are made of. `'none'`: the last batch's rows (only with `method` 'cg', 'exact' or 'auto').
   * `'panel'`: a running average by its leading `rank` directions, dense for sides of at most 200 (only with `method`
   * 'cg', 'exact' or 'auto'). `'dense'`: a running average, d × d. Default: 'panel' ('none' with `preset`
   * 'reconstruction') with `method` 'exact' and `dampingMode` 'factored'; 'dense' with `method` 'kfac'; else 'none'.
   */
  readonly factorHistory?: 'none' | 'panel' | 'dense';
  /**
   * Weight of the old average. A number ≥ 0 and < 1. Only with `factorHistory` 'panel' or 'dense'. Default: 0.9 (0.95
   * with `preset` 'safe', 'reconstruction' or 'image-classifier').
   */
  readonly factorDecay?: number;
  /**
   * Directions of a panel. A positive integer. Only with `factorHistory` 'panel'. Default: 128 (64 with `preset`
   * 'image-classifier').
   */
  readonly rank?: number;
  /**
   * Rows that a factor is made of at the least; shorter batches are filled up with older rows, and so is the share of
   * them that targets were sampled for. Without it a batch that is shorter than the one before is filled up with rows
   * of that one. A positive integer. Only with `factorHistory` 'none'. Default: 256 with `method` 'exact' and
   * `dampingMode` 'factored'; else none.
   */
  readonly window?: number;
  /**
   * Share of a batch whose targets are sampled for the output factor: for whoever samples. A number > 0 and ≤ 1, or a
   * function of the step. Default: 0.5.
   */
  readonly fisherFraction?: Schedule<number>;
  /**
   * What the positions of a convolution make of a sample, where its own options do not say. `'expand'`: a row each.
   * `'reduce'`: one row, of the mean of a and the sum of g over them. Default: 'expand'.
   */
  readonly weightSharing?: 'expand' | 'reduce';
  /**
   * Positions of a batch, of all its samples, that a factor of a convolution takes in at the most, drawn at each
   * refresh, where its own options do not say. A positive integer. Default: 256.
   */
  readonly maxRows?: number;
  /**
   * Batches that make a step, where the loss of each is divided by their number: recorded gradients are multiplied by
   * it. Batches whose losses are not divided accumulate without it. A positive integer. Default: 1.
   */
  readonly accumulationSteps?: number;
  /**
   * The ranks that train this network together, each with its share of every batch: `connectMpi` of `cgfac/mpi` makes
   * one, `local` that of a process by itself. See docs/guide-distributed-training.md. Default: none.
   */
  readonly communicator?: Communicator;
  /**
   * What the rank that a layer belongs to has of the rows of the others. `'auto'`: what is the fewest bytes of all that
   * makes the factors of one process, for each layer and side. `'all'`: all of them as they were recorded, which gives
   * the bits of one process. `'sampled'`: no more than `maxRows` of a side, drawn of those of all ranks. `'own'`: none:
   * factors are made of the rows of the rank that they belong to. `'factors'`: the halves of A and G that each rank
   * makes of its rows (only with `factorHistory` 'dense'). Only with `communicator`. Default: 'auto'.
   */
  readonly ownerRows?: 'auto' | 'all' | 'sampled' | 'own' | 'factors';
  /**
   * Steps from one comparison of the registered weights of all ranks to the next, the first at the first step. Other
   * weights on one of them are an error. A positive integer. Only with `communicator`. Default: 100.
   */
  readonly weightCheckSteps?: number;
  /** Layers that are left to the optimizer that follows: their names, or expressions that match them. Default: none. */
  readonly skipLayers?: readonly (string | RegExp)[];
  /** Seed of `Preconditioner.uniforms`. An integer from 0 to 2^53 - 1. Default: 0. */
  readonly seed?: number;
  /**
   * The budget of iterations of a solve. Using it up is its normal end. A positive integer. Only with `method` 'cg' or
   * 'auto'. Default: 15.
   */
  readonly maxIterations?: number;
  /**
   * The relative residual ‖r‖/‖v‖ at which a solve ends: with the warm start, what one step leaves undone the next ones
   * do, and solving each batch's system further than that fits its noise. 0 stops at the float32 floor. A number ≥ 0.
   * Only with `method` 'cg' or 'auto'. Default: 0.3.
   */
  readonly tolerance?: number;
  /**
   * Where the iterations run. `'auto'`: the one of fewer flops. `'weight'`: the space of the layer's weights, in
   * float32. `'gram'`: the space of the batch's rows, in float64. Only with `method` 'cg' or 'auto'. Default: 'auto'.
   */
  readonly space?: 'auto' | 'weight' | 'gram';
  /**
   * Where a solve by 'cg' starts. `'previous'`: the previous solution (the paper's proposal; it often starts with a
   * larger residual, and trains better all the same). `'scaled'`: its multiple of least error. `'none'`: zero. Only
   * with `method` 'cg' or 'auto'. Default: 'previous'.
   */
  readonly warmStart?: 'none' | 'previous' | 'scaled';
  /**
   * Rows of a batch that enter a panel at a time, drawn from all of it. A positive integer. Only with `factorHistory`
   * 'panel'. Default: 128.
   */
  readonly panelRows?: number;
  // options:end
}

type Table = ResolvedOptions<typeof preconditionerRows>;

/** The options that hold for a whole network, with defaults. */
export interface ResolvedPreconditionerOptions extends Table {
  /** What `adaptiveDamping` and `adaptiveFraction` come to. */
  readonly adapted: Adapted;
  /** The options of conjugate gradients together. */
  readonly cg: Pick<Table, 'maxIterations' | 'tolerance' | 'space'>;
}

type Scheduled = {
  [Name in keyof typeof preconditionerRows as (typeof preconditionerRows)[Name]['kind'] extends {
    readonly each: unknown;
  }
    ? Name
    : never]: (typeof preconditionerRows)[Name]['kind'] extends { readonly each: Check<infer T> } ? Check<T> : never;
};

/** Checks of what the hyperparameters that are functions give. */
export const scheduled = Object.fromEntries(
  Object.entries(preconditionerRows).flatMap(([name, { kind }]) => ('each' in kind ? [[name, kind.each]] : [])),
) as Scheduled;

/**
 * Checks the options by their table and fills in the defaults, those of the preset among them.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
 * `ERR_CGFAC_INVALID_ARG_VALUE`.
 */
export function resolvePreconditionerOptions(options: unknown, owner: string): ResolvedPreconditionerOptions {
  const resolved = resolveOptions(preconditionerRows, options, owner);
  const { adaptiveDamping, adaptiveFraction, maxIterations, tolerance, space } = resolved;
  return {
    ...resolved,
    adapted: adaptiveDamping ? 'damping' : adaptiveFraction ? 'fraction' : 'nothing',
    cg: { maxIterations, tolerance, space },
  };
}

/** Method, damping, step rule and factors in one sentence. */
export function recipeOf(options: ResolvedPreconditionerOptions): string {
  const { method, dampingMode, damping, dampingSchedule, stepRule, factorHistory, rank, factorUpdateSteps } = options;
  const of = (value: Damping) => (typeof value === 'number' ? String(value) : `${value.relative} × mean eigenvalue`);
  const histories = { panel: `panels of rank ${rank}`, dense: 'dense averages', none: "the batch's own factors" };
  const told = method !== 'kfac' && (dampingMode === 'factored' || factorHistory !== 'none');
  const first = typeof damping === 'function' ? 'a function of the step' : of(damping);
  const lambda = dampingSchedule === 'falling' ? `${first}, falling to a quarter` : first;
  const factors = told ? `, ${histories[factorHistory]}` : '';
  const every =
    typeof factorUpdateSteps === 'function'
      ? 'as a function tells'
      : factorUpdateSteps === 1
        ? 'every step'
        : `every ${factorUpdateSteps} steps`;
  return `${method} with ${dampingMode} damping (${lambda}), ${stepRule} steps${factors}, factors ${every}`;
}
