import { createHash } from 'node:crypto';

const BYTES = 6;

/** A number of 48 bits that another text would hardly have. */
export function hashOf(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, BYTES);
}
