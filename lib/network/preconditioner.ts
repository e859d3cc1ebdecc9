import { write } from '../base/float32';
import { anyNumber, nonNegativeInteger, typeError } from '../base/validate';
import { forEachArray } from '../base/vectors';
import type { LossReport } from './adaptation';
import { exchanged } from './averages';
import { PreconditionerKeeping } from './keeping';
import { Network } from './network';
import { type PreconditionerOptions, resolvePreconditionerOptions, type Schedule, scheduled } from './options';
import { recordFisherRows, recordRows } from './recording';
import { refreshDueAfter } from './refresh';
import { networkReport } from './report';
import type { StepPlan } from './step/decide';
import { runLater, runNow } from './step/phase';
import { noStep, stepOptions, unlessAborted } from './step/planned';
import type { StepSummary } from './step/summary';
import type {
  LayerVectors,
  NaturalGradientsOptions,
  NaturalGradientsResult,
  NetworkReport,
  RecordedBatchRows,
  RecordedFisherRows,
  StepOptions,
} from './types';

export type {
  Conv2dLayerOptions,
  Conv2dTransposeLayerOptions,
  DepthwiseConv2dLayerOptions,
} from './kinds/convolution';
export type { DenseLayerOptions } from './kinds/dense';
export type { DiagonalLayerOptions } from './kinds/diagonal';
export type { EmbeddingLayerOptions } from './kinds/embedding';
export type { SharingOptions } from './kinds/layer-kind';
export type { LayerRole } from './kinds/role';
export type { ScaleShiftLayerOptions } from './kinds/scale-shift';
export type { Padding, WindowOptions } from './kinds/windows';

/**
 * {@link Preconditioner.naturalGradientsSync} without its copies: updates are the object's own arrays, which are to be
 * read before its next call, and not to be written to or transferred. For adapters; not part of the public face.
 */
let lentNaturalGradients: (preconditioner: Preconditioner, options: NaturalGradientsOptions) => NaturalGradientsResult;

export { lentNaturalGradients };

const stepNames = [
  'loss',
  'lossFloor',
  'assumedFloor',
  'assumedCurvature',
  'targets',
  'stepSize',
  'samples',
  'weightNorms',
  'depths',
  'weightDecay',
];
const asyncStepNames = [...stepNames, 'signal'];

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
 * before, too. A step with nothing to do (Σ⟨v, x⟩ is 0) is skipped, and no error.
 * docs/math.md derives the recipe. With a `communicator` steps are collectives of all ranks, which one that cannot take
 * them keeps all from: docs/guide-distributed-training.md.
 *
 * Source: Y. Chen, arXiv 2101.00218, 2021 (CG-FAC); J. Martens and R. Grosse, 2015 (K-FAC, factored damping, sampled
 * targets); B. Polyak, "Introduction to optimization", 1987 (the step); Ruppert 1988 and Polyak and Juditsky 1992
 * (averages).
 */
export class Preconditioner extends PreconditionerKeeping {
  readonly #network: Network;

  static {
    lentNaturalGradients = (preconditioner, options) => preconditioner.#naturalGradients(options, true);
  }

  /**
   * @param options - See {@link PreconditionerOptions}; a name that is not an option is refused.
   * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
   * `ERR_CGFAC_INVALID_ARG_VALUE`.
   */
  constructor(options: PreconditionerOptions) {
    const network = new Network(resolvePreconditionerOptions(options, 'Preconditioner'));
    super(network);
    this.#network = network;
  }

  /** Steps done, those that were skipped included. */
  get steps(): number {
    return this.#network.counts.steps;
  }

  /**
   * Whether the factors take in rows at the next step: only then are sampled gradients worth their backward pass
   * ({@link Preconditioner.recordFisher}). A step after one that could not be taken always does, and one with rows of a
   * layer that has no factors yet, or was registered since the last. Of layers that do not all take part in the step,
   * {@link Preconditioner.refreshDueAfter} tells.
   */
  get refreshDue(): boolean {
    return this.#network.refreshDue;
  }

