import {
  dispose,
  mul,
  type NamedTensorMap,
  Optimizer,
  type Scalar,
  serialization,
  sub,
  type Tensor,
  tensor,
  tensor1d,
  tidy,
  type Variable,
} from '@tensorflow/tfjs-core';
import { CgfacError } from '../error';
import { uniforms } from '../sampler';
import { positive, valueError } from '../validate';
import { Block, type BlockDirection, type BlockVector } from './block';
import { type Capture, type CapturedLayer, capture } from './capture';
import { allFinite, diverged, gradientsByName, type NamedTensor, noCapture, readGradient, variablesOf } from './gradients';
import { type CgfacOptions, optionsOf, type ResolvedOptions, resolveOptions } from './options';
import type { Layer, PlainVariable } from './sites';
import type { StepReport } from './step-report';
import { explainingKernels, registeredVariables, variableGradients } from './tape';

const UINT32 = 2 ** 32;

const REFUSED = 'gradient differs from that of its rows';

/** What {@link CgfacOptimizer.computeGradients} returns. */
export interface LossAndGradients {
  /** The loss. */
  value: Scalar;
  /** Its gradients by the names of the variables. */
  grads: NamedTensorMap;
}

/** The gradients of one step, as far as the optimizer read them, and what they are to do. */
interface Plan {
  readonly directions: readonly { readonly layer: CapturedLayer; readonly direction: BlockDirection }[];
  readonly plain: readonly { readonly variable: Variable; readonly gradient: Tensor }[];
  readonly innerProduct: number;
  readonly nu: number;
}

/**
 * The CG-FAC optimizer for TensorFlow.js: natural-gradient steps for dense layers, and for whatever else multiplies rows of data by a
 * trainable matrix (a recurrent layer, at each of its time steps), plain gradient steps for the rest, which it names once.
 *
 * Per layer it solves (F + λI) x = v by conjugate gradients, F = A ⊗ G from the rows of the batch (Yingshi Chen, "An iterative K-FAC
 * algorithm for Deep Learning", arXiv 2101.00218; Kronecker factors: Martens and Grosse 2015; with several positions to a sample, A
 * sums over them and G averages: Grosse and Martens 2016), and then steps W ← W − learningRate·ν·x with
 * ν = min(1, √(klClip/(learningRate²·Σ⟨v, x⟩))). Make it with {@link cgfac}, and give it to `model.compile` or call `minimize`.
 *
 * A step that throws has changed no variable and leaves no tensor behind. Not a part of the saved state are the previous directions
 * that warm starts begin at and the rows that fill up a short batch: the first step after loading starts without them.
 */
export class CgfacOptimizer extends Optimizer {
  /** The name that a saved model knows this class by. */
  static readonly className = 'Cgfac';

  #options: ResolvedOptions;
  readonly #blocks = new Map<number, Block>();
  readonly #named = new Set<string>();
  #capture: Capture | undefined;
  #lastStep: StepReport | undefined;

  /**
   * @param options - See {@link CgfacOptions}.
   * @throws {@link CgfacError} `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`.
   */
  constructor(options: CgfacOptions = {}) {
    super();
    this.#options = resolveOptions(options);
  }

  /** Length of a step before ν shortens it, > 0; may be set between steps. */
  get learningRate(): number {
    return this.#options.learningRate;
  }

