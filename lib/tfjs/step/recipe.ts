/**
 * What the optimizer does with a captured step: a preconditioner over the layers, and averages of the variables.
 */
import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import { at, type NetworkMemory, nonNegative, type Preconditioner, type Schedule, scheduled } from '../../adapter-kit';
import { requiredGrads, type Sampling } from '../capture/capture';
import type { LoneVariable } from '../capture/sites';
import { type Block, type Layer, variablesOf } from '../kinds/layer-kind';
import { whole } from '../kinds/part';
import { digests } from '../saving/digest';
import { LoadedState } from '../saving/loaded';
import type { SavedState } from '../saving/saved-state';
import { readWeights, weightTensors } from '../saving/state-tensors';
import { withoutRate } from '../saving/take-over';
import type { NamedTensor } from '../tape/named-tensor';
import { type Room, Rooms } from '../tape/room';
import { Averages } from './averages';
import { readGradient } from './gradients';
import { keptStep, takeKeptStep } from './kept';
import { type NamedLayers, RecipeLayers } from './layers';
import { loneGradients, type MovingVariable } from './lone-step';
import { Meeting } from './meeting';
import { keptValues, layerValues, loneValues } from './next-values';
import { StepRanks } from './ranks';
import { type HeadReport, headsAfter, type OptimizerReport, reportOf, wholeMemory, wholeReport } from './report';
import { RecipeSettings } from './settings';
import { StatisticAverages } from './statistics';
import type { KeptStep, Step, StepOutcome } from './step';
import { ready, takeStep } from './take';
import { unusableKept, usableGradients } from './usable';
import { wholeState } from './whole-state';

/** Of so few samples the targets of all are sampled. */
const FEW_SAMPLES = 32;

/** In so many steps, and where the loss is a cross-entropy of soft targets, those of all are sampled. */
const EARLY_STEPS = 10;

/** Takes steps, and keeps what has to be kept between them. */
export class Recipe {
  readonly #settings: RecipeSettings;
  readonly #layers: RecipeLayers;
  readonly #averages = new Averages();
  /** The averages of running statistics that go with those of the weights. */
  readonly statistics = new StatisticAverages();
  /** Where the rows of steps lie. */
  readonly rooms = new Rooms();
  readonly #ranks: StepRanks | undefined;
  /** β of the step under way. */
  #emaMomentum = 0;
  /** The lone variables, and why they are. */
  readonly #lone = new Map<Variable, string>();
  readonly #loaded = new LoadedState();
  /** L_min of the last captured computation that gave a step; `undefined` of none. */
  #lossFloor: number | undefined;
  /** η of the last captured step, without the learning rate. */
  #lastSize: number | undefined;
  /** The heads of the last captured computation that gave a step. */
  #heads: readonly HeadReport[] = [];

  constructor(options: unknown) {
    this.#settings = new RecipeSettings(options);
    this.#ranks = this.#settings.ranks && new StepRanks(this.#settings.ranks);
    this.#layers = new RecipeLayers(this.#settings, this.#ranks);
  }

  /** The ranks that train together, where there are others. */
  get ranks(): StepRanks | undefined {
    return this.#ranks;
  }

  get seed(): number {
    return this.#settings.seed;
  }

  set seed(seed: number) {
    this.#settings.seed = seed;
  }

  get fisher(): 'true' | 'empirical' {
    return this.#settings.fisher;
  }

  get learningRate(): Schedule<number> {
    return this.#settings.learningRate;
  }

  set learningRate(value: Schedule<number>) {
    this.#settings.learningRate = value;
    this.#layers.learningRateSet();
  }

  /** Why a layer is not to be preconditioned; `undefined` where nothing is against it. */
  refused(layer: Layer, taken: ReadonlySet<string>): string | undefined {
    return this.#settings.refused(layer, taken);
  }

