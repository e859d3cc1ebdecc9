/** Arrays that lie between guard zones, of which the package may write none, and hostile numbers to fill them with. */
import fc from 'fast-check';
import { randomNumbers } from './layers';

/** Numbers of a guard zone. */
const ZONE = 16;
/** The bits of each: a NaN that no arithmetic makes. */
const GUARD = 0x7fc0dead;

/** Arrays for the calls of one case. */
export class Guards {
  readonly #zones: { readonly all: Uint32Array; readonly array: Float32Array; readonly before?: Uint32Array }[] = [];

  /** An array with these numbers, which may change. */
  output(numbers: Float32Array): Float32Array {
    return this.#put(numbers, true);
  }

  /** An array with these numbers, which must stay as they are. */
  input(numbers: Float32Array): Float32Array {
    return this.#put(numbers, false);
  }

  #put(numbers: Float32Array, writable: boolean): Float32Array {
    const all = new Uint32Array(numbers.length + 2 * ZONE).fill(GUARD);
    const array = new Float32Array(all.buffer, ZONE * 4, numbers.length);
    array.set(numbers);
    this.#zones.push(writable ? { all, array } : { all, array, before: all.slice() });
    return array;
  }

  /** Whether nothing was written that must not be. */
  intact(): boolean {
    const zone = (all: Uint32Array, from: number, to: number) => all.subarray(from, to).every((bits) => bits === GUARD);
    return this.#zones.every(
      ({ all, before }) =>
        zone(all, 0, ZONE) &&
        zone(all, all.length - ZONE, all.length) &&
        (before === undefined || before.every((bits, i) => all[i] === bits)),
    );
  }
}

/** Numbers that hostile data has. */
const hostile = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  3.4028234663852886e38,
  -3.4028234663852886e38,
  2 ** -126,
  2 ** -149,
  -0,
] as const;

/** How an array is filled. */
export interface Filling {
  readonly seed: number;
  readonly exponent: number;
  readonly pattern: 'random' | 'equal' | 'sparse' | 'cancelling';
  readonly hostile: { readonly place: number; readonly value: number } | null;
}

/** Fillings: near 1 in most cases, within 10^±12 in many, of any exponent and with a hostile number in some. */
export const fillings: fc.Arbitrary<Filling> = fc.record({
  seed: fc.integer({ min: 1, max: 1_000_000 }),
  exponent: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -4, max: 4 }) },
    { weight: 4, arbitrary: fc.integer({ min: -40, max: 40 }) },
    { weight: 1, arbitrary: fc.integer({ min: -149, max: 127 }) },
  ),
  pattern: fc.constantFrom('random', 'random', 'random', 'equal', 'sparse', 'cancelling'),
  hostile: fc.option(fc.record({ place: fc.nat(), value: fc.constantFrom(...hostile) }), { freq: 20 }),
});

const patterns: Readonly<Record<Filling['pattern'], (value: number, index: number) => number>> = {
  random: (value) => value,
  equal: () => 1,
  sparse: (value) => (value > 0.6 ? value : 0),
  cancelling: (value, index) => (index % 2 === 0 ? 1 : -1) * (1 + value * 2 ** -16),
};

/** The numbers of a filling. */
export function filled(count: number, { seed, exponent, pattern, hostile: one }: Filling): Float32Array {
  const numbers = randomNumbers(count, seed).map((value, index) => patterns[pattern](value, index) * 2 ** exponent);
  if (one !== null && count > 0) numbers[one.place % count] = one.value;
  return numbers;
}

/** λ from 1e-30 to 1e30, or relative; near 1 in half of the cases. */
export const dampings = fc.oneof(
  fc.constantFrom(0.1, 0.5, 1, 10),
  fc.constantFrom(0.1, 0.5, 1, 10).map((relative) => ({ relative })),
  fc.double({ min: -30, max: 30, noNaN: true }).map((power) => 10 ** power),
  fc.double({ min: -10, max: 10, noNaN: true }).map((power) => ({ relative: 10 ** power })),
);
