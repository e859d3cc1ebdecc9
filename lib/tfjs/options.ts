import {
  type Damping,
  is,
  kinds,
  made,
  type OptionRows,
  type PreconditionerOptions,
  type Preset,
  preconditionerRows,
  type Schedule,
} from '../adapter-kit';

/** What follows from the graph, and what needs the loss after the step, which a training loop does not tell. */
const NOT_IN_THE_GRAPH = ['lossReduction', 'accumulationSteps', 'adaptiveDamping', 'adaptiveFraction'] as const;
type NotInTheGraph = (typeof NOT_IN_THE_GRAPH)[number];

/** What is of other methods than 'cg'. */
type NotOfCg = 'preset' | 'trustRegion' | 'inverseUpdateSteps';

/** A seed that was never used before, most likely. */
const anySeed = () => Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);

/** The options that are read here, before a preconditioner is made. */
export const ownRows = {
  seed: {
    kind: kinds.seed,
    default: made(anySeed, 'drawn at random'),
    text: 'Seed of the sampled targets. `CgfacOptimizer.getConfig` tells it.',
  },
  lossFloor: {
    kind: kinds.finite,
    text:
      'L_min, what the loss cannot fall below, where it is known better than by its head: of a cross-entropy it is ' +
      'the entropy of the targets, of a divergence and of losses whose terms are all above 0 it is 0, of others none.',
  },
  fisher: {
    kind: kinds.choice(['true', 'empirical']),
    default: is('true'),
    values: {
      true: {
        text:
          "gradients of targets sampled from the model's own output distribution; of a loss that belongs to none, " +
          "gradients of noise with the loss's own curvature",
      },
      empirical: { text: 'the training gradients themselves' },
    },
    text: 'What the output factors are made of.',
  },
} satisfies OptionRows;

/** The sentence of an option that only one preset can have. */
const chooses = (preset: Preset) => ` Without a \`preset\` or a \`factorHistory\` it chooses the preset '${preset}'.`;

/** What {@link RecipeOptions} has besides the options of {@link Preconditioner}, or says otherwise. */
export const recipeRows = {
  preset: {
    ...preconditionerRows.preset,
    default: made(() => undefined, "'adaptive'"),
    text:
      'A set of defaults; any option given overrides it. A `window` without a `factorHistory` chooses the preset ' +
      "'reconstruction', which has one. `CgfacOptimizer.report` tells.",
  },
  method: {
    ...preconditionerRows.method,
    kind: kinds.choice(['auto', 'exact', 'kfac']),
    values: { ...preconditionerRows.method.values, cg: {} },
  },
  window: { ...preconditionerRows.window, text: preconditionerRows.window.text + chooses('reconstruction') },
  fisherFraction: {
    ...preconditionerRows.fisherFraction,
    text:
      'Share of a batch whose targets are sampled for the output factor. Where it is not given, the default preset ' +
      'samples those of all in batches of fewer than 32 samples, of losses of no known distribution and, of ' +
      'cross-entropies of soft targets, in the first ten steps; and whatever it is those of all are where the first ' +
      'half of a batch has less than a quarter of the weight under a known distribution, or a model is sure of ' +
      'answers that are right in that half alone.',
  },
  skipLayers: {
    ...preconditionerRows.skipLayers,
    text:
      'Layers that have a diagonal for their block instead: the names of their kernels, of what has these (`dense_1` ' +
      'of `dense_1/kernel`), or expressions that match the names of kernels.',
  },
  ...ownRows,
} satisfies OptionRows;

/** The `fisherFraction` of 'cg'. */
export const EVERY_TARGET = 1;

/** What {@link CgOptimizerOptions} says of its own; the defaults are those of 'cg'. */
export const cgOptimizerRows = {
  method: { kind: kinds.choice(['cg']), required: true, text: "CG-FAC, the paper's algorithm." },
  learningRate: {
    ...preconditionerRows.learningRate,
    text: 'Length of a step before ν shortens it, in units of the natural-gradient direction.',
  },
  damping: {
    ...preconditionerRows.damping,
    text:
      'λ of (F + λI): a number in the units of the per-sample loss, or `{ relative }` times the mean eigenvalue of ' +
      "each block's own F, which does not depend on the scale of the loss, as a number does.",
  },
  klClip: {
    ...preconditionerRows.klClip,
    text:
      'Bound κ on the size of a step as the Fisher matrix measures it: ν = min(1, √(κ/(learningRate²·Σ⟨v, x⟩))). ' +
      'In the units of the loss: of one that is a mean over D outputs it is D times as much as of their sum.',
  },
  maxIterations: preconditionerRows.maxIterations,
  tolerance: preconditionerRows.tolerance,
  warmStart: preconditionerRows.warmStart,
  space: preconditionerRows.space,
  factorDecay: preconditionerRows.factorDecay,
  rank: preconditionerRows.rank,
  panelRows: preconditionerRows.panelRows,
  window: preconditionerRows.window,
  fisherFraction: {
    ...preconditionerRows.fisherFraction,
    default: is(EVERY_TARGET),
    text: 'Share of a batch whose targets are sampled for the output factor.',
  },
} satisfies OptionRows;

