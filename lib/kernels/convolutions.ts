import { callNative } from '../native/call';
import type { NativeConvolutionGradient } from '../native/kernels';
import { native } from '../native/load';

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

/**
 * The gradient of a convolution with respect to its kernel or to its inputs, float32, on the calling thread with the
 * help of idle pool threads; the same bits with any number of them. Not part of the public face.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_INVALID_ARG_VALUE` for arrays that do not fit the
 * sizes; nothing is written then.
 */
export function convolutionGradient(geometry: ConvolutionGeometry, arrays: ConvolutionGradient): void {
  const triples = {
    input: Uint32Array.from(geometry.input),
    output: Uint32Array.from(geometry.output),
    kernel: Uint32Array.from(geometry.kernel),
    stride: Uint32Array.from(geometry.stride),
    dilation: Uint32Array.from(geometry.dilation),
    padding: Uint32Array.from(geometry.padding),
  };
  callNative(() => native.convolutionGradient({ ...arrays, ...geometry, ...triples }));
}