  /** Begins a step of these variables, and the meeting of several ranks in it, which have one seed from then on. */
  begin(variables: readonly Variable[], iteration: number): Meeting | undefined {
    if (this.#ranks === undefined) return undefined;
    this.seed = this.#ranks.begin(variables, iteration, this.seed);
    return new Meeting(this.#ranks);
  }

  /**
   * Share of the batch whose targets are to be sampled for a step of layers and lone variables: none where the factors
   * of all of them are older ones, and the length of the step does not need them.
   */
  share({ targets, samples, crossEntropy, unknown, uneven }: Sampling, blocks: readonly Block[]): number {
    const preconditioner = this.#open();
    const { preset, stepRule } = this.#layers.options ?? {};
    const always = stepRule === 'quadratic' || (stepRule === 'auto' && targets === 'soft');
    const own = this.#layers.stepsOf(preconditioner, blocks, this.#loaded);
    const refreshes = own.some((steps) => preconditioner.refreshDueAfter(steps));
    if (!always && (this.fisher === 'empirical' || !refreshes)) return 0;
    const early = targets === 'soft' && crossEntropy && Math.min(...own) < EARLY_STEPS;
    const all = preset === 'adaptive' && !this.#settings.choosesFraction && (early || unknown || samples < FEW_SAMPLES);
    return all || uneven ? 1 : preconditioner.fisherFraction;
  }

  /** Takes a step, captured or not; the caller gives the variables their new values. */
  apply(step: Step | KeptStep, given: ReadonlyMap<string, Tensor>): StepOutcome {
    if ('kept' in step) return this.#applyKept(step, given);
    this.#prune();
    this.#open();
    const { own, read, reason, moving } = usableGradients(step, given, {
      ranks: this.#ranks,
      gone: this.#layers.gone,
      stepRule: this.#layers.options?.stepRule,
      lone: (gradients) => loneGradients(step, gradients, this.fisher, (each) => this.#layers.know(each, this.#loaded)),
    });
    this.#layers.prune();
    for (const variable of step.layers.flatMap(variablesOf)) this.#lone.delete(variable);
    for (const { variable, reason } of step.lone) this.#lone.set(variable, reason);
    if (reason !== undefined) return { next: [], report: reportOf(step, this.#open().skip(reason)) };

    const { lossGrads, names, loneNames, weightDecay, rate } = ready(this.#open(), () => ({
      // before anything is changed: a schedule that fails leaves everything as it is
      weightDecay: this.#scheduled(this.#open()),
      rate: this.#rate(this.#open()),
      lossGrads: step.layers.map((layer) => requiredGrads(layer, this.fisher === 'empirical')),
      ...this.#admit(step, moving),
    }));
    const preconditioner = this.#open();
    const variables = moving.map(({ variable }) => variable);
    if (step.layers.length === 0 && moving.length === 0) {
      this.#layers.endRow();
      return { next: [], report: reportOf(step) };
    }
    const lone = moving.map((each, index) => ({ ...each, name: loneNames[index] ?? '' }));
    const manner = { all: !own, fisher: this.fisher, lossFloor: this.#settings.lossFloor, weightDecay };
    const { summary, updates } = takeStep(preconditioner, step, names, lone, lossGrads, read, manner);
    this.#lossFloor = summary.lossFloor;
    if (summary.skipped === undefined && rate > 0) this.#lastSize = summary.stepSize / rate;
    this.#heads = headsAfter(this.#heads, step.heads);
    const report = reportOf(step, summary);
    if (summary.skipped !== undefined) return { next: [], report };
    const decay = 1 - summary.stepSize * weightDecay;
    const next = [...layerValues(step.layers, names, updates, decay), ...loneValues(variables, loneNames, updates)];
    return { next, report };
  }

  /**
   * The step of gradients that were not captured.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_TFJS_NO_CAPTURE` for a gradient of a variable that no step has met.
   */
  kept(gradients: ReadonlyMap<string, Tensor>, iteration: number): KeptStep {
    this.#prune();
    return keptStep(gradients, this.#layers.alive, this.#lone, iteration);
  }

  #applyKept(step: KeptStep, gradients: ReadonlyMap<string, Tensor>): StepOutcome {
    const read = step.layers.map((layer) => () => readGradient(layer, gradients));
    const reason = unusableKept(step, gradients, read, { ranks: this.#ranks, gone: this.#layers.gone });
    this.#layers.prune();
    if (reason !== undefined) return { next: [], report: reportOf(step, this.#open().skip(reason)) };
    const preconditioner = this.#open();
    const weightDecay = ready(preconditioner, () => this.#scheduled(preconditioner));
    if (step.layers.length === 0) {
      this.#layers.endRow();
      return { next: [], report: reportOf(step) };
    }
    const { stepRule = 'auto' } = this.#layers.options ?? {};
    const { summary, updates } = takeKeptStep(preconditioner, step, read, this.#lastSize, stepRule, weightDecay);
    const report = reportOf(step, summary);
    if (summary.skipped !== undefined) return { next: [], report };
    const decay = 1 - summary.stepSize * weightDecay;
    return { next: keptValues(step.layers, updates, decay), report };
  }

  /** Tells that the variables of a step have their new values: the averages take them in. */
  assigned(step: Step | KeptStep): void {
    if (!this.#layers.options?.useEma) return;
    const variables = new Set([...step.layers.flatMap(variablesOf), ...step.lone.map(({ variable }) => variable)]);
    this.#averages.absorb([...variables], this.#emaMomentum, 'used' in step ? step.used : undefined);
    if ('statistics' in step) this.statistics.absorb(step.statistics);
    this.#loaded.dropFrozen();
  }

  /** Whether no step has moved any variable that averages are kept of. */
  get unmoved(): boolean {
    return this.#layers.options?.useEma === true && this.#averages.steps === 0;
  }

  /** The variables with averages, and these, which the caller disposes of; before a step those that were loaded. */
  averages(): readonly (readonly [Variable, Tensor])[] {
    this.#prune();
    const own = this.#layers.known.length > 0 ? this.#averages.clones() : this.#loaded.averages();
    return own.length > 0 ? [...own, ...this.statistics.clones(digests())] : own;
  }

  /** What is preconditioned and how, what is not and why, and what the loss is; `undefined` before the first step. */
  report(): OptimizerReport | undefined {
    this.#prune();
    const report = this.#layers.report();
    if (report === undefined) return undefined;
    const averaged = new Set(
      this.#layers.known.flatMap(({ name, kernel }) => (this.#averages.has(kernel.variable) ? [name] : [])),
    );
    const reasons = new Map([...this.#lone].map(([variable, reason]) => [this.#layers.nameOf(variable), reason]));
    const told = { averaged, reasons, implied: this.#settings.impliedPreset };
    return wholeReport(report, told, this.#heads, this.#lossFloor);
  }

  /** Bytes kept between steps, those of a captured one among them. */
  memoryUsage(captured: Room | undefined): NetworkMemory {
    this.#prune();
    const averages = this.#averages.bytes() + this.statistics.bytes();
    return wholeMemory(this.#layers.memoryUsage(), { averages, workspace: this.rooms.bytes + (captured?.bytes ?? 0) });
  }

  /** The weights of the optimizer: copies. A collective of several ranks, all of which have all of it. */
  weights(iterations: number): NamedTensor[] {
    return weightTensors({ iterations, seed: this.seed, state: this.#state() });
  }

  #state(): SavedState | undefined {
    this.#prune();
    this.#layers.prune();
    const { statistics } = this;
    return wholeState({ layers: this.#layers, averages: this.#averages, statistics, loaded: this.#loaded.state });
  }

  /**
   * Takes over weights in the place of the present state, or nothing of them, and returns the number of steps.
   *
   * @throws {@link CgfacError} for anything but what {@link Recipe.weights} gave.
   */
  setWeights(weights: unknown): number {
    const { iterations, seed, state } = readWeights(weights);
    this.dispose();
    this.seed = seed;
    if (state) this.#loaded.load(state);
    this.#averages.steps = state?.averaged ?? 0;
    this.statistics.load(state?.statistics ?? []);
    return iterations;
  }

  /** The options as they are saved, without those that no file can hold. */
  config(): Readonly<Record<string, unknown>> {
    return this.#settings.config();
  }

  /** Names of the options that no file can hold. */
  unsavable(): string[] {
    return this.#settings.unsavable();
  }

  /** Lets go of layers, averages, arrays and what was loaded. */
  dispose(): void {
    this.#ranks?.forget();
    this.#layers.dispose();
    for (const each of [this.#averages, this.statistics, this.rooms]) each.dispose();
    this.#lone.clear();
    this.#loaded.dispose();
    this.#lossFloor = this.#lastSize = undefined;
    this.#heads = [];
  }

  #open(): Preconditioner {
    return this.#layers.open(this.#loaded.state);
  }

  #rate({ learningRate, steps }: Preconditioner): number {
    return at(learningRate, steps, 'learningRate', scheduled.learningRate);
  }

  /** The weight decay of the step to come; β of its averages is kept. */
  #scheduled({ steps }: Preconditioner): number {
    const { weightDecay = 0, useEma = false, emaMomentum = 0 } = this.#layers.options ?? {};
    const decay = at(weightDecay, steps, 'weightDecay', nonNegative);
    this.#emaMomentum = useEma ? at(emaMomentum, this.#averages.steps, 'emaMomentum', scheduled.emaMomentum) : 0;
    return decay;
  }

  /**
   * Takes the layers and the lone variables of a step under its care, with what was saved of them. Nothing is changed
   * where a saved state does not fit.
   *
   * @returns Their names.
   */
  #admit(step: Step, lone: readonly MovingVariable[]): NamedLayers {
    const preconditioner = this.#open();
    const named = this.#layers.named(step.layers, lone);
    const { fresh } = named;
    if (this.#loaded.state === undefined) this.#layers.add(preconditioner, fresh);
    else this.#admitSaved(preconditioner, this.#loaded.state, fresh, step.lone);
    this.#loaded.claim(fresh.flatMap(variablesOf));
    return named;
  }

  #admitSaved(
    preconditioner: Preconditioner,
    { preset, averaged }: SavedState,
    fresh: NamedLayers['fresh'],
    lone: readonly LoneVariable[],
  ): void {
    const moving = new Set(fresh.flatMap(variablesOf));
    const still = lone.flatMap(({ variable }) => {
      const known = moving.has(variable) || this.#averages.has(variable) || this.#layers.nameOf(variable) !== undefined;
      return known ? [] : [{ name: variable.name, lone: true, kernel: whole(variable), bias: undefined }];
    });
    const found = this.#loaded.find(fresh, still);
    if (found === undefined) return;
    // 0.1.0, which named no preset, had the learning rate in M
    const rate = preset === undefined ? this.#rate(preconditioner) : 1;
    this.#layers.addSaved(
      preconditioner,
      found.fresh,
      found.states.map((state) => state && withoutRate(state, rate)),
    );
    if (this.#layers.options?.useEma)
      for (const [variable, { values, steps = averaged }] of found.averages)
        this.#averages.load(variable, values, steps);
    this.#loaded.leave(found);
  }

  /**
   * Lets go of the layers and averages of variables that were disposed of. Several ranks, each of which has a part of
   * their states, do so for layers in a step, or when these are saved.
   */
  #prune(): void {
    this.#averages.prune();
    this.statistics.prune();
    for (const variable of this.#lone.keys()) if (variable.isDisposed) this.#lone.delete(variable);
    if (this.#ranks === undefined) this.#layers.prune();
  }
}
