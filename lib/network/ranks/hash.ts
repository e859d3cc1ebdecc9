/** A number of 53 bits that another text would hardly have: two hashes of 32 bits, FNV-1a with two primes. */
export function hashOf(text: string): number {
  let [low, high] = [0x811c9dc5, 0x050c5d1f];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code, 0x85ebca6b) ^ (high >>> 15);
  }
  return (low >>> 0) + (high >>> 11) * 2 ** 32;
}
