/** The layers of a {@link Preconditioner}, and the steps that they take together. */
import { CgfacError, isCgfacError } from '../base/errors';
import { clear } from '../base/float32';
import { typeError, valueError } from '../base/validate';
import { copied, forEachArray, newVector, requireApart, vectorOf } from '../base/vectors';
import type { WeightVector } from '../base/weight-vector';
import { Adaptation } from './adaptation';
import { averageDecay, NetworkAverages } from './averages';
import type { LayerKind } from './kinds/layer-kind';
import { at, type ResolvedPreconditionerOptions, scheduled } from './options';
import type { Agreement, Attempt } from './ranks/agreement';
import { Owners } from './ranks/owners';
import { Ranks } from './ranks/ranks';
import { anyRefreshDue } from './refresh';
import {
  curvatureAssumed,
  expectedProduct,
  isThere,
  type NetworkEntry,
  newEntry,
  requireArrays,
  requireWeights,
  resizeEntry,
  skippedBy,
} from './registry';
import { decide, type StepCounts, type StepDecision, type StepPlan, skippedStep } from './step/decide';
import { dampingOf, hyperparametersAt, mostLengthening } from './step/length';
import type { Phases } from './step/phase';
import { preparation, rollBack, writing } from './step/phases';
import { type HowTaken, plannedStep } from './step/planned';
import { type PreparedStep, type PrepareOptions, productWithMomentum } from './step/prepared';
import type { StepSummary } from './step/summary';
import { type KeepsMomentum, rememberProducts, unappliedUpdates, updatedLayers } from './step/update';
import { Turns } from './turns';
import type { LayerVectors, NaturalGradientsResult, StepOptions } from './types';

/** So many steps in a row that have to be skipped are an error. */
const SKIPPED_IN_A_ROW = 3;

/** What a step would be, or what is wrong with its arguments; a call while another is pending is refused at once. */
function attempted(make: () => StepPlan): Attempt {
  try {
    return { plan: make() };
  } catch (thrown) {
    if (isCgfacError(thrown) && thrown.code === 'ERR_CGFAC_BUSY') throw thrown;
    return { thrown };
  }
}

/** Layers, counts, averages and adaptation, and one step at a time. */
export class Network {
  /** The registered layers that are preconditioned, by name. */
  readonly entries = new Map<string, NetworkEntry>();
  /** Why layers are not preconditioned, by name. */
  readonly skippedLayers = new Map<string, string>();
  /** What `reportLoss` adapts. */
  readonly adaptation: Adaptation;
  /** The averages of the registered weights. */
  readonly averages: NetworkAverages;
  /** Whose turn it is. */
  readonly turns = new Turns();
  /** Steps done, and those that were skipped. */
  counts: StepCounts = { steps: 0, skipped: { total: 0, inARow: 0 } };

  /** The ranks that train this network together, where there are others. */
  readonly ranks: Ranks | undefined;

  constructor(public options: ResolvedPreconditionerOptions) {
    const { communicator } = options;
    this.ranks = communicator && communicator.size > 1 ? new Ranks(communicator, options) : undefined;
    this.adaptation = new Adaptation(options.adapted);
    this.averages = new NetworkAverages(options.useEma);
  }

  /** The registered layers. */
  get all(): NetworkEntry[] {
    return [...this.entries.values()];
  }

  /** Whether the factors take in rows at the next step, of any layer. */
  get refreshDue(): boolean {
    return this.turns.asking('refreshDue', () => anyRefreshDue(this.all, this.counts, this.options));
  }

  /** The learning rate of a step. */
  rateAt(step: number): number {
    return this.turns.asking('loadStateDict()', () => hyperparametersAt(this.options, step)).rate;
  }

  /** Share of a batch whose targets are sampled. */
  get fisherFraction(): number {
    const { options, counts } = this;
    return this.turns.asking('fisherFraction', () =>
      at(options.fisherFraction, counts.steps, 'fisherFraction', scheduled.fisherFraction),
    );
  }

  /** What makes recorded gradients those of a sample's own loss. */
  sampleFactor(samples: number): number {
    return (this.options.lossReduction === 'mean' ? samples : 1) * this.options.accumulationSteps;
  }

  requireIdle(call: string): void {
    this.turns.requireIdle(call);
  }

  /** Takes a layer in, unless `skipLayers` names it; returns whether it is preconditioned. */
  register(name: unknown, kind: LayerKind, options: unknown): boolean {
    if (typeof name !== 'string') throw typeError('a string', 'the name of a layer', name);
    if (this.entries.has(name) || this.skippedLayers.has(name))
      throw valueError('a name that is not taken', 'the name of a layer', name);
    const parsed = kind.parse(options, this.options);
    const { weights } = parsed;
    requireApart(this.all.map((entry) => entry.weights).concat(weights), 'the weights of layers');
    const pattern = skippedBy(this.options.skipLayers, name);
    if (pattern !== undefined) {
      this.skippedLayers.set(name, `skipLayers names it (${pattern})`);
      return false;
    }
    if (this.options.weightDecay !== 0) requireWeights(name, weights, 'weightDecay');
    this.entries.set(name, newEntry(name, kind, parsed, this.options, this.counts.steps));
    return true;
  }

