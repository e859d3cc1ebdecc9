import { callNative } from '../native/call';
import type { NativeBatchNormalization, NativeBinary, NativeNumbers, NativeOperand } from '../native/kernels';
import { native } from '../native/load';

/** A function of two arrays. */
export type BinaryFunction = NativeBinary;

/**
 * out ← f(a, b) place by place, where an extent of 1 stands for all places along its axis; on the calling thread with
 * the help of idle pool threads. Results are those of IEEE 754, NaN included: a maximum is NaN where either number is.
 * Not part of the public face.
 *
 * @param shapes - The extents of a, and behind them as many of b.
 * @param out - Shares no memory with a and b.
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for arrays that do not fit the shapes or the function,
 * `ERR_CGFAC_INVALID_ARG_VALUE` for a function that is not known; nothing is written then.
 */
export function binaryFunction(
  name: BinaryFunction,
  shapes: Uint32Array,
  a: NativeOperand,
  b: NativeOperand,
  out: NativeOperand,
): void {
  callNative(() => native.binary(name, shapes, a, b, out));
}

/**
 * out[i] ← x[i] as an integer (cut off, modulo 2^32) or as a truth value in a byte (1 unless x[i] is 0), on the calling
 * thread with the help of idle pool threads. Not part of the public face.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for arrays of different lengths, or of one type; nothing is
 * written then.
 */
export function castNumbers(x: Float32Array | Int32Array, out: Int32Array | Uint8Array): void {
  callNative(() => native.cast(x, out));
}

/**
 * out[i] ← yes[i] where condition[i] is not 0, else no[i], on the calling thread with the help of idle pool threads.
 * Not part of the public face.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for arrays of different lengths or types; nothing is written
 * then.
 */
export function selectNumbers(condition: Uint8Array, yes: NativeNumbers, no: NativeNumbers, out: NativeNumbers): void {
  callNative(() => native.select(condition, yes, no, out));
}

/**
 * out ← (x − mean) · scale / √(variance + epsilon) + offset, row by row, on the calling thread with the help of idle
 * pool threads; the same bits with any number of them. Not part of the public face.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for arrays that are no whole rows, or columns of different
 * numbers; nothing is written then.
 */
export function batchNormalization(rows: NativeBatchNormalization): void {
  callNative(() => native.batchNormalization(rows));
}