/**
 * The options of {@link cgfac} and of {@link CgfacOptimizer} under any method but 'cg': those of `Preconditioner`, but
 * for `lossReduction` and `accumulationSteps`, which follow from the graph.
 */
export interface RecipeOptions extends Omit<PreconditionerOptions, NotInTheGraph> {
  // options:begin, written by scripts/generate-options.mjs
  /**
   * A set of defaults; any option given overrides it. A `window` without a `factorHistory` chooses the preset
   * 'reconstruction', which has one. `CgfacOptimizer.report` tells. `'adaptive'`: for any loss and any head: steps and
   * their bounds find their own length (damping { relative: 0.5 }, polyakFraction 1, fractionRule 'momentum',
   * maxRelativeChange 1, momentum 0.5, factorUpdateSteps 5, factorHistory 'panel', factorDecay 0.9, rank 128,
   * fisherFraction 0.5). `'safe'`: for any head, with φ and without bounds (damping { relative: 1 }, polyakFraction 1,
   * fractionRule 'fixed', maxRelativeChange none, momentum 0.5, factorUpdateSteps 5, factorHistory 'panel', factorDecay
   * 0.95, rank 128, fisherFraction 0.5). `'reconstruction'`: for autoencoders and regression (damping { relative: 0.3
   * }, polyakFraction 0.5, fractionRule 'fixed', maxRelativeChange none, momentum 0.5, factorUpdateSteps 2,
   * factorHistory 'none', factorDecay 0.95, rank 128, fisherFraction 0.5). `'image-classifier'`: for feed-forward
   * softmax classifiers of images, and not for recurrent networks or losses with an entropy floor (damping { relative:
   * 0.3 }, polyakFraction 2, fractionRule 'fixed', maxRelativeChange none, momentum 0, factorUpdateSteps 10,
   * factorHistory 'panel', factorDecay 0.95, rank 64, fisherFraction 0.5). Default: 'adaptive'.
   */
  readonly preset?: Preset;
  /**
   * How directions are solved for. `'auto'`: 'cg' or 'exact' by estimated time. `'exact'`: damped inverses of the
   * factors. `'kfac'`: direct K-FAC with running averages. Default: 'exact'.
   */
  readonly method?: 'auto' | 'exact' | 'kfac';
  /**
   * Rows that a factor is made of at the least; shorter batches are filled up with older rows, and so is the share of
   * them that targets were sampled for. Without it a batch that is shorter than the one before is filled up with rows
   * of that one. Without a `preset` or a `factorHistory` it chooses the preset 'reconstruction'. A positive integer.
   * Only with `factorHistory` 'none'. Default: 256 with `method` 'exact' and `dampingMode` 'factored'; else none.
   */
  readonly window?: number;
  /**
   * Share of a batch whose targets are sampled for the output factor. Where it is not given, the default preset samples
   * those of all in batches of fewer than 32 samples, of losses of no known distribution and, of cross-entropies of
   * soft targets, in the first ten steps; and whatever it is those of all are where the first half of a batch has less
   * than a quarter of the weight under a known distribution, or a model is sure of answers that are right in that half
   * alone. A number > 0 and ≤ 1, or a function of the step. Default: 0.5.
   */
  readonly fisherFraction?: Schedule<number>;
  /**
   * Layers that have a diagonal for their block instead: the names of their kernels, of what has these (`dense_1` of
   * `dense_1/kernel`), or expressions that match the names of kernels. Default: none.
   */
  readonly skipLayers?: readonly (string | RegExp)[];
  /**
   * Seed of the sampled targets. `CgfacOptimizer.getConfig` tells it. An integer from 0 to 2^53 - 1. Default: drawn at
   * random.
   */
  readonly seed?: number;
  /**
   * L_min, what the loss cannot fall below, where it is known better than by its head: of a cross-entropy it is the
   * entropy of the targets, of a divergence and of losses whose terms are all above 0 it is 0, of others none. A
   * number. Default: none.
   */
  readonly lossFloor?: number;
  /**
   * What the output factors are made of. `'true'`: gradients of targets sampled from the model's own output
   * distribution; of a loss that belongs to none, gradients of noise with the loss's own curvature. `'empirical'`: the
   * training gradients themselves. Default: 'true'.
   */
  readonly fisher?: 'true' | 'empirical';
  // options:end
}