  /** Has the samples of a layer have another size from now on; see {@link Preconditioner.resize}. */
  resize(name: string, size: object): void {
    const entry = this.entry(name);
    if (entry) resizeEntry(entry, size, this.options);
  }

  /** A layer that is preconditioned; `undefined` of one that is skipped. */
  entry(name: string): NetworkEntry | undefined {
    const entry = this.entries.get(name);
    if (entry === undefined && !this.skippedLayers.has(name))
      throw valueError('the name of a registered layer', 'the layer', name);
    return entry;
  }

  /** Forgets what was recorded for the step to come. */
  forgetRows(): void {
    for (const { layer, samples, inputs } of this.entries.values()) {
      layer.clear();
      samples.clear();
      inputs.clear();
    }
  }

  /** The averages take in the weights of the last step, if they have not. */
  absorb(): void {
    this.averages.absorb(this.entries.values());
  }

  /** The registered weights with their averages. */
  averaged(owner: string) {
    this.absorb();
    const { steps, skipped } = this.counts;
    return this.averages.pairs(this.all, steps === skipped.total, owner);
  }

  /** Forgets steps, factors, momentum and averages. */
  reset(): void {
    this.counts = { steps: 0, skipped: { total: 0, inARow: 0 } };
    this.averages.forget();
    this.adaptation.restore(undefined);
    for (const entry of this.entries.values()) {
      entry.layer.reset();
      entry.samples.clear();
      entry.inputs.clear();
      entry.momentum = undefined;
      entry.lent = false;
      entry.steps = 0;
      entry.momentumProduct = undefined;
      entry.assumedCurvature = 0;
      if (entry.average && entry.weights) entry.average = copied(entry.weights);
    }
  }

  // --- A step --------------------------------------------------------------------------------------------------------

  /**
   * Checks a step's arguments. Nothing is changed before.
   *
   * @param how - `rewrites`: whether gradients are to be rewritten, all that have rows then. `owns`: whether the step
   * is to have copies of what it works on. `lends`: whether updates are given in arrays that it goes on with.
   */
  plan(gradients: LayerVectors | undefined, options: StepOptions, call: string, how: HowTaken): StepPlan {
    return plannedStep(this, gradients, options, call, how);
  }

  /** The owners of all layers, of those as well that have not taken part in a step yet. */
  plannedOwners(): Owners {
    const owners = this.ranks?.owners ?? new Owners(1, this.options);
    owners.include(this.all);
    return owners;
  }

  /**
   * The phases of a step from its arguments on. Ranks take the same one, or none does: one that is refused here is told
   * the others first.
   */
  *run(make: () => StepPlan): Phases<NaturalGradientsResult> {
    const { ranks, counts } = this;
    if (ranks === undefined) return yield* this.step(make());
    const attempt = attempted(make);
    this.turns.begin();
    let agreement: Agreement;
    try {
      agreement = yield* ranks.agreed(attempt, { entries: this.all, counts, adaptation: this.adaptation.state() });
    } finally {
      this.turns.end();
    }
    const { plan } = agreement;
    const decide = (prepared: readonly PreparedStep[]) => this.#decide(plan, prepared);
    const shared = { prepare: this.#prepareOptions(plan), counts, decide };
    return yield* this.step(plan, ranks.deciding(agreement, shared));
  }

  /** The phases of a step, from its plan to its summary. One that fails leaves no trace but rows that are forgotten. */
  *step(plan: StepPlan, deciding = this.#deciding(plan)): Phases<NaturalGradientsResult> {
    this.turns.begin(); // a getter that calls back is refused
    const layers = plan.entries.map(({ layer }) => layer);
    const adapted = this.adaptation.state();
    try {
      const decision = yield* deciding;
      if (decision.summary.skipped !== undefined) {
        if (plan.skipped === undefined) rollBack(layers);
        this.adaptation.restore(adapted);
        return this.skip(plan, decision.summary);
      }
      const keepsMomentum = this.#keepsMomentum(decision);
      const { rate, weightDecay, emaMomentum } = plan.now;
      const steps = plan.entries[0]?.steps ?? 0;
      const average = averageDecay(emaMomentum, steps);
      const averaged = new Set(plan.entries.filter((entry) => !plan.rewrites && entry.steps === steps));
      const factors = new Float64Array(plan.entries.length);
      const { momentum } = decision;
      const update = { rate, momentum, weightDecay, averageDecay: average, factors };
      yield writing(updatedLayers(plan, decision, keepsMomentum, averaged), update);
      if (this.options.fractionRule === 'momentum') rememberProducts(plan, decision, factors);
      return this.#finish(plan, decision, averaged);
    } catch (error) {
      this.forgetRows();
      this.adaptation.restore(adapted);
      if (plan.skipped === undefined) rollBack(layers);
      throw error;
    } finally {
      this.turns.end();
    }
  }

  *#deciding(plan: StepPlan): Phases<StepDecision> {
    if (plan.skipped !== undefined) return skippedStep(plan, this.counts, plan.skipped);
    const tasks = plan.entries.map((entry, index) => {
      const { layer, momentum, samples } = entry;
      // an older factor serves a gradient without rows
      const refresh = plan.refresh.has(entry);
      return { layer, refresh, gradient: plan.gradients[index], momentum, samples: Math.max(0, ...samples.values()) };
    });
    try {
      const { phase, collect } = preparation(tasks, this.#prepareOptions(plan));
      yield phase;
      return this.#decide(plan, collect());
    } catch (error) {
      // What the solvers refused as not finite is a step to skip; anything else is an error.
      if (!isCgfacError(error) || error.code !== 'ERR_CGFAC_NOT_FINITE') throw error;
      return skippedStep(plan, this.counts, error.message);
    }
  }

  #prepareOptions({ now, stepRule, entries, refresh, assumedCurvature: told }: StepPlan): PrepareOptions {
    const { dampingMode, fractionRule, trustRegion } = this.options;
    const own = dampingOf(now, this.options, curvatureAssumed(entries, refresh, told));
    const damping = this.adaptation.damping(own, dampingMode === 'factored');
    const measures = { momentum: fractionRule === 'momentum', samples: stepRule === 'quadratic' };
    return { damping, measures, ...(trustRegion ? { trust: { ...trustRegion, stepSize: now.rate } } : {}) };
  }

