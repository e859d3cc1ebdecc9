import { CgfacError } from '../base/errors';
import { uniforms } from '../base/random';
import {
  abortSignal,
  checkOptions,
  checkRequired,
  nonNegativeInteger,
  positiveInteger,
  typeError,
  valueError,
} from '../base/validate';
import { bytesOf, copied, forEachArray, newVector, requireApart, vectorOf } from '../base/vectors';
import { float32, vectorArrays, type WeightVector } from '../base/weight-vector';
import { Adaptation, type LossReport } from './adaptation';
import { exchanged, NetworkAverages } from './averages';
import { FactoredNetworkLayer } from './factored-layer';
import type { PreparedStep, PrepareOptions } from './layer';
import {
  at,
  type PreconditionerOptions,
  type ResolvedPreconditionerOptions,
  recipeOf,
  resolvePreconditionerOptions,
  type Schedule,
  scheduled,
} from './options';
import { countSamples, type NetworkEntry, parseDense, requireArrays, requireWeights } from './registry';
import { SolvedNetworkLayer } from './solved-layer';
import {
  checkState,
  layerOf,
  type PreconditionerState,
  restored,
  restoreLayers,
  type StoredLayer,
  stored,
} from './state';
import { decide, type StepCounts, type StepDecision, type StepPlan, skippedStep } from './step/decide';
import { hyperparametersAt } from './step/length';
import { prepare, prepareSync, rollBack, write, writeSync } from './step/phases';
import { requireRows, unusableLoss, unusableRows } from './step/plan';
import type { StepSummary } from './step/summary';
import { applyStep, type KeepsMomentum, writeTargets } from './step/update';
import type {
  DenseLayerOptions,
  LayerVectors,
  NaturalGradientsResult,
  NetworkMemory,
  NetworkReport,
  RecordedBatchRows,
  RecordedFisherRows,
  StepOptions,
} from './types';

export type { AdaptationState, LossReport, ReportableStep } from './adaptation';
export type { PreconditionerState, StoredLayer, StoredVector } from './state';
export type {
  DenseLayerOptions,
  LayerVectors,
  NaturalGradientsResult,
  NetworkMemory,
  NetworkReport,
  RecordedBatchRows,
  RecordedFisherRows,
  StepOptions,
} from './types';

const recordNames = ['inputs', 'lossGrads', 'batch', 'site'];
const fisherNames = ['outputGrads', 'batch'];
const stepNames = ['loss', 'lossFloor'];
const asyncStepNames = [...stepNames, 'signal'];

/** So many steps in a row that have to be skipped are an error. */
const SKIPPED_IN_A_ROW = 3;

/** A gradient, a direction or weights by name: own properties alone. */
function named(vectors: LayerVectors, name: string): unknown {
  return Object.hasOwn(vectors, name) ? vectors[name] : undefined;
}

/** A number, which may be NaN: a reason to skip a step, not an error. */
function number(value: unknown, name: string): number {
  if (typeof value !== 'number') throw typeError('a number', name, value);
  return value;
}

/**
 * Second-order training of a whole network, whatever computes its gradients: collects each layer's rows, turns
 * gradients into natural-gradient directions, and chooses the length of the step.
 *
 * With explicit gradients: `record` each layer's rows, then `step(gradients, { loss })`, which rewrites the gradients
 * in place so that any optimizer can follow (plain gradient descent with learning rate 1 takes the step as it is).
 * Without: `naturalGradients({ loss })` needs the rows alone, and updates registered weights in place. The defaults are
 * a recipe (true Fisher from sampled targets, factored damping relative to each factor's mean eigenvalue, a Polyak
 * step, heavy ball, averages) that is meant to need no tuning; `method: 'cg'` is CG-FAC as its paper has it.
 *
 * Each call of a `…Sync` method works on the calling thread and the pool; the others on the pool, one step at a time. A
 * step whose loss, rows or Σ⟨v, x⟩ are not finite, or whose Σ⟨v, x⟩ is not positive, is skipped: weights, momentum and
 * averages stay as they are, gradients become zero, and the summary says why; the third in a row is an error. An error
 * of a step whose arguments were accepted, an abort among them, forgets what was recorded. The factors are then as
 * before, too, but for direct K-FAC's averages. A step with nothing to do (Σ⟨v, x⟩ is 0) is skipped, and no error.
 * docs/math.md derives the recipe.
 *
 * Source: Y. Chen, arXiv 2101.00218, 2021 (CG-FAC); J. Martens and R. Grosse, 2015 (K-FAC, factored damping, sampled
 * targets); B. Polyak, "Introduction to optimization", 1987 (the step); Ruppert 1988 and Polyak and Juditsky 1992
 * (averages).
 */
