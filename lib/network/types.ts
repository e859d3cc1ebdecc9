/** What {@link Preconditioner} takes and gives. */

import type { WeightVector } from '../base/weight-vector';
import type { Preset } from './options';
import type { StepSummary } from './step/summary';

/** A batch's rows of a layer, for {@link Preconditioner.record}. */
export interface RecordedBatchRows {
  /**
   * What went into the layer, copied: rows of `inFeatures` numbers of a dense layer, the samples' data (batch × H × W ×
   * C) of a convolution, ids (batch × positions) of an embedding, the normalised rows of a scale and shift; none of
   * weights with a diagonal.
   */
  readonly inputs?: Float32Array | Int32Array;
  /**
   * Gradients of the loss with respect to what comes out of the layer, before an activation: a row for each row of
   * inputs, all positions of a convolution's output. Copied. Kinds other than the dense one and the diagonal can do
   * without where the step is given their gradient, and sampled gradients at a refresh.
   */
  readonly lossGrads?: Float32Array;
  /**
   * Samples that the rows come from: their number, or a divisor of it where a sample has several rows (positions, time
   * steps).
   */
  readonly batch: number;
  /**
   * Which use of shared weights the rows are of, an integer ≥ 0: sites with the same weights see the same samples,
   * which count once. Batches of one site accumulate. Default: 0.
   */
  readonly site?: number;
}

/** Output gradients for the output factor, for {@link Preconditioner.recordFisher}. */
export interface RecordedFisherRows {
  /**
   * Gradients of sampled targets' loss, in the form of `lossGrads`; of as many samples as you like, of a scale and
   * shift those of the first samples that were recorded. Copied.
   */
  readonly outputGrads: Float32Array;
  /** Samples that they come from. */
  readonly batch: number;
  /**
   * Whether the output factor is made of them. Without it they are for `stepRule: 'quadratic'` alone, and the factor is
   * made of the loss gradients. Default: true.
   */
  readonly forFactors?: boolean;
}

/** The loss that goes with a step. */
export interface StepOptions {
  /**
   * L, the loss at this step of the batch that was recorded, its mean over the samples whatever `lossReduction` says;
   * needed by 'polyak'.
   */
  readonly loss?: number;
  /**
   * L_min, what that mean cannot fall below: the entropy of soft targets, 0 for hard ones and squared errors. Default:
   * 0, of which the summary says nothing.
   */
  readonly lossFloor?: number;
  /**
   * What stands for L_min where it is not known, as of a loss that can be negative: L − `assumedFloor` bounds, times φ,
   * what a step is predicted to decrease the loss by, and is not told as the loss's floor. The sum of the sizes of the
   * loss's terms below the loss is what `cgfac()` takes. Not used beside `lossFloor`. Default: 0 of a loss above 0,
   * none of others.
   */
  readonly assumedFloor?: number;
  /**
   * How much of the curvature that the sampled rows stand for is assumed, and not known of the loss: 0 of targets that
   * are sampled from a distribution, κ/(m + κ) of noise as strong as a second derivative m beside the curvature κ that
   * value and slope alone would give, 1 of a loss that is straight in pieces. With `dampingSchedule: 'falling'`, ρ is 1
   * + 5·`assumedCurvature` times as large. It is taken over with the factors, where these are refreshed; of layers with
   * several the largest counts. A number from 0 to 1. Default: what it was when they were refreshed last; 0 at first.
   */
  readonly assumedCurvature?: number;
  /**
   * What the loss is, for `stepRule: 'auto'`: `'hard'` a cross-entropy of targets of 0 and 1 on linear logits, `'soft'`
   * anything else. Default: 'hard'.
   */
  readonly targets?: 'hard' | 'soft';
  /**
   * η, the length of the step in the place of what the `stepRule` gives, one for all layers; `learningRate` and
   * `maxRelativeChange` are as ever. With it no loss is needed. A number ≥ 0.
   */
  readonly stepSize?: number;
  /**
   * Samples that the loss and the gradients are means over: with a `communicator` what they weigh in the means of all
   * ranks. Default: those that were recorded; where no rank recorded any, all weigh the same.
   */
  readonly samples?: number;
  /** ‖W‖ of layers whose weights are not registered, for `maxRelativeChange`. */
  readonly weightNorms?: Readonly<Record<string, number>>;
  /**
   * How many layers the data of a layer have passed at the most, by name: 0 of one that takes in data of no layer, 1 of
   * one behind that. Hidden layers of one depth stand beside each other, as those of branches do: in the bound of what
   * hidden layers change together (`maxRelativeChange`) the one that changes most counts for all of them. A layer that
   * is not named counts by itself. Integers ≥ 0. Default: none is named.
   */
  readonly depths?: Readonly<Record<string, number>>;
  /**
   * The weight decay of weights that are not registered, W ← W·(1 − η·`weightDecay`), which is the caller's to do; a
   * step that would have them grow, η·`weightDecay` > 2, is skipped. A number ≥ 0. Default: 0.
   */
  readonly weightDecay?: number;
}

