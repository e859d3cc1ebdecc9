/** Every method but the paper's: a {@link Preconditioner} over the captured layers, and averages of the variables. */
import { add, dispose, keep, mul, sub, type Tensor, tensor, tidy, type Variable } from '@tensorflow/tfjs-core';
import { type NetworkMemory, type NetworkReport, Preconditioner } from '../preconditioner';
import { at, type ResolvedPreconditionerOptions, resolvePreconditionerOptions, type Schedule, scheduled } from '../preconditioner-options';
import type { StepSummary } from '../step-summary';
import type { WeightVector } from '../weight-vector';
import { type CapturedLayer, requiredGrads } from './capture';
import type { Engine, Outcome, Step } from './engine';
import { allFinite, type NamedTensor, readGradient, variablesOf } from './gradients';
import { type ResolvedRecipeOptions, resolveRecipeOptions } from './options';
import type { Layer } from './sites';
import { readState, type SavedState, stateTensors } from './state-tensors';

interface Known {
  readonly name: string;
  readonly kernel: Variable;
  readonly bias: Variable | undefined;
}

function copyOf(vector: { readonly kernel: Float32Array; readonly bias: Float32Array | undefined }): WeightVector {
  return vector.bias ? { kernel: vector.kernel.slice(), bias: vector.bias.slice() } : vector.kernel.slice();
}

