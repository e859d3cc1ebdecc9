/** What the addon's kernels for frameworks are told. */

/** An array, or none. */
export type MaybeArray = Float32Array | undefined;

/**
 * What follows a product: φ(product + bias). The shapes of bias and slopes (φ's, for prelu) have three extents, each 1
 * or that of the results.
 */
export interface NativeEpilogue {
  readonly bias: MaybeArray;
  readonly biasShape: Uint32Array | undefined;
  readonly activation: 'linear' | 'relu' | 'relu6' | 'prelu' | 'leakyrelu' | 'sigmoid' | 'elu';
  readonly slope: number;
  readonly slopes: MaybeArray;
  readonly slopesShape: Uint32Array | undefined;
}

/**
 * out ← φ(x ∗ w + bias), where the results are one matrix of positions × filters. `sizes` are batch, channels and
 * filters, then depth, height and width of input, output, kernel, stride, dilation and padding: see
 * binding/core/kernels/conv_geometry.h. One array, for each property costs a call as much as a small convolution.
 */
export interface NativeConvolution extends NativeEpilogue {
  readonly sizes: Uint32Array;
  readonly x: Float32Array;
  readonly w: Float32Array;
  readonly out: Float32Array;
}

/**
 * The gradient of a convolution with respect to `gradientOf`, which is written: the kernel w or the input x. The other
 * one, and dy, are read.
 */
export interface NativeConvolutionGradient {
  readonly sizes: Uint32Array;
  readonly gradientOf: 'kernel' | 'input';
  readonly depthwise: boolean;
  readonly x: Float32Array;
  readonly dy: Float32Array;
  readonly w: Float32Array;
}

/** dx ← the gradient of pooling x by windows as large as the kernel; see binding/core/kernels/pooling.h. */
export interface NativePoolingGradient {
  readonly sizes: Uint32Array;
  readonly kind: 'max' | 'average';
  readonly x: Float32Array;
  readonly dy: Float32Array;
  readonly dx: Float32Array;
}

/** out[s] ← Σ x[i] over the rows i of `width` numbers with ids[i] = s; other ids are dropped. */
export interface NativeSegmentSum {
  readonly x: Float32Array | Int32Array;
  readonly ids: Int32Array;
  readonly width: number;
  /** An array of the type of x, whole rows. */
  readonly out: Float32Array | Int32Array;
}

/** A function of each number; binding/core/kernels/elementary.h has them. */
export type NativeElementWise =
  | 'exp'
  | 'expm1'
  | 'log'
  | 'log1p'
  | 'tanh'
  | 'sigmoid'
  | 'elu'
  | 'softplus'
  | 'erf'
  | 'sqrt'
  | 'rsqrt';

/**
 * A function of each number of which a gradient goes back; binding/core/kernels/element_wise_gradient.h has them, and
 * what is saved for each.
 */
export type NativeElementWiseGradient =
  | 'multiply'
  | 'square'
  | 'tanh'
  | 'sigmoid'
  | 'relu'
  | 'relu6'
  | 'elu'
  | 'selu'
  | 'softplus'
  | 'leakyRelu'
  | 'clip';

/** What numbers are reduced to; see binding/core/kernels/reduction.h. */
export type NativeReduction = 'sum' | 'mean' | 'max';

/** out ← keep·x + factor·y, of arrays of one length; out may be x or y. */
export interface NativeCombination {
  readonly keep: number;
  readonly x: Float32Array;
  readonly factor: number;
  readonly y: Float32Array;
  readonly out: Float32Array;
}

/** A function of two arrays; binding/core/kernels/binary.h has them. */
export type NativeBinary =
  | 'add'
  | 'subtract'
  | 'multiply'
  | 'divide'
  | 'maximum'
  | 'minimum'
  | 'squaredDifference'
  | 'leakyRelu'
  | 'equal'
  | 'notEqual'
  | 'less'
  | 'lessEqual'
  | 'greater'
  | 'greaterEqual'
  | 'and'
  | 'or'
  | 'xor';

/** Floats; bytes where the function is 'and', 'or' or 'xor', and for results of these and of relations. */
export type NativeOperand = Float32Array | Uint8Array;

/** Floats, integers, or truth values of a byte each. */
export type NativeNumbers = Float32Array | Int32Array | Uint8Array;