/** Gradients, directions or weights of layers, by name. */
export type LayerVectors = Readonly<Record<string, WeightVector>>;

/** What {@link Preconditioner.naturalGradients} takes besides. */
export interface NaturalGradientsOptions extends StepOptions {
  /**
   * Gradients of layers whose own is not that of the rows they recorded, or is not to be formed again, by name; they
   * are read alone.
   */
  readonly gradients?: LayerVectors;
}

/** What {@link Preconditioner.naturalGradients} gives. */
export interface NaturalGradientsResult {
  /** What the step was. */
  readonly summary: StepSummary;
  /**
   * The updates M of the layers without registered weights, to be subtracted; all of them zero where the step was
   * skipped. Copies: they are the caller's, to keep or to change.
   */
  readonly updates: LayerVectors;
}

/** One side of a layer's block, as its factor is kept. */
export interface ReportedFactor {
  /** The dimension of the factor; of blocks that of each, of an embedding's ids the rows of its table. */
  readonly dimension: number;
  /**
   * `'rows'` of a batch, a low-rank `'panel'`, a `'dense'` average, an average of the `'diagonal'`, one of `'blocks'`
   * for each channel, or 1, which needs none (`'one'`).
   */
  readonly form: 'rows' | 'panel' | 'dense' | 'diagonal' | 'blocks' | 'one';
  /** Rows that it took in last; 0 before it has any. */
  readonly rows: number;
}

/** A layer that is preconditioned. */
export interface ReportedLayer {
  /** The name it was registered under. */
  readonly name: string;
  /** What kind of layer it is. */
  readonly kind:
    | 'dense'
    | 'diagonal'
    | 'convolution'
    | 'transposedConvolution'
    | 'depthwiseConvolution'
    | 'embedding'
    | 'scaleShift';
  /** outFeatures × inFeatures, and whether there is a bias; of other kinds what they are. */
  readonly shape: string;
  /** A, the factor of the input side. */
  readonly input: ReportedFactor;
  /** G, the factor of the output side. */
  readonly output: ReportedFactor;
  /** Weights, the bias among them. */
  readonly weights: number;
  /** How it is preconditioned: by the `method`, or `'diagonal'`. */
  readonly method: string;
  /** Whether its weights are averaged. */
  readonly averaged: boolean;
  /** Why a variable of TensorFlow.js, a block of its own here, is no layer's. */
  readonly reason?: string;
}

/** A layer that is not preconditioned. */
export interface SkippedLayer {
  /** The name it was registered under. */
  readonly name: string;
  /** Why not. */
  readonly reason: string;
}

/** What is preconditioned, how, and what is not and why: {@link Preconditioner.report}. */
export interface NetworkReport {
  /** The preset whose values fill in what was not given. */
  readonly preset: Preset;
  /** Method, damping, step rule and factors in one sentence. */
  readonly recipe: string;
  /** The layers that are preconditioned. */
  readonly layers: readonly ReportedLayer[];
  /** The layers that are not. */
  readonly skipped: readonly SkippedLayer[];
}

/** Bytes that a {@link Preconditioner} keeps of one layer. */
export interface LayerBytes {
  /** The name it was registered under. */
  readonly name: string;
  /** The sum of all that is kept of it. */
  readonly total: number;
}

/** Bytes that a {@link Preconditioner} keeps between steps. */
export interface NetworkMemory {
  /** The recorded rows. */
  readonly recorded: number;
  /** Factors and their inverses, warm starts. */
  readonly factors: number;
  /** Scratch; of an optimizer under TensorFlow.js also the arrays of its last steps, which serve the next one. */
  readonly workspace: number;
  /** The momentum. */
  readonly momentum: number;
  /** Averages of the weights. */
  readonly averages: number;
  /** The sum. */
  readonly total: number;
  /** The bytes of each layer. */
  readonly layers: readonly LayerBytes[];
}
