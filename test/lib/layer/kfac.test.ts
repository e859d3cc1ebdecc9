import type { LayerPreconditioner } from 'cgfac';
import { relativeError } from '../../support/golden-case';
import { randomNumbers, randomVector } from '../../support/layers';
import {
  bitsOf,
  elementsOf,
  formedGradient,
  layerWith,
  type Rows,
  randomRows,
  recordable,
  unitRoundoff,
} from '../../support/methods';

const shape = { inFeatures: 30, outFeatures: 20, batch: 12, fisherRows: 12, bias: true };

function pick<T>(list: readonly T[], index: number): T {
  const value = list[index];
  if (value === undefined) throw new RangeError(`index ${index} of ${list.length}`);
  return value;
}

// errors of float32 eigenvectors times (λ + max E)/λ, which is below 20 for these rows
const bound = 40 * unitRoundoff * 20;

describe('direct K-FAC over batches', () => {
  const batches = [3, 13, 23, 33].map((seed) => randomRows(shape, seed));
  const v = randomVector(shape, 8);
  const solve = (preconditioner: LayerPreconditioner<boolean>, rows: Rows) => {
    preconditioner.record(recordable(rows));
    return preconditioner.preconditionSync(v).x;
  };
  const exact = (rows: Rows) => elementsOf(solve(layerWith({ ...shape, batch: rows.batch }, 'exact'), rows));
  const kfac = (options: object) => layerWith(shape, 'kfac', options);

  test('without memory is exact on every batch', () => {
    const preconditioner = kfac({ factorDecay: 0 });
    for (const rows of batches)
      expect(relativeError(elementsOf(solve(preconditioner, rows)), exact(rows))).toBeLessThanOrEqual(bound);
  });

  test('a batch enters once, however often it is used', () => {
    const often = kfac({ factorDecay: 0.5 });
    const once = kfac({ factorDecay: 0.5 });
    for (const rows of batches) {
      const first = solve(often, rows);
      expect(bitsOf(often.preconditionSync(v).x)).toBe(bitsOf(first));
      expect(bitsOf(solve(once, rows))).toBe(bitsOf(first));
    }
  });

  test('a natural gradient is a batch as well', () => {
    const own = kfac({ factorDecay: 0.5 });
    const given = kfac({ factorDecay: 0.5 });
    for (const rows of batches) {
      given.record(recordable(rows));
      const direction = given.preconditionSync(formedGradient(rows, shape)).x;
      const { x } = own.naturalGradientSync(rows);
      expect(x && relativeError(elementsOf(x), elementsOf(direction))).toBeLessThanOrEqual(bound);
    }
  });

  test('the average weighs batch i of k by decay^(k − i)·(1 − decay)/(1 − decay^k), free of its start', () => {
    // without a bias an average of factors is the factor of all rows, each batch multiplied by the root of its weight
    const plain = { ...shape, bias: false };
    const preconditioner = layerWith(plain, 'kfac', { factorDecay: 0.75 });
    batches.slice(0, 3).forEach((rows, step) => {
      const kernel = randomNumbers(plain.inFeatures * plain.outFeatures, 8);
      preconditioner.record(recordable(rows));
      const { x } = preconditioner.preconditionSync(kernel);
      const weights = Array.from(
        { length: step + 1 },
        (_, i) => (0.75 ** (step - i) * 0.25) / (1 - 0.75 ** (step + 1)),
      );
      const stacked = (array: 'inputs' | 'outputGrads') =>
        Float32Array.from(
          weights.flatMap((weight, i) =>
            [...pick(batches, i)[array]].map((value) => value * Math.sqrt(weight * weights.length)),
          ),
        );
      const count = weights.length * plain.batch;
      const all = { inputs: stacked('inputs'), outputGrads: stacked('outputGrads'), batch: count, fisherRows: count };
      const reference = layerWith(plain, 'exact');
      reference.record(all);
      expect(relativeError(elementsOf(x), elementsOf(reference.preconditionSync(kernel).x))).toBeLessThanOrEqual(bound);
    });
  });

  test('factorUpdateSteps: a batch enters every so many', () => {
    const preconditioner = kfac({ factorDecay: 0, factorUpdateSteps: 2 });
    const [first, second, third, fourth] = batches.map((rows) => solve(preconditioner, rows));
    expect(second && bitsOf(second)).toBe(first && bitsOf(first));
    expect(third && relativeError(elementsOf(third), exact(pick(batches, 2)))).toBeLessThanOrEqual(bound);
    expect(fourth && bitsOf(fourth)).toBe(third && bitsOf(third));
  });

  test('inverseUpdateSteps: the factors are decomposed every so many', () => {
    const preconditioner = kfac({ factorDecay: 0.5, inverseUpdateSteps: 3 });
    const reference = kfac({ factorDecay: 0.5 });
    const [first, second, third, fourth] = batches.map((rows) => solve(preconditioner, rows));
    const everyTime = batches.map((rows) => solve(reference, rows));
    for (const later of [second, third]) expect(later && bitsOf(later)).toBe(first && bitsOf(first));
    expect(first && bitsOf(first)).toBe(bitsOf(pick(everyTime, 0)));
    expect(fourth && bitsOf(fourth)).toBe(bitsOf(pick(everyTime, 3))); // all four batches had entered
  });

  test('reset forgets the averages', () => {
    const preconditioner = kfac({ factorDecay: 0.5 });
    const first = solve(preconditioner, pick(batches, 0));
    solve(preconditioner, pick(batches, 1));
    preconditioner.reset();
    expect(bitsOf(solve(preconditioner, pick(batches, 0)))).toBe(bitsOf(first));
  });
});
