import {
  type PreconditionerOptions,
  type Preset,
  preconditionerOptionNames,
  resolvePreconditionerOptions,
  seedOf,
} from '../preconditioner-options';
import { checkOptions, damping, nonNegative, oneOf, positive, positiveInteger } from '../validate';
import type { Damping } from '../weight-vector';

/** What follows from the graph, and what needs the loss after the step, which a training loop of TensorFlow.js does not tell. */
type NotInTheGraph = 'lossReduction' | 'accumulationSteps' | 'adaptiveDamping' | 'adaptiveFraction';
const NOT_IN_THE_GRAPH: readonly string[] = [
  'lossReduction',
  'accumulationSteps',
  'adaptiveDamping',
  'adaptiveFraction',
] satisfies NotInTheGraph[];

/**
 * The options of {@link cgfac} and of {@link CgfacOptimizer} under any method but 'cg': those of {@link PreconditionerOptions}, whose
 * `lossReduction` and `accumulationSteps` follow from the graph.
 */
export interface RecipeOptions extends Omit<PreconditionerOptions, NotInTheGraph> {
  /**
   * A set of defaults; see {@link PreconditionerOptions.preset}. Default: the head decides, 'reconstruction' for soft targets, else 'safe';
   * but options that only one of the two can have choose that one, whatever the head: {@link RecipeOptions.rank},
   * {@link RecipeOptions.panelRows} and, without a `factorHistory`, {@link RecipeOptions.factorDecay} are of 'safe',
   * {@link RecipeOptions.window} is of 'reconstruction'. {@link CgfacOptimizer.report} tells.
   */
  readonly preset?: Preset;
  /** Directions of a panel. Without a `preset` or a `factorHistory` it chooses the preset 'safe'. Default: the preset's, or 128. */
  readonly rank?: number;
  /** Rows of a batch that enter a panel at a time. Likewise. Default: 64. */
  readonly panelRows?: number;
  /** Weight of the old average, 0 ≤ decay < 1, with a history and of 'kfac'. Likewise. Default: 0.95. */
  readonly factorDecay?: number;
  /**
   * Without a history: rows that a factor is made of at the least. Without a `preset` or a `factorHistory` it chooses the preset
   * 'reconstruction'. Default: 256.
   */
  readonly window?: number;
  /** `'exact'`, `'kfac'` or `'auto'`; see {@link PreconditionerOptions.method}. Default: 'exact'. */
  readonly method?: 'auto' | 'exact' | 'kfac';
  /** Learning rate, > 0, of the variables that take plain gradient steps. Default: 0.01. */
  readonly gradientLearningRate?: number;
  /** As {@link CgOptimizerOptions.fisher}. Default: 'true'. */
  readonly fisher?: 'true' | 'empirical';
}

/** The options of {@link cgfac} and of {@link CgfacOptimizer}. */
export type CgfacOptions = RecipeOptions | CgOptimizerOptions;

/** The options of {@link cgfac} with `method: 'cg'`: the algorithm CG-FAC of the paper. */
export interface CgOptimizerOptions {
  /** The method. */
  readonly method: 'cg';
  /** Length of a step before ν shortens it, > 0, in units of the natural-gradient direction. Default 1. */
  readonly learningRate?: number;
  /** Learning rate, > 0, of the variables that take plain gradient steps. Default: `learningRate`. */
  readonly gradientLearningRate?: number;
  /**
   * λ of (F + λI): a number > 0 in the units of the per-sample loss, or `{ relative }` (> 0) times the mean eigenvalue of each block's
   * own F. Default `{ relative: 10 }`, which does not depend on the scale of the loss, as a number does.
   */
  readonly damping?: Damping;
  /**
   * Bound κ on the size of a step as the Fisher matrix measures it, > 0: ν = min(1, √(κ/(learningRate²·Σ⟨v, x⟩))). In the units of the
   * loss: of one that is a mean over D outputs it is D times as much as of their sum. Default 1e-2.
   */
  readonly klClip?: number;
  /** Conjugate-gradient iterations for each block and step, at least 1. Default 15. */
  readonly maxIterations?: number;
  /**
   * Relative residual ‖r‖/‖v‖, ≥ 0, at which the iterations of a block end. Default 0.3: with the warm start, what one step leaves
   * undone the next ones do, and solving each batch's system further than that fits its noise.
   */
  readonly tolerance?: number;
  /** Where the iterations of a block start: at its last direction, at that times the best factor, or at zero. Default `'previous'`. */
  readonly warmStart?: 'none' | 'previous' | 'scaled';
  /** Where the iterations take place: in the space of the weights, in that of the rows, or in the cheaper of the two. Default `'auto'`. */
  readonly space?: 'auto' | 'weight' | 'gram';
  /**
   * What the output factors are made of: gradients of targets sampled from the model's own output distribution (`'true'`, which needs
   * a softmax or sigmoid head with its cross-entropy), or the training gradients themselves (`'empirical'`, any loss). Default `'true'`.
   */
  readonly fisher?: 'true' | 'empirical';
  /** Seed of the sampled targets, an integer from 0 to 2⁵³ − 1. Default: drawn at random; {@link CgfacOptimizer.getConfig} tells it. */
  readonly seed?: number;
}

