import {
  checkOptions,
  type Damping,
  oneOf,
  type PreconditionerOptions,
  type Preset,
  positive,
  preconditionerOptionNames,
  resolvePreconditionerOptions,
  type Schedule,
  seedOf,
  valueError,
} from '../adapter-kit';

/**
 * What follows from the graph, and what needs the loss after the step, which a training loop of TensorFlow.js does not
 * tell.
 */
type NotInTheGraph = 'lossReduction' | 'accumulationSteps' | 'adaptiveDamping' | 'adaptiveFraction';
const NOT_IN_THE_GRAPH: readonly string[] = [
  'lossReduction',
  'accumulationSteps',
  'adaptiveDamping',
  'adaptiveFraction',
] satisfies NotInTheGraph[];

/**
 * The options of {@link cgfac} and of {@link CgfacOptimizer} under any method but 'cg': those of {@link
 * PreconditionerOptions}, whose `lossReduction` and `accumulationSteps` follow from the graph.
 */
export interface RecipeOptions extends Omit<PreconditionerOptions, NotInTheGraph> {
  /**
   * A set of defaults; see {@link PreconditionerOptions.preset}. Default: the head decides, 'reconstruction' where one
   * has targets between 0 and 1 or a squared error, else, and where no head is known, 'safe';
   * but options that only one of the two can have choose that one, whatever the head: {@link RecipeOptions.rank},
   * {@link RecipeOptions.panelRows} and, without a `factorHistory`, {@link RecipeOptions.factorDecay} are of 'safe',
   * {@link RecipeOptions.window} is of 'reconstruction'. {@link CgfacOptimizer.report} tells.
   */
  readonly preset?: Preset;
  /**
   * Directions of a panel. Without a `preset` or a `factorHistory` it chooses the preset 'safe'. Default: the preset's,
   * or 128.
   */
  readonly rank?: number;
  /** Rows of a batch that enter a panel at a time. Likewise. Default: 128. */
  readonly panelRows?: number;
  /** Weight of the old average, 0 ≤ decay < 1, with a history and of 'kfac'. Likewise. Default: 0.95. */
  readonly factorDecay?: number;
  /**
   * Without a history: rows that a factor is made of at the least. Without a `preset` or a `factorHistory` it chooses
   * the preset 'reconstruction'. Default: 256.
   */
  readonly window?: number;
  /**
   * Seed of the sampled targets, an integer from 0 to 2⁵³ − 1. Default: drawn at random; {@link
   * CgfacOptimizer.getConfig} tells it.
   */
  readonly seed?: number;
  /** `'exact'`, `'kfac'` or `'auto'`; see {@link PreconditionerOptions.method}. Default: 'exact'. */
  readonly method?: 'auto' | 'exact' | 'kfac';
  /** Learning rate, > 0, of the variables that take plain gradient steps. Default: 0.01. */
  readonly gradientLearningRate?: number;
  /**
   * What the output factors are made of: gradients of targets sampled from the model's own output distribution
   * (`'true'`, which needs a softmax or sigmoid head with its cross-entropy, or a squared error), or the training
   * gradients themselves (`'empirical'`, any loss). Default `'true'`.
   */
  readonly fisher?: 'true' | 'empirical';
}

/** The options of {@link cgfac} and of {@link CgfacOptimizer}. */
export type CgfacOptions = RecipeOptions | CgOptimizerOptions;

/** What is of other methods. */
type NotOfCg =
  | 'preset'
  | 'polyakFraction'
  | 'trustRegion'
  | 'inverseUpdateSteps'
  | 'factorHistory'
  | 'factorDecay'
  | 'rank'
  | 'panelRows'
  | 'window';

/**
 * The options of {@link cgfac} with `method: 'cg'`: the algorithm CG-FAC of the paper. A batch that is shorter than the
 * one before is filled up with rows of that one.
 */
