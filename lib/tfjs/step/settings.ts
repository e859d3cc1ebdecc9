import { nonNegative, type PreconditionerOptions, type Preset, type Schedule } from '../../adapter-kit';
import type { Layer } from '../kinds/layer-kind';
import { stemOf } from '../saving/matches';
import { type RanksOptions, type ResolvedRecipeOptions, resolveRecipeOptions } from './resolved-options';

/** How the reason begins why `skipLayers` keeps a layer from being preconditioned. */
export const SKIPPED = 'skipLayers names it';

/** What is of no use without a communicator, which no file can hold. */
const OF_RANKS: readonly string[] = ['communicator', 'ownerRows', 'weightCheckSteps'];

/** The options of a recipe, of which the learning rate and the seed may be set between steps. */
export class RecipeSettings {
  #options: ResolvedRecipeOptions;

  constructor(options: unknown) {
    this.#options = resolveRecipeOptions(options);
  }

  get seed(): number {
    return this.#options.seed;
  }

  set seed(seed: number) {
    this.#options = { ...this.#options, seed, given: { ...this.#options.given, seed } };
  }

  /** The ranks that train together, where there are others. */
  get ranks(): RanksOptions | undefined {
    return this.#options.ranks;
  }

  get fisher(): 'true' | 'empirical' {
    return this.#options.fisher;
  }

  /** L_min, where an option gives it. */
  get lossFloor(): number | undefined {
    return this.#options.lossFloor;
  }

  get learningRate(): Schedule<number> {
    return (this.#options.given.learningRate as Schedule<number> | undefined) ?? 1;
  }

  set learningRate(value: Schedule<number>) {
    if (typeof value !== 'function') nonNegative(value, 'learningRate');
    this.#options = { ...this.#options, given: { ...this.#options.given, learningRate: value } };
  }

  /** Whether an option says whose targets are sampled. */
  get choosesFraction(): boolean {
    return this.#options.given.fisherFraction !== undefined;
  }

  /** The preset of a saved state where the options fit it, else the first one that they fit. */
  presetOf(saved: Preset | undefined): Preset {
    const { presets } = this.#options;
    return saved !== undefined && presets.includes(saved) ? saved : (presets[0] ?? 'adaptive');
  }

  /** The preset that the options ask for, where no option named it; `undefined` of the default. */
  get impliedPreset(): Preset | undefined {
    const { presets, chosen } = this.#options;
    return presets[0] === 'adaptive' || chosen ? undefined : presets[0];
  }

  /** The options of a preconditioner with this preset. Which layers it gets is decided here. */
  preconditionerOptions(preset: Preset): PreconditionerOptions {
    const { skipLayers: _, ...given } = this.#options.given;
    return { ...given, preset, lossReduction: 'mean' };
  }

  /**
   * Why `skipLayers` keeps a layer from being preconditioned; `undefined` where it does not. A name is that of the
   * kernel, or of what has it (`dense_1` of `dense_1/kernel`). A variable goes by the name that its layer gave it, too,
   * where TensorFlow.js added a number to make it the only one, as it does where a model is loaded beside the one that
   * was saved.
   *
   * @param taken - The names of all variables of the step: such a number is part of the name where the rest is one.
   */
  refused({ kernel: { variable } }: Layer, taken: ReadonlySet<string>): string | undefined {
    const { skipLayers } = this.#options.given as { readonly skipLayers?: readonly (string | RegExp)[] };
    const stem = stemOf(variable.name);
    const names = taken.has(stem) ? [variable.name] : [variable.name, stem];
    const pattern = skipLayers?.find((each) =>
      names.some((name) =>
        typeof each === 'string' ? name === each || name.startsWith(`${each}/`) : name.search(each) >= 0,
      ),
    );
    return pattern === undefined ? undefined : `${SKIPPED} (${String(pattern)})`;
  }

  /** The options as they are saved, without those that no file can hold. */
  config(): Readonly<Record<string, unknown>> {
    const { given, lossFloor, fisher, method } = this.#options;
    const left = this.unsavable();
    const floor = lossFloor === undefined ? {} : { lossFloor };
    const kept = (name: string) => !left.includes(name) && !OF_RANKS.includes(name);
    const savable = Object.entries(given).filter(([name]) => kept(name));
    return { ...Object.fromEntries(savable), method, fisher, ...floor };
  }

  /** Names of the options that no file can hold. */
  unsavable(): string[] {
    return Object.entries(this.#options.given).flatMap(([name, value]) => {
      const lost =
        name === 'communicator' ||
        typeof value === 'function' ||
        (Array.isArray(value) && value.some((each) => typeof each !== 'string'));
      return lost ? [name] : [];
    });
  }
}
