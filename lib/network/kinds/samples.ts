/** Rows of layers whose data is recorded as whole samples, or whose inputs are few numbers: their checks. */
import { isInt32Array, isTypedArray } from 'node:util/types';
import { CgfacError } from '../../base/errors';
import { lengthOf } from '../../base/float32';
import { describe, typeError, valueError } from '../../base/validate';
import { float32 } from '../../base/weight-vector';

/** Numbers in a typed array; 0 in anything else. */
export function countIn(array: unknown): number {
  return isTypedArray(array) ? lengthOf(array as Float32Array) : 0;
}

/** How many rows of a width an array holds, checked: a whole number of them. */
function rowsIn(array: unknown, width: number): number {
  return Math.max(1, Math.floor(countIn(array) / width));
}

/** An array of a whole number of rows, and that number: a multiple of `samples`, if these are told. */
export function wholeRows(array: unknown, name: string, width: number, words: string, samples = 1) {
  const rows = Math.max(samples, Math.floor(rowsIn(array, width) / samples) * samples);
  return { rows, numbers: float32(array, name, rows * width, `rows ${rows} × ${words}`) };
}

/** The output gradients of the loss, a row for each row of inputs; `undefined` where none are given. */
export function ownGrads(array: unknown, rows: number, width: number, words: string): Float32Array | undefined {
  return array === undefined ? undefined : float32(array, 'lossGrads', rows * width, `rows ${rows} × ${words}`);
}

/** Ids of rows of a table as the core takes them. */
export function idsOf(ids: unknown, samples: number, inputDim: number): Float32Array {
  if (!isInt32Array(ids)) throw typeError('an Int32Array of ids', 'inputs', ids);
  const count = countIn(ids);
  if (count === 0 || count % samples !== 0)
    throw new CgfacError(
      'ERR_CGFAC_SHAPE_MISMATCH',
      `Expected as many ids for each of ${samples} samples for inputs but received ${describe(ids)}`,
    );
  const own = new Int32Array(ids);
  const bad = own.findIndex((id) => id < 0 || id >= inputDim);
  if (bad >= 0) throw valueError(`an id from 0 to ${inputDim - 1}`, `inputs[${bad}]`, own[bad]);
  return Float32Array.from(own);
}
