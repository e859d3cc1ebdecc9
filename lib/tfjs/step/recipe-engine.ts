/**
 * What the optimizer does with a captured step: a {@link Preconditioner} over the layers, and averages of the
 * variables.
 */
import { mul, sub, type Tensor, tensor, type Variable } from '@tensorflow/tfjs-core';
import { CgfacError } from '../../base/errors';
import { nonNegative, positive } from '../../base/validate';
import type { WeightVector } from '../../base/weight-vector';
import {
  at,
  fraction,
  type Preset,
  type ResolvedPreconditionerOptions,
  resolvePreconditionerOptions,
  type Schedule,
} from '../../network/options';
import {
  type DenseLayerOptions,
  type NaturalGradientsResult,
  type NetworkMemory,
  type NetworkReport,
  Preconditioner,
  type PreconditionerState,
} from '../../network/preconditioner';
import type { StepSummary } from '../../network/step/summary';
import { requiredGrads } from '../capture/capture';
import type { Layer } from '../capture/sites';
import { type ResolvedRecipeOptions, resolveRecipeOptions } from '../options';
import { averagesOf, type SavedAverage, type SavedState, savedParts, withPending } from '../saving/saved-state';
import { readState, stateTensors } from '../saving/state-tensors';
import { registeredVariables } from '../tape/tape';
import { Averages } from './averages';
import { allFinite, type LayerGradient, type NamedTensor, notFinite, readGradient, variablesOf } from './gradients';
import type { Outcome, Step } from './step';

interface Known {
  readonly name: string;
  readonly kernel: Variable;
  readonly bias: Variable | undefined;
  readonly shape: DenseLayerOptions;
}

/** Of a loss in float32, a mean of many terms, relative to itself. */
const ROUNDING = 1e-5;

/** A saved average and the variable that it is of. */
type LoadedAverage = readonly [Variable, SavedAverage];

function isGone({ kernel, bias }: Known): boolean {
  return kernel.isDisposed || bias?.isDisposed === true;
}

function copyOf(vector: LayerGradient): WeightVector {
  return vector.bias ? { kernel: vector.kernel.slice(), bias: vector.bias.slice() } : vector.kernel.slice();
}

/** Why the step cannot be taken, found before anything takes part in it. */
function unusable(
  step: Step,
  gradients: ReadonlyMap<string, Tensor>,
  read: readonly LayerGradient[] | undefined,
): string | undefined {
  if (!Number.isFinite(step.loss)) return `the loss is ${step.loss}`;
  if (Number.isNaN(step.floor)) return 'the gradient of the loss is not finite';
  const bad =
    step.layers.flatMap((layer, index) => {
      const gradient = read?.[index];
      return (gradient && notFinite(layer, gradient)) ?? [];
    })[0] ??
    step.plain.find(({ variable }) => {
      const gradient = gradients.get(variable.name);
      return gradient && !allFinite(gradient);
    })?.variable;
  return bad && `the gradient of ${bad.name} is not finite`;
}

/** The error of a model that a saved state is not of. */
function unlikeSaved(name: string, cause: CgfacError): CgfacError {
  const expected = 'Expected the layers of the saved state in the same order for the step after setWeights';
  return new CgfacError(cause.code, `${expected} but received ${name}: ${cause.message}`, { cause });
}

/** Takes steps, and keeps what has to be kept between them. */
export class RecipeEngine {
  #options: ResolvedRecipeOptions;
  #network: ResolvedPreconditionerOptions | undefined;
  #preconditioner: Preconditioner | undefined;
  #known: readonly Known[] = [];
  readonly #averages = new Averages();
  /** β of the step under way. */
  #emaMomentum = 0;
  /** The variables that took plain gradient steps, and why. */
  readonly #plain = new Map<Variable, string>();
  /**
   * What was loaded; its layers and plain variables leave it, in their order, as those of the model come to be known.
   */
  #saved: SavedState | undefined;

  constructor(options: unknown) {
    this.#options = resolveRecipeOptions(options);
  }

  get seed(): number {
    return this.#options.seed;
  }

  get fisher(): 'true' | 'empirical' {
    return this.#options.fisher;
  }

