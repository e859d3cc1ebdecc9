/** Arrays of numbers as one message, and back. */

import { isFloat64Array } from 'node:util/types';

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

/** The arrays of a message, which lie in it, or in a copy of it. */
export function unpacked(message: Float32Array): Field[] {
  if (message.length === 0) return [];
  const whole = message.byteOffset % Float64Array.BYTES_PER_ELEMENT === 0 ? message : message.slice();
  const { buffer, byteOffset } = whole;
  const count = new Int32Array(buffer, byteOffset, 1)[0] ?? 0;
  const lengths = new Int32Array(buffer, byteOffset, headerOf(count));
  let at = headerOf(count);
  return Array.from({ length: count }, (_, index): Field => {
    const length = lengths[index + 1] ?? 0;
    const offset = byteOffset + Float32Array.BYTES_PER_ELEMENT * at;
    const field = length < 0 ? new Float64Array(buffer, offset, -1 - length) : new Float32Array(buffer, offset, length);
    at += wordsOf(field);
    return field;
  });
}
