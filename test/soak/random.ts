/** Random choices that follow from a seed. */

/** Numbers and choices, one after another: a Weyl sequence through the finaliser of MurmurHash3 (Appleby, 2008). */
export class Random {
  #state: number;

  /** @param seed - An integer; the same one gives the same choices. */
  constructor(seed: number) {
    this.#state = Math.imul(seed | 0, 0x2545f491) ^ 0x5bd1e995;
  }

  /** A number in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let bits = this.#state;
    bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32;
  }

  /** An integer from `least` to `most`. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** Whether something of this probability happens. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of some things. */
  pick<T>(things: readonly T[]): T {
    const thing = things[this.integer(0, things.length - 1)];
    if (thing === undefined) throw new RangeError('Expected something to choose from but received nothing');
    return thing;
  }

  /** A seed for other numbers. */
  seed(): number {
    return this.integer(1, 2 ** 31 - 1);
  }
}