  get gradientLearningRate(): number {
    return this.#options.gradientLearningRate;
  }

  get learningRate(): Schedule<number> {
    return (this.#options.given.learningRate as Schedule<number> | undefined) ?? 1;
  }

  set learningRate(value: Schedule<number>) {
    if (typeof value !== 'function') positive(value, 'learningRate');
    this.#options = { ...this.#options, given: { ...this.#options.given, learningRate: value } };
    if (this.#preconditioner) this.#preconditioner.learningRate = value;
  }

  refused(layer: Layer): string | undefined {
    const { skipLayers } = this.#options.given as { readonly skipLayers?: readonly (string | RegExp)[] };
    const pattern = skipLayers?.find((each) =>
      typeof each === 'string' ? each === layer.kernel.name : layer.kernel.name.search(each) >= 0,
    );
    return pattern === undefined ? undefined : `skipLayers names it (${String(pattern)})`;
  }

  /**
   * Share of the batch whose targets are to be sampled for a step of `layers`: none where the factors of all of them
   * are older ones.
   */
  share(soft: boolean, layers: readonly Layer[]): number {
    const preconditioner = this.#open(soft);
    const known = (layer: Layer) =>
      this.#known.some(({ kernel, bias }) => kernel === layer.kernel && bias === layer.bias);
    return preconditioner.refreshDue || !layers.every(known) ? preconditioner.fisherFraction : 0;
  }

  apply(step: Step, gradients: ReadonlyMap<string, Tensor>): Outcome {
    this.#prune();
    for (const variable of step.layers.flatMap(variablesOf)) this.#plain.delete(variable);
    for (const { variable, reason } of step.plain) this.#plain.set(variable, reason);
    const report = (summary: StepSummary) => ({
      iteration: step.iteration,
      nu: summary.stepSize,
      innerProduct: summary.innerProduct,
      plain:
        summary.skipped === undefined || summary.idle
          ? step.plain.map(({ variable, reason }) => ({ name: variable.name, reason }))
          : [],
      summary,
    });
    // the rows say it all where no gradient but their own can be there
    const own = step.own && !step.penalised;
    const read =
      own || !Number.isFinite(step.loss) ? undefined : step.layers.map((layer) => readGradient(layer, gradients));
    const reason = unusable(step, gradients, read);
    if (reason !== undefined) return { next: [], report: report(this.#open(step.soft).skip(reason)) };

    const lossGrads = step.layers.map(requiredGrads);
    const names = this.#admit(step);
    const preconditioner = this.#open(step.soft);
    // before the step: a schedule that fails leaves everything as it is
    const weightDecay = at(this.#network?.weightDecay ?? 0, preconditioner.steps, 'weightDecay', nonNegative);
    this.#emaMomentum = this.#network?.useEma
      ? at(this.#network.emaMomentum, this.#averages.steps, 'emaMomentum', fraction)
      : 0;
    const rate = this.gradientLearningRate;
    const plain = step.plain.flatMap(({ variable }) => {
      const gradient = gradients.get(variable.name);
      return gradient ? [[variable, sub(variable, mul(gradient, rate))] as const] : [];
    });
    if (step.layers.length === 0) {
      this.#endRow();
      const { iteration, plain: named } = step;
      const told = named.map(({ variable, reason: why }) => ({ name: variable.name, reason: why }));
      return { next: plain, report: { iteration, nu: 0, innerProduct: 0, plain: told } };
    }

    const { summary, updates } = this.#step(step, names, lossGrads, read);
    // where the layers have nothing to do, what keeps their gradients at zero may be a plain variable
    if (summary.skipped !== undefined) return { next: summary.idle ? plain : [], report: report(summary) };
    const decay = 1 - summary.stepSize * weightDecay;
    const moved = (variable: Variable, update: Float32Array) =>
      [variable, sub(decay === 1 ? variable : mul(variable, decay), tensor(update, variable.shape))] as const;
    const next = step.layers.flatMap((layer, index) => {
      const update = updates[names[index] ?? ''];
      if (update === undefined) return [];
      if (!('kernel' in update)) return [moved(layer.kernel, update)];
      return layer.bias
        ? [moved(layer.kernel, update.kernel), moved(layer.bias, update.bias)]
        : [moved(layer.kernel, update.kernel)];
    });
    return { next: [...next, ...plain], report: report(summary) };
  }

  assigned(step: Step): void {
    const network = this.#network;
    if (!network?.useEma) return;
    this.#averages.absorb(
      [...step.layers.flatMap(variablesOf), ...step.plain.map(({ variable }) => variable)],
      this.#emaMomentum,
    );
  }

  /**
   * The variables with averages, and these, which the caller disposes of. Those that were loaded belong to variables
   * that are not known before a step: to all trainable ones, in the order in which they were created, or nothing is
   * said.
   */
  averages(): readonly (readonly [Variable, Tensor])[] {
    this.#prune();
    const saved = this.#saved;
    if (saved === undefined || this.#known.length > 0) return this.#averages.clones();
    const loaded = averagesOf(saved);
    const variables = registeredVariables().filter(({ trainable }) => trainable);
    if (
      variables.length !== loaded.length ||
      variables.some(({ size }, index) => size !== loaded[index]?.values.length)
    )
      return [];
    return variables.map((variable, index) => [variable, tensor(loaded[index]?.values ?? [], variable.shape)] as const);
  }

  report(): NetworkReport | undefined {
    this.#prune();
    const report = this.#preconditioner?.report();
    if (report === undefined) return undefined;
    const averaged = new Set(this.#known.flatMap(({ name, kernel }) => (this.#averages.has(kernel) ? [name] : [])));
    const plain = [...this.#plain].map(([{ name }, reason]) => ({ name, reason }));
    const { presets, chosen } = this.#options;
    const [only] = presets;
    return {
      ...report,
      recipe:
        presets.length === 1 && !chosen
          ? `${report.recipe}; preset '${only}' by the options given, whatever the head`
          : report.recipe,
      layers: report.layers.map((layer) => ({ ...layer, averaged: averaged.has(layer.name) })),
      skipped: [...report.skipped, ...plain],
    };
  }

  memoryUsage(): NetworkMemory {
    this.#prune();
    const kept = this.#preconditioner?.memoryUsage() ?? {
      recorded: 0,
      factors: 0,
      workspace: 0,
      momentum: 0,
      averages: 0,
      total: 0,
    };
    const averages = this.#averages.bytes();
    return { ...kept, averages, total: kept.total + averages };
  }

  weights(): NamedTensor[] {
    this.#prune();
    const saved = this.#saved;
    const state = this.#preconditioner?.stateDict();
    const { steps, skippedSteps } = state ?? saved ?? {};
    if (steps === undefined || skippedSteps === undefined) return [];
    const own = this.#known.map((known) => ({ ...known, state: state?.layers[known.name] ?? { started: false } }));
    return stateTensors({
      steps,
      skippedSteps,
      averaged: this.#averages.steps,
      soft: this.#network ? this.#network.preset === 'reconstruction' : saved?.soft === true,
      ...withPending(savedParts(own, this.#averages), saved, this.#averages.variables().length),
    });
  }

  async setWeights(weights: readonly NamedTensor[]): Promise<void> {
    const saved = weights.length === 0 ? undefined : await readState(weights);
    this.dispose();
    this.#saved = saved;
    this.#averages.steps = saved?.averaged ?? 0;
  }

  setSeed(seed: number): void {
    this.#options = { ...this.#options, seed, given: { ...this.#options.given, seed } };
  }

  config(): Readonly<Record<string, unknown>> {
    const { given, gradientLearningRate, fisher, method } = this.#options;
    const left = this.unsavable();
    const savable = Object.entries(given).filter(([name]) => !left.includes(name));
    return { ...Object.fromEntries(savable), method, gradientLearningRate, fisher };
  }

  /** Names of the options that no file can hold. */
  unsavable(): string[] {
    return Object.entries(this.#options.given).flatMap(([name, value]) => {
      const lost =
        typeof value === 'function' || (Array.isArray(value) && value.some((each) => typeof each !== 'string'));
      return lost ? [name] : [];
    });
  }

  dispose(): void {
    this.#preconditioner?.reset();
    this.#preconditioner = undefined;
    this.#network = undefined;
    this.#known = [];
    this.#averages.dispose();
    this.#plain.clear();
    this.#saved = undefined;
  }

  /**
   * The preconditioner, made at the first step, when the head is known, and counting on from what was saved, or was
   * skipped before.
   */
  #open(soft: boolean): Preconditioner {
    const saved = this.#saved;
    const preset = this.#presetOf(saved && saved.layers.length > 0 ? saved.soft : soft);
    const before = this.#preconditioner;
    // of a step without a finite loss no head is known
    if (before && (this.#known.length > 0 || this.#network?.preset === preset)) return before;
    const { skipLayers: _, ...given } = this.#options.given;
    const { steps, skippedSteps } = before?.stateDict() ?? saved ?? {};
    const counted =
      steps === undefined || skippedSteps === undefined
        ? undefined
        : { version: 1 as const, steps, skippedSteps, seed: this.seed, layers: {} };
    this.#network = resolvePreconditionerOptions({ ...given, preset, lossReduction: 'mean' }, 'cgfac');
    this.#preconditioner = this.#made(preset, [], counted);
    return this.#preconditioner;
  }

  /** The preset of the head, or where the options do not fit it, the other one. */
  #presetOf(soft: boolean): Preset {
    const { method, presets } = this.#options;
    const ofHead = soft && method === 'exact' ? 'reconstruction' : 'safe';
    return presets.includes(ofHead) ? ofHead : (presets[0] ?? ofHead);
  }

  /** A preconditioner of the layers `known`, with a state where there is one. */
  #made(preset: Preset, known: readonly Known[], state: PreconditionerState | undefined): Preconditioner {
    // the variables are decayed and averaged here
    const { skipLayers: _, weightDecay: __, ...given } = this.#options.given;
    const made = new Preconditioner({ ...given, preset, lossReduction: 'mean', useEma: false });
    for (const { name, shape } of known) made.registerDense(name, shape);
    if (state) made.loadStateDict(state);
    return made;
  }

  /**
   * Takes the layers and the plain variables of a step under its care, with what was saved of them, by order: variables
   * are renamed when a model is loaded. Nothing is changed where a saved state does not fit.
   *
   * @returns The names of the layers.
   */
  #admit(step: Step): string[] {
    const preconditioner = this.#open(step.soft);
    const known = [...this.#known];
    const names = step.layers.map((layer) => {
      const found = known.find(({ kernel, bias }) => kernel === layer.kernel && bias === layer.bias);
      if (found) return found.name;
      const [{ inFeatures, outFeatures, kernelLayout }] = layer.sites;
      let name = layer.kernel.name;
      for (let use = 2; known.some((each) => each.name === name); use++) name = `${layer.kernel.name}#${use}`;
      const shape = { inFeatures, outFeatures, bias: layer.bias !== undefined, kernelLayout };
      known.push({ name, kernel: layer.kernel, bias: layer.bias, shape });
      return name;
    });
    const fresh = known.slice(this.#known.length);
    const saved = this.#saved;
    if (saved === undefined) {
      for (const { name, shape } of fresh) preconditioner.registerDense(name, shape);
    } else {
      this.#takeOver(saved, step, preconditioner, fresh);
    }
    this.#known = known;
    return names;
  }

  #takeOver(saved: SavedState, step: Step, preconditioner: Preconditioner, fresh: readonly Known[]): void {
    // by their names where all have one that was saved: layers may have joined in another order; else by order, for
    // loaders rename variables
    const named = fresh.flatMap(({ name }) => saved.layers.find((layer) => layer.name === name) ?? []);
    const taken = named.length === fresh.length ? named : saved.layers.slice(0, fresh.length);
    const plain = step.plain.flatMap(({ variable }) => (this.#averages.has(variable) ? [] : [variable]));
    const averages: LoadedAverage[] = [
      ...fresh.flatMap(({ kernel, bias }, index): LoadedAverage[] => {
        const [ofKernel, ofBias] = taken[index]?.averages ?? [];
        return [
          ...(ofKernel ? [[kernel, ofKernel] as const] : []),
          ...(bias && ofBias ? [[bias, ofBias] as const] : []),
        ];
      }),
      ...saved.plain.slice(0, plain.length).flatMap(({ average }, index): LoadedAverage[] => {
        const variable = plain[index];
        return variable ? [[variable, average]] : [];
      }),
    ];
    const unlike = averages.find(([variable, { values }]) => variable.size !== values.length);
    if (unlike)
      throw unlikeSaved(unlike[0].name, new CgfacError('ERR_CGFAC_SHAPE_MISMATCH', 'its average has another shape'));
    if (fresh.length > 0) {
      const before = preconditioner.stateDict();
      const added = fresh.map(({ name }, index) => [name, taken[index]?.state ?? { started: false }] as const);
      this.#replace([...this.#known, ...fresh], {
        ...before,
        layers: { ...before.layers, ...Object.fromEntries(added) },
      });
    }
    if (this.#network?.useEma) for (const [variable, { values }] of averages) this.#averages.load(variable, values);
    const rest = {
      ...saved,
      layers: saved.layers.filter((layer) => !taken.includes(layer)),
      plain: saved.plain.slice(plain.length),
    };
    this.#saved = rest.layers.length + rest.plain.length > 0 ? rest : undefined;
  }

  /** Another preconditioner in the place of the present one, or, where the state does not fit, an error. */
  #replace(known: readonly Known[], state: PreconditionerState): void {
    const network = this.#network;
    if (network === undefined) return;
    let made: Preconditioner;
    try {
      made = this.#made(network.preset, known, state);
    } catch (error) {
      throw error instanceof CgfacError ? unlikeSaved(known.map(({ name }) => name).join(', '), error) : error;
    }
    this.#preconditioner?.reset();
    this.#preconditioner = made;
  }

  /** Lets go of the layers and averages of variables that were disposed of. */
  #prune(): void {
    this.#averages.prune();
    for (const variable of this.#plain.keys()) if (variable.isDisposed) this.#plain.delete(variable);
    const alive = this.#known.filter((known) => !isGone(known));
    const state = alive.length < this.#known.length ? this.#preconditioner?.stateDict() : undefined;
    if (state === undefined) return;
    this.#replace(alive, state);
    this.#known = alive;
  }

  /** A step without layers, of which the preconditioner knows nothing, comes between those that were skipped. */
  #endRow(): void {
    const state = this.#preconditioner?.stateDict();
    if (!state || state.skippedSteps.inARow === 0) return;
    this.#preconditioner?.loadStateDict({ ...state, skippedSteps: { ...state.skippedSteps, inARow: 0 } });
  }

  /** Takes the step, of the rows' own gradients or of those given. An error forgets what was recorded for it. */
  #step(
    { layers, loss, soft, floor }: Step,
    names: readonly string[],
    lossGrads: readonly Float32Array[],
    gradients: readonly LayerGradient[] | undefined,
  ): NaturalGradientsResult {
    const preconditioner = this.#open(soft);
    // a loss next to its floor may round to less; one that is well below has a wrong floor, which the summary tells
    const lossFloor = loss < floor && floor - loss <= ROUNDING * Math.abs(floor) ? loss : floor;
    const options = { loss, lossFloor };
    try {
      for (const [index, { inputs, samples, sampledGrads }] of layers.entries()) {
        const name = names[index] ?? '';
        preconditioner.record(name, { inputs, lossGrads: lossGrads[index] ?? inputs, batch: samples });
        // sampled errors are those of single samples: a batch of one, as far as its reduction goes
        if (sampledGrads) preconditioner.recordFisher(name, { outputGrads: sampledGrads, batch: 1 });
      }
      if (gradients === undefined) return preconditioner.naturalGradientsSync(options);
      const updates = Object.fromEntries(gradients.map((gradient, index) => [names[index] ?? '', copyOf(gradient)]));
      return { summary: preconditioner.stepSync(updates, options), updates };
    } catch (error) {
      preconditioner.discard();
      throw error;
    }
  }
}
