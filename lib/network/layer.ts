/**
 * What a {@link Preconditioner} asks of each layer, whichever method preconditions it. A step asks in turn for the rows
 * of its batches, for the inner product ⟨v, x⟩, and for x once its length is known.
 */
import { CgfacError } from '../base/errors';
import type { Damping, KernelLayout, LayerShape, VectorArrays } from '../base/weight-vector';
import type { LayerSummary } from '../layer/layer-preconditioner';
import type { NativeFactors, NativeLayerState } from '../native/addon';

/** A layer's shape and layout. */
export interface NetworkShape extends LayerShape {
  readonly kernelLayout: KernelLayout;
}

/** Rows of one batch, checked. */
export interface BatchRows {
  readonly inputs: Float32Array;
  readonly lossGrads: Float32Array;
  readonly rows: number;
  /** That were not counted before. */
  readonly samples: number;
  /** Makes the gradients those of a sample's own loss. */
  readonly factor: number;
}

/** Rows that the output factor is made of, checked. */
export interface FisherRows {
  readonly outputGrads: Float32Array;
  readonly rows: number;
  /** The same. */
  readonly factor: number;
}

/** A number for each factor of a layer. */
export interface EffectiveRanks {
  /** Of A. */
  readonly input: number;
  /** Of G. */
  readonly output: number;
}

/** What a layer says of a step before its length is known. */
export interface PreparedStep {
  readonly innerProduct: number;
  /** xᵀF x, where it is known. */
  readonly curvature?: number;
  /** ≥ ‖x‖ */
  readonly bound: number;
  /** Whatever of it is known goes into the step's summary. */
  readonly method: 'cg' | 'exact' | 'kfac';
  /** Where it was solved; 'rows': by the rows of the batch, without forming v. */
  readonly space: 'gram' | 'weight' | 'rows';
  /** Conjugate-gradient iterations; 0 for the other methods. */
  readonly iterations: number;
  /** Of 'cg': ‖r‖/‖v‖ at the end. */
  readonly residual?: number;
  /** Of 'cg': the same at its start. */
  readonly initialResidual?: number;
  /** Why the solve ended; 'no-curvature' where a factor is zero, and the direction with it. */
  readonly reason: LayerSummary['reason'] | 'no-curvature';
  /** Whether a 'cg' solve began again at zero, because its warm start led uphill. */
  readonly restarted?: true;
  /** Rows that the input factor took in last; without a history those that fill up a short batch are among them. */
  readonly inputRows: number;
  /** The same of the output side. */
  readonly outputRows: number;
  /** λ, or γ_A and γ_G with what their panels cut off. */
  readonly damping?: LayerSummary['damping'];
  readonly lambdaMax?: number;
  /**
   * Σ s/(s + γ) over the eigenvalues of each factor, or Σ E/(E + λ) over those of F: the directions that the damping
   * leaves.
   */
  readonly effectiveRank?: EffectiveRanks | number;
  /** tr/λmax of each factor: 1 where all its rows are multiples of one, whatever the damping. */
  readonly stableRank?: EffectiveRanks;
  /** Time from the start of its solve to its end, the final product apart. Layers are solved side by side. */
  readonly microseconds: number;
}

/** Bytes that a layer keeps between steps, its momentum and averages apart. */
export interface NetworkLayerMemory {
  readonly recorded: number;
  readonly factors: number;
  readonly workspace: number;
}

/** Rows of each side that a layer's factors took in last. */
export interface FactorRows {
  /** Of the input side. */
  readonly input: number;
  /** Of the output side. */
  readonly output: number;
}

/** What a layer goes on with. */
export interface NetworkLayerState {
  /** Whether it has factors. */
  readonly started: boolean;
  /** Rows that they took in last. */
  readonly rows?: FactorRows;
  /** The factors under factored damping. */
  readonly factors?: NativeFactors;
  /** What the other methods go on with. */
  readonly solver?: NativeLayerState;
}

/** ½η²Σ xᵀF x that λ is made to meet. */
export interface TrustTarget {
  readonly kl: number;
  /** η */
  readonly stepSize: number;
}

/** How to prepare a step. */
export interface PrepareOptions {
  /** Whether the factors take in what was recorded. */
  readonly refresh: boolean;
  readonly damping: Damping;
  readonly trust?: TrustTarget;
}

/** Where x goes: out ← keep·out + factor·x. */
export interface WriteTarget {
  readonly out: VectorArrays;
  readonly factor: number;
  readonly keep: number;
}

/** Of a layer that has taken in none. */
export const noRows: FactorRows = { input: 0, output: 0 };

/** A layer was given the state of another method. */
export function otherMethod(expected: string): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_SHAPE_MISMATCH',
    `Expected the state of ${expected} for a layer but received that of another method`,
  );
}
