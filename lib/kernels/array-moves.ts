import { callNative } from '../native/call';
import type { NativeReduction } from '../native/kernels';
import { native } from '../native/load';

/** What numbers are reduced to. */
export type Reduction = NativeReduction;

/** The extents of an array of which the second and the fourth axis are reduced. */
export type ReducedExtents = readonly [outer: number, rows: number, columns: number, inner: number];

/** An axis of a copy: its extent, and how far apart its numbers lie where they are read and where they are written. */
export type CopiedAxis = readonly [extent: number, fromStep: number, toStep: number];

/** The most axes of a copy. */
export const MOST_COPIED_AXES = 16;

// Calls are synchronous and the addon keeps no array: these serve all of them, for one that is made costs as much as
// the call.
const extentsOfCall = new Uint32Array(4);
const placesOfCall = new Uint32Array(2 + 3 * MOST_COPIED_AXES);
const sizesOfCall = new Uint32Array(3);

/**
 * out[o, c] ← the reduction of x[o, ·, c, ·], float32, on the calling thread with the help of idle pool threads; the
 * same bits with any number of them. Not part of the public face.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_INVALID_ARG_VALUE` for arrays that do not fit the
 * extents; nothing is written then.
 */
export function reduce(reduction: Reduction, extents: ReducedExtents, x: Float32Array, out: Float32Array): void {
  [extentsOfCall[0], extentsOfCall[1], extentsOfCall[2], extentsOfCall[3]] = extents;
  callNative(() => native.reduce(reduction, extentsOfCall, x, out));
}

/**
 * to[toFirst + Σ i·toStep] ← from[fromFirst + Σ i·fromStep] for all indices i along the axes, which write each number
 * once; a step of 0 repeats what is read. On the calling thread with the help of idle pool threads. Not part of the
 * public face.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_INVALID_ARG_VALUE` for places outside of the arrays
 * and for more than 16 axes; nothing is written then.
 */
export function stridedCopy(
  axes: readonly CopiedAxis[],
  from: Float32Array,
  to: Float32Array,
  fromFirst = 0,
  toFirst = 0,
): void {
  placesOfCall[0] = fromFirst;
  placesOfCall[1] = toFirst;
  axes.forEach(([extent, fromStep, toStep], axis) => {
    placesOfCall[2 + 3 * axis] = extent;
    placesOfCall[3 + 3 * axis] = fromStep;
    placesOfCall[4 + 3 * axis] = toStep;
  });
  callNative(() => native.stridedCopy(placesOfCall, axes.length, from, to));
}

/**
 * to[o, i] ← from[o, ids[i]] for `outer` blocks of `rows` rows of `width` numbers, on the calling thread with the help
 * of idle pool threads. Not part of the public face.
 *
 * @returns Whether all ids are those of rows; nothing is written where one is not.
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH`, `ERR_CGFAC_INVALID_ARG_VALUE` for arrays that do not fit the
 * sizes; nothing is written then.
 */
export function gatherRows(
  sizes: readonly [outer: number, rows: number, width: number],
  from: Float32Array,
  ids: Int32Array,
  to: Float32Array,
): boolean {
  [sizesOfCall[0], sizesOfCall[1], sizesOfCall[2]] = sizes;
  return callNative(() => native.gatherRows(sizesOfCall, from, ids, to));
}