  /**
   * Whether the factors of a layer that has taken part in `steps` steps, see {@link Preconditioner.stepsOf}, take in
   * rows at its next one. Each layer counts its own steps: of networks that take turns this tells which is due.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`.
   */
  refreshDueAfter(steps: number): boolean {
    const { counts, options, turns } = this.#network;
    const own = nonNegativeInteger(steps, 'steps');
    return turns.asking('refreshDueAfter()', () => refreshDueAfter(own, counts, options));
  }

  /**
   * Steps that a layer has taken part in; those that were skipped do not count.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_VALUE` for a layer that is not registered.
   */
  stepsOf(name: string): number {
    return this.#network.entry(name)?.steps ?? 0;
  }

  /** The factor of every step, a number > 0 or a function of the step; may be set between steps. */
  get learningRate(): Schedule<number> {
    return this.#network.options.learningRate;
  }

  /**
   * Sets the factor of the steps to come.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`.
   */
  set learningRate(value: Schedule<number>) {
    const learningRate = typeof value === 'function' ? value : scheduled.learningRate(value, 'learningRate');
    this.#network.options = { ...this.#network.options, learningRate };
  }

  /** Share of a batch whose targets should be sampled. */
  get fisherFraction(): number {
    return this.#network.fisherFraction;
  }

