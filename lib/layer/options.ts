import { boolean, checkRequired, damping, nonNegative, oneOf, positiveInteger } from '../base/validate';
import { checkSize, type Damping, type KernelLayout, type LayerShape, type LossReduction } from '../base/weight-vector';

/** What every object that stands for a layer is told about it. */
export interface LayerOptions<Bias extends boolean = boolean> {
  /** Inputs per sample, without the bias. */
  readonly inFeatures: number;
  /** Outputs per sample. */
  readonly outFeatures: number;
  /** Whether the layer has a bias, which then is a homogeneous last input of 1. Default: false. */
  readonly bias?: Bias;
  /** λ. No default: it depends on the scale of the loss, unless it is `{ relative }`. */
  readonly damping: Damping;
  /** What the output gradients are gradients of. No default. */
  readonly lossReduction: LossReduction;
  /** How kernels lie in memory. Default: 'out-in'. */
  readonly kernelLayout?: KernelLayout;
}

/** What conjugate gradients are told. */
export interface CgOptions {
  /** The budget. Using it up is the normal end of a truncated solve. Default: 20. */
  readonly maxIterations?: number;
  /** On the relative residual ‖r‖/‖v‖; 0 stops at the float32 floor, ‖r‖² ≤ 2⁻²²‖v‖². Default: 1e-2. */
  readonly tolerance?: number;
  /** Where the iterations run; 'auto' takes the space of fewer flops. Default: 'auto'. */
  readonly space?: 'auto' | 'weight' | 'gram';
}

/** What a solve says of itself. */
export interface CgSummary {
  /** Conjugate-gradient iterations done. */
  readonly iterations: number;
  /** ‖r‖/‖v‖ at the end, by the recurrence: that of the iterate before it is rounded to float32. */
  readonly residual: number;
  /** ‖v − (F + λI) x₀‖/‖v‖: 1 without a start, and often above 1 with one. */
  readonly initialResidual: number;
  /**
   * `'converged'`: the tolerance or the float32 floor was reached. `'max-iterations'`: the budget was used up.
   * `'indefinite'`: rounding made ⟨p, (F + λI) p⟩ ≤ 0. `'broken-down'`: a scalar of the recurrence was not finite.
   * After the last two x is the last finite iterate.
   */
  readonly reason: 'converged' | 'max-iterations' | 'indefinite' | 'broken-down';
  /** Where the iterations ran. */
  readonly space: 'gram' | 'weight';
}

/** Names of the layer options. */
export const layerOptionNames = [
  'inFeatures',
  'outFeatures',
  'bias',
  'damping',
  'lossReduction',
  'kernelLayout',
] as const;
/** Names of the conjugate-gradient options. */
export const cgOptionNames = ['maxIterations', 'tolerance', 'space'] as const;

/** Layer options with their defaults, checked. */
export function parseLayerOptions(given: object, owner: string) {
  const options = given as Record<string, unknown>;
  checkRequired(options, owner, {
    inFeatures: 'a positive integer',
    outFeatures: 'a positive integer',
    damping: 'a number > 0 or { relative }',
    lossReduction: "'sum' or 'mean'",
  });
  const shape: LayerShape = {
    inFeatures: positiveInteger(options.inFeatures, 'inFeatures'),
    outFeatures: positiveInteger(options.outFeatures, 'outFeatures'),
    bias: boolean(options.bias ?? false, 'bias'),
  };
  checkSize(shape.inFeatures, shape.outFeatures);
  return {
    ...shape,
    damping: damping(options.damping),
    lossReduction: oneOf(options.lossReduction, 'lossReduction', ['sum', 'mean']),
    kernelLayout: oneOf(options.kernelLayout ?? 'out-in', 'kernelLayout', ['out-in', 'in-out']),
  };
}

/** Conjugate-gradient options with their defaults, checked. */
export function parseCgOptions(given: object) {
  const options = given as Record<string, unknown>;
  return {
    maxIterations: positiveInteger(options.maxIterations ?? 20, 'maxIterations'),
    tolerance: nonNegative(options.tolerance ?? 1e-2, 'tolerance'),
    space: oneOf(options.space ?? 'auto', 'space', ['auto', 'weight', 'gram']),
  };
}
