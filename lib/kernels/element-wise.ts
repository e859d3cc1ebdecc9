import { callNative } from '../native/call';
import type { NativeElementWise } from '../native/kernels';
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
