/** Shapes of layers as the addon takes them. */

/** How the windows of a convolution move over its data, three axes and the channels behind them. */
export interface NativePatches {
  readonly size: readonly number[];
  readonly channels: number;
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Zeros before the data. */
  readonly pad: readonly number[];
  /** Windows. */
  readonly out: readonly number[];
}

/** What only some kinds of layers have. */
export interface NativeKindShape {
  /** Outputs of a channel of a depthwise convolution. */
  readonly multiplier?: number;
  readonly weightSharing?: 'expand' | 'reduce';
  /** Rows of each side that a factor of a convolution takes in at the most. */
  readonly maxRows?: number;
  /** Whether the id 0 of an embedding stands for no token. */
  readonly maskZero?: boolean;
}

/** A layer's kind and shape, and what its gradients are gradients of. */
export interface NativeShape extends NativeKindShape {
  /** One of those of binding/core/layer/kinds/kinds.h. */
  readonly kind: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
  readonly lossReduction: 'sum' | 'mean';
  readonly kernelLayout: 'out-in' | 'in-out';
  /** The columns of the matrix that the weights of the kind 'diagonal' are, or 0. */
  readonly columns: number;
}
