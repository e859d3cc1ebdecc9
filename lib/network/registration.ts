/** How layers come under the care of a {@link Preconditioner}: a method for each kind. */
import { readOptions } from '../base/validate';
import {
  type Conv2dLayerOptions,
  type Conv2dTransposeLayerOptions,
  conv2d,
  conv2dTranspose,
  conv3d,
  type DepthwiseConv2dLayerOptions,
  depthwiseConv2d,
} from './kinds/convolution';
import { type DenseLayerOptions, dense } from './kinds/dense';
import { type DiagonalLayerOptions, diagonal } from './kinds/diagonal';
import { type EmbeddingLayerOptions, embedding } from './kinds/embedding';
import type { LayerKind } from './kinds/layer-kind';
import { type ScaleShiftLayerOptions, scaleShift } from './kinds/scale-shift';

/** What layers are registered with. */
interface Registry {
  requireIdle(call: string): void;
  register(name: unknown, kind: LayerKind, options: unknown): boolean;
  resize(name: string, size: object): void;
}

/** The kinds of layers of a {@link Preconditioner}. */
export abstract class LayerRegistration {
  readonly #registry: Registry;

  /** @param registry - The layers, and whether a step is pending. */
  protected constructor(registry: Registry) {
    this.#registry = registry;
  }

