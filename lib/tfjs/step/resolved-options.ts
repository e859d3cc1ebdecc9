/** What the options of {@link cgfac} come to. */
import {
  CgfacError,
  type Communicator,
  type PreconditionerOptions,
  type Preset,
  preconditionerRows,
  reading,
  readOptions,
  resolveOptions,
  resolvePreconditionerOptions,
  typeError,
  valueError,
} from '../../adapter-kit';
import { EVERY_TARGET, ownRows, recipeOptionNames } from '../options';

type Given = Readonly<Record<string, unknown>>;

/** The ranks that train a model together, two of them or more, and how often they compare their weights. */
export interface RanksOptions {
  readonly communicator: Communicator;
  readonly weightCheckSteps: number;
}

/** The options after their check; those of the preconditioner are checked when they are given to it, too. */
export interface ResolvedRecipeOptions {
  readonly method: NonNullable<PreconditionerOptions['method']>;
  /** The presets that the options fit: the first of them holds. */
  readonly presets: readonly Preset[];
  /** Whether the preset is an option given. */
  readonly chosen: boolean;
  readonly lossFloor: number | undefined;
  readonly fisher: 'true' | 'empirical';
  readonly seed: number;
  /** Where there are others. */
  readonly ranks?: RanksOptions;
  readonly given: Readonly<Record<string, unknown>>;
}

/** The presets that the options fit, the default first. */
function presetsFor(network: object): readonly Preset[] {
  const refusals: unknown[] = [];
  const fitting = (['adaptive', 'safe', 'reconstruction'] as const).filter((preset) => {
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

/** Refuses the learning rate of the plain gradient steps that 0.1.0 took for what no layer has. */
function refusePlainSteps(options: unknown): void {
  const asked = reading('an object that can be read', 'the options of cgfac', () => {
    return typeof options === 'object' && options !== null && 'gradientLearningRate' in options;
  });
  if (!asked) return;
  throw new CgfacError(
    'ERR_CGFAC_UNKNOWN_OPTION',
    'Expected no gradientLearningRate for cgfac but received one: variables that no layer has take part in the step ' +
      'itself since 0.2, and learningRate is a factor of all that moves',
  );
}

/** Options that are objects of the caller's, which may be changed afterwards. */
const OBJECTS = ['damping', 'trustRegion', 'skipLayers'] as const;

/** The options, each read once, and those that are objects copied. */
function readOnce(options: unknown): Given {
  const given = readOptions(options as Given, 'cgfac', recipeOptionNames);
  const copies = OBJECTS.flatMap((name) => {
    if (given[name] === undefined) return [];
    return [[name, preconditionerRows[name].kind.check(given[name], name, () => undefined)] as const];
  });
  return { ...given, ...Object.fromEntries(copies) };
}

/**
 * Checks the options and draws the seed where there is none.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`,
 * `ERR_CGFAC_MISSING_OPTION`.
 */
export function resolveRecipeOptions(options: unknown): ResolvedRecipeOptions {
  refusePlainSteps(options);
  const { lossFloor, fisher, ...given } = readOnce(options);
  const own = resolveOptions(ownRows, { seed: given.seed, lossFloor, fisher }, 'cgfac');
  if (given.method === 'cg' && given.preset !== undefined)
    throw valueError("no preset with method 'cg'", 'preset', given.preset);
  const { fisherFraction = given.method === 'cg' ? EVERY_TARGET : undefined } = given;
  const network = { ...given, ...(fisherFraction === undefined ? {} : { fisherFraction }), seed: own.seed };
  const fitting = given.preset === undefined ? presetsFor(network) : undefined;
  const { preset, method, communicator, weightCheckSteps } = resolvePreconditionerOptions(
    { preset: fitting?.[0], ...network, lossReduction: 'mean' },
    'cgfac',
  );
  const several = reading('a communicator', 'communicator', () => communicator !== undefined && communicator.size > 1);
  const ranks = communicator && several ? { ranks: { communicator, weightCheckSteps } } : {};
  return { ...own, ...ranks, method, presets: fitting ?? [preset], chosen: fitting === undefined, given: network };
}

/**
 * The options in a saved configuration, each read once; what a loader adds, and what was saved as missing, is left out.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE` for anything but an object, `ERR_CGFAC_INVALID_ARG_VALUE` for
 * one that cannot be read.
 */
export function optionsOf(config: unknown): Record<string, unknown> {
  if (typeof config !== 'object' || config === null) throw typeError('an object', 'the configuration of cgfac', config);
  const options: Record<string, unknown> = {};
  for (const name of recipeOptionNames) {
    const value = reading('an object that can be read', 'the configuration of cgfac', () => (config as Given)[name]);
    if (value !== undefined && value !== null) options[name] = value;
  }
  return options;
}