  /** @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE` for anything but a number > 0. */
  set learningRate(value: number) {
    this.#options = { ...this.#options, learningRate: positive(value, 'learningRate') };
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
    const { value, grads } = this.computeGradients(f, varList);
    let done = false;
    try {
      this.applyGradients(grads);
      done = true;
    } finally {
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
   * @throws {@link CgfacError} `ERR_CGFAC_TFJS_HEAD` when the true Fisher matrix is asked for and the loss is not one of a known output
   * distribution, `ERR_CGFAC_TFJS_DIVERGED` for a loss or gradient that is not finite, `ERR_CGFAC_INVALID_ARG_TYPE` for a loss that is
   * not a scalar, `ERR_CGFAC_TFJS_KERNEL` for a backend that lacks an op, `ERR_CGFAC_TFJS_VERSION` for a tape of another form.
   */
  override computeGradients(f: () => Scalar, varList?: Variable[]): LossAndGradients {
    this.#capture = undefined;
    const variables = (varList ?? registeredVariables()).filter((variable) => variable.trainable);
    let captured: Capture = { layers: [], plain: [] };
    const result = variableGradients(f, varList, (tape, loss) => {
      const [value = Number.NaN] = loss.dataSync();
      if (!Number.isFinite(value)) throw diverged('loss', String(value));
      captured = capture(tape, loss, variables, {
        fisher: this.#options.fisher,
        uniform: uniforms(this.#options.seed, this.iterations),
        refused: (layer) => (this.#blockOf(layer).state === 'refused' ? REFUSED : undefined),
        checked: (layer) => this.#blockOf(layer).state === 'unchecked',
      });
    });
    try {
      this.#capture = this.#checked(captured, result.grads);
    } catch (error) {
      dispose([result.value, result.grads]);
      throw error;
    }
    return result;
  }

  /**
   * Changes the variables by one step. All directions are computed before the first variable is changed.
   *
   * @param variableGradients - The gradients of the last {@link CgfacOptimizer.computeGradients}, changed or not (clipped, say).
   * @throws {@link CgfacError} `ERR_CGFAC_TFJS_NO_CAPTURE` when there are none of this optimizer, or they were applied already;
   * `ERR_CGFAC_TFJS_DIVERGED` for a gradient that is not finite; `ERR_CGFAC_TFJS_KERNEL` for a backend that lacks an op.
   */
  override applyGradients(variableGradients: NamedTensorMap | NamedTensor[]): void {
    const captured = this.#capture;
    this.#capture = undefined;
    if (!captured) throw noCapture('gradients of a computeGradients before', 'none');
    const gradients = gradientsByName(variableGradients);
    explainingKernels(() =>
      tidy(() => {
        const plan = this.#plan(captured, gradients);
        const next = this.#nextValues(plan);
        for (const [variable, value] of next) variable.assign(value);
        this.#lastStep = {
          iteration: this.iterations,
          nu: plan.nu,
          innerProduct: plan.innerProduct,
          blocks: plan.directions.map(({ direction }) => direction.report),
          plain: captured.plain.map(({ variable, reason }) => ({ name: variable.name, reason })),
        };
      }),
    );
    this.incrementIterations();
    this.#tellOfPlain(captured.plain);
  }

  /**
   * What has to be kept to go on with training: the number of steps, and the seed of the sampled targets.
   *
   * @returns `iter` (int32, scalar) and `seed` (int32, 2: the low and the high word); the caller disposes of them.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    const { seed } = this.#options;
    return [await this.saveIterations(), { name: 'seed', tensor: tensor1d([seed | 0, Math.floor(seed / UINT32)], 'int32') }];
  }

  /**
   * Takes over what {@link CgfacOptimizer.getWeights} returned, by order.
   *
   * @param weightValues - `iter` and `seed`; the names do not matter.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_VALUE` for anything else.
   */
  override async setWeights(weightValues: NamedTensor[]): Promise<void> {
    const [iter, seed] = weightValues;
    if (iter?.tensor.size !== 1 || seed?.tensor.size !== 2 || weightValues.length !== 2) {
      throw valueError('the tensors iter (1 number) and seed (2 numbers)', 'the optimizer weights', weightValues);
    }
    const [iterations = 0] = await iter.tensor.data();
    const [low = 0, high = 0] = await seed.tensor.data();
    this.iterations_ = iterations;
    this.#options = { ...this.#options, seed: high * UINT32 + (low >>> 0) };
  }

  /** The options, defaults and seed included. */
  override getConfig(): serialization.ConfigDict {
    const { gradientLearningRate = null, damping, ...options } = this.#options;
    return { ...options, gradientLearningRate, damping: typeof damping === 'number' ? damping : { ...damping } };
  }

  /**
   * Makes an optimizer from a saved configuration.
   *
   * @param config - What {@link CgfacOptimizer.getConfig} returned. Names that are not options are ignored: loaders add some.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`.
   */
  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    return new cls(optionsOf(config));
  }

  /** Lets go of the memory of the solvers. The optimizer can be used again. */
  override dispose(): void {
    for (const block of this.#blocks.values()) block.dispose();
    this.#blocks.clear();
    this.#capture = undefined;
    super.dispose();
  }

  #blockOf(layer: Layer): Block {
    const found = this.#blocks.get(layer.kernel.id);
    if (found?.fits(layer)) return found;
    found?.dispose();
    for (const [id, block] of this.#blocks) {
      if (!block.kernel.isDisposed) continue;
      block.dispose();
      this.#blocks.delete(id);
    }
    const made = new Block(layer, this.#options);
    this.#blocks.set(layer.kernel.id, made);
    return made;
  }

  /** Compares the layers at their first step with the framework's gradients; those that differ become plain variables. */
  #checked(captured: Capture, grads: NamedTensorMap): Capture {
    const layers: CapturedLayer[] = [];
    const plain = [...captured.plain];
    for (const layer of captured.layers) {
      const block = this.#blockOf(layer);
      const difference = block.state === 'unchecked' ? block.check(layer, readGradient(layer, new Map(Object.entries(grads)))) : undefined;
      if (difference === undefined) {
        layers.push(layer);
        continue;
      }
      console.warn(`cgfac: the gradient of the captured rows differs from the framework's for ${difference}; plain gradient steps instead`);
      for (const variable of variablesOf(layer)) {
        this.#named.add(variable.name);
        plain.push({ variable, reason: REFUSED });
      }
    }
    return { layers, plain };
  }

  #plan(captured: Capture, gradients: ReadonlyMap<string, Tensor>): Plan {
    const known = new Set(
      [...captured.layers.flatMap(variablesOf), ...captured.plain.map(({ variable }) => variable)].map(({ name }) => name),
    );
    for (const name of gradients.keys()) {
      if (!known.has(name)) throw noCapture('gradients of the last computeGradients', `one of ${name}`);
    }
    const plain = captured.plain.flatMap(({ variable }) => {
      const gradient = gradients.get(variable.name);
      if (gradient && !allFinite(gradient)) throw diverged(`gradient of ${variable.name}`, 'NaN or infinity');
      return gradient ? [{ variable, gradient }] : [];
    });
    const read = captured.layers.map((layer) => ({ layer, v: readGradient(layer, gradients) }));
    const directions = read.map(({ layer, v }) => ({ layer, direction: this.#precondition(layer, v) }));
    const innerProduct = directions.reduce((total, { direction }) => total + direction.report.innerProduct, 0);
    const { klClip, learningRate } = this.#options;
    const nu = innerProduct > 0 ? Math.min(1, Math.sqrt(klClip / innerProduct) / learningRate) : 1;
    return { directions, plain, innerProduct, nu };
  }

  #precondition(layer: CapturedLayer, v: BlockVector): BlockDirection {
    try {
      return this.#blockOf(layer).precondition(layer, v);
    } catch (error) {
      if (!(error instanceof CgfacError) || error.code !== 'ERR_CGFAC_NOT_FINITE') throw error;
      throw diverged(`step of ${layer.kernel.name}`, 'NaN or infinity', error);
    }
  }

  #nextValues({ directions, plain, nu }: Plan): [Variable, Tensor][] {
    const { learningRate, gradientLearningRate = learningRate } = this.#options;
    const next: [Variable, Tensor][] = [];
    const step = (variable: Variable, direction: Tensor, length: number) => next.push([variable, sub(variable, mul(direction, length))]);
    for (const { layer, direction } of directions) {
      step(layer.kernel, tensor(direction.kernel, layer.kernel.shape), learningRate * nu);
      if (layer.bias && direction.bias) step(layer.bias, tensor(direction.bias, layer.bias.shape), learningRate * nu);
    }
    for (const { variable, gradient } of plain) step(variable, gradient, gradientLearningRate);
    return next;
  }

  /** Names the variables with plain gradient steps, each of them once. */
  #tellOfPlain(plain: readonly PlainVariable[]): void {
    const untold = plain.filter(({ variable }) => !this.#named.has(variable.name));
    if (untold.length === 0) return;
    for (const { variable } of untold) this.#named.add(variable.name);
    const { learningRate, gradientLearningRate = learningRate } = this.#options;
    const names = untold.map(({ variable, reason }) => `${variable.name} (${reason})`).join(', ');
    console.warn(
      `cgfac: plain gradient steps, with learning rate ${gradientLearningRate}, for variables that are not preconditioned: ${names}`,
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
