/**
 * What an array of numbers is and does by itself: a caller's may be of a class that says and does otherwise, or have
 * properties of its own.
 */

const plain = Float32Array.prototype;
const typed = Object.getPrototypeOf(plain) as object;

function getter(name: string): () => unknown {
  const get = Object.getOwnPropertyDescriptor(typed, name)?.get;
  if (get === undefined) throw new Error(`Expected a getter of ${name} for typed arrays but received none`);
  return get;
}

// each a constant of its own, which the engine can look into
const getBuffer = getter('buffer') as () => ArrayBufferLike;
const getLength = getter('length') as () => number;
const getOffset = getter('byteOffset') as () => number;

/** The buffer that an array lies in. */
export const bufferOf = (array: Float32Array): ArrayBufferLike => getBuffer.call(array);

/** Numbers of an array, 0 once its buffer is detached. */
export const lengthOf = (array: Float32Array): number => getLength.call(array);

/** Where an array begins in its buffer, in bytes. */
export const offsetOf = (array: Float32Array): number => getOffset.call(array);

/** Writes the numbers of an array into another one of the same length. */
export const write = (to: Float32Array, from: Float32Array): void => plain.set.call(to, from);

/** Makes all numbers of an array zero. */
export const clear = (array: Float32Array): void => {
  plain.fill.call(array, 0);
};

/** A new array of the same numbers. */
export const copyOf = (array: Float32Array): Float32Array => new Float32Array(array);

/** A new array of the first numbers of an array, so many. */
export const startOf = (array: Float32Array, count: number): Float32Array => {
  const start = new Float32Array(count);
  for (let at = 0; at < count; at++) start[at] = array[at] ?? 0;
  return start;
};
