/**
 * Reproducible random numbers. The stream of a training step is a function of the seed and of the number of the step
 * alone, so a step that failed can be repeated, and the state that has to be saved is the two of them.
 */

const UINT32 = 2 ** 32;

/**
 * The finaliser of MurmurHash3 (Austin Appleby, 2008): a bijection of 32-bit integers that spreads every bit over all.
 */
function mix(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/**
 * Uniform numbers in [0, 1), by xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators",
 * 2021).
 *
 * @param seed - An integer from 0 to 2⁵³ − 1.
 * @param step - The number of the training step.
 */
export function uniforms(seed: number, step: number): () => number {
  const words = [seed % UINT32, Math.floor(seed / UINT32), step % UINT32, 0x9e3779b9];
  // `mix` is one to one, so the four words of the state differ: it cannot be the zero state, which would stay at zero.
  let hash = 0x9e3779b9;
  for (const word of words) hash = mix(hash ^ word) + 0x9e3779b9;
  let [a, b, c, d] = [mix(hash), mix(hash + 0x3c6ef372), mix(hash + 0xdaa66d2b), mix(hash + 0x78dde6e4)] as [
    number,
    number,
    number,
    number,
  ];
  return () => {
    const scrambled = Math.imul(b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result / UINT32;
  };
}

/** The output distributions whose targets can be sampled; `'gaussian'` is of unit variance about the outputs. */
export type Distribution = 'categorical' | 'bernoulli' | 'gaussian';

/**
 * Samples targets y from the model's own output distribution and returns the errors p − y, the gradient of the negative
 * log-likelihood with respect to the logits, each row times its factor.
 *
 * @param distribution - `'categorical'`: one of `width` classes a row; `'bernoulli'` and `'gaussian'`: every number on
 * its own.
 * @param probabilities - p, (rows × width), row-major; read only.
 * @param width - Numbers in a row.
 * @param factors - One factor for each of as many equal groups of rows as there are factors: one a sample.
 * @param uniform - Uniform numbers in [0, 1).
 * @returns A new array of the shape of p.
 */
export function sampledErrors(
  distribution: Distribution,
  probabilities: ArrayLike<number>,
  width: number,
  factors: Float64Array,
  uniform: () => number,
): Float32Array {
  const errors = new Float32Array(probabilities.length);
  const perFactor = probabilities.length / factors.length;
  for (let start = 0; start < errors.length; start += width) {
    const factor = factors[Math.floor(start / perFactor)] ?? 0;
    if (distribution === 'gaussian') {
      for (let at = start; at < start + width; at++) errors[at] = factor * normal(uniform);
      continue;
    }
    const target = distribution === 'categorical' ? start + sampleClass(probabilities, start, width, uniform()) : -1;
    for (let at = start; at < start + width; at++) {
      const p = probabilities[at] ?? 0;
      const y = distribution === 'categorical' ? at === target : uniform() < p;
      errors[at] = factor * (p - (y ? 1 : 0));
    }
  }
  return errors;
}

/** A standard normal number (G. Box and M. Muller, "A note on the generation of random normal deviates", 1958). */
function normal(uniform: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** The class whose share of the cumulated probabilities `u` falls into. */
function sampleClass(probabilities: ArrayLike<number>, start: number, width: number, u: number): number {
  let total = 0;
  for (let at = start; at < start + width; at++) total += probabilities[at] ?? 0;
  // In float32 the probabilities do not sum to 1 exactly: u is a share of what they sum to.
  let rest = u * total;
  for (let index = 0; index < width; index++) {
    rest -= probabilities[start + index] ?? 0;
    if (rest < 0) return index;
  }
  return width - 1;
}
