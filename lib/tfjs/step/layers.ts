import type { Variable } from '@tensorflow/tfjs-core';
import {
  type AdaptationState,
  CgfacError,
  type NetworkMemory,
  type NetworkReport,
  Preconditioner,
  type PreconditionerState,
  type Preset,
  type ResolvedPreconditionerOptions,
  resolvePreconditionerOptions,
  type StoredLayer,
  withoutProduct,
} from '../../adapter-kit';
import {
  type Block,
  blockName,
  type Layer,
  type LayerPlace,
  type Registration,
  registerLone,
  variablesOf,
} from '../kinds/layer-kind';
import { isSamePart, whole } from '../kinds/part';
import type { LoadedState } from '../saving/loaded';
import type { SavedState, StatedLayer } from '../saving/saved-state';
import { type NewLayer, unlikeSaved } from '../saving/take-over';
import type { StepRanks } from './ranks';
import type { RecipeSettings } from './settings';

/** A layer, or a lone variable, that a step has met. */
export interface KnownLayer extends Block {
  /** What the preconditioner calls it: the name of its kernel, or of itself, numbered where several have that. */
  readonly name: string;
  readonly register: Registration;
  readonly place: LayerPlace;
  /** Whether it is a lone variable. */
  readonly lone: boolean;
}

/** Whether a block is that of a lone variable. */
const isLone = (block: Block): boolean => !('sites' in block);

/** What {@link RecipeLayers.named} finds of the layers of a step. */
export interface NamedLayers {
  /** What the preconditioner calls the layers, in their order. */
  readonly names: readonly string[];
  /** What it calls the lone variables. */
  readonly loneNames: readonly string[];
  /** The layers that no step has met before. */
  readonly fresh: readonly KnownLayer[];
}

/** The preset that a state was saved under; of 0.1.0, which did not tell, that of its head. */
function presetOf({ preset, soft }: SavedState): Preset {
  return preset ?? (soft ? 'reconstruction' : 'safe');
}

/** How far φ has come; where each layer has a product of its own with the momentum, without that of all. */
function adaptationOf({ version }: SavedState, adaptation: AdaptationState): AdaptationState {
  return version === undefined ? adaptation : withoutProduct(adaptation);
}

/** The state of a layer that has taken no step. */
const NOTHING_SAVED: StoredLayer = { started: false, steps: 0 };

/** The layers that a recipe has met, and the preconditioner that has them under its care. */
export class RecipeLayers {
  readonly #settings: RecipeSettings;
  readonly #ranks: StepRanks | undefined;
  #options: ResolvedPreconditionerOptions | undefined;
  #preconditioner: Preconditioner | undefined;
  #known: readonly KnownLayer[] = [];

  constructor(settings: RecipeSettings, ranks: StepRanks | undefined) {
    this.#settings = settings;
    this.#ranks = ranks;
  }

  /** The layers that are known, in the order in which they came. */
  get known(): readonly KnownLayer[] {
    return this.#known;
  }

  /** The options under which steps are taken; `undefined` before the first step. */
  get options(): ResolvedPreconditionerOptions | undefined {
    return this.#options;
  }

  /** The known layers whose variables are all there. */
  get alive(): readonly KnownLayer[] {
    return this.#known.filter((known) => !variablesOf(known).some(({ isDisposed }) => isDisposed));
  }

  /** The known layers of variables that were disposed of. */
  get gone(): readonly KnownLayer[] {
    const { alive } = this;
    return alive.length === this.#known.length ? [] : this.#known.filter((known) => !alive.includes(known));
  }

  /** The state of the preconditioner, a collective of several ranks; `undefined` before the first step. */
  state(): PreconditionerState | undefined {
    return this.#preconditioner && this.#stateOf(this.#preconditioner);
  }