export interface CgOptimizerOptions extends Omit<RecipeOptions, NotOfCg | 'method'> {
  /** The method. */
  readonly method: 'cg';
  /** Length of a step before ν shortens it, > 0, a schedule, in units of the natural-gradient direction. Default 1. */
  readonly learningRate?: Schedule<number>;
  /**
   * λ of (F + λI), a schedule: a number > 0 in the units of the per-sample loss, or `{ relative }` (> 0) times the mean
   * eigenvalue of each block's own F. Default `{ relative: 10 }`, which does not depend on the scale of the loss, as a
   * number does.
   */
  readonly damping?: Schedule<Damping>;
  /**
   * Bound κ on the size of a step as the Fisher matrix measures it, > 0, a schedule: ν = min(1, √(κ/(learningRate²·Σ⟨v,
   * x⟩))). In the units of the loss: of one that is a mean over D outputs it is D times as much as of their sum.
   * Default 1e-2.
   */
  readonly klClip?: Schedule<number>;
  /** Conjugate-gradient iterations for each block and step, at least 1. Default 15. */
  readonly maxIterations?: number;
  /**
   * Relative residual ‖r‖/‖v‖, ≥ 0, at which the iterations of a block end. Default 0.3: with the warm start, what one
   * step leaves undone the next ones do, and solving each batch's system further than that fits its noise.
   */
  readonly tolerance?: number;
  /**
   * Where the iterations of a block start: at its last direction, at that times the best factor, or at zero. Default
   * `'previous'`.
   */
  readonly warmStart?: 'none' | 'previous' | 'scaled';
  /**
   * Where the iterations take place: in the space of the weights, in that of the rows, or in the cheaper of the two.
   * Default `'auto'`.
   */
  readonly space?: 'auto' | 'weight' | 'gram';
  /** Share of a batch whose targets are sampled for the output factor, 0 < fraction ≤ 1. Default: 1. */
  readonly fisherFraction?: NonNullable<PreconditionerOptions['fisherFraction']>;
}

/** The options after their check; those of the preconditioner are checked when they are given to it, too. */
export interface ResolvedRecipeOptions {
  readonly method: 'auto' | 'cg' | 'exact' | 'kfac';
  /** Those that the options fit: where there are several the head chooses. */
  readonly presets: readonly Preset[];
  /** Whether the preset is an option given. */
  readonly chosen: boolean;
  readonly gradientLearningRate: number;
  readonly fisher: 'true' | 'empirical';
  readonly seed: number;
  readonly given: Readonly<Record<string, unknown>>;
}

const RECIPE_NAMES: readonly string[] = [
  ...preconditionerOptionNames.filter((name) => !NOT_IN_THE_GRAPH.includes(name)),
  'gradientLearningRate',
  'fisher',
];

const anySeed = () => Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);

/** The presets that the head may choose from and that the options fit. */
function presetsFor(network: object): readonly Preset[] {
  const refusals: unknown[] = [];
  const fitting = (['safe', 'reconstruction'] as const).filter((preset) => {
    try {
      resolvePreconditionerOptions({ ...network, preset, lossReduction: 'mean' }, 'cgfac');
      return true;
    } catch (error) {
      refusals.push(error);
      return false;
    }
  });
  if (fitting.length === 0) throw refusals[0];
  return fitting;
}

/**
 * Checks the options and draws the seed where there is none.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`,
 * `ERR_CGFAC_MISSING_OPTION`.
 */
export function resolveRecipeOptions(options: unknown): ResolvedRecipeOptions {
  checkOptions(options, 'cgfac', RECIPE_NAMES);
  const { gradientLearningRate, fisher, ...given } = options as Readonly<Record<string, unknown>>;
  const seed = given.seed === undefined ? anySeed() : seedOf(given.seed, 'seed');
  if (given.method === 'cg' && given.preset !== undefined)
    throw valueError("no preset with method 'cg'", 'preset', given.preset);
  const all = given.method === 'cg' && given.fisherFraction === undefined ? { fisherFraction: 1 } : {};
  const network = { ...given, ...all, seed };
  const fitting = given.preset === undefined ? presetsFor(network) : undefined;
  const { preset, method } = resolvePreconditionerOptions(
    { preset: fitting?.[0], ...network, lossReduction: 'mean' },
    'cgfac',
  );
  return {
    method,
    presets: fitting ?? [preset],
    chosen: fitting === undefined,
    gradientLearningRate:
      gradientLearningRate === undefined ? 0.01 : positive(gradientLearningRate, 'gradientLearningRate'),
    fisher: fisher === undefined ? 'true' : oneOf(fisher, 'fisher', ['true', 'empirical']),
    seed,
    given: network,
  };
}

/** Of a saved configuration, the options; what a loader adds, and what was saved as missing, is left out. */
export function optionsOf(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const name of RECIPE_NAMES) {
    if (config[name] !== undefined && config[name] !== null) options[name] = config[name];
  }
  return options;
}
