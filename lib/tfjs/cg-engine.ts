/** The paper's algorithm: truncated conjugate gradients on every block, and a bound on the size of the step. */
import { mul, sub, type Tensor, tensor, type Variable } from '@tensorflow/tfjs-core';
import { CgfacError } from '../error';
import { positive, valueError } from '../validate';
import { Block, type BlockDirection, type BlockVector } from './block';
import type { CapturedLayer } from './capture';
import type { Engine, Outcome, Step } from './engine';
import { allFinite, diverged, type NamedTensor, notFinite, readGradient } from './gradients';
import { type ResolvedCgOptions, resolveCgOptions } from './options';
import type { Layer } from './sites';

/** {@link Engine} of method 'cg'. */
export class CgEngine implements Engine {
  readonly lossGrads = false;
  readonly skips = false;
  #options: ResolvedCgOptions;
  readonly #blocks = new Map<number, Block>();

  constructor(options: unknown) {
    this.#options = resolveCgOptions(options);
  }

  get seed(): number {
    return this.#options.seed;
  }

  get fisher(): 'true' | 'empirical' {
    return this.#options.fisher;
  }

  get learningRate(): number {
    return this.#options.learningRate;
  }

  set learningRate(value: number) {
    this.#options = { ...this.#options, learningRate: positive(value, 'learningRate') };
  }

  get gradientLearningRate(): number {
    return this.#options.gradientLearningRate ?? this.#options.learningRate;
  }

  refused(): undefined {
    return undefined;
  }

  share(): number {
    return 1;
  }

  apply(step: Step, gradients: ReadonlyMap<string, Tensor>): Outcome {
    const plain = step.plain.flatMap(({ variable }) => {
      const gradient = gradients.get(variable.name);
      if (gradient && !allFinite(gradient)) throw diverged(`gradient of ${variable.name}`, 'NaN or infinity');
      return gradient ? [{ variable, gradient }] : [];
    });
    const read = step.layers.map((layer) => {
      const v = readGradient(layer, gradients);
      const bad = notFinite(layer, v);
      if (bad) throw diverged(`gradient of ${bad.name}`, 'NaN or infinity');
      return { layer, v };
    });
    const directions = read.map(({ layer, v }) => ({ layer, direction: this.#precondition(layer, v) }));
    const innerProduct = directions.reduce((total, { direction }) => total + direction.report.innerProduct, 0);
    const { klClip, learningRate } = this.#options;
    const nu = innerProduct > 0 ? Math.min(1, Math.sqrt(klClip / innerProduct) / learningRate) : 1;

    const next: [Variable, Tensor][] = [];
    const move = (variable: Variable, direction: Tensor, length: number) => next.push([variable, sub(variable, mul(direction, length))]);
    for (const { layer, direction } of directions) {
      move(layer.kernel, tensor(direction.kernel, layer.kernel.shape), learningRate * nu);
      if (layer.bias && direction.bias) move(layer.bias, tensor(direction.bias, layer.bias.shape), learningRate * nu);
    }
    for (const { variable, gradient } of plain) move(variable, gradient, this.gradientLearningRate);
    const report = {
      iteration: step.iteration,
      nu,
      innerProduct,
      blocks: directions.map(({ direction }) => direction.report),
      plain: step.plain.map(({ variable, reason }) => ({ name: variable.name, reason })),
    };
    return { next, report };
  }

  assigned(): void {
    // nothing is kept of the weights
  }

  weights(): NamedTensor[] {
    return [];
  }

  setWeights(weights: readonly NamedTensor[]): Promise<void> {
    if (weights.length === 0) return Promise.resolve();
    return Promise.reject(valueError('the tensors iter (1 number) and seed (2 numbers)', 'the optimizer weights', weights));
  }

  setSeed(seed: number): void {
    this.#options = { ...this.#options, seed };
  }

  config(): Readonly<Record<string, unknown>> {
    const { gradientLearningRate = null, damping, ...options } = this.#options;
    return { ...options, gradientLearningRate, damping: typeof damping === 'number' ? damping : { ...damping } };
  }

  dispose(): void {
    for (const block of this.#blocks.values()) block.dispose();
    this.#blocks.clear();
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

  #precondition(layer: CapturedLayer, v: BlockVector): BlockDirection {
    try {
      return this.#blockOf(layer).precondition(layer, v);
    } catch (error) {
      if (!(error instanceof CgfacError) || error.code !== 'ERR_CGFAC_NOT_FINITE') throw error;
      throw diverged(`step of ${layer.kernel.name}`, 'NaN or infinity', error);
    }
  }
}
