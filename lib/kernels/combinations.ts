import { callNative } from '../native/call';
import type { NativeCombination } from '../native/kernels';
import { native } from '../native/load';

/** Two arrays, what they are multiplied by, and where the sum goes. */
export type Combination = NativeCombination;

/**
 * out ← keep·x + factor·y, on the calling thread with the help of idle pool threads. Not part of the public face.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for arrays of different lengths; nothing is written then.
 */
export function combine(combination: Combination): void {
  callNative(() => native.combine(combination));
}
