/** What a {@link Preconditioner} has to know of a kind of layers. */
import type { VectorArrays } from '../../base/weight-vector';
import type { BatchRows, FisherRows, ReducedShape } from '../../layer/layer';

/** A layer's kind, shape and layout. */
export type NetworkShape = Omit<ReducedShape, 'lossReduction'>;

/** What the factors of a convolution are made of. */
export interface SharingOptions {
  /**
   * What positions make of a sample. `'expand'`: a row each, A = Σ aaᵀ/B and G the mean of ggᵀ (Grosse and Martens,
   * 2016). `'reduce'`: one row, of the mean of a and the sum of g over positions (Eschenhagen et al., 2023). Default:
   * that of the preconditioner, 'expand'.
   */
  readonly weightSharing?: 'expand' | 'reduce';
  /**
   * Positions of a batch, of all its samples, that a factor takes in at the most with 'expand': drawn at each refresh,
   * one from each stretch of them. Default: that of the preconditioner, 256.
   */
  readonly maxRows?: number;
}

/** A layer's options, checked. */
export interface ParsedLayer {
  readonly shape: NetworkShape;
  /** Borrowed for good. */
  readonly weights: VectorArrays | undefined;
  /** Whether it is used again on what it made itself, as a recurrent kernel is. */
  readonly recurrent: boolean;
  /** Whether an attention is computed from what it gives. */
  readonly attended: boolean;
  /** Whether what its network gives enters one that the step does not train. */
  readonly judged: boolean;
  /** Whether what it gives is an output of the network as it is. */
  readonly output: boolean;
  /** What it was registered with, its weights apart; nothing in it is the caller's. */
  readonly options: object;
}

/** A kind of layers: its options, and the rows that it takes. */
export interface LayerKind {
  /** What `record` needs besides the number of samples, by name, and in words. */
  readonly required: Readonly<Record<string, string>>;
  /** Checks the options of a layer; `defaults` are those of its network. */
  parse(options: unknown, defaults: Required<SharingOptions>): ParsedLayer;
  /** Checks a batch's rows: so many per sample. */
  rows(
    shape: NetworkShape,
    inputs: unknown,
    lossGrads: unknown,
    samples: number,
  ): Pick<BatchRows, 'inputs' | 'lossGrads' | 'rows'>;
  /** Checks output gradients of sampled targets. */
  fisherRows(shape: NetworkShape, outputGrads: unknown, samples: number): Pick<FisherRows, 'outputGrads' | 'rows'>;
  /** The shape in words. */
  describe(shape: NetworkShape): string;
}