  /** The layers that are known, with their parts of a state. */
  stated(state: PreconditionerState | undefined): StatedLayer[] {
    return this.#known.map(({ name, kernel, bias, lone }) => {
      return { name, kernel, bias, lone, state: state?.layers[name] ?? NOTHING_SAVED };
    });
  }

  /** What the preconditioner tells of its layers; `undefined` before the first step. */
  report(): NetworkReport | undefined {
    return this.#preconditioner?.report();
  }

  /** Bytes that the preconditioner keeps; `undefined` before the first step. */
  memoryUsage(): NetworkMemory | undefined {
    return this.#preconditioner?.memoryUsage();
  }

  /** Has the preconditioner follow the settings, whose learning rate was set. */
  learningRateSet(): void {
    if (this.#preconditioner) this.#preconditioner.learningRate = this.#settings.learningRate;
  }

  /**
   * The preconditioner, made at the first step, and counting on from what was saved.
   */
  open(saved: SavedState | undefined): Preconditioner {
    if (this.#preconditioner) return this.#preconditioner;
    const preset = this.#settings.presetOf(saved && saved.layers.length > 0 ? presetOf(saved) : undefined);
    const { seed } = this.#settings;
    const counted = saved && {
      version: 1 as const,
      steps: saved.steps,
      skippedSteps: saved.skippedSteps,
      seed,
      layers: {},
      ...(saved.adaptation ? { adaptation: adaptationOf(saved, saved.adaptation) } : {}),
    };
    this.#options = resolvePreconditionerOptions(this.#settings.preconditionerOptions(preset), 'cgfac');
    this.#preconditioner = this.#made(this.#options, [], counted);
    return this.#preconditioner;
  }

  /** Whether a step has met a layer or a lone variable, here or before what is `loaded` was saved. */
  know(block: Block, loaded: LoadedState): boolean {
    if (this.#find(this.#known, block, isLone(block)) !== undefined) return true;
    const [state] = loaded.statesOf([{ ...block, name: blockName(block), lone: isLone(block) }]);
    return (state?.factors ?? state?.solver) !== undefined;
  }

  /** Steps that layers and lone variables have taken part in, by what is `loaded` where they have not been met yet. */
  stepsOf(preconditioner: Preconditioner, blocks: readonly Block[], loaded: LoadedState): number[] {
    const known = blocks.map((block) => this.#find(this.#known, block, isLone(block)));
    const unmet = blocks.flatMap((block, index): NewLayer[] =>
      known[index] ? [] : [{ ...block, name: blockName(block), lone: isLone(block) }],
    );
    const states = unmet.length > 0 ? [...loaded.statesOf(unmet)] : [];
    return known.map((layer) => {
      if (layer) return preconditioner.stepsOf(layer.name);
      const { factors, solver, steps = 0 } = states.shift() ?? {};
      return factors === undefined && solver === undefined ? 0 : steps; // without factors it begins again
    });
  }

  /**
   * Finds the layers and lone variables of a step among those that are known, and names the others, which are not taken
   * in yet.
   */
  named(
    layers: readonly (Layer & LayerPlace)[],
    lone: readonly (Omit<LayerPlace, 'output'> & { readonly variable: Variable })[],
  ): NamedLayers {
    const known = [...this.#known];
    const nameOf = (block: Block, lone: boolean, more: () => Omit<KnownLayer, 'name' | 'kernel' | 'bias' | 'lone'>) => {
      const found = this.#find(known, block, lone);
      if (found) return found.name;
      const { kernel, bias } = block;
      let name = blockName(block);
      for (let use = 2; known.some((each) => each.name === name); use++) name = `${blockName(block)}#${use}`;
      known.push({ name, kernel, bias, lone, ...more() });
      return name;
    };
    const names = layers.map((layer) =>
      nameOf(layer, false, () => {
        const { bias, sites, recurrent, attended, judged, output } = layer;
        return {
          register: sites[0].registration(bias !== undefined, sites[0].outFeatures),
          place: { recurrent, attended, judged, output },
        };
      }),
    );
    const loneNames = lone.map(({ variable, recurrent, attended, judged }) =>
      nameOf({ kernel: whole(variable), bias: undefined }, true, () => {
        return { register: registerLone(variable), place: { recurrent, attended, judged, output: false } };
      }),
    );
    return { names, loneNames, fresh: known.slice(this.#known.length) };
  }

  /** What the preconditioner calls a lone variable; `undefined` of one that it has not. */
  nameOf(variable: Variable): string | undefined {
    const block = { kernel: whole(variable), bias: undefined };
    return this.#find(this.#known, block, true)?.name;
  }

  /** Takes in layers that no step has met before. */
  add(preconditioner: Preconditioner, fresh: readonly KnownLayer[]): void {
    for (const { name, register, place } of fresh) register(preconditioner, name, place);
    this.#known = [...this.#known, ...fresh];
  }

  /**
   * Takes in layers that no step has met before with their saved states. Nothing is changed where these do not fit.
   *
   * @throws {@link CgfacError} for states of other layers.
   */
  addSaved(
    preconditioner: Preconditioner,
    fresh: readonly KnownLayer[],
    states: readonly (StoredLayer | undefined)[],
  ): void {
    if (fresh.length === 0) return;
    const before = this.#stateOf(preconditioner);
    const added = fresh.map(({ name }, index) => [name, states[index] ?? NOTHING_SAVED] as const);
    this.#replace([...this.#known, ...fresh], {
      ...before,
      layers: { ...before.layers, ...Object.fromEntries(added) },
    });
  }

  /** Lets go of the layers of variables that were disposed of: a collective of several ranks, where there are such. */
  prune(): void {
    const { alive } = this;
    if (alive.length === this.#known.length) return;
    const state = this.state();
    if (state !== undefined) this.#replace(alive, state);
  }

  /** Tells the preconditioner, which knows nothing of a step without layers, that one came between skipped ones. */
  endRow(): void {
    const state = this.state();
    if (!state || state.skippedSteps.inARow === 0) return;
    this.#preconditioner?.loadStateDict({ ...state, skippedSteps: { ...state.skippedSteps, inARow: 0 } });
  }

  /** Lets go of everything. */
  dispose(): void {
    this.#preconditioner?.reset();
    this.#preconditioner = undefined;
    this.#options = undefined;
    this.#known = [];
  }

  /** The state of all ranks, on each of them. */
  #stateOf(preconditioner: Preconditioner): PreconditionerState {
    const all = this.#ranks?.shared(preconditioner.gatherStateSync());
    return all ?? preconditioner.stateDict();
  }

  /** A variable may be that of a layer in one loss, and alone in another: each is a block of its own. */
  #find(known: readonly KnownLayer[], block: Block, alone: boolean): KnownLayer | undefined {
    return known.find(
      ({ kernel, bias, lone }) => lone === alone && isSamePart(kernel, block.kernel) && isSamePart(bias, block.bias),
    );
  }

  /** A preconditioner of the layers `known`, with a state where there is one. */
  #made(
    { preset }: ResolvedPreconditionerOptions,
    known: readonly KnownLayer[],
    state: PreconditionerState | undefined,
  ): Preconditioner {
    // the variables are decayed and averaged by the recipe
    const { weightDecay: _, ...options } = this.#settings.preconditionerOptions(preset);
    const made = new Preconditioner({ ...options, useEma: false });
    for (const { name, register, place } of known) register(made, name, place);
    if (state) made.loadStateDict(state);
    return made;
  }

  /** Puts another preconditioner in the place of the present one; an error where the state does not fit. */
  #replace(known: readonly KnownLayer[], state: PreconditionerState): void {
    const options = this.#options;
    if (options === undefined) return;
    let made: Preconditioner;
    try {
      made = this.#made(options, known, state);
    } catch (error) {
      throw error instanceof CgfacError ? unlikeSaved(known.map(({ name }) => name).join(', '), error) : error;
    }
    this.#preconditioner?.reset();
    this.#preconditioner = made;
    this.#known = known;
  }
}
