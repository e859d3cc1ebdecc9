import {
  dispose,
  type NamedTensorMap,
  Optimizer,
  type Scalar,
  serialization,
  tidy,
  type Variable,
} from '@tensorflow/tfjs-core';
import { CgfacError, elementsOf, type NetworkMemory, reading, type Schedule, timed, typeError } from '../adapter-kit';
import type { CgfacOptions } from './options';
import { assignAll, exchanged } from './step/averages';
import { compute } from './step/compute';
import { givenGradients, givenVariables, requireFitting, requireLossFunction } from './step/given';
import { type LossAndGradients, requireKnown } from './step/gradients';
import { LayerChecks } from './step/layer-checks';
import { takeOn } from './step/next-values';
import { Notices } from './step/notices';
import { telling } from './step/ranks';
import { Recipe } from './step/recipe';
import type { OptimizerReport, StepReport } from './step/report';
import { optionsOf } from './step/resolved-options';
import type { Step } from './step/step';
import { Turn } from './step/turn';
import { explainingKernels } from './tape/errors';
import type { NamedTensor } from './tape/named-tensor';

/**
 * The optimizer of `cgfac` for TensorFlow.js: natural-gradient steps for dense layers, and for whatever else multiplies
 * rows of data by a trainable matrix (a recurrent layer, at each of its time steps); what is left, which it names once,
 * has a diagonal for its block of the Fisher matrix, and takes part in the same step.
 *
 * Its defaults take any loss: true Fisher from sampled targets, or the Gauss–Newton matrix of the loss's own curvature;
 * factored damping relative to each factor's mean eigenvalue; a step from the loss and its floor, with one length for
 * hard targets and one for each layer for everything else; heavy ball, averages of the weights
 * ({@link CgfacOptimizer.withAveragedWeights}). With `method: 'cg'` it is CG-FAC (Yingshi Chen, "An iterative K-FAC
 * algorithm for Deep Learning", arXiv 2101.00218): (F + λI) x = v by truncated conjugate gradients for each layer, and
 * with `stepRule: 'kl-clip'` its step too, W ← W − learningRate·ν·x with ν = min(1, √(klClip/(learningRate²·Σ⟨v, x⟩))).
 * With several positions to a sample, A sums over them and G averages (Grosse and Martens 2016). Make it with
 * {@link cgfac}, and give it to `model.compile` or call `minimize`.
 *
 * A step that throws has changed no variable and leaves no tensor behind but the averages, which the optimizer owns
 * until it is disposed of. A step whose loss or gradient is not finite is skipped and counted, and the third in a row
 * is an error. A run that goes on from saved weights has the same bits as one that was not interrupted.
 */
export class CgfacOptimizer extends Optimizer {
  /** The name that a saved model knows this class by. */
  static readonly className = 'Cgfac';

