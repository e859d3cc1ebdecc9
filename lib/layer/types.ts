/** What {@link LayerPreconditioner} takes and gives. */
import type { WeightVector } from '../base/weight-vector';
import type { LayerSummary } from './summary';

/** A batch for {@link LayerPreconditioner.record}. */
export interface RecordedRows {
  /** Input activations a, `(batch × inFeatures)`, row-major Float32Array. Copied. */
  readonly inputs: Float32Array;
  /** Output gradients g, `(fisherRows × outFeatures)`, row-major Float32Array. Copied. */
  readonly outputGrads: Float32Array;
  /** Rows of `inputs`. */
  readonly batch: number;
  /** Rows of `outputGrads`. Default: `batch`. */
  readonly fisherRows?: number;
}

/** Options of {@link LayerPreconditioner.precondition}. */
export interface PreconditionOptions<Bias extends boolean = boolean> {
  /** Where x goes; it may be the arrays of `v`, and must not overlap them otherwise. Default: new arrays. */
  readonly out?: WeightVector<Bias>;
  /** Whether the result carries the spectrum of an exact solve. Default: false. */
  readonly spectrum?: boolean;
}

/** What a precondition call gives. */
export interface PreconditionResult<Bias extends boolean = boolean> extends LayerSummary {
  /** The natural-gradient direction, the damped inverse times v, in the layer's form: `out`, or new arrays. */
  readonly x: WeightVector<Bias>;
}

/** A batch, and the gradients its own gradient is made of, for {@link LayerPreconditioner.naturalGradient}. */
export interface NaturalGradientRows<Bias extends boolean = boolean> extends RecordedRows {
  /**
   * Gradients of the training loss with respect to the layer's pre-activations, `(batch × outFeatures)`, with the same
   * reduction as `outputGrads`: v = lossGradsᵀ·inputs/B for 'sum', lossGradsᵀ·inputs for 'mean'. The array of
   * `outputGrads` itself gives the empirical Fisher, `outputGrads` from sampled targets the true one.
   */
  readonly lossGrads: Float32Array;
  /** Where x goes. Default: new arrays. Not together with `applyTo`. */
  readonly out?: WeightVector<Bias>;
  /** Updates weights in place, weights ← weights − learningRate · x, by the one product that x would have cost. */
  readonly applyTo?: {
    /** What is updated, in the layer's form. */
    readonly weights: WeightVector<Bias>;
    /** The multiple of x that is subtracted, > 0. */
    readonly learningRate: number;
  };
  /** Whether the result carries the spectrum of an exact solve. Default: false. */
  readonly spectrum?: boolean;
}

/** What {@link LayerPreconditioner.naturalGradient} gives. */
export interface NaturalGradientResult<Bias extends boolean = boolean> extends LayerSummary {
  /** The direction: `out`, or new arrays. With `applyTo` there is none, and its weights are updated. */
  readonly x?: WeightVector<Bias>;
}

/** Bytes that a layer keeps between steps. */
export interface LayerMemory {
  /** The recorded rows. */
  readonly batch: number;
  /**
   * Scratch of the solvers: 8 N × N float64 matrices, or 128 KiB where that is more; in weight space vectors as well.
   */
  readonly workspace: number;
  /** The previous solution, unless `warmStart` is 'none'. */
  readonly previous: number;
  /** Averages of the factors, and with 'kfac' eigenvectors and scratch. */
  readonly factors: number;
  /** The sum. */
  readonly total: number;
}
