import { checkOptions, damping, nonNegative, oneOf, positive, positiveInteger, typeError, valueError } from '../validate';
import type { Damping } from '../weight-vector';

/** The options of {@link cgfac} and of {@link CgfacOptimizer}. */
export interface CgfacOptions {
  /** Length of a step before ν shortens it, > 0, in units of the natural-gradient direction. Default 1. */
  readonly learningRate?: number;
  /** Learning rate, > 0, of the variables that take plain gradient steps. Default: `learningRate`. */
  readonly gradientLearningRate?: number;
  /**
   * λ of (F + λI): a number > 0 in the units of the per-sample loss, or `{ relative }` (> 0) times the mean eigenvalue of each block's
   * own F. Default `{ relative: 10 }`, which does not depend on the scale of the loss, as a number does.
   */
  readonly damping?: Damping;
  /** Bound κ on the size of a step as the Fisher matrix measures it, > 0: ν = min(1, √(κ/(learningRate²·Σ⟨v, x⟩))). Default 1e-2. */
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
export interface ResolvedOptions extends Required<Omit<CgfacOptions, 'gradientLearningRate'>> {
  readonly gradientLearningRate: number | undefined;
}

const NAMES: readonly (keyof CgfacOptions)[] = [
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

/** A seed: an integer that a double holds exactly. */
function seed(value: unknown): number {
  if (typeof value !== 'number') throw typeError('an integer from 0 to 2^53 - 1', 'seed', value);
  if (!Number.isSafeInteger(value) || value < 0) throw valueError('an integer from 0 to 2^53 - 1', 'seed', value);
  return value;
}

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`.
 */
export function resolveOptions(options: unknown): ResolvedOptions {
  checkOptions(options, 'cgfac', NAMES);
  const given: Readonly<Partial<Record<keyof CgfacOptions, unknown>>> = options;
  const read = <T>(name: keyof CgfacOptions, check: (value: unknown, name: string) => T, otherwise: T): T =>
    given[name] === undefined ? otherwise : check(given[name], name);
  return {
    learningRate: read('learningRate', positive, 1),
    gradientLearningRate: read<number | undefined>('gradientLearningRate', positive, undefined),
    damping: read<Damping>('damping', damping, { relative: 10 }),
    klClip: read('klClip', positive, 1e-2),
    maxIterations: read('maxIterations', positiveInteger, 15),
    tolerance: read('tolerance', nonNegative, 0.3),
    warmStart: read('warmStart', (value, name) => oneOf(value, name, ['none', 'previous', 'scaled']), 'previous'),
    space: read('space', (value, name) => oneOf(value, name, ['auto', 'weight', 'gram']), 'auto'),
    fisher: read('fisher', (value, name) => oneOf(value, name, ['true', 'empirical']), 'true'),
    seed: read('seed', seed, Math.floor(Math.random() * Number.MAX_SAFE_INTEGER)),
  };
}

/** Of a saved configuration, the options; what a loader adds, and what was saved as missing, is left out. */
export function optionsOf(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const name of NAMES) {
    if (config[name] !== undefined && config[name] !== null) options[name] = config[name];
  }
  return options;
}
