/** Arithmetic on the arrays of a layer's vectors, and what is to be known of the memory they lie in. */
import { CgfacError } from './errors';
import { bufferOf, copyOf, lengthOf, offsetOf } from './float32';
import type { LayerShape, VectorArrays, WeightVector } from './weight-vector';

/** Zeros of a layer's form. */
export function newVector({ inFeatures, outFeatures, bias }: LayerShape): VectorArrays {
  return { kernel: new Float32Array(inFeatures * outFeatures), bias: bias ? new Float32Array(outFeatures) : undefined };
}

/** A copy of a vector's arrays. */
export function copied(from: VectorArrays): VectorArrays {
  return { kernel: copyOf(from.kernel), bias: from.bias && copyOf(from.bias) };
}

/** The arrays in the form of the public face. */
export function vectorOf({ kernel, bias }: VectorArrays): WeightVector {
  return bias === undefined ? kernel : { kernel, bias };
}

/** Kernel and, where there is one, bias. */
export function arraysOf({ kernel, bias }: VectorArrays): readonly Float32Array[] {
  return bias === undefined ? [kernel] : [kernel, bias];
}

/** Calls `body` for the kernels of two vectors, and for their biases. */
export function forEachArray(a: VectorArrays, b: VectorArrays, body: (a: Float32Array, b: Float32Array) => void): void {
  body(a.kernel, b.kernel);
  if (a.bias && b.bias) body(a.bias, b.bias);
}

/** Bytes of its arrays, 0 of none. */
export function bytesOf(vector: VectorArrays | undefined): number {
  return vector ? arraysOf(vector).reduce((sum, { byteLength }) => sum + byteLength, 0) : 0;
}

const endOf = (array: Float32Array): number => offsetOf(array) + Float32Array.BYTES_PER_ELEMENT * lengthOf(array);

/** Whether two vectors share memory. */
export function overlaps(a: VectorArrays, b: VectorArrays): boolean {
  const shared = (x: Float32Array, y: Float32Array) =>
    bufferOf(x) === bufferOf(y) && offsetOf(x) < endOf(y) && offsetOf(y) < endOf(x);
  return arraysOf(a).some((x) => arraysOf(b).some((y) => shared(x, y)));
}

/** Refuses vectors that share memory: what is written of one layer would be another's too. */
export function requireApart(vectors: readonly (VectorArrays | undefined)[], name: string): void {
  const arrays = vectors.flatMap((vector) => (vector ? arraysOf(vector) : []));
  const sorted = arrays.filter((array) => lengthOf(array) > 0).sort((a, b) => offsetOf(a) - offsetOf(b));
  const ends = new Map<ArrayBufferLike, number>();
  for (const array of sorted) {
    const buffer = bufferOf(array);
    if (offsetOf(array) < (ends.get(buffer) ?? 0))
      throw new CgfacError(
        'ERR_CGFAC_OVERLAP',
        `Expected arrays that share no memory for ${name} but received an overlap`,
      );
    ends.set(buffer, endOf(array));
  }
}

/** Arrays one after the other; a single one is returned as it is. */
export function concatenated(arrays: readonly Float32Array[]): Float32Array {
  const [first] = arrays;
  if (first && arrays.length === 1) return first;
  const all = new Float32Array(arrays.reduce((length, array) => length + array.length, 0));
  let offset = 0;
  for (const array of arrays) {
    all.set(array, offset);
    offset += array.length;
  }
  return all;
}
