import { refusedFor, resolveOptions } from '../base/option-table';
import type { Damping, KernelLayout, LossReduction } from '../base/weight-vector';
import { conjugateGradientRows, fisherOperatorRows, layerPreconditionerRows } from './option-rows';

/** What every object that stands for a layer is told about it. */
export interface LayerOptions<Bias extends boolean = boolean> {
  // options:begin, written by scripts/generate-options.mjs
  /** Inputs per sample, without the bias. A positive integer. No default. */
  readonly inFeatures: number;
  /** Outputs per sample. A positive integer. No default. */
  readonly outFeatures: number;
  /** Whether the layer has a bias, which then is a homogeneous last input of 1. Default: false. */
  readonly bias?: Bias;
  /** λ, a number > 0 that depends on the scale of the loss, or `{ relative }`, which does not. No default. */
  readonly damping: Damping;
  /** What the output gradients are gradients of. No default. */
  readonly lossReduction: LossReduction;
  /** How kernels lie in memory. Default: 'out-in'. */
  readonly kernelLayout?: KernelLayout;
  // options:end
}

/** What conjugate gradients are told. */
export interface CgOptions {
  // options:begin, written by scripts/generate-options.mjs
  /** The budget of iterations. Using it up is the normal end of a truncated solve. A positive integer. Default: 20. */
  readonly maxIterations?: number;
  /**
   * The relative residual ‖r‖/‖v‖ at which a solve ends; 0 stops at the float32 floor, ‖r‖² ≤ 2⁻²²‖v‖². A number ≥ 0.
   * Default: 0.01.
   */
  readonly tolerance?: number;
  /**
   * Where the iterations run. `'auto'`: the one of fewer flops. `'weight'`: the space of the layer's weights, in
   * float32. `'gram'`: the space of the batch's rows, in float64. Default: 'auto'.
   */
  readonly space?: 'auto' | 'weight' | 'gram';
  // options:end
}

/** Options of {@link ConjugateGradient}. */
export interface ConjugateGradientOptions extends CgOptions {
  // options:begin, written by scripts/generate-options.mjs
  /** Whether results carry the residual of every iteration. Default: false. */
  readonly history?: boolean;
  // options:end
}

/** Options of {@link FisherOperator}. */
export interface FisherOperatorOptions<Bias extends boolean = boolean> extends LayerOptions<Bias> {
  // options:begin, written by scripts/generate-options.mjs
  /** The layer's input activations a, `(batch × inFeatures)`, row-major Float32Array. Borrowed. No default. */
  readonly inputs: Float32Array;
  /**
   * Gradients g of the loss with respect to the layer's pre-activations, `(fisherRows × outFeatures)`, row-major
   * Float32Array. Borrowed. No default.
   */
  readonly outputGrads: Float32Array;
  /** Rows of `inputs`. A positive integer. No default. */
  readonly batch: number;
  /** Rows of `outputGrads`. A positive integer. Default: `batch`. */
  readonly fisherRows?: number;
  // options:end
}

