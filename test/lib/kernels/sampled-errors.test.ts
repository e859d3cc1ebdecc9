import { uniforms } from '../../../lib/base/random';
import { type Distribution, sampledErrors } from '../../../lib/kernels/sampled-errors';
import { randomNumbers } from '../../support/layers';

const [ROWS, WIDTH] = [12, 5];
const probabilities = randomNumbers(ROWS * WIDTH, 3).map((value) => Math.abs(value) / 3);
const factors = Float64Array.of(1, 0.5, 2);

/** What the core does, in plain JavaScript. */
function reference(distribution: Distribution, uniform: () => number): Float32Array {
  return Float32Array.from(
    Array.from({ length: ROWS }).flatMap((_, row) => {
      const factor = factors[Math.floor((row * factors.length) / ROWS)] ?? Number.NaN;
      const p = Array.from(probabilities.subarray(row * WIDTH, (row + 1) * WIDTH));
      if (distribution === 'bernoulli') return p.map((each) => factor * (each - (uniform() < each ? 1 : 0)));
      let rest = uniform() * p.reduce((sum, each) => sum + each, 0);
      const target = p.findIndex((each) => {
        rest -= each;
        return rest < 0;
      });
      return p.map((each, j) => factor * (each - (j === target ? 1 : 0)));
    }),
  );
}

test.each(['categorical', 'bernoulli'] as const)('the errors of a %s are those of plain loops, bit for bit', (name) => {
  const uniform = uniforms(7, 3);
  expect(sampledErrors(name, probabilities, WIDTH, factors, uniforms(7, 3))).toEqual(reference(name, uniform));
});

test('a Gaussian has mean 0 and variance 1, whatever p is', () => {
  const count = 20_000;
  const errors = sampledErrors('gaussian', new Float32Array(count).fill(0.5), 4, Float64Array.of(1), uniforms(1, 1));
  const mean = errors.reduce((sum, error) => sum + error, 0) / count;
  const square = errors.reduce((sum, error) => sum + error ** 2, 0) / count;
  // four standard deviations: of a mean of 20,000 normal numbers 0.028, of the mean of their squares 0.04
  expect(Math.abs(mean)).toBeLessThan(0.028);
  expect(Math.abs(square - 1)).toBeLessThan(0.04);
});

test('the stream goes on behind the numbers that were drawn', () => {
  const [used, plain] = [uniforms(2, 5), uniforms(2, 5)];
  sampledErrors('bernoulli', probabilities, WIDTH, factors, used);
  for (let drawn = 0; drawn < ROWS * WIDTH; drawn++) plain();
  expect(used()).toBe(plain());
});

test('the probabilities may be those of any array, and are not written to', () => {
  const before = probabilities.slice();
  const errors = sampledErrors('categorical', Array.from(probabilities), WIDTH, factors, uniforms(0, 0));
  expect(errors).toEqual(sampledErrors('categorical', probabilities, WIDTH, factors, uniforms(0, 0)));
  expect(probabilities).toEqual(before);
});

test('rows that are not whole are refused', () => {
  expect(() => sampledErrors('categorical', new Float32Array(7), 3, factors, uniforms(0, 0))).toThrow(
    'Expected whole rows, four words of state and a factor for sampled targets but received others',
  );
});
