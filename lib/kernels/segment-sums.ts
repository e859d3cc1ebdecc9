import { callNative } from '../native/call';
import type { NativeSegmentSum } from '../native/kernels';
import { native } from '../native/load';

/**
 * Rows, the segments they belong to, and where the sums go: `out` is of the type of `x` and shares no memory with it.
 */
export type SegmentSums = NativeSegmentSum;

/**
 * out[s] ← Σ x[i] over the rows i with ids[i] = s, in their order, on the calling thread with the help of idle pool
 * threads; ids that are negative, or beyond the rows of `out`, are dropped. Not part of the public face.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_INVALID_ARG_VALUE` for arrays that do not fit;
 * nothing is written then.
 */
export function segmentSums(segments: SegmentSums): void {
  callNative(() => native.segmentSum(segments));
}
