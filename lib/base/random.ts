/**
 * Reproducible random numbers. The stream of a training step is a function of the seed and of the number of the step
 * alone, so a step that failed can be repeated, and the state that has to be saved is the two of them.
 */

const UINT32 = 2 ** 32;

/** What the seeds of ranks differ by: the golden ratio in 32 bits, so that neighbouring seeds are no rank's. */
const APART = 0x9e3779b9;

/** The seed of what a rank draws by itself; that of rank 0 is the seed of all. */
export function seedOfRank(seed: number, rank: number): number {
  return (seed + rank * APART) % Number.MAX_SAFE_INTEGER;
}

/**
 * The finaliser of MurmurHash3 (Austin Appleby, 2008): a bijection of 32-bit integers that spreads every bit over all.
 */
function mix(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** A stream of uniform numbers in [0, 1): the next one when it is called, and the state that this follows from. */
export interface UniformNumbers {
  /** Gives the next number. */
  (): number;
  /** The four words of the generator, which each number changes; the core draws from them, too. */
  readonly state: Uint32Array;
}

/**
 * Uniform numbers in [0, 1), by xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators",
 * 2021).
 *
 * @param seed - An integer from 0 to 2⁵³ − 1.
 * @param step - The number of the training step.
 */
export function uniforms(seed: number, step: number): UniformNumbers {
  const words = [seed % UINT32, Math.floor(seed / UINT32), step % UINT32, 0x9e3779b9];
  // `mix` is one to one, so the four words of the state differ: it cannot be the zero state, which would stay at zero.
  let hash = 0x9e3779b9;
  for (const word of words) hash = mix(hash ^ word) + 0x9e3779b9;
  const state = Uint32Array.of(mix(hash), mix(hash + 0x3c6ef372), mix(hash + 0xdaa66d2b), mix(hash + 0x78dde6e4));
  const next = () => {
    let [a = 0, b = 0, c = 0, d = 0] = state;
    const scrambled = Math.imul(b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    state.set([a, b, c, d]);
    return result / UINT32;
  };
  return Object.assign(next, { state });
}
