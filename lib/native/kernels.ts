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