  #register(call: string, name: unknown, kind: LayerKind, options: unknown): boolean {
    this.#registry.requireIdle(call);
    return this.#registry.register(name, kind, options);
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
    return this.#register('registerDense()', name, dense, options);
  }

  /**
   * Takes weights under its care that are of no other kind of layer (a bias of its own, the slopes of an activation, a
   * table), unless `skipLayers` names them: x = v/(D + γ) number by number, with D the average of the squares of
   * sampled gradients and γ = ρ·mean D with damping `{ relative: ρ }`, λ else, whatever the `method`. `record` takes
   * gradients without inputs: one row for each sample (and position), or one row of their sum over the batch (their
   * mean with the loss reduction 'mean'), and so does `recordFisher`. With `stepRule: 'quadratic'` rows of sums are of
   * no use for the model, which takes ⟨v, x⟩ for their curvature.
   *
   * @param name - What they are called in every other method.
   * @param options - See {@link DiagonalLayerOptions}. Vectors are one array of `features` numbers.
   * @returns Whether they are preconditioned.
   * @throws {@link CgfacError} As {@link Preconditioner.registerDense}.
   */
  registerDiagonal(name: string, options: DiagonalLayerOptions): boolean {
    return this.#register('registerDiagonal()', name, diagonal, options);
  }

  /**
   * Takes a convolution over images under its care, unless `skipLayers` names it: a dense layer over the patches of its
   * data, of which no more than `maxRows` are gathered at a refresh. `record` takes whole samples (`inputs` batch × H ×
   * W × C, `lossGrads` batch × H' × W' × filters), and so does `recordFisher`; a step may be given the layer's gradient
   * instead of `lossGrads`. A convolution over sequences is one of height 1.
   *
   * Source: R. Grosse and J. Martens, "A Kronecker-factored approximate Fisher matrix for convolution layers", 2016.
   *
   * @param name - What it is called in every other method.
   * @param options - See {@link Conv2dLayerOptions}. Kernels are [kh, kw, C, filters], as TensorFlow.js stores them.
   * @returns Whether it is preconditioned.
   * @throws {@link CgfacError} As {@link Preconditioner.registerDense}.
   */
  registerConv2d(name: string, options: Conv2dLayerOptions): boolean {
    return this.#register('registerConv2d()', name, conv2d, options);
  }

  /**
   * Takes a convolution over volumes under its care, as {@link Preconditioner.registerConv2d} does one over images: all
   * extents have three axes, `inputShape` is [D, H, W, C], kernels are [kd, kh, kw, C, filters].
   *
   * @param name - What it is called in every other method.
   * @param options - See {@link Conv2dLayerOptions}.
   * @returns Whether it is preconditioned.
   * @throws {@link CgfacError} As {@link Preconditioner.registerDense}.
   */
  registerConv3d(name: string, options: Conv2dLayerOptions): boolean {
    return this.#register('registerConv3d()', name, conv3d, options);
  }

  /**
   * Takes a transposed convolution under its care, unless `skipLayers` names it: at each position of its input the
   * channels are the row a, and the patch of output gradients that it reaches is g. `record` takes `inputs` batch × H ×
   * W × C and `lossGrads` of the whole output. A bias is registered by {@link Preconditioner.registerDiagonal}.
   *
   * @param name - What it is called in every other method.
   * @param options - See {@link Conv2dTransposeLayerOptions}. Kernels are [kh, kw, filters, C].
   * @returns Whether it is preconditioned.
   * @throws {@link CgfacError} As {@link Preconditioner.registerDense}.
   */
  registerConv2dTranspose(name: string, options: Conv2dTransposeLayerOptions): boolean {
    return this.#register('registerConv2dTranspose()', name, conv2dTranspose, options);
  }

  /**
   * Takes a depthwise convolution under its care, unless `skipLayers` names it: a small block for each channel, whose
   * factors are averages whatever the `factorHistory`, and whose solver is the exact one whatever the `method`. Each is
   * damped by its own trace, but by a hundredth of the mean at the least. A separable convolution is this one and a
   * convolution of 1 × 1.
   *
   * @param name - What it is called in every other method.
   * @param options - See {@link DepthwiseConv2dLayerOptions}. Kernels are [kh, kw, C, depthMultiplier].
   * @returns Whether it is preconditioned.
   * @throws {@link CgfacError} As {@link Preconditioner.registerDense}.
   */
  registerDepthwiseConv2d(name: string, options: DepthwiseConv2dLayerOptions): boolean {
    return this.#register('registerDepthwiseConv2d()', name, depthwiseConv2d, options);
  }

  /**
   * Takes an embedding under its care, unless `skipLayers` names it: A is an average of the counts of ids, G of g at
   * each position; rows that a batch does not use cost nothing but their momentum. `record` takes an Int32Array of ids,
   * batch × positions, and `lossGrads` for each; the solver is the exact one whatever the `method`.
   *
   * @param name - What it is called in every other method.
   * @param options - See {@link EmbeddingLayerOptions}. Vectors are one array, the table.
   * @returns Whether it is preconditioned.
   * @throws {@link CgfacError} As {@link Preconditioner.registerDense}.
   */
  registerEmbedding(name: string, options: EmbeddingLayerOptions): boolean {
    return this.#register('registerEmbedding()', name, embedding, options);
  }

  /**
   * Takes the scale and shift of a normalisation under its care, unless `skipLayers` names them: a 2 × 2 block for each
   * channel, F = Σ uuᵀ/B with u the sums of g x̂ and of g over the positions of a sample, damped by λ = ρ² times the
   * mean of F's eigenvalues with damping `{ relative: ρ }`. `record` takes the normalised rows x̂; `recordFisher`
   * gradients of the first samples of these.
   *
   * Source: K. Osawa et al., "Large-scale distributed second-order optimization using Kronecker-factored approximate
   * curvature for deep convolutional neural networks", 2019.
   *
   * @param name - What they are called in every other method.
   * @param options - See {@link ScaleShiftLayerOptions}. Vectors are \{ kernel, bias \}, scale and shift.
   * @returns Whether they are preconditioned.
   * @throws {@link CgfacError} As {@link Preconditioner.registerDense}.
   */
  registerScaleShift(name: string, options: ScaleShiftLayerOptions): boolean {
    return this.#register('registerScaleShift()', name, scaleShift, options);
  }

  /**
   * Has the samples of a convolution have another size from now on; its factors stay what they are. No rows may be
   * recorded for the step to come.
   *
   * @param name - The layer.
   * @param size - `inputShape`, as it was registered with, and of a transposed one perhaps `outputShape`.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_SHAPE_MISMATCH`,
   * `ERR_CGFAC_BUSY`.
   */
  resize(
    name: string,
    size: { readonly inputShape: readonly number[]; readonly outputShape?: readonly number[] },
  ): void {
    this.#registry.requireIdle('resize()');
    this.#registry.resize(name, readOptions(size, 'resize', ['inputShape', 'outputShape']));
  }
}