/** out ← (x − mean) · scale / √(variance + epsilon) + offset for each row of as many numbers as there are means. */
export interface NativeBatchNormalization {
  readonly mean: Float32Array;
  readonly variance: Float32Array;
  readonly scale: MaybeArray;
  readonly offset: MaybeArray;
  readonly epsilon: number;
  readonly x: Float32Array;
  readonly out: Float32Array;
}

/** Targets of a head, weighed; see binding/core/kernels/head_fit.h. */
export interface NativeTargets {
  readonly distribution: NativeSampling['distribution'];
  readonly targets: Float32Array;
  /** One for each of as many equal groups of rows. */
  readonly weights: Float32Array;
  readonly width: number;
  /** Takes the sum of the entropies, and 1 where any target is between 0 and 1, else 0. */
  readonly sums: Float64Array;
}

/** A head, and a gradient that may be its own; see binding/core/kernels/head_fit.h. */
export interface NativeHeadFit extends NativeTargets {
  readonly probabilities: Float32Array;
  readonly gradient: Float32Array;
  /** Takes Σ d², Σ d·e, Σ e² of what is compared, the same of what is left out, and how many numbers are compared. */
  readonly sums: Float64Array;
}

/** Targets to be sampled, and where their errors go; see binding/core/kernels/sampled_errors.h. */
export interface NativeSampling {
  readonly distribution: 'categorical' | 'bernoulli' | 'gaussian';
  readonly probabilities: Float32Array;
  readonly width: number;
  readonly factors: Float64Array;
  /** The four words of the uniform numbers; they change. */
  readonly state: Uint32Array;
  readonly errors: Float32Array;
}

/** The addon's kernels of arrays, each of which computes at once. */
export interface NativeArrayKernels {
  /**
   * out[p] ← φ(op(a[pairs[2p]]) op(b[pairs[2p + 1]]) + bias): op(a[i]) is rows × inner, op(b[j]) inner × cols, each
   * transposed in storage where its flag says so. `sizes` are the numbers of matrices a and b, rows, cols and inner,
   * and the two flags, 0 or 1.
   */
  matrixProducts(
    sizes: Uint32Array,
    pairs: Uint32Array,
    a: Float32Array,
    b: Float32Array,
    out: Float32Array,
    epilogue: NativeEpilogue | undefined,
  ): void;
  convolution(convolution: NativeConvolution): void;
  convolutionGradient(gradient: NativeConvolutionGradient): void;
  poolingGradient(gradient: NativePoolingGradient): void;
  segmentSum(segments: NativeSegmentSum): void;
  /** out[i] ← f(x[i]); `out` may be x, and overlaps it in no other way. */
  elementWise(name: NativeElementWise, x: Float32Array, out: Float32Array): void;
  /** dx[i] ← dy[i] · f′ from saved[i], of which there may be more; see binding/core/kernels/element_wise_gradient.h. */
  elementWiseGradient(
    name: NativeElementWiseGradient,
    first: number,
    second: number,
    dy: Float32Array,
    saved: Float32Array,
    dx: Float32Array,
  ): void;
  /**
   * out ← x reduced along its second and its fourth axis. The four extents are positive; out has the first and third.
   */
  reduce(reduction: NativeReduction, extents: Uint32Array, x: Float32Array, out: Float32Array): void;
  /**
   * Copies numbers along `rank` axes. `places` begins with where the first number lies in either array; then come, for
   * each axis, its extent and how far apart its numbers lie in `from` and in `to`.
   */
  stridedCopy(places: Uint32Array, rank: number, from: Float32Array, to: Float32Array): void;
  /**
   * to[o, i] ← from[o, ids[i]]; `sizes` are the blocks o, the rows of each, and the numbers of a row. Returns false
   * where an index is out of range; nothing is written then.
   */
  gatherRows(sizes: Uint32Array, from: Float32Array, ids: Int32Array, to: Float32Array): boolean;
  /** out ← f(a, b) place by place; `shapes` are the extents of a, and behind them as many of b. */
  binary(name: NativeBinary, shapes: Uint32Array, a: NativeOperand, b: NativeOperand, out: NativeOperand): void;
  /** out[i] ← x[i] as an integer or, in a byte, as a truth value; see binding/core/kernels/cast.h. */
  cast(x: Float32Array | Int32Array, out: Int32Array | Uint8Array): void;
  /** out[i] ← yes[i] where condition[i] is not 0, else no[i]; all three are of one type. */
  select(condition: Uint8Array, yes: NativeNumbers, no: NativeNumbers, out: NativeNumbers): void;
  batchNormalization(arrays: NativeBatchNormalization): void;
}