/** {@link Engine} of the methods 'exact', 'kfac' and 'auto'. */
export class RecipeEngine implements Engine {
  readonly lossGrads = true;
  readonly skips = true;
  #options: ResolvedRecipeOptions;
  #network: ResolvedPreconditionerOptions | undefined;
  #preconditioner: Preconditioner | undefined;
  readonly #known: Known[] = [];
  /** By variable id, kept tensors. */
  readonly #averages = new Map<number, Tensor>();
  #averaged = 0;
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
    resolvePreconditionerOptions({ ...this.#options.given, skipLayers: [], lossReduction: 'mean', learningRate: value }, 'cgfac');
    this.#options = { ...this.#options, given: { ...this.#options.given, learningRate: value } };
    if (this.#preconditioner) this.#preconditioner.learningRate = value;
  }

  refused(layer: Layer): string | undefined {
    const { skipLayers } = this.#options.given as { readonly skipLayers?: readonly (string | RegExp)[] };
    const pattern = skipLayers?.find((each) => (typeof each === 'string' ? each === layer.kernel.name : each.test(layer.kernel.name)));
    return pattern === undefined ? undefined : `skipLayers names it (${String(pattern)})`;
  }

  share(soft: boolean): number {
    const preconditioner = this.#open(soft);
    return preconditioner.refreshDue ? preconditioner.fisherFraction : 0;
  }

  apply(step: Step, gradients: ReadonlyMap<string, Tensor>): Outcome {
    const preconditioner = this.#open(step.soft);
    const report = (summary: StepSummary) => ({
      iteration: step.iteration,
      nu: summary.stepSize,
      innerProduct: summary.innerProduct,
      blocks: [],
      plain: step.plain.map(({ variable, reason }) => ({ name: variable.name, reason })),
      summary,
    });
    const reason = Number.isFinite(step.loss) ? this.#unusable(step, gradients) : `the loss is ${step.loss}`;
    if (reason !== undefined) return { next: [], report: report(preconditioner.skip(reason)) };

    const names = step.layers.map((layer) => this.#register(preconditioner, layer));
    this.#restore(preconditioner);
    const rate = this.gradientLearningRate;
    const plain = step.plain.flatMap(({ variable }) => {
      const gradient = gradients.get(variable.name);
      return gradient ? [[variable, sub(variable, mul(gradient, rate))] as const] : [];
    });
    if (step.layers.length === 0) {
      const { iteration, plain: named } = step;
      const told = named.map(({ variable, reason: why }) => ({ name: variable.name, reason: why }));
      return { next: plain, report: { iteration, nu: 0, innerProduct: 0, blocks: [], plain: told } };
    }

    for (const [index, layer] of step.layers.entries()) this.#record(preconditioner, names[index] ?? '', layer);
    const loss = { loss: step.loss, lossFloor: Math.min(step.floor, step.loss) };
    let summary: StepSummary;
    let updates: Readonly<Record<string, WeightVector>>;
    if (step.own && !step.penalised) {
      ({ summary, updates } = preconditioner.naturalGradientsSync(loss));
    } else {
      updates = Object.fromEntries(step.layers.map((layer, index) => [names[index] ?? '', copyOf(readGradient(layer, gradients))]));
      summary = preconditioner.stepSync(updates, loss);
    }
    if (summary.skipped !== undefined) return { next: [], report: report(summary) };
    const weightDecay = this.#network ? at(this.#network.weightDecay, summary.step, 'weightDecay', scheduled.weightDecay) : 0;
    const decay = 1 - summary.stepSize * weightDecay;
    const moved = (variable: Variable, update: Float32Array) =>
      [variable, sub(decay === 1 ? variable : mul(variable, decay), tensor(update, variable.shape))] as const;
    const next = step.layers.flatMap((layer, index) => {
      const update = updates[names[index] ?? ''];
      if (update === undefined) return [];
      if (!('kernel' in update)) return [moved(layer.kernel, update)];
      return layer.bias ? [moved(layer.kernel, update.kernel), moved(layer.bias, update.bias)] : [moved(layer.kernel, update.kernel)];
    });
    return { next: [...next, ...plain], report: report(summary) };
  }

  assigned(step: Step): void {
    const network = this.#network;
    if (!network?.useEma) return;
    const emaMomentum = at(network.emaMomentum, this.#averaged, 'emaMomentum', scheduled.emaMomentum);
    const decay = Math.min(emaMomentum, (1 + this.#averaged) / (10 + this.#averaged));
    this.#averaged++;
    for (const variable of [...step.layers.flatMap(variablesOf), ...step.plain.map(({ variable: each }) => each)]) {
      const before = this.#averages.get(variable.id);
      const after = tidy(() => keep(before ? add(mul(before, decay), mul(variable, 1 - decay)) : variable.clone()));
      before?.dispose();
      this.#averages.set(variable.id, after);
    }
  }

  /** The variables with averages, and these. */
  averages(): readonly (readonly [Variable, Tensor])[] {
    return this.#known.flatMap(({ kernel, bias }) =>
      [kernel, ...(bias ? [bias] : [])].flatMap((variable) => {
        const average = this.#averages.get(variable.id);
        return average && !variable.isDisposed ? [[variable, average] as const] : [];
      }),
    );
  }

  report(): NetworkReport | undefined {
    return this.#preconditioner?.report();
  }

  memoryUsage(): NetworkMemory {
    const kept = this.#preconditioner?.memoryUsage() ?? { recorded: 0, factors: 0, workspace: 0, momentum: 0, averages: 0, total: 0 };
    const averages = [...this.#averages.values()].reduce((sum, { size }) => sum + 4 * size, 0);
    return { ...kept, averages, total: kept.total + averages };
  }

  weights(): NamedTensor[] {
    const state = this.#preconditioner?.stateDict();
    if (state === undefined) return this.#saved ? stateTensors(this.#saved) : [];
    const layers = this.#known.map(({ name, kernel, bias }) => {
      const average = (variable: Variable | undefined) => variable && this.#averages.get(variable.id)?.dataSync<'float32'>().slice();
      return { name, state: state.layers[name] ?? { started: false }, averages: [average(kernel), average(bias)] as const };
    });
    return stateTensors({
      steps: state.steps,
      skippedSteps: state.skippedSteps,
      averaged: this.#averaged,
      soft: this.#network?.preset === 'reconstruction',
      layers,
    });
  }

  async setWeights(weights: readonly NamedTensor[]): Promise<void> {
    const saved = weights.length === 0 ? undefined : await readState(weights);
    this.dispose();
    this.#saved = saved;
  }

  setSeed(seed: number): void {
    this.#options = { ...this.#options, seed, given: { ...this.#options.given, seed } };
  }

  config(): Readonly<Record<string, unknown>> {
    const { given, gradientLearningRate, fisher, method } = this.#options;
    const savable = Object.entries(given).filter(
      ([, value]) => typeof value !== 'function' && !(Array.isArray(value) && value.some((each) => typeof each !== 'string')),
    );
    return { ...Object.fromEntries(savable), method, gradientLearningRate, fisher };
  }

  dispose(): void {
    this.#preconditioner?.reset();
    this.#preconditioner = undefined;
    this.#network = undefined;
    this.#known.length = 0;
    dispose([...this.#averages.values()]);
    this.#averages.clear();
    this.#averaged = 0;
    this.#saved = undefined;
  }

  /** The preconditioner, made at the first step, when the head is known. */
  #open(soft: boolean): Preconditioner {
    if (this.#preconditioner) return this.#preconditioner;
    const { skipLayers: _, weightDecay, ...given } = this.#options.given;
    const reconstruction = this.#saved?.soft ?? soft;
    const preset = this.#options.preset ?? (reconstruction && this.#options.method === 'exact' ? 'reconstruction' : 'safe');
    const options = { ...given, preset, lossReduction: 'mean' };
    this.#network = resolvePreconditionerOptions({ ...options, ...(weightDecay === undefined ? {} : { weightDecay }) }, 'cgfac');
    this.#preconditioner = new Preconditioner({ ...(options as { preset: typeof preset; lossReduction: 'mean' }), useEma: false });
    return this.#preconditioner;
  }

  #register(preconditioner: Preconditioner, layer: CapturedLayer): string {
    const found = this.#known.find(({ kernel, bias }) => kernel === layer.kernel && bias === layer.bias);
    if (found) return found.name;
    const [{ inFeatures, outFeatures, kernelLayout }] = layer.sites;
    const taken = this.#known.filter(({ kernel }) => kernel.name === layer.kernel.name).length;
    const name = taken === 0 ? layer.kernel.name : `${layer.kernel.name}#${taken + 1}`;
    preconditioner.registerDense(name, { inFeatures, outFeatures, bias: layer.bias !== undefined, kernelLayout });
    this.#known.push({ name, kernel: layer.kernel, bias: layer.bias });
    return name;
  }

  /** Takes over a saved state, its layers by order: variables are renamed when a model is loaded. */
  #restore(preconditioner: Preconditioner): void {
    const saved = this.#saved;
    if (saved === undefined || saved.layers.length > this.#known.length) return;
    this.#saved = undefined;
    const layers = Object.fromEntries(this.#known.map(({ name }, index) => [name, saved.layers[index]?.state ?? { started: false }]));
    const { steps, skippedSteps } = saved;
    preconditioner.loadStateDict({ version: 1, steps, skippedSteps, seed: this.seed, layers });
    this.#averaged = saved.averaged;
    this.#known.forEach(({ kernel, bias }, index) => {
      const [kernelAverage, biasAverage] = saved.layers[index]?.averages ?? [];
      if (kernelAverage) this.#averages.set(kernel.id, keep(tensor(kernelAverage, kernel.shape)));
      if (bias && biasAverage) this.#averages.set(bias.id, keep(tensor(biasAverage, bias.shape)));
    });
  }

  #record(preconditioner: Preconditioner, name: string, layer: CapturedLayer): void {
    preconditioner.record(name, { inputs: layer.inputs, lossGrads: requiredGrads(layer), batch: layer.samples });
    // sampled errors are those of single samples: a batch of one, as far as its reduction goes
    if (layer.sampledGrads) preconditioner.recordFisher(name, { outputGrads: layer.sampledGrads, batch: 1 });
  }

  /** Why plain variables cannot take their step, and so no variable does. */
  #unusable(step: Step, gradients: ReadonlyMap<string, Tensor>): string | undefined {
    const bad = step.plain.find(({ variable }) => {
      const gradient = gradients.get(variable.name);
      return gradient && !allFinite(gradient);
    });
    return bad && `the gradient of ${bad.variable.name} is not finite`;
  }
}
