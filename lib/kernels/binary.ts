import { callNative } from '../native/call';
import type { NativeBatchNormalization, NativeBinary, NativeCast, NativeSelect } from '../native/kernels';
import { native } from '../native/load';

/** A function of two arrays, their shapes, and where its values go. */
export type BinaryArrays = NativeBinary;
/** Numbers, and where they go as those of another type. */
export type CastArrays = NativeCast;
/** A condition, what is chosen from, and where it goes. */
export type SelectArrays = NativeSelect;
/** Rows, what normalises their columns, and where they go. */
export type BatchNormalization = NativeBatchNormalization;

/**
 * out ← f(a, b) place by place, where an extent of 1 stands for all places along its axis; on the calling thread with
 * the help of idle pool threads. Results are those of IEEE 754, NaN included: a maximum is NaN where either number is.
 * Not part of the public face.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for arrays that do not fit the shapes or the function,
 * `ERR_CGFAC_INVALID_ARG_VALUE` for a function that is not known; nothing is written then.
 */
export function binaryFunction(arrays: BinaryArrays): void {
  callNative(() => native.binary(arrays));
}

/**
 * out[i] ← x[i] as an integer (cut off, modulo 2^32) or as a truth value in a byte (1 unless x[i] is 0), on the calling
 * thread with the help of idle pool threads. Not part of the public face.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for arrays of different lengths, or of one type; nothing is
 * written then.
 */
export function castNumbers(arrays: CastArrays): void {
  callNative(() => native.cast(arrays));
}

/**
 * out[i] ← yes[i] where condition[i] is not 0, else no[i], on the calling thread with the help of idle pool threads. Not
 * part of the public face.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for arrays of different lengths or types; nothing is written
 * then.
 */
export function selectNumbers(arrays: SelectArrays): void {
  callNative(() => native.select(arrays));
}

/**
 * out ← (x − mean) · scale / √(variance + epsilon) + offset, row by row, on the calling thread with the help of idle
 * pool threads; the same bits with any number of them. Not part of the public face.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for arrays that are no whole rows, or columns of different
 * numbers; nothing is written then.
 */
export function batchNormalization(rows: BatchNormalization): void {
  callNative(() => native.batchNormalization(rows));
}
