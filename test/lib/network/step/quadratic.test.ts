import fc from 'fast-check';
import {
  type DirectionProducts,
  layerCoefficients,
  lengthening,
  modelAt,
  quadraticModel,
} from '../../../../lib/network/step/quadratic';
import { randomNumbers } from '../../../support/layers';

/** Random directions: r = ⟨v, x⟩ and u of each sample. */
function layersOf(count: number, samples: number, seed: number): DirectionProducts[] {
  return Array.from({ length: count }, (_, l) => ({
    innerProduct: Math.abs(randomNumbers(1, seed + 100 * l)[0] ?? 0) + 0.01,
    sampled: Float64Array.from(randomNumbers(samples, seed + 100 * l + 1)),
    samples,
  }));
}

test('the coefficients are those of least value within 0 … 1', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 20 }),
      fc.nat(1e6),
      (count, samples, seed) => {
        const layers = layersOf(count, samples, seed);
        const model = quadraticModel(layers);
        const r = layers.map(({ innerProduct }) => innerProduct);
        const e = layerCoefficients(layers);
        const value = modelAt(model, r, e);
        for (const each of e) expect(each >= 0 && each <= 1).toBe(true);
        // the problem is convex: no coordinate alone can do better, and no other point
        for (let l = 0; l < count; l++)
          for (const change of [-1e-3, 1e-3]) {
            const other = e.map((each, k) => (k === l ? Math.min(1, Math.max(0, each + change)) : each));
            expect(modelAt(model, r, other)).toBeGreaterThanOrEqual(value - 1e-9);
          }
        const points = randomNumbers(count * 20, seed + 7);
        for (let point = 0; point < 20; point++) {
          const other = e.map((_, l) => Math.abs(points[point * count + l] ?? 0) % 1);
          expect(modelAt(model, r, other)).toBeGreaterThanOrEqual(value - 1e-6);
        }
      },
    ),
  );
});

test('layers that do the same to every sample share one length', () => {
  const [{ sampled, samples }] = layersOf(1, 10, 3) as [DirectionProducts];
  const layer = { innerProduct: 0.05, sampled, samples };
  const [alone = 0] = layerCoefficients([layer]);
  const [first = 0, second = 0] = layerCoefficients([layer, layer]);
  expect(alone).toBeGreaterThan(0.05);
  expect(first + second).toBeLessThan(1.1 * alone);
});

test('a layer whose products are not known has the curvature of its damped direction', () => {
  expect(layerCoefficients([{ innerProduct: 3, sampled: undefined, samples: 0 }])[0]).toBeCloseTo(1 / 1.1, 12);
});

test('a direction uphill is not taken', () => {
  const [layer] = layersOf(1, 10, 3) as [DirectionProducts];
  expect(layerCoefficients([{ ...layer, innerProduct: -1 }])).toEqual([0]);
});

test('a layer whose products are not known beside others has the mean coefficient of all', () => {
  const layers = layersOf(3, 10, 5);
  const e = layerCoefficients(layers);
  const r = layers.map(({ innerProduct }) => innerProduct);
  const unknown = { innerProduct: 9, sampled: undefined, samples: 0 };
  const more = layerCoefficients([...layers, unknown]);
  expect(more.slice(0, 3)).toEqual(e);
  const moved = r.reduce((sum, each, l) => sum + each * (e[l] ?? 0), 0);
  const sum = r.reduce((total, each) => total + each, 0);
  expect(more[3]).toBeCloseTo((moved + 9 / 1.1) / (sum + 9), 12);
  expect(layerCoefficients([...layers, unknown], [1, 1, 1, 0.01])[3]).toBe(0.01);
});

describe('a step is lengthened where the samples hardly see it', () => {
  const layers = (scale: number) =>
    layersOf(3, 12, 5).map(({ innerProduct, sampled = new Float64Array(), samples }) => ({
      innerProduct,
      sampled: sampled.map((each) => scale * each),
      samples,
    }));
  const e = [1, 0.95, 1];
  /** rᵀe and eᵀQe, Q without its ridge. */
  const along = (each: readonly DirectionProducts[]) => {
    const slope = each.reduce((sum, { innerProduct }, l) => sum + innerProduct * (e[l] ?? 0), 0);
    let curvature = 0;
    for (let b = 0; b < 12; b++)
      curvature += each.reduce((sum, { sampled }, l) => sum + (sampled?.[b] ?? 0) * (e[l] ?? 0), 0) ** 2 / 12;
    return { slope, curvature };
  };

  test('by rᵀe/(eᵀQe), where that is more than 10', () => {
    for (const scale of [1e-2, 1e-4]) {
      const { slope, curvature } = along(layers(scale));
      expect(slope / curvature).toBeGreaterThan(10);
      expect(lengthening(layers(scale), e) / (slope / curvature)).toBeCloseTo(1, 6);
    }
  });

  test('and not where it is less, a layer is held back, or samples are not known, nor without bound', () => {
    const { slope, curvature } = along(layers(1));
    expect(lengthening(layers(Math.sqrt(slope / curvature / 9)), e)).toBe(1);
    expect(lengthening([{ innerProduct: 3, sampled: undefined, samples: 0 }], [1 / 1.1])).toBe(1);
    expect(lengthening(layers(0), e)).toBe(1);
    expect(lengthening(layers(1e-30), e)).toBe(2 ** 30);
    expect(lengthening(layers(1e-2), [1, 0, 1])).toBe(1);
  });
});