  /**
   * Optimizers of this class alone: that of `tf.Optimizer`, which is inherited otherwise, takes whatever can minimise.
   */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && #recipe in value;
  }

  readonly #recipe: Recipe;
  readonly #checks = new LayerChecks();
  readonly #notices: Notices;
  readonly #turn = new Turn();
  /** What `computeGradients` captured, until its gradients are applied. */
  #step: Step | undefined;
  #lastStep: StepReport | undefined;

  /**
   * @param options - See {@link CgfacOptions}.
   * @throws {@link CgfacError} `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`,
   * `ERR_CGFAC_MISSING_OPTION`.
   */
  constructor(options: CgfacOptions = {}) {
    super();
    this.#recipe = new Recipe(options);
    this.#notices = new Notices((this.#recipe.ranks?.rank ?? 0) > 0);
    this.#notices.tellOfRate(this.#recipe.learningRate);
  }

  /** A factor of every step, > 0, or, where it was given as one, a function of the step; may be set between steps. */
  get learningRate(): Schedule<number> {
    return this.#recipe.learningRate;
  }

  /**
   * Sets the factor of every step.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE` for anything but a number ≥
   * 0.
   */
  set learningRate(value: Schedule<number>) {
    const before = this.#recipe.learningRate;
    this.#recipe.learningRate = value;
    this.#notices.tellOfRate(value, before);
  }

  /** What the last step did; `undefined` before the first. */
  get lastStep(): StepReport | undefined {
    return this.#lastStep;
  }

  /**
   * Minimises the scalar that `f` returns by one step, and calls `f` once.
   *
   * @param f - Computes the loss.
   * @param returnCost - Whether to return the loss (before the step); the caller disposes of it.
   * @param varList - The variables to change. Default: all trainable ones.
   * @throws {@link CgfacError} as {@link CgfacOptimizer.computeGradients} and {@link CgfacOptimizer.applyGradients} do.
   */
  override minimize(f: () => Scalar, returnCost = false, varList?: Variable[]): Scalar | null {
    const before = this.#step;
    const { value, grads } = this.#compute('minimize', f, varList);
    const captured = this.#step;
    let done = false;
    try {
      this.applyGradients(grads);
      done = true;
    } finally {
      if (!done && this.#step === captured) this.#step = before;
      dispose(grads);
      if (!done || !returnCost) value.dispose();
    }
    return returnCost ? value : null;
  }

  /**
   * Computes the loss and its gradients as `tf.variableGrads` does, and captures the rows of the layers on the way.
   *
   * @param f - Computes the loss; called once.
   * @param varList - The variables to differentiate by. Default: all trainable ones.
   * @returns The loss and the gradients by variable name; the caller disposes of them.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE` for a loss that is not a scalar, an `f` that is no function
   * and a `varList` of anything but variables, `ERR_CGFAC_INVALID_ARG_VALUE` where none of these is trainable or the
   * loss depends on none, `ERR_CGFAC_DISPOSED` for tensors that were disposed of, `ERR_CGFAC_TFJS_KERNEL` for a backend
   * that lacks an op, `ERR_CGFAC_TFJS_VERSION` for a tape of another form, `ERR_CGFAC_BUSY` during
   * {@link CgfacOptimizer.withAveragedWeights}, and for a loss or a schedule that asks for a step, for other weights or
   * for the end of this optimizer. The last capture is kept, then; what `f` throws comes out as it is.
   */
  override computeGradients(f: () => Scalar, varList?: Variable[]): LossAndGradients {
    return this.#compute('computeGradients', f, varList);
  }

  #compute(call: 'minimize' | 'computeGradients', f: () => Scalar, varList: Variable[] | undefined): LossAndGradients {
    const own = call === 'minimize'; // gradients go to applyGradients as they are, and those of kernels are not needed
    const { result, step, failed } = this.#turn.take(call, () => {
      const given = telling(this.#recipe.ranks, () => {
        requireLossFunction(f);
        return givenVariables(varList);
      });
      this.#notices.tellOfCopies(given.variables);
      return compute(this.#recipe, this.#checks, { f, ...given, own, iteration: this.iterations });
    });
    this.#notices.tellOfFailed(failed);
    this.#step = step;
    return result;
  }

  /**
   * Changes the variables by one step. All directions are computed before the first variable is changed.
   *
   * The gradients after a {@link CgfacOptimizer.computeGradients} take the step of the last one's rows and loss. Where
   * all of them are its gradients times one number > 0, as after a clip of their norm, the step is that of the
   * gradients themselves, for its length is found from the loss; with `stepRule` 'fixed' or 'kl-clip' the number
   * counts. Other ones, those of `tf.variableGrads` or of a step that was taken before, are preconditioned with the
   * factors that are kept, which do not take them in; the step is as long as the last captured one, with one length for
   * all layers.
   *
   * @param variableGradients - By name: those of {@link CgfacOptimizer.computeGradients}, changed or not (clipped, or
   * averaged over several calls), or others.
   * @throws {@link CgfacError} `ERR_CGFAC_TFJS_NO_CAPTURE` for gradients of variables that no step has met, or without
   * a captured step where the `stepRule` needs a loss ('quadratic' needs rows, too); `ERR_CGFAC_DIVERGED` for the third
   * step in a row that is not finite; `ERR_CGFAC_TFJS_KERNEL` for a backend that lacks an op;
   * `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_DISPOSED`, `ERR_CGFAC_SHAPE_MISMATCH` for
   * anything but float32 tensors of the shapes of their variables; `ERR_CGFAC_BUSY` as
   * {@link CgfacOptimizer.computeGradients}. The last capture is kept, then, for gradients that can be applied.
   */
  override applyGradients(variableGradients: NamedTensorMap | NamedTensor[]): void {
    this.#turn.take('applyGradients', () => this.#apply(variableGradients));
  }

  #apply(variableGradients: NamedTensorMap | NamedTensor[]): void {
    const captured = this.#step;
    const { step, gradients } = telling(this.#recipe.ranks, () => {
      const gradients = givenGradients(variableGradients);
      if (captured && Number.isFinite(captured.loss)) requireKnown(captured, gradients);
      const step = captured ?? this.#recipe.kept(gradients, this.iterations);
      requireFitting(step, gradients);
      return { step, gradients };
    });
    explainingKernels(() => {
      const changed = tidy(() => {
        const { next, report } = this.#recipe.apply(step, gradients);
        timed('assignment', () => takeOn(next));
        [this.#lastStep, this.#step] = [report, undefined];
        if (captured) this.#recipe.rooms.close(captured.room);
        return next.length > 0;
      });
      if (changed) timed('averages', () => this.#recipe.assigned(step));
    });
    this.incrementIterations();
    if (captured) this.#notices.tellOfLone(captured.lone);
    if (this.#lastStep) this.#notices.tellOfStep(this.#lastStep);
  }

  /**
   * Puts the averages of the variables in their place while `callback` runs, and then the variables back. Among them
   * are running statistics of batch normalisation that began at a mean of 0 and a variance of 1, as layers make them:
   * their averages are without what is left of that.
   *
   * @param callback - What to do with the averages, evaluate or save the model say; a promise that it returns is
   * awaited.
   * @returns What `callback` returns.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_VALUE` where there are no averages, `ERR_CGFAC_BUSY` in a
   * callback of its own, or from within a loss or a schedule, `ERR_CGFAC_INVALID_ARG_TYPE` for anything but a
   * function; what `callback` throws.
   */
  async withAveragedWeights<T>(callback: () => T | Promise<T>): Promise<T> {
    this.#turn.requireIdle('withAveragedWeights');
    if (typeof callback !== 'function') throw typeError('a function', 'callback', callback);
    const averages = this.#averages('withAveragedWeights');
    return await this.#turn.averaging(() => exchanged(averages, callback));
  }

  /**
   * Overwrites the variables by their averages, as {@link CgfacOptimizer.withAveragedWeights} has them: the end of
   * training.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_VALUE` where there are no averages, `ERR_CGFAC_BUSY` during
   * `withAveragedWeights`, and from within a loss or a schedule.
   */
  finalizeVariableValues(): void {
    this.#turn.requireIdle('finalizeVariableValues');
    assignAll(this.#averages('finalizeVariableValues'));
  }

  /**
   * What is preconditioned and how, what is not and why, where layers enter the loss, and what it cannot fall below;
   * `undefined` before the first step.
   */
  report(): OptimizerReport | undefined {
    return this.#recipe.report();
  }

  /** Bytes kept between steps. */
  memoryUsage(): NetworkMemory {
    return this.#recipe.memoryUsage(this.#step?.room);
  }

  /**
   * What has to be kept to go on with training: the number of steps, the seed of the sampled targets, the state of the
   * preconditioner (momentum, factors, warm starts), the averages, and what tells the variables that these are of. All
   * of it is as it is at the call.
   *
   * @returns `iter` (int32, scalar), `seed` (int32, 2: the low and the high word), and the state: tensors that no
   * backend holds until an op uses them, so that nothing stays of those that nobody disposes of, as `model.save` does.
   */
  override getWeights(): Promise<NamedTensor[]> {
    return new Promise((resolve) => {
      resolve(this.#recipe.weights(this.iterations));
    });
  }

  /**
   * Takes over what {@link CgfacOptimizer.getWeights} returned, or nothing of it. Counters count on at once; the state
   * of the layers, and the averages, go to the variables that have the numbers which they were saved with, as the steps
   * to come meet them, and are part of {@link CgfacOptimizer.getWeights} until then. Where no variable has them, for
   * the weights were changed since, names decide, or the order. A step whose layers have other shapes is refused.
   *
   * @param weightValues - The tensors that were saved, in their order; the names do not matter.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_INVALID_ARG_TYPE` for anything else,
   * `ERR_CGFAC_BUSY` during `withAveragedWeights`, and from within a loss or a schedule; the state is what it was
   * before, then.
   */
  override setWeights(weightValues: NamedTensor[]): Promise<void> {
    return new Promise((resolve) => {
      this.iterations_ = this.#turn.take('setWeights', () =>
        this.#recipe.setWeights(elementsOf(weightValues, 'the optimizer weights') ?? weightValues),
      );
      this.#step = undefined;
      resolve();
    });
  }

  /**
   * The options that were given, with the seed, `method` and `fisher`, which are always there.
   * Functions of the step and regular expressions cannot be saved and are left out, with a warning.
   */
  override getConfig(): serialization.ConfigDict {
    this.#notices.tellOfUnsaved(this.#recipe.unsavable());
    return this.#recipe.config() as serialization.ConfigDict;
  }

  /**
   * Makes an optimizer from a saved configuration.
   *
   * @param config - What {@link CgfacOptimizer.getConfig} returned. Names that are not options are ignored: loaders add
   * some.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`.
   */
  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    const options = optionsOf(config);
    reading('a class of optimizers', 'cls', () => Reflect.construct(Object, [], cls));
    return new cls(options);
  }

  /**
   * Lets go of the memory of the solvers and of the averages. The optimizer can be used again.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_BUSY` from within a loss or a schedule.
   */
  override dispose(): void {
    this.#turn.requireOutside('dispose');
    this.#recipe.dispose();
    this.#step = undefined;
    super.dispose();
  }

  /** The averages, of which there must be some. */
  #averages(owner: string) {
    const averages = this.#recipe.averages();
    // weights that no step has moved are their own averages
    const unmoved = this.#lastStep?.summary?.skipped !== undefined && this.#recipe.unmoved;
    if (averages.length > 0 || unmoved) return averages;
    throw new CgfacError(
      'ERR_CGFAC_INVALID_ARG_VALUE',
      `Expected averages for ${owner} but received none: there are some after a step, with useEma, or loaded ones ` +
        'where one variable for each has the numbers that were saved with it',
    );
  }
}

serialization.registerClass(CgfacOptimizer);

/**
 * Makes a CG-FAC optimizer: `model.compile({ optimizer: cgfac(), loss: 'categoricalCrossentropy' })`.
 *
 * @param options - See {@link CgfacOptions}; a name that is not an option is refused.
 * @throws {@link CgfacError} `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`.
 */
export function cgfac(options: CgfacOptions = {}): CgfacOptimizer {
  return new CgfacOptimizer(options);
}
