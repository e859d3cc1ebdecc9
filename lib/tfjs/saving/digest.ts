/** What tells numbers from others: by it a saved tensor, or a variable, is known to be the one that was saved. */
import type { Variable } from '@tensorflow/tfjs-core';

/** The digest of the numbers of a variable. */
export type DigestOf = (variable: Variable) => number;

const [C1, C2] = [0xcc9e2d51, 0x1b873593];

const rotated = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

/**
 * The 32-bit digest of the bits of numbers of 4 bytes: MurmurHash3_x86_32 with seed 0.
 *
 * Source: Austin Appleby, MurmurHash3, 2011 (public domain).
 */
export function digestOf(values: Float32Array | Int32Array): number {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  let hash = 0;
  for (const word of words) {
    hash = rotated(hash ^ Math.imul(rotated(Math.imul(word, C1), 15), C2), 13);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  hash ^= words.byteLength;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The digests of variables, each of which is read once. */
export function digests(): DigestOf {
  const known = new Map<Variable, number>();
  return (variable) => {
    const found = known.get(variable) ?? digestOf(variable.dataSync<'float32' | 'int32'>());
    known.set(variable, found);
    return found;
  };
}
