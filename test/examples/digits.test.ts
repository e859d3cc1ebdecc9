import { BATCH, BATCHES, HELD_OUT_DIGITS, loadDigits, TRAINING_DIGITS } from '../../datasets/digits';
import { PIXELS, type Pictures } from '../../datasets/pictures';

const digits = loadDigits();
const sets = [
  ['training', digits.training, 8960],
  ['held-out', digits.heldOut, 1000],
] as const;

function digitAt({ pixels }: Pictures, i: number): Float32Array {
  return pixels.subarray(i * PIXELS, (i + 1) * PIXELS);
}

test('35 whole batches to train on and 1,000 digits held out', () => {
  expect({ BATCH, BATCHES, TRAINING_DIGITS, HELD_OUT_DIGITS }).toEqual({
    BATCH: 256,
    BATCHES: 35,
    TRAINING_DIGITS: 8960,
    HELD_OUT_DIGITS: 1000,
  });
});

test.each(sets)('the %s digits have 28 × 28 pixels from 0 to 1, and ink', (_, set, count) => {
  expect(set.labels).toHaveLength(count);
  expect(set.pixels).toHaveLength(count * PIXELS);
  expect(set.pixels.every((pixel) => pixel >= 0 && pixel <= 1)).toBe(true);
  const brightness = Array.from({ length: count }, (_, i) => digitAt(set, i).reduce((a, b) => a + b, 0));
  expect(Math.min(...brightness)).toBeGreaterThan(5);
});

test('every batch, and what is held out, holds every class: the digits, which come grouped, were shuffled', () => {
  for (let batch = 0; batch < BATCHES; batch++) {
    const labels = digits.training.labels.subarray(batch * BATCH, (batch + 1) * BATCH);
    expect(new Set(labels).size).toBe(10);
  }
  expect(new Set(digits.heldOut.labels).size).toBe(10);
});

test('the order is the same for every run', () => {
  const again = loadDigits();
  for (const set of ['training', 'heldOut'] as const) {
    // Bytes, because Jest's own comparison of eight million numbers takes half a minute.
    const bytes = ({ pixels: { buffer, byteOffset, byteLength } }: Pictures) =>
      Buffer.from(buffer, byteOffset, byteLength);
    expect(Buffer.compare(bytes(again[set]), bytes(digits[set]))).toBe(0);
    expect(again[set].labels).toEqual(digits[set].labels);
  }
});

test('no digit occurs twice because of the shuffle, and none is both trained on and held out', () => {
  const different = new Set(
    sets.flatMap(([, set, count]) => Array.from({ length: count }, (_, i) => digitAt(set, i).join())),
  );
  expect(different.size).toBe(9960);
});