/** The options after their check, with the defaults filled in. */
export interface ResolvedCgOptions extends Required<Omit<CgOptimizerOptions, 'gradientLearningRate'>> {
  readonly gradientLearningRate: number | undefined;
}

/** The same of every other method; the options of the preconditioner are checked when they are given to it. */
export interface ResolvedRecipeOptions {
  readonly method: 'auto' | 'exact' | 'kfac';
  /** Those that the options fit: where there are several the head chooses. */
  readonly presets: readonly Preset[];
  /** Whether the preset is an option given. */
  readonly chosen: boolean;
  readonly gradientLearningRate: number;
  readonly fisher: 'true' | 'empirical';
  readonly seed: number;
  readonly given: Readonly<Record<string, unknown>>;
}

const CG_NAMES: readonly (keyof CgOptimizerOptions)[] = [
  'method',
  'learningRate',
  'gradientLearningRate',
  'damping',
  'klClip',
  'maxIterations',
  'tolerance',
  'warmStart',
  'space',
  'fisher',
  'seed',
];

const RECIPE_NAMES: readonly string[] = [
  ...preconditionerOptionNames.filter((name) => !NOT_IN_THE_GRAPH.includes(name)),
  'gradientLearningRate',
  'fisher',
];

const anySeed = () => Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);

/** Whether options ask for the paper's algorithm. */
export function isCg(options: unknown): boolean {
  return typeof options === 'object' && options !== null && 'method' in options && options.method === 'cg';
}

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
 * Checks the options of the recipe.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_MISSING_OPTION`.
 */
export function resolveRecipeOptions(options: unknown): ResolvedRecipeOptions {
  checkOptions(options, 'cgfac', RECIPE_NAMES);
  const { gradientLearningRate, fisher, ...given } = options as Readonly<Record<string, unknown>>;
  const seed = given.seed === undefined ? anySeed() : seedOf(given.seed, 'seed');
  const network = { ...given, seed };
  const fitting = given.preset === undefined ? presetsFor(network) : undefined;
  const { preset, method } = resolvePreconditionerOptions({ preset: fitting?.[0], ...network, lossReduction: 'mean' }, 'cgfac');
  return {
    method: method === 'cg' ? 'exact' : method,
    presets: fitting ?? [preset],
    chosen: fitting === undefined,
    gradientLearningRate: gradientLearningRate === undefined ? 0.01 : positive(gradientLearningRate, 'gradientLearningRate'),
    fisher: fisher === undefined ? 'true' : oneOf(fisher, 'fisher', ['true', 'empirical']),
    seed,
    given: network,
  };
}

/**
 * Checks the options of the paper's algorithm and fills in the defaults.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`.
 */
export function resolveCgOptions(options: unknown): ResolvedCgOptions {
  checkOptions(options, 'cgfac', CG_NAMES);
  const given: Readonly<Partial<Record<keyof CgOptimizerOptions, unknown>>> = options;
  const read = <T>(name: keyof CgOptimizerOptions, check: (value: unknown, name: string) => T, otherwise: T): T =>
    given[name] === undefined ? otherwise : check(given[name], name);
  return {
    method: 'cg',
    learningRate: read('learningRate', positive, 1),
    gradientLearningRate: read<number | undefined>('gradientLearningRate', positive, undefined),
    damping: read<Damping>('damping', damping, { relative: 10 }),
    klClip: read('klClip', positive, 1e-2),
    maxIterations: read('maxIterations', positiveInteger, 15),
    tolerance: read('tolerance', nonNegative, 0.3),
    warmStart: read('warmStart', (value, name) => oneOf(value, name, ['none', 'previous', 'scaled']), 'previous'),
    space: read('space', (value, name) => oneOf(value, name, ['auto', 'weight', 'gram']), 'auto'),
    fisher: read('fisher', (value, name) => oneOf(value, name, ['true', 'empirical']), 'true'),
    seed: read('seed', seedOf, anySeed()),
  };
}

/** Of a saved configuration, the options; what a loader adds, and what was saved as missing, is left out. */
export function optionsOf(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const name of isCg(config) ? CG_NAMES : RECIPE_NAMES) {
    if (config[name] !== undefined && config[name] !== null) options[name] = config[name];
  }
  return options;
}
