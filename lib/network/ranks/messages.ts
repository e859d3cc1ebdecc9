/** Arrays of numbers as one message, and back. */

import { isFloat64Array } from 'node:util/types';
import { unexpected } from './checked';

/** What a message is made of. */
export type Field = Float32Array | Float64Array;

const wordsOf = (field: Field): number =>
  isFloat64Array(field) ? 2 * field.length : field.length + (field.length % 2);

/** Words before the fields, an even number: how many fields, and the length of each, below 0 of numbers of 8 bytes. */
const headerOf = (fields: number): number => fields + 1 + ((fields + 1) % 2);

/** Bytes of a message of so many numbers of 4 bytes and of 8 bytes, in as many fields. */
export function messageBytes(fields: readonly { readonly single?: number; readonly double?: number }[]): number {
  if (fields.length === 0) return 0;
  const words = fields.reduce(
    (sum, { single = 0, double = 0 }) => sum + single + (single % 2) + 2 * double,
    headerOf(fields.length),
  );
  return Float32Array.BYTES_PER_ELEMENT * words;
}

/** One array with all of them; of none an empty one. */
export function packed(fields: readonly Field[]): Float32Array {
  if (fields.length === 0) return new Float32Array();
  const header = headerOf(fields.length);
  const words = fields.reduce((sum, field) => sum + wordsOf(field), header);
  const buffer = new ArrayBuffer(Float32Array.BYTES_PER_ELEMENT * words);
  const lengths = new Int32Array(buffer, 0, header);
  lengths[0] = fields.length;
  let at = header;
  for (const [index, field] of fields.entries()) {
    const double = isFloat64Array(field);
    lengths[index + 1] = double ? -1 - field.length : field.length;
    const offset = Float32Array.BYTES_PER_ELEMENT * at;
    if (double) new Float64Array(buffer, offset, field.length).set(field);
    else new Float32Array(buffer, offset, field.length).set(field);
    at += wordsOf(field);
  }
  return new Float32Array(buffer);
}

/**
 * The lengths that a message says of its fields; of one that is not as long as it says none.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_COMMUNICATION`, which names the collective that it came by.
 */
function lengthsIn(message: Float32Array, collective: string): Int32Array {
  const { buffer, byteOffset } = message;
  const words = new Int32Array(buffer, byteOffset, message.length);
  const count = words[0] ?? -1;
  if (count >= 0 && headerOf(count) <= words.length) {
    const lengths = words.subarray(1, count + 1);
    const all = lengths.reduce(
      (sum, length) => sum + (length < 0 ? 2 * (-1 - length) : length + (length % 2)),
      headerOf(count),
    );
    if (all === words.length) return lengths;
  }
  throw unexpected(collective, 'messages as long as they say', `one of ${words.length} words that says otherwise`);
}

/**
 * The arrays of a message, which lie in it, or in a copy of it.
 *
 * @param collective - What it came by.
 */
export function unpacked(message: Float32Array, collective: string): Field[] {
  if (message.length === 0) return [];
  const whole = message.byteOffset % Float64Array.BYTES_PER_ELEMENT === 0 ? message : message.slice();
  const { buffer, byteOffset } = whole;
  const lengths = lengthsIn(whole, collective);
  let at = headerOf(lengths.length);
  return Array.from(lengths, (length): Field => {
    const offset = byteOffset + Float32Array.BYTES_PER_ELEMENT * at;
    const field = length < 0 ? new Float64Array(buffer, offset, -1 - length) : new Float32Array(buffer, offset, length);
    at += wordsOf(field);
    return field;
  });
}
