import { callNative } from '../native/call';
import type { NativeElementWise, NativeElementWiseGradient } from '../native/kernels';
import { native } from '../native/load';

/** A function, the numbers it is taken of, and where its values go, which may be the same array. */
export interface ElementWise {
  readonly function: NativeElementWise;
  readonly x: Float32Array;
  readonly out: Float32Array;
}

/**
 * out[i] ← f(x[i]), on the calling thread with the help of idle pool threads, within 3 units in the last place of the
 * exact value. Not part of the public face.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for arrays of different lengths, `ERR_CGFAC_INVALID_ARG_VALUE`
 * for a function that is not known; nothing is written then.
 */
export function elementWise({ function: name, x, out }: ElementWise): void {
  callNative(() => native.elementWise(name, x, out));
}

/** A function of each number, for its gradient: `multiply` is a product with numbers that are saved. */
export type ElementWiseGradient = NativeElementWiseGradient;

/**
 * dx[i] ← dy[i] · f′, on the calling thread with the help of idle pool threads; the same bits with any number of them.
 * Not part of the public face.
 *
 * @param bounds - Of `clip` the least and the greatest number that is not cut off; of `leakyRelu` the slope, and
 * anything.
 * @param saved - What f gave, of `tanh`, `sigmoid` and `elu`; what it was taken of, of all others. As many numbers as
 * dy has, and perhaps others behind.
 * @param dx - Shares no memory with dy and `saved`.
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for arrays of other lengths, `ERR_CGFAC_INVALID_ARG_VALUE` for
 * a function that is not known; nothing is written then.
 */
export function elementWiseGradient(
  name: ElementWiseGradient,
  [first, second]: readonly [number, number],
  dy: Float32Array,
  saved: Float32Array,
  dx: Float32Array,
): void {
  callNative(() => native.elementWiseGradient(name, first, second, dy, saved, dx));
}
