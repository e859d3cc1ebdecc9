import { callNative } from '../native/call';
import type { NativeConvolutionGradient, NativePoolingGradient } from '../native/kernels';
import { native } from '../native/load';
import { type BroadcastNumbers, type MatrixProducts, shapeOf } from './matrix-products';

/** A number for each of depth, height and width. */
export type Extents = readonly [depth: number, height: number, width: number];

/**
 * A convolution of up to three spatial dimensions, of 1 where a dimension is missing: output position o reads on each
 * axis the inputs o·stride − padding + k·dilation of its taps k, and zeros outside of the input.
 */
export interface ConvolutionGeometry {
  readonly batch: number;
  readonly channels: number;
  /** Channels of the results; of a depthwise convolution `channels` times its multiplier. */
  readonly filters: number;
  readonly depthwise: boolean;
  readonly input: Extents;
  readonly output: Extents;
  readonly kernel: Extents;
  readonly stride: Extents;
  readonly dilation: Extents;
  /** Zeros before the first input. */
  readonly padding: Extents;
}

/** The arrays of a gradient of a convolution, row-major, channels last. */
export interface ConvolutionGradient {
  /** What the gradient is with respect to: that array is written, the other two are borrowed for the call. */
  readonly gradientOf: NativeConvolutionGradient['gradientOf'];
  /** Inputs, `(batch × input × channels)`. */
  readonly x: Float32Array;
  /** Gradients of the results, `(batch × output × filters)`. */
  readonly dy: Float32Array;
  /** The kernel, `(kernel × channels × filters)`; of a depthwise convolution `(kernel × channels × multiplier)`. */
  readonly w: Float32Array;
}

/** A convolution, and what is done to its results: arrays that are row-major, channels last. */
export interface Convolution extends Pick<MatrixProducts, 'activation' | 'slope'> {
  /** Inputs, `(batch × input × channels)`. Borrowed for the call. */
  readonly x: Float32Array;
  /** The kernel, `(kernel × channels × filters)`. Borrowed for the call. */
  readonly w: Float32Array;
  /** Where the results go, `(batch × output × filters)`; shares no memory with what is read. */
  readonly out: Float32Array;
  /** Added before the activation, by 1 × all positions of all samples × filters. Default: nothing. */
  readonly bias: BroadcastNumbers | undefined;
  /** The slopes of `prelu`, as the bias. */
  readonly slopes: BroadcastNumbers | undefined;
}

/** The arrays of a gradient of pooling, row-major, channels last. */
export interface PoolingGradient {
  readonly kind: NativePoolingGradient['kind'];
  /** Inputs, `(batch × input × channels)`. Borrowed for the call. */
  readonly x: Float32Array;
  /** Gradients of the results, `(batch × output × channels)`. Borrowed for the call. */
  readonly dy: Float32Array;
  /** Where the gradient goes, of the size of x. */
  readonly dx: Float32Array;
}

/** A geometry as the addon takes it. */
const sizesOf = (geometry: ConvolutionGeometry): Uint32Array => {
  const { batch, channels, filters, input, output, kernel, stride, dilation, padding } = geometry;
  return Uint32Array.of(batch, channels, filters, ...input, ...output, ...kernel, ...stride, ...dilation, ...padding);
};

/**
 * out ← φ(x ∗ w + bias), float32, by products of patches, on the calling thread with the help of idle pool threads; the
 * same bits with any number of them. Not part of the public face.
 *
 * @param geometry - That of a convolution that is not depthwise.
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_INVALID_ARG_VALUE` for arrays that do not fit the
 * sizes; nothing is written then.
 */
export function convolution(geometry: ConvolutionGeometry, arrays: Convolution): void {
  const { x, w, out, bias, activation, slope, slopes } = arrays;
  callNative(() =>
    native.convolution({
      sizes: sizesOf(geometry),
      x,
      w,
      out,
      bias: bias?.values,
      biasShape: shapeOf(bias),
      activation,
      slope,
      slopes: slopes?.values,
      slopesShape: shapeOf(slopes),
    }),
  );
}

/**
 * The gradient of a convolution with respect to its kernel or to its inputs, float32, on the calling thread with the
 * help of idle pool threads; the same bits with any number of them. Not part of the public face.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_INVALID_ARG_VALUE` for arrays that do not fit the
 * sizes; nothing is written then.
 */
export function convolutionGradient(geometry: ConvolutionGeometry, arrays: ConvolutionGradient): void {
  const { gradientOf, x, dy, w } = arrays;
  const { depthwise } = geometry;
  callNative(() => native.convolutionGradient({ sizes: sizesOf(geometry), depthwise, gradientOf, x, dy, w }));
}

/**
 * The gradient of pooling channel by channel, float32, on the calling thread with the help of idle pool threads; the
 * same bits with any number of them. Of equal greatest inputs of a window the last has the gradient, NaN and −∞ never;
 * an average is over all places of its window, inside of the input or not. Not part of the public face.
 *
 * @param geometry - The windows are the kernel; `filters` counts for nothing.
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_INVALID_ARG_VALUE` for arrays that do not fit the
 * sizes; nothing is written then.
 */
export function poolingGradient(geometry: ConvolutionGeometry, arrays: PoolingGradient): void {
  const { kind, x, dy, dx } = arrays;
  callNative(() => native.poolingGradient({ sizes: sizesOf(geometry), kind, x, dy, dx }));
}