  #decide(plan: StepPlan, prepared: readonly PreparedStep[]): StepDecision {
    const product = productWithMomentum(prepared);
    if (this.options.fractionRule === 'momentum') {
      const { stepRule, entries, loss, now } = plan;
      const lengths = { most: mostLengthening(stepRule, now), oneLength: stepRule === 'polyak' };
      const step = { ...lengths, loss, assumed: curvatureAssumed(entries) };
      this.adaptation.follow(product, expectedProduct(entries), step);
    }
    const polyakFraction = this.adaptation.fraction(plan.now.polyakFraction);
    const now = { ...plan.now, polyakFraction };
    return { ...decide({ ...plan, now }, prepared, this.counts, this.options), prepared };
  }

  #keepsMomentum({ momentum }: StepDecision): KeepsMomentum {
    const { fractionRule, stepRule } = this.options;
    const bounded = fractionRule === 'momentum' || stepRule === 'auto' || stepRule === 'quadratic';
    const may = momentum > 0 || bounded || typeof this.options.momentum === 'function';
    return (entry) => may || entry.momentum !== undefined;
  }

  /** Takes in what a step did; weights but those `averaged` are averaged here, where all of it was applied. */
  #finish(plan: StepPlan, { summary }: StepDecision, averaged: ReadonlySet<NetworkEntry>): NaturalGradientsResult {
    const { entries, rewrites, now } = plan;
    const updates = unappliedUpdates(plan);
    this.forgetRows();
    for (const entry of entries) {
      entry.layer.settle();
      entry.steps++;
      if (plan.refresh.has(entry)) entry.assumedCurvature = plan.assumedCurvature ?? entry.assumedCurvature;
    }
    const { steps, skipped } = this.counts;
    this.counts = { steps: steps + 1, skipped: { total: skipped.total, inARow: 0 } };
    this.adaptation.stepped(summary.loss, summary.predictedDecrease);
    if (rewrites) this.averages.stepped(now.emaMomentum);
    else
      this.averages.average(
        this.all.filter((entry) => !averaged.has(entry) && isThere(entry)),
        now.emaMomentum,
      );
    return { summary, updates };
  }

  /** A step that is not taken: gradients become zero, and so do updates. */
  skip(
    { entries, gradients, rewrites }: Pick<StepPlan, 'entries' | 'gradients' | 'rewrites'>,
    summary: StepSummary,
  ): NaturalGradientsResult {
    if (rewrites) requireArrays(entries, gradients);
    this.forgetRows();
    const updates = Object.fromEntries(
      entries.flatMap(({ name, shape, weights }, index): [string, WeightVector][] => {
        const gradient = gradients[index];
        if (!(gradient && rewrites)) return weights ? [] : [[name, vectorOf(newVector(shape))]];
        forEachArray(gradient, gradient, clear);
        return [];
      }),
    );
    const { steps, skipped } = this.counts;
    this.counts = { steps: steps + 1, skipped: { total: skipped.total + 1, inARow: summary.skippedSteps.inARow } };
    this.adaptation.forget();
    const { inARow } = this.counts.skipped;
    if (inARow > skipped.inARow && inARow >= SKIPPED_IN_A_ROW) {
      throw new CgfacError(
        'ERR_CGFAC_DIVERGED',
        `Expected a step that can be taken but received ${inARow} in a row that cannot: ${summary.skipped}; ` +
          'weights, momentum and averages are as before',
      );
    }
    return { summary, updates };
  }
}