export class Preconditioner {
  #options: ResolvedPreconditionerOptions;
  readonly #entries = new Map<string, NetworkEntry>();
  readonly #skippedLayers = new Map<string, string>();
  #steps = 0;
  #skippedTotal = 0;
  #skippedInARow = 0;
  #seed: number;
  readonly #adaptation: Adaptation;
  readonly #averages: NetworkAverages;
  #busy = false;

  /**
   * @param options - See {@link PreconditionerOptions}; a name that is not an option is refused.
   * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
   * `ERR_CGFAC_INVALID_ARG_VALUE`.
   */
  constructor(options: PreconditionerOptions) {
    this.#options = resolvePreconditionerOptions(options, 'Preconditioner');
    this.#seed = this.#options.seed;
    this.#adaptation = new Adaptation(this.#options.adapted);
    this.#averages = new NetworkAverages(this.#options.useEma);
  }

  /** Steps done, those that were skipped included. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * Whether the factors take in rows at the next step: only then are sampled gradients worth their backward pass
   * ({@link Preconditioner.recordFisher}). A step after one that could not be taken always does, and one with rows of a
   * layer that has no factors yet, or was registered since the last.
   */
  get refreshDue(): boolean {
    const every = at(this.#options.factorUpdateSteps, this.#steps, 'factorUpdateSteps', scheduled.factorUpdateSteps);
    if (this.#skippedInARow > 0 || this.#steps % every === 0 || this.#steps < (every >= 4 ? 10 : 2)) return true;
    return [...this.#entries.values()].some(
      ({ layer, registered }) => !layer.started && (layer.recorded || registered === this.#steps),
    );
  }

  /** The factor of every step, a number > 0 or a function of the step; may be set between steps. */
  get learningRate(): Schedule<number> {
    return this.#options.learningRate;
  }

  /** @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`. */
  set learningRate(value: Schedule<number>) {
    const learningRate = typeof value === 'function' ? value : scheduled.learningRate(value, 'learningRate');
    this.#options = { ...this.#options, learningRate };
  }

  /** Share of a batch whose targets should be sampled. */
  get fisherFraction(): number {
    return at(this.#options.fisherFraction, this.#steps, 'fisherFraction', scheduled.fisherFraction);
  }

  /**
   * Uniform numbers in [0, 1) for sampling targets: a function of the seed and of the number of the step, so that a
   * resumed run sees the same ones.
   *
   * @returns A generator, from the start at each call.
   */
  uniforms(): () => number {
    return uniforms(this.#seed, this.#steps);
  }

  /**
   * Takes a dense layer under its care, unless `skipLayers` names it.
   *
   * @param name - What it is called in every other method.
   * @param options - Its shape, and its weights where they are to be updated in place; see {@link DenseLayerOptions}.
   * @returns Whether it is preconditioned.
   * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
   * `ERR_CGFAC_INVALID_ARG_VALUE` (a name that is taken, too), `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_OVERLAP` for
   * weights that another layer has (sites that share weights are one layer, recorded several times), `ERR_CGFAC_BUSY`.
   */
  registerDense(name: string, options: DenseLayerOptions): boolean {
    this.#requireIdle('registerDense()');
    if (typeof name !== 'string') throw typeError('a string', 'the name of a layer', name);
    if (this.#entries.has(name) || this.#skippedLayers.has(name))
      throw valueError('a name that is not taken', 'the name of a layer', name);
    const { shape, weights } = parseDense(options);
    requireApart([...this.#entries.values()].map((entry) => entry.weights).concat(weights), 'the weights of layers');
    const pattern = this.#options.skipLayers.find((each) =>
      typeof each === 'string' ? each === name : name.search(each) >= 0,
    );
    if (pattern !== undefined) {
      this.#skippedLayers.set(name, `skipLayers names it (${String(pattern)})`);
      return false;
    }
    if (this.#options.weightDecay !== 0) requireWeights(name, weights, 'weightDecay');
    const { method, dampingMode } = this.#options;
    const layer =
      method === 'exact' && dampingMode === 'factored'
        ? new FactoredNetworkLayer(shape, this.#options)
        : new SolvedNetworkLayer(
            shape,
            this.#options,
            at(this.#options.damping, this.#steps, 'damping', scheduled.damping),
          );
    const average = this.#options.useEma && weights !== undefined ? copied(weights) : undefined;
    this.#entries.set(name, {
      name,
      shape,
      weights,
      layer,
      registered: this.#steps,
      samples: new Map(),
      momentum: undefined,
      average,
    });
    return true;
  }

  /** What is preconditioned, how, and what is not and why. */
  report(): NetworkReport {
    const { preset, method, useEma } = this.#options;
    const layers = [...this.#entries.values()].map(({ name, shape, average }) => ({
      name,
      shape: `${shape.outFeatures}×${shape.inFeatures}${shape.bias ? ' + bias' : ''}`,
      weights: shape.outFeatures * (shape.inFeatures + (shape.bias ? 1 : 0)),
      method,
      averaged: useEma && average !== undefined,
    }));
    return {
      preset,
      recipe: recipeOf(this.#options),
      layers,
      skipped: [...this.#skippedLayers].map(([name, reason]) => ({ name, reason })),
    };
  }

  /**
   * Takes in a layer's rows of one batch. Several calls before a step accumulate: batches, sites that share the
   * weights.
   *
   * @param name - The layer; of one that is skipped nothing is kept.
   * @param rows - See {@link RecordedBatchRows}.
   * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
   * `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_DETACHED_BUFFER`, `ERR_CGFAC_BUSY`.
   */
  record(name: string, rows: RecordedBatchRows): void {
    this.#requireIdle('record()');
    checkOptions(rows, 'record', recordNames);
    checkRequired(rows, 'record', {
      inputs: 'a Float32Array',
      lossGrads: 'a Float32Array',
      batch: 'a positive integer',
    });
    const entry = this.#entry(name);
    if (entry === undefined) return;
    const samples = positiveInteger(rows.batch, 'batch');
    const { inFeatures, outFeatures } = entry.shape;
    const count = this.#rowsOf(rows.inputs, inFeatures, samples);
    const inputs = float32(rows.inputs, 'inputs', count * inFeatures, `rows ${count} × inFeatures ${inFeatures}`);
    const lossGrads = float32(
      rows.lossGrads,
      'lossGrads',
      count * outFeatures,
      `rows ${count} × outFeatures ${outFeatures}`,
    );
    const site = rows.site === undefined ? 0 : nonNegativeInteger(rows.site, 'site');
    entry.layer.record({
      inputs,
      lossGrads,
      rows: count,
      samples: countSamples(entry, site, samples),
      factor: this.#factor(samples),
    });
  }

  /**
   * Takes in output gradients of sampled targets, which make the output factor that of the true Fisher matrix. Without
   * them it is made of the loss gradients (the empirical Fisher, a poor one where outputs are many). Used by steps
   * where {@link Preconditioner.refreshDue}.
   *
   * @param name - The layer.
   * @param rows - See {@link RecordedFisherRows}; with the loss reduction 'mean' they carry 1/batch of their own batch.
   * @throws {@link CgfacError} As {@link Preconditioner.record}.
   */
  recordFisher(name: string, rows: RecordedFisherRows): void {
    this.#requireIdle('recordFisher()');
    checkOptions(rows, 'recordFisher', fisherNames);
    checkRequired(rows, 'recordFisher', { outputGrads: 'a Float32Array', batch: 'a positive integer' });
    const entry = this.#entry(name);
    if (entry === undefined) return;
    const samples = positiveInteger(rows.batch, 'batch');
    const { outFeatures } = entry.shape;
    const count = this.#rowsOf(rows.outputGrads, outFeatures, samples);
    const given = float32(
      rows.outputGrads,
      'outputGrads',
      count * outFeatures,
      `rows ${count} × outFeatures ${outFeatures}`,
    );
    entry.layer.recordFisher({ outputGrads: given, rows: count, factor: this.#factor(samples) });
  }

  /**
   * Rewrites gradients in place: gradient ← M, M ← μM + ηx. The gradients may hold more than the recorded batch's own,
   * a regulariser's say.
   *
   * @param gradients - By layer; those of layers that are skipped, or not known, are left alone. A layer that has
   * recorded rows must have one.
   * @param options - The loss; `signal` cancels before the step's length is known, and the gradients are then spoilt.
   * @returns What was done.
   * @throws {@link CgfacError} as a rejection: as {@link Preconditioner.stepSync}; the reason of the signal.
   */
  async step(
    gradients: LayerVectors,
    options: StepOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<StepSummary> {
    checkOptions(options, 'step', asyncStepNames);
    const signal = abortSignal(options.signal);
    signal?.throwIfAborted();
    return (await this.#run(this.#planOf(gradients, options, 'step'), signal)).summary;
  }

  /**
   * The same on the calling thread and the pool.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION` (a loss, for 'polyak'), `ERR_CGFAC_UNKNOWN_OPTION`,
   * `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_NO_RECORD`,
   * `ERR_CGFAC_BUSY`, `ERR_CGFAC_DIVERGED` for the third skipped step in a row.
   */
  stepSync(gradients: LayerVectors, options: StepOptions = {}): StepSummary {
    checkOptions(options, 'stepSync', stepNames);
    return this.#runSync(this.#planOf(gradients, options, 'stepSync')).summary;
  }

  /**
   * The step of the recorded batch's own gradient, which is never formed where that is dearer. Registered weights are
   * updated in place, W ← W·(1 − η·weightDecay) − M.
   *
   * @param options - The loss; `signal` cancels before anything is updated.
   * @returns What was done, and M of the layers without registered weights.
   * @throws {@link CgfacError} as a rejection: as {@link Preconditioner.stepSync}; the reason of the signal.
   */
  async naturalGradients(
    options: StepOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<NaturalGradientsResult> {
    checkOptions(options, 'naturalGradients', asyncStepNames);
    const signal = abortSignal(options.signal);
    signal?.throwIfAborted();
    return await this.#run(this.#planOf(undefined, options, 'naturalGradients'), signal);
  }

  /**
   * The same on the calling thread and the pool.
   *
   * @throws {@link CgfacError} As {@link Preconditioner.stepSync}.
   */
  naturalGradientsSync(options: StepOptions = {}): NaturalGradientsResult {
    checkOptions(options, 'naturalGradientsSync', stepNames);
    return this.#runSync(this.#planOf(undefined, options, 'naturalGradientsSync'));
  }

  /**
   * Counts a step that the caller could not take, and forgets what was recorded for it.
   *
   * @param reason - Why, as a part of a sentence.
   * @returns What was done: nothing.
   * @throws {@link CgfacError} `ERR_CGFAC_DIVERGED` for the third skipped step in a row, `ERR_CGFAC_BUSY`.
   */
  skip(reason: string): StepSummary {
    this.#requireIdle('skip()');
    this.#absorb();
    const entries = [...this.#entries.values()];
    const plan = { entries, gradients: entries.map(() => undefined) };
    return this.#skip(plan, skippedStep({ loss: undefined, lossFloor: 0 }, this.#counts, reason).summary).summary;
  }

  /**
   * Tells what became of the loss, on the same batch, by the last step: with `adaptiveDamping` the damping of the steps
   * to come follows, with `adaptiveFraction` their φ. As often as its evaluation is worth it; a loss that is not finite
   * counts as one that grew.
   *
   * @param newLoss - L at the weights after the step.
   * @returns The ratio of measured to predicted decrease, and the factors from now on.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE` where no step was taken with
   * a loss, or it has been reported, `ERR_CGFAC_BUSY`.
   */
  reportLoss(newLoss: number): LossReport {
    this.#requireIdle('reportLoss()');
    return this.#adaptation.report(number(newLoss, 'newLoss'));
  }

  /**
   * Puts the averages in the place of the registered weights while `callback` runs, and then the weights back.
   *
   * @param callback - What to do with the averages; a promise that it returns is awaited.
   * @returns What `callback` returns.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_VALUE` where there are no averages, `ERR_CGFAC_BUSY`; what
   * `callback` throws.
   */
  async withAveragedWeights<T>(callback: () => T | Promise<T>): Promise<T> {
    this.#requireIdle('withAveragedWeights()');
    const averaged = this.#averaged('withAveragedWeights');
    this.#busy = true;
    try {
      return await exchanged(averaged, callback);
    } finally {
      this.#busy = false;
    }
  }

  /**
   * Overwrites the registered weights by their averages: the end of training, as Keras's optimizers have it.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_VALUE` where there are no averages, `ERR_CGFAC_BUSY`.
   */
  finalizeVariableValues(): void {
    this.#requireIdle('finalizeVariableValues()');
    for (const { weights, average } of this.#averaged('finalizeVariableValues'))
      forEachArray(weights, average, (to, from) => to.set(from));
  }

  /** Bytes kept between steps. @throws {@link CgfacError} `ERR_CGFAC_BUSY`. */
  memoryUsage(): NetworkMemory {
    this.#requireIdle('memoryUsage()');
    const sums = { recorded: 0, factors: 0, workspace: 0, momentum: 0, averages: 0 };
    for (const { layer, momentum, average } of this.#entries.values()) {
      const { recorded, factors, workspace } = layer.memory();
      sums.recorded += recorded;
      sums.factors += factors;
      sums.workspace += workspace;
      sums.momentum += bytesOf(momentum);
      sums.averages += bytesOf(average);
    }
    return { ...sums, total: sums.recorded + sums.factors + sums.workspace + sums.momentum + sums.averages };
  }

  /** Forgets what was recorded for the step to come. @throws {@link CgfacError} `ERR_CGFAC_BUSY`. */
  discard(): void {
    this.#requireIdle('discard()');
    this.#forgetRows();
  }

  /** Forgets steps, factors, momentum and averages; the layers stay. @throws {@link CgfacError} `ERR_CGFAC_BUSY`. */
  reset(): void {
    this.#requireIdle('reset()');
    this.#steps = this.#skippedTotal = this.#skippedInARow = 0;
    this.#seed = this.#options.seed;
    this.#averages.forget();
    this.#adaptation.restore(undefined);
    for (const entry of this.#entries.values()) {
      entry.layer.reset();
      entry.samples.clear();
      entry.momentum = undefined;
      if (entry.average && entry.weights) entry.average = copied(entry.weights);
    }
  }

  #entry(name: string): NetworkEntry | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined && !this.#skippedLayers.has(name))
      throw valueError('the name of a registered layer', 'the layer', name);
    return entry;
  }

  #rowsOf(array: unknown, features: number, samples: number): number {
    const length = ArrayBuffer.isView(array) && 'length' in array ? Number(array.length) : 0;
    const rows = Math.floor(length / features);
    // what is no multiple is refused by its length, of as many rows as samples at the least
    return rows > 0 && rows * features === length && rows % samples === 0
      ? rows
      : Math.max(samples, Math.floor(rows / samples) * samples);
  }

  /** What makes recorded gradients those of a sample's own loss. */
  #factor(samples: number): number {
    return (this.#options.lossReduction === 'mean' ? samples : 1) * this.#options.accumulationSteps;
  }

  #requireIdle(call: string): void {
    if (this.#busy)
      throw new CgfacError('ERR_CGFAC_BUSY', `Expected no pending step for ${call} but received one; await it first`);
  }

  #averaged(owner: string) {
    this.#absorb();
    return this.#averages.pairs([...this.#entries.values()], this.#steps === this.#skippedTotal, owner);
  }

  get #counts(): StepCounts {
    return { steps: this.#steps, skipped: { total: this.#skippedTotal, inARow: this.#skippedInARow } };
  }

  /** Checks a step's arguments. Nothing is changed before. */
  #planOf(gradients: LayerVectors | undefined, options: StepOptions, call: string): StepPlan {
    this.#requireIdle(`${call}()`);
    if (gradients !== undefined && (typeof gradients !== 'object' || gradients === null))
      throw typeError('gradients by layer', 'gradients', gradients);
    const loss = options.loss === undefined ? undefined : number(options.loss, 'loss');
    const lossFloor = options.lossFloor === undefined ? 0 : number(options.lossFloor, 'lossFloor');
    if (loss === undefined && this.#options.stepRule === 'polyak')
      throw new CgfacError(
        'ERR_CGFAC_MISSING_OPTION',
        `Expected the loss for ${call} with stepRule 'polyak' but received undefined; give { loss }, or another stepRule`,
      );
    const unusable = unusableLoss(loss, lossFloor);
    const entries = [...this.#entries.values()].filter(
      ({ name, layer }) => layer.recorded || (gradients !== undefined && named(gradients, name) !== undefined),
    );
    const arrays = entries.map(({ name, shape }) =>
      gradients === undefined ? undefined : vectorArrays(named(gradients, name), `gradients.${name}`, shape),
    );
    requireApart(arrays, 'the gradients of layers');
    requireArrays(entries, arrays);
    // weights may have been filled in since they were registered: averages start with those of the first step
    if (this.#steps === this.#skippedTotal) this.#averages.restart(this.#entries.values());
    if (unusable === undefined) requireRows(entries, call);
    const now = hyperparametersAt(this.#options, this.#steps);
    this.#absorb();
    const refresh = this.refreshDue;
    const refreshes = entries.some(({ layer }) => layer.recorded && (refresh || !layer.started));
    const plan = { entries, gradients: arrays, loss, lossFloor, refresh, refreshes, now };
    const skipped = unusable ?? unusableRows(entries, arrays);
    return skipped === undefined ? plan : { ...plan, skipped };
  }

  #prepareOptions({ refresh, now }: StepPlan): PrepareOptions {
    const { dampingMode, trustRegion } = this.#options;
    const damping = this.#adaptation.damping(now.damping, dampingMode === 'factored');
    return { refresh, damping, ...(trustRegion ? { trust: { ...trustRegion, stepSize: now.rate } } : {}) };
  }

  async #run(plan: StepPlan, signal: AbortSignal | undefined): Promise<NaturalGradientsResult> {
    this.#busy = true;
    try {
      const layers = plan.entries.map(({ layer }) => layer);
      const tasks = layers.map((layer, index) => ({ layer, gradient: plan.gradients[index] }));
      const decided = await this.#deciding(plan, () => prepare(tasks, this.#prepareOptions(plan), signal));
      if (decided.summary.skipped !== undefined) {
        if (plan.skipped === undefined) rollBack(layers);
        return this.#skip(plan, decided.summary);
      }
      const targets = writeTargets(plan, decided, this.#keepsMomentum(decided));
      if (targets !== undefined) await write(layers, targets);
      return this.#finish(plan, decided);
    } catch (error) {
      this.#undo(plan);
      throw error;
    } finally {
      this.#busy = false;
    }
  }

  #runSync(plan: StepPlan): NaturalGradientsResult {
    this.#busy = true; // a schedule or a getter that calls back is refused
    try {
      const layers = plan.entries.map(({ layer }) => layer);
      const tasks = layers.map((layer, index) => ({ layer, gradient: plan.gradients[index] }));
      const decided = this.#decidingSync(plan, () => prepareSync(tasks, this.#prepareOptions(plan)));
      if (decided.summary.skipped !== undefined) {
        if (plan.skipped === undefined) rollBack(layers);
        return this.#skip(plan, decided.summary);
      }
      const targets = writeTargets(plan, decided, this.#keepsMomentum(decided));
      if (targets !== undefined) writeSync(layers, targets);
      return this.#finish(plan, decided);
    } catch (error) {
      this.#undo(plan);
      throw error;
    } finally {
      this.#busy = false;
    }
  }

  /** The step has failed, or was aborted: what was recorded for it is forgotten, by the factors too. */
  #undo({ entries, skipped }: StepPlan): void {
    this.#forgetRows();
    if (skipped === undefined) rollBack(entries.map(({ layer }) => layer));
  }

  #forgetRows(): void {
    for (const { layer, samples } of this.#entries.values()) {
      layer.clear();
      samples.clear();
    }
  }

  #decidingSync(plan: StepPlan, prepared: () => PreparedStep[]): StepDecision {
    if (plan.skipped !== undefined) return skippedStep(plan, this.#counts, plan.skipped);
    try {
      return this.#decide(plan, prepared());
    } catch (error) {
      return this.#refused(plan, error);
    }
  }

  async #deciding(plan: StepPlan, prepared: () => Promise<PreparedStep[]>): Promise<StepDecision> {
    if (plan.skipped !== undefined) return skippedStep(plan, this.#counts, plan.skipped);
    try {
      return this.#decide(plan, await prepared());
    } catch (error) {
      return this.#refused(plan, error);
    }
  }

  #decide(plan: StepPlan, prepared: readonly PreparedStep[]): StepDecision {
    const polyakFraction = this.#adaptation.fraction(plan.now.polyakFraction);
    return decide({ ...plan, now: { ...plan.now, polyakFraction } }, prepared, this.#counts, this.#options.stepRule);
  }

  /** What the solvers refused as not finite is a step to skip; anything else is an error. */
  #refused(plan: StepPlan, error: unknown): StepDecision {
    if (!(error instanceof CgfacError) || error.code !== 'ERR_CGFAC_NOT_FINITE') throw error;
    return skippedStep(plan, this.#counts, error.message);
  }

  #finish(plan: StepPlan, decision: StepDecision): NaturalGradientsResult {
    const { entries, gradients } = plan;
    const { summary } = decision;
    const updates = applyStep(plan, decision, this.#keepsMomentum(decision));
    this.#forgetRows();
    for (const { layer } of entries) layer.settle();
    this.#steps++;
    this.#skippedInARow = 0;
    this.#adaptation.stepped(summary.loss, summary.predictedDecrease);
    this.#averages.stepped(plan.now.emaMomentum);
    if (gradients.every((gradient) => gradient === undefined)) this.#absorb();
    return { summary, updates };
  }

  #keepsMomentum({ momentum }: StepDecision): KeepsMomentum {
    const may = momentum > 0 || typeof this.#options.momentum === 'function';
    return (entry) => may || entry.momentum !== undefined;
  }

  #skip({ entries, gradients }: Pick<StepPlan, 'entries' | 'gradients'>, summary: StepSummary): NaturalGradientsResult {
    const updates: Record<string, WeightVector> = {};
    this.#forgetRows();
    entries.forEach(({ name, shape, weights }, index) => {
      const gradient = gradients[index];
      if (gradient) forEachArray(gradient, gradient, (values) => values.fill(0));
      else if (!weights) {
        updates[name] = vectorOf(newVector(shape));
      }
    });
    this.#steps++;
    this.#skippedTotal++;
    const before = this.#skippedInARow;
    this.#skippedInARow = summary.skippedSteps.inARow;
    this.#adaptation.forget();
    if (this.#skippedInARow > before && this.#skippedInARow >= SKIPPED_IN_A_ROW) {
      throw new CgfacError(
        'ERR_CGFAC_DIVERGED',
        `Expected a step that can be taken but received ${this.#skippedInARow} in a row that cannot: ${summary.skipped}; weights, momentum and averages are as before`,
      );
    }
    return { summary, updates };
  }

  #absorb(): void {
    this.#averages.absorb(this.#entries.values(), this.#steps - 1);
  }

  /**
   * Everything that training goes on with, the weights apart: a resumed run has the same bits as one that was not
   * interrupted. Copies; take it between steps, after the gradients of the last one were applied. What was recorded for
   * the step to come is not in it.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_BUSY`.
   */
  stateDict(): PreconditionerState {
    this.#requireIdle('stateDict()');
    this.#absorb();
    const layers: Record<string, StoredLayer> = {};
    for (const { name, layer, momentum, average } of this.#entries.values()) {
      layers[name] = {
        ...layer.state(),
        ...(momentum ? { momentum: stored(momentum) } : {}),
        ...(average ? { average: stored(average) } : {}),
      };
    }
    const skippedSteps = { total: this.#skippedTotal, inARow: this.#skippedInARow };
    return {
      version: 1,
      steps: this.#steps,
      skippedSteps,
      seed: this.#seed,
      adaptation: this.#adaptation.state(),
      layers,
    };
  }

  /**
   * Takes over what {@link Preconditioner.stateDict} gave, for the same layers under the same options.
   *
   * @param state - Of all registered layers; copied.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_SHAPE_MISMATCH`,
   * `ERR_CGFAC_NOT_FINITE`, `ERR_CGFAC_BUSY`; nothing is changed then but that what was recorded for the step to come
   * is forgotten.
   */
  loadStateDict(state: PreconditionerState): void {
    this.#requireIdle('loadStateDict()');
    checkState(state);
    const loaded = [...this.#entries.values()].map((entry) => {
      const found = layerOf(state, entry.name);
      const vector = (name: 'momentum' | 'average') =>
        restored(found[name], `state.layers.${entry.name}.${name}`, entry.shape);
      return { entry, found, momentum: vector('momentum'), average: vector('average') };
    });
    this.#forgetRows();
    restoreLayers(loaded.map(({ entry, found }) => ({ layer: entry.layer, state: found })));
    for (const { entry, momentum, average } of loaded) {
      entry.momentum = momentum;
      if (entry.average && entry.weights) entry.average = average ?? copied(entry.weights);
    }
    this.#steps = state.steps;
    this.#skippedTotal = state.skippedSteps.total;
    this.#skippedInARow = state.skippedSteps.inARow;
    this.#seed = state.seed;
    this.#adaptation.restore(state.adaptation);
    this.#averages.forget();
  }
}
