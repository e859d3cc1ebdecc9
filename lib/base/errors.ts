/**
 * The closed set of codes that a {@link CgfacError} carries.
 *
 * - `ERR_CGFAC_INVALID_ARG_TYPE`: a value of another type than expected.
 * - `ERR_CGFAC_INVALID_ARG_VALUE`: the right type, a value out of range.
 * - `ERR_CGFAC_UNKNOWN_OPTION`: an option name that does not exist (a misspelling, most often).
 * - `ERR_CGFAC_MISSING_OPTION`: an option without a default was left out.
 * - `ERR_CGFAC_SHAPE_MISMATCH`: an array of another length, or an operator or a gradient of another shape.
 * - `ERR_CGFAC_DETACHED_BUFFER`: an array whose buffer was transferred away, before a call or while it was pending, or
 *   can change its size.
 * - `ERR_CGFAC_OVERLAP`: an output array overlaps an array that is still read, or that a pending call updates.
 * - `ERR_CGFAC_NOT_FINITE`: a NaN or an infinity in the data, or a product beyond the range of float32.
 * - `ERR_CGFAC_DIVERGED`: three steps in a row could not be taken, their loss, rows or ⟨v, x⟩ being not finite or not
 *   positive.
 * - `ERR_CGFAC_NO_RECORD`: a layer was asked for a direction before it was given a batch.
 * - `ERR_CGFAC_BUSY`: a synchronous call on an object whose asynchronous call is still under way, or a call of a
 *   schedule or a loss on the object that asks it.
 * - `ERR_CGFAC_DISPOSED`: the object, or a tensor or a variable that was given, was disposed of.
 * - `ERR_CGFAC_OUT_OF_MEMORY`: a workspace could not be allocated, at load that of OpenBLAS.
 * - `ERR_CGFAC_NATIVE_LOAD`: the native addon could not be found or loaded.
 * - `ERR_CGFAC_BLAS_MISMATCH`: OpenBLAS gave wrong results in the self-check at load, or OPENBLAS_CORETYPE names a
 *   kernel that the processor cannot run.
 * - `ERR_CGFAC_INTERNAL`: a defect of this package; please report it.
 * - `ERR_CGFAC_TFJS_VERSION`: a TensorFlow.js whose tape has another form than the one that is read.
 * - `ERR_CGFAC_TFJS_KERNEL`: the TensorFlow.js backend lacks an op that the step needs.
 * - `ERR_CGFAC_TFJS_NO_CAPTURE`: gradients were applied that this optimizer did not compute, and cannot make a step of.
 * - `ERR_CGFAC_TFJS_BACKEND`: the wasm backend of TensorFlow.js is missing, or has another form than the one that is
 *   known.
 * - `ERR_CGFAC_MPI`: no MPI library could be loaded, or it is not the one of the launcher.
 * - `ERR_CGFAC_COMMUNICATION`: ranks of a run could not finish a collective (one is gone, does not come, or called
 *   another one), or a step that all of them take (one failed, is at another step, or has other weights).
 */
export type CgfacErrorCode =
  | 'ERR_CGFAC_INVALID_ARG_TYPE'
  | 'ERR_CGFAC_INVALID_ARG_VALUE'
  | 'ERR_CGFAC_UNKNOWN_OPTION'
  | 'ERR_CGFAC_MISSING_OPTION'
  | 'ERR_CGFAC_SHAPE_MISMATCH'
  | 'ERR_CGFAC_DETACHED_BUFFER'
  | 'ERR_CGFAC_OVERLAP'
  | 'ERR_CGFAC_NOT_FINITE'
  | 'ERR_CGFAC_DIVERGED'
  | 'ERR_CGFAC_NO_RECORD'
  | 'ERR_CGFAC_BUSY'
  | 'ERR_CGFAC_DISPOSED'
  | 'ERR_CGFAC_OUT_OF_MEMORY'
  | 'ERR_CGFAC_NATIVE_LOAD'
  | 'ERR_CGFAC_BLAS_MISMATCH'
  | 'ERR_CGFAC_INTERNAL'
  | 'ERR_CGFAC_TFJS_VERSION'
  | 'ERR_CGFAC_TFJS_KERNEL'
  | 'ERR_CGFAC_TFJS_NO_CAPTURE'
  | 'ERR_CGFAC_TFJS_BACKEND'
  | 'ERR_CGFAC_MPI'
  | 'ERR_CGFAC_COMMUNICATION';

/**
 * Every error that this package throws or rejects with, cancellation apart (an aborted promise rejects with the reason
 * of its `AbortSignal`). The call that threw has changed nothing.
 *
 * The message of a refused argument reads `Expected X for name but received Y`; `cause` keeps the error beneath, where
 * there is one. Compare {@link CgfacError.code}, which is stable, and not the message, which may be reworded.
 */
export class CgfacError extends Error {
  /** What went wrong, from a closed set. */
  readonly code: CgfacErrorCode;

  /**
   * @param code - What went wrong, from a closed set.
   * @param message - One sentence for the person who reads it.
   * @param options - `cause`: the error beneath.
   */
  constructor(code: CgfacErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'CgfacError';
    this.code = code;
  }
}

/** Whether something that was thrown, which may be anything, is an error of this package. */
export function isCgfacError(thrown: unknown): thrown is CgfacError {
  try {
    return thrown instanceof CgfacError;
  } catch {
    return false; // a proxy may throw when it is asked
  }
}
