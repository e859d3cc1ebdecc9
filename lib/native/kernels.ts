/** What the addon's kernels for frameworks are told. */

/** An array, or none. */
export type MaybeArray = Float32Array | undefined;

/**
 * out[p] ← φ(op(a[pairs[2p]]) op(b[pairs[2p + 1]]) + bias): op(a[i]) is rows × inner, op(b[j]) inner × cols, transposed
 * in storage where the flag says so. The shapes of bias and slopes (φ's, for prelu) have three extents, each 1 or that
 * of out.
 */
export interface NativeMatrixProducts {
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly out: Float32Array;
  readonly pairs: Uint32Array;
  readonly countA: number;
  readonly countB: number;
  readonly rows: number;
  readonly cols: number;
  readonly inner: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
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
export interface NativeConvolution
  extends Pick<NativeMatrixProducts, 'bias' | 'biasShape' | 'activation' | 'slope' | 'slopes' | 'slopesShape' | 'out'> {
  readonly sizes: Uint32Array;
  readonly x: Float32Array;
  readonly w: Float32Array;
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

/**
 * out[i] ← f(x[i]); binding/core/kernels/elementary.h has the functions. `out` may be x, and overlaps it in no other
 * way.
 */
export interface NativeElementWise {
  readonly function:
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
  readonly x: Float32Array;
  readonly out: Float32Array;
}

/** out ← f(a, b) place by place; binding/core/kernels/binary.h has the functions. */
export interface NativeBinary {
  /** 'and', 'or' and 'xor' are of bytes, and give bytes, as relations of floats do. */
  readonly function:
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
  /** The extents of a, and behind them as many of b: an extent of 1 stands for all places along its axis. */
  readonly shapes: Uint32Array;
  readonly a: Float32Array | Uint8Array;
  readonly b: Float32Array | Uint8Array;
  /** Shares no memory with the others. */
  readonly out: Float32Array | Uint8Array;
}

/** Floats, integers, or truth values of a byte each. */
export type NativeNumbers = Float32Array | Int32Array | Uint8Array;

/** out[i] ← x[i] as an integer or, in a byte, as a truth value; see binding/core/kernels/cast.h. */
export interface NativeCast {
  readonly x: Float32Array | Int32Array;
  /** Of another type than x. */
  readonly out: Int32Array | Uint8Array;
}

/** out[i] ← yes[i] where condition[i] is not 0, else no[i]; all three are of one type. */
export interface NativeSelect {
  readonly condition: Uint8Array;
  readonly yes: NativeNumbers;
  readonly no: NativeNumbers;
  readonly out: NativeNumbers;
}

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