  /** What is preconditioned, how, and what is not and why. */
  report(): NetworkReport {
    return networkReport(this.#network);
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
    this.#network.requireIdle('record()');
    recordRows(this.#network, name, rows);
  }

  /**
   * Takes in output gradients of sampled targets, which make the output factor that of the true Fisher matrix. Without
   * them it is made of the loss gradients (the empirical Fisher, a poor one where outputs are many). Used by steps
   * where {@link Preconditioner.refreshDue}, and by every one whose `stepRule` is 'quadratic'.
   *
   * @param name - The layer.
   * @param rows - See {@link RecordedFisherRows}; with the loss reduction 'mean' they carry 1/batch of their own batch.
   * @throws {@link CgfacError} As {@link Preconditioner.record}.
   */
  recordFisher(name: string, rows: RecordedFisherRows): void {
    this.#network.requireIdle('recordFisher()');
    recordFisherRows(this.#network, name, rows);
  }

  /**
   * Rewrites gradients in place: gradient ← M, M ← μM + ηx. The gradients may hold more than the recorded batch's own,
   * a regulariser's say.
   *
   * @param gradients - By layer; those of layers that are skipped, or not known, are left alone. A layer that has
   * recorded rows must have one.
   * @param options - The loss; `signal` cancels before the step's length is known, and changes nothing then.
   * @returns What was done.
   * @throws {@link CgfacError} as a rejection: as {@link Preconditioner.stepSync}; the reason of the signal.
   */
  async step(
    gradients: LayerVectors,
    options: StepOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<StepSummary> {
    const { signal, given } = stepOptions(options, 'step', asyncStepNames);
    const how = { rewrites: true, owns: true, lends: false };
    const plan = () => this.#network.plan(gradients, given(), 'step', how);
    return (await runLater(this.#network.run(unlessAborted(signal, plan)), signal)).summary;
  }

  /**
   * Rewrites gradients in place as {@link Preconditioner.step} does, on the calling thread and the pool.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION` (a loss, for 'polyak'), `ERR_CGFAC_UNKNOWN_OPTION`,
   * `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_NO_RECORD`,
   * `ERR_CGFAC_BUSY`, `ERR_CGFAC_DIVERGED` for the third skipped step in a row.
   */
  stepSync(gradients: LayerVectors, options: StepOptions = {}): StepSummary {
    const { given } = stepOptions(options, 'stepSync', stepNames);
    const plan = () =>
      this.#network.plan(gradients, given(), 'stepSync', { rewrites: true, owns: false, lends: false });
    return runNow(this.#network.run(plan)).summary;
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
    options: NaturalGradientsOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<NaturalGradientsResult> {
    const { signal, given } = stepOptions(options, 'naturalGradients', [...asyncStepNames, 'gradients']);
    const how = { rewrites: false, owns: true, lends: false };
    const plan = () => this.#network.plan(given().gradients, given(), 'naturalGradients', how);
    return await runLater(this.#network.run(unlessAborted(signal, plan)), signal);
  }

  /**
   * Takes the step of {@link Preconditioner.naturalGradients} on the calling thread and the pool.
   *
   * @returns As {@link Preconditioner.naturalGradients}: copies, which no later step changes or looks at.
   * @throws {@link CgfacError} As {@link Preconditioner.stepSync}.
   */
  naturalGradientsSync(options: NaturalGradientsOptions = {}): NaturalGradientsResult {
    return this.#naturalGradients(options, false);
  }

  #naturalGradients(options: NaturalGradientsOptions, lends: boolean): NaturalGradientsResult {
    const { given } = stepOptions(options, 'naturalGradientsSync', [...stepNames, 'gradients']);
    const how = { rewrites: false, owns: false, lends };
    return runNow(this.#network.run(() => this.#network.plan(given().gradients, given(), 'naturalGradientsSync', how)));
  }

  /**
   * Counts a step that the caller could not take, and forgets what was recorded for it. Of several ranks it is the step
   * of all of them, which the others may be about to take: it waits for them on the calling thread, and none takes it.
   *
   * @param reason - Why, as a part of a sentence.
   * @returns What was done: nothing.
   * @throws {@link CgfacError} `ERR_CGFAC_DIVERGED` for the third skipped step in a row, `ERR_CGFAC_BUSY`.
   */
  skip(reason: string): StepSummary {
    this.#network.requireIdle('skip()');
    const plan = () => {
      if (typeof reason !== 'string') throw typeError('a string', 'reason', reason);
      this.#network.absorb();
      return noStep(this.#network.all, reason);
    };
    return runNow(this.#network.run(plan)).summary;
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
    this.#network.requireIdle('reportLoss()');
    return this.#network.adaptation.report(anyNumber(newLoss, 'newLoss'));
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
    this.#network.requireIdle('withAveragedWeights()');
    if (typeof callback !== 'function') throw typeError('a function', 'callback', callback);
    const averaged = this.#network.averaged('withAveragedWeights');
    return await this.#network.turns.exclusively(() => exchanged(averaged, callback));
  }

  /**
   * Overwrites the registered weights by their averages: the end of training, as Keras's optimizers have it.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_VALUE` where there are no averages, `ERR_CGFAC_BUSY`.
   */
  finalizeVariableValues(): void {
    this.#network.requireIdle('finalizeVariableValues()');
    for (const { weights, average } of this.#network.averaged('finalizeVariableValues'))
      forEachArray(weights, average, write);
  }

  /**
   * Forgets what was recorded for the step to come, which this process cannot take. Of several ranks the others, who
   * are in that step or about to take it, are told: they reject with `ERR_CGFAC_COMMUNICATION` and the words of the
   * error, and it waits for them on the calling thread.
   *
   * @param error - What happened here; it is the caller's to throw.
   * @throws {@link CgfacError} `ERR_CGFAC_BUSY`, `ERR_CGFAC_COMMUNICATION` where the others cannot be told.
   */
  abandon(error: unknown): void {
    this.#network.requireIdle('abandon()');
    this.#network.forgetRows();
    if (this.#network.ranks === undefined) return;
    const refused = (): StepPlan => {
      throw error;
    };
    try {
      runNow(this.#network.run(refused));
    } catch (thrown) {
      if (thrown !== error) throw thrown;
    }
  }

  /** Forgets what was recorded for the step to come. @throws {@link CgfacError} `ERR_CGFAC_BUSY`. */
  discard(): void {
    this.#network.requireIdle('discard()');
    this.#network.forgetRows();
  }
}