/** The options of {@link cgfac} and of {@link CgfacOptimizer}. */
export type CgfacOptions = RecipeOptions | CgOptimizerOptions;

/**
 * The options of {@link cgfac} with `method: 'cg'`: the algorithm CG-FAC of the paper. A batch that is shorter than the
 * one before is filled up with rows of that one.
 */
export interface CgOptimizerOptions extends Omit<RecipeOptions, NotOfCg | 'method'> {
  // options:begin, written by scripts/generate-options.mjs
  /** CG-FAC, the paper's algorithm. No default. */
  readonly method: 'cg';
  /**
   * Length of a step before ν shortens it, in units of the natural-gradient direction. A number ≥ 0, or a function of
   * the step. Default: 1.
   */
  readonly learningRate?: Schedule<number>;
  /**
   * λ of (F + λI): a number in the units of the per-sample loss, or `{ relative }` times the mean eigenvalue of each
   * block's own F, which does not depend on the scale of the loss, as a number does. Default: `{ relative: 10 }`.
   */
  readonly damping?: Schedule<Damping>;
  /**
   * Bound κ on the size of a step as the Fisher matrix measures it: ν = min(1, √(κ/(learningRate²·Σ⟨v, x⟩))). In the
   * units of the loss: of one that is a mean over D outputs it is D times as much as of their sum. A number > 0, or a
   * function of the step. Only with `stepRule` 'kl-clip'. Default: 0.01.
   */
  readonly klClip?: Schedule<number>;
  /** The budget of iterations of a solve. Using it up is its normal end. A positive integer. Default: 15. */
  readonly maxIterations?: number;
  /**
   * The relative residual ‖r‖/‖v‖ at which a solve ends: with the warm start, what one step leaves undone the next ones
   * do, and solving each batch's system further than that fits its noise. 0 stops at the float32 floor. A number ≥ 0.
   * Default: 0.3.
   */
  readonly tolerance?: number;
  /**
   * Where a solve by 'cg' starts. `'previous'`: the previous solution (the paper's proposal; it often starts with a
   * larger residual, and trains better all the same). `'scaled'`: its multiple of least error. `'none'`: zero. Default:
   * 'previous'.
   */
  readonly warmStart?: 'none' | 'previous' | 'scaled';
  /**
   * Where the iterations run. `'auto'`: the one of fewer flops. `'weight'`: the space of the layer's weights, in
   * float32. `'gram'`: the space of the batch's rows, in float64. Default: 'auto'.
   */
  readonly space?: 'auto' | 'weight' | 'gram';
  /** Weight of the old average. A number ≥ 0 and < 1. Only with `factorHistory` 'panel' or 'dense'. Default: 0.95. */
  readonly factorDecay?: number;
  /** Directions of a panel. A positive integer. Only with `factorHistory` 'panel'. Default: 128. */
  readonly rank?: number;
  /**
   * Rows of a batch that enter a panel at a time, drawn from all of it. A positive integer. Only with `factorHistory`
   * 'panel'. Default: 128.
   */
  readonly panelRows?: number;
  /**
   * Rows that a factor is made of at the least; shorter batches are filled up with older rows, and so is the share of
   * them that targets were sampled for. Without it a batch that is shorter than the one before is filled up with rows
   * of that one. A positive integer. Only with `factorHistory` 'none'. Default: none.
   */
  readonly window?: number;
  /**
   * Share of a batch whose targets are sampled for the output factor. A number > 0 and ≤ 1, or a function of the step.
   * Default: 1.
   */
  readonly fisherFraction?: Schedule<number>;
  // options:end
}

/** The options of {@link cgfac} by name. */
export const recipeOptionNames: readonly string[] = Object.keys({ ...preconditionerRows, ...recipeRows }).filter(
  (name) => !NOT_IN_THE_GRAPH.some((other) => other === name),
);
