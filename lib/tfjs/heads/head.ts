import type { Tensor } from '@tensorflow/tfjs-core';
import type { Distribution } from '../../adapter-kit';
import type { Divergence } from './fit';

/** One head of the model at this step. */
export interface Head {
  readonly distribution: Distribution;
  /** The logits. */
  readonly logits: Tensor;
  /** The probabilities p, in the shape of the logits; must not be written to. */
  readonly probabilities: Float32Array;
  /** The gradient of the loss, in the shape of the logits; must not be written to. */
  readonly gradient: Float32Array;
  /**
   * √(B·u·s), of each of as many equal parts of the batch as there are factors, of samples or of rows: what makes
   * E[g gᵀ] the Hessian of the per-sample loss.
   */
  readonly factors: Float64Array;
  /**
   * What this head's part of the loss cannot fall below where it is a cross-entropy: the entropy of its targets,
   * weighed as the loss weighs them.
   */
  readonly floor: number;
  /** What the least of its part of the loss is above that, where an activation with bounds makes its logits. */
  readonly excess: number;
  /** What this head's part of the loss is above its least; `undefined` where its targets are not known. */
  readonly divergence: Divergence | undefined;
  /** How far the gradient is from that of the distribution, relative to it; the most allowed if all is saturated. */
  readonly misfit: number;
  /** Whether its part of the loss has a least: not where samples have weights of both signs. */
  readonly bounded: boolean;
  /** Whether its targets are probabilities other than 0 and 1, or those of a squared error. */
  readonly soft: boolean;
}
