/** What the recorded inputs of a layer have in common, which a diagnosis may tell. */
import { lengthOf, startOf } from '../base/float32';

/** Numbers that differ by less than this share of themselves are the same: products round rows in their own ways. */
const ROUNDING = 1e-5;

/** The rows of inputs that were recorded for a step, seen only as far as the first one that differs. */
export class InputRows {
  #first: Float32Array | undefined;
  #count = 0;
  #same = true;

  /** Rows so far. */
  get count(): number {
    return this.#count;
  }

  /** Whether all rows are zero, or the same; `undefined` where they differ, or there are none. */
  get common(): 'zero' | 'same' | undefined {
    if (this.#first === undefined || !this.#same) return undefined;
    return this.#first.every((value) => value === 0) ? 'zero' : 'same';
  }

  /** Takes in rows, (rows × features). */
  add(inputs: Float32Array, rows: number): void {
    if (rows === 0) return;
    const length = lengthOf(inputs);
    const features = length / rows;
    const first = this.#first ?? startOf(inputs, features);
    this.#first = first;
    this.#count += rows;
    for (let at = 0; this.#same && at < length; at++) {
      const expected = first[at % features] ?? 0;
      this.#same = Math.abs((inputs[at] ?? 0) - expected) <= ROUNDING * Math.abs(expected);
    }
  }

  /** Forgets them. */
  clear(): void {
    this.#first = undefined;
    this.#count = 0;
    this.#same = true;
  }
}
