import { BATCH, BATCHES, loadDigits, PIXELS } from '../../examples/digits';

const digits = loadDigits();

test('39 whole batches of 28 × 28 pixels from 0 to 1', () => {
  expect(BATCHES * BATCH).toBe(9984);
  expect(digits.labels).toHaveLength(9984);
  expect(digits.pixels).toHaveLength(9984 * PIXELS);
  expect(digits.pixels.every((pixel) => pixel >= 0 && pixel <= 1)).toBe(true);
});

test('every batch holds every class: the digits, which come grouped, were shuffled', () => {
  for (let batch = 0; batch < BATCHES; batch++) {
    const labels = digits.labels.subarray(batch * BATCH, (batch + 1) * BATCH);
    expect(new Set(labels).size).toBe(10);
  }
});

test('the order is the same for every run', () => {
  const again = loadDigits();
  // Bytes, because Jest's own comparison of eight million numbers takes half a minute.
  expect(Buffer.compare(Buffer.from(again.pixels.buffer), Buffer.from(digits.pixels.buffer))).toBe(0);
  expect(again.labels).toEqual(digits.labels);
});

test('no digit occurs twice because of the shuffle, and ink is where a digit is', () => {
  const brightness = Array.from({ length: 9984 }, (_, i) =>
    digits.pixels.subarray(i * PIXELS, (i + 1) * PIXELS).reduce((a, b) => a + b, 0),
  );
  expect(Math.min(...brightness)).toBeGreaterThan(5);
  const identical =
    9984 - new Set(Array.from({ length: 9984 }, (_, i) => digits.pixels.subarray(i * PIXELS, (i + 1) * PIXELS).join())).size;
  expect(identical).toBe(0);
});