/** Options of {@link LayerPreconditioner}. */
export interface LayerPreconditionerOptions<Bias extends boolean = boolean> extends LayerOptions<Bias>, CgOptions {
  // options:begin, written by scripts/generate-options.mjs
  /**
   * The budget of iterations. Using it up is the normal end of a truncated solve. A positive integer. Only with
   * `method` 'cg' or 'auto'. Default: 20.
   */
  readonly maxIterations?: number;
  /**
   * The relative residual ‖r‖/‖v‖ at which a solve ends; 0 stops at the float32 floor, ‖r‖² ≤ 2⁻²²‖v‖². A number ≥ 0.
   * Only with `method` 'cg' or 'auto'. Default: 0.01.
   */
  readonly tolerance?: number;
  /**
   * Where the iterations run. `'auto'`: the one of fewer flops. `'weight'`: the space of the layer's weights, in
   * float32. `'gram'`: the space of the batch's rows, in float64. Only with `method` 'cg' or 'auto'. Default: 'auto'.
   */
  readonly space?: 'auto' | 'weight' | 'gram';
  /**
   * Where a solve by 'cg' starts. `'previous'`: the previous solution (the paper's proposal; it often starts with a
   * larger residual, and trains better all the same). `'scaled'`: its multiple of least error. `'none'`: zero. Only
   * with `method` 'cg' or 'auto'. Default: 'previous'.
   */
  readonly warmStart?: 'none' | 'previous' | 'scaled';
  /**
   * A batch enters the averages of the factors every so many batches. A positive integer. Only with `factorHistory`
   * 'panel' or 'dense'. Default: 1.
   */
  readonly factorUpdateSteps?: number;
  /** The factors are decomposed every so many batches. A positive integer. Only with `method` 'kfac'. Default: 1. */
  readonly inverseUpdateSteps?: number;
  /**
   * The weight of the old average, from the second batch on. A number ≥ 0 and < 1. Only with `factorHistory` 'panel' or
   * 'dense'. Default: 0.95.
   */
  readonly factorDecay?: number;
  /**
   * How directions are solved for. `'auto'`: `'cg'` or `'exact'`, whichever is estimated to be faster for the shape;
   * the result says which. `'cg'`: conjugate gradients (CG-FAC), truncated by `maxIterations` and `tolerance`.
   * `'exact'`: the spectral solution in Gram space; with `dampingMode: 'factored'` two Choleskys, with `block:
   * 'sample'` one. `'kfac'`: direct K-FAC on running averages of the factors, O(n² + m²) memory. Default: 'exact' with
   * `dampingMode` 'factored' or `block` 'sample'; else 'cg'.
   */
  readonly method?: 'auto' | 'cg' | 'exact' | 'kfac';
  /**
   * What λ is added to. `'tikhonov'`: λI is added to F = A ⊗ G. `'factored'`: γ_A I is added to A and γ_G I to G, with
   * γ_A = π√λ, γ_G = √λ/π and π² = (tr A/n)/(tr G/m); for `{ relative: ρ }` γ_A = ρ·tr A/n and γ_G = ρ·tr G/m (only
   * with `method` 'exact', 'kfac' or 'auto'). Default: 'tikhonov'.
   */
  readonly dampingMode?: 'tikhonov' | 'factored';
  /**
   * What F is. `'kronecker'`: F = A ⊗ G. `'sample'`: (1/B) Σ vec(g aᵀ) vec(g aᵀ)ᵀ over the samples, without the
   * Kronecker approximation, for `fisherRows` equal to `batch` (only with `dampingMode` 'tikhonov'; only with `method`
   * 'exact' or 'auto'; only with `factorHistory` 'none'). Default: 'kronecker'.
   */
  readonly block?: 'kronecker' | 'sample';
  /**
   * What the factors are made of. `'none'`: the last batch's rows (only with `method` 'cg', 'exact' or 'auto').
   * `'panel'`: a running average by its leading `rank` directions, dense for sides of at most 200 (only with `method`
   * 'cg', 'exact' or 'auto'). `'dense'`: a running average, d × d. Default: 'dense' with `method` 'kfac'; else 'none'.
   */
  readonly factorHistory?: 'none' | 'panel' | 'dense';
  /** Directions of a panel. A positive integer. Only with `factorHistory` 'panel'. Default: 128. */
  readonly rank?: number;
  /**
   * Rows of a batch that enter a panel at a time, drawn from all of it. A positive integer. Only with `factorHistory`
   * 'panel'. Default: 128.
   */
  readonly panelRows?: number;
  // options:end
}

/** What a solve says of itself. */
export interface CgSummary {
  /** Conjugate-gradient iterations done. */
  readonly iterations: number;
  /**
   * ‖r‖/‖v‖ at the end: by the recurrence, or, where its rounding may be more than half of that, by one more product
   * with x itself.
   */
  readonly residual: number;
  /** ‖v − (F + λI) x₀‖/‖v‖: 1 without a start, and often above 1 with one. */
  readonly initialResidual: number;
  /**
   * `'converged'`: the tolerance or the float32 floor was reached. `'max-iterations'`: the budget was used up.
   * `'stagnated'`: the residual is as low as float32 data allow, and above the tolerance; the damping is too small for
   * them. `'indefinite'`: rounding made ⟨p, (F + λI) p⟩ ≤ 0. `'broken-down'`: a scalar of the recurrence was not
   * finite. After the last two x is the last finite iterate.
   */
  readonly reason: 'converged' | 'max-iterations' | 'stagnated' | 'indefinite' | 'broken-down';
  /** Where the iterations ran. */
  readonly space: 'gram' | 'weight';
}

/**
 * Options of {@link ConjugateGradient} with their defaults, checked.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`.
 */
export function parseCgOptions(options: unknown) {
  return resolveOptions(conjugateGradientRows, options, 'ConjugateGradient');
}

/**
 * Options of {@link FisherOperator} with their defaults, checked.
 *
 * @throws {@link CgfacError} as {@link parseCgOptions}, and `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_SHAPE_MISMATCH`,
 * `ERR_CGFAC_DETACHED_BUFFER`.
 */
export function parseOperatorOptions(options: unknown) {
  return resolveOptions(fisherOperatorRows, options, 'FisherOperator');
}

/**
 * Options of {@link LayerPreconditioner} with their defaults, checked.
 *
 * @throws {@link CgfacError} as {@link parseCgOptions}, and `ERR_CGFAC_MISSING_OPTION`.
 */
export function parseLayerOptions(options: unknown) {
  return resolveOptions(layerPreconditionerRows, options, 'LayerPreconditioner', refusedFor);
}
