import type { PreconditionerOptions, WeightVector } from 'cgfac';
import fc from 'fast-check';
import { at, dot, relativeError } from '../support/golden-case';
import { arraysOf } from '../support/layers';
import { copyOf, gradientsOf, network, numbersOf, record, rowsOf, type TestLayer, vectors } from '../support/networks';
import { fixed, scaled } from '../support/steps';

// Shrinkable random networks: one to three layers, either side of each smaller or larger than the batch, with and
// without bias, both layouts.
const layer = fc.record({
  inFeatures: fc.integer({ min: 1, max: 9 }),
  outFeatures: fc.integer({ min: 1, max: 9 }),
  bias: fc.boolean(),
  kernelLayout: fc.constantFrom('out-in' as const, 'in-out' as const),
});
const networks = fc
  .array(layer, { minLength: 1, maxLength: 3 })
  .map((all): TestLayer[] => all.map((each, i) => ({ ...each, name: `layer${i}` })));
const batches = fc.integer({ min: 1, max: 14 });
const seeds = fc.integer({ min: 1, max: 100_000 });
const methods = fc.constantFrom<Partial<PreconditionerOptions>>(
  { factorHistory: 'none' },
  { factorHistory: 'panel' },
  { factorHistory: 'dense' },
  { method: 'exact', dampingMode: 'tikhonov' },
  { method: 'cg' },
  { method: 'kfac' },
);

/** Random gradients in the form of the layers. */
function randomGradients(of: readonly TestLayer[], seed: number): Record<string, WeightVector> {
  const rows = rowsOf(seed, 3, 3, of);
  return gradientsOf(rows, of);
}

test('⟨v, x⟩ > 0 for every gradient: −x is a direction of descent, and Σ⟨v, x⟩ is what the summary says', () => {
  fc.assert(
    fc.property(networks, batches, seeds, methods, (of, batch, seed, options) => {
      const preconditioner = network({ ...fixed, ...options }, undefined, of);
      record(preconditioner, rowsOf(seed, batch, batch, of));
      const gradients = randomGradients(of, seed + 1);
      const v = numbersOf(gradients);
      const summary = preconditioner.stepSync(gradients);
      const x = numbersOf(gradients);
      expect(summary.skipped).toBeUndefined();
      expect(dot(v, x)).toBeGreaterThan(0);
      // float32 results of some hundred terms
      expect(Math.abs(summary.innerProduct - dot(v, x))).toBeLessThanOrEqual(2e-5 * Math.sqrt(dot(v, v) * dot(x, x)));
      for (const { innerProduct } of summary.layers) expect(innerProduct).toBeGreaterThan(0);
    }),
  );
});

test('weights move by a negative multiple of the direction', () => {
  fc.assert(
    fc.property(
      networks,
      batches,
      seeds,
      methods,
      fc.constantFrom(0.01, 0.5, 2),
      (of, batch, seed, options, learningRate) => {
        const weights = vectors((length, index) => Float32Array.from({ length }, (_, i) => Math.sin(i + index)), of);
        const before = numbersOf(weights);
        const [inPlace, apart] = [
          network({ ...fixed, ...options, learningRate }, weights, of),
          network({ ...fixed, ...options }, undefined, of),
        ];
        const rows = rowsOf(seed, batch, batch, of);
        for (const each of [inPlace, apart]) record(each, rows);
        inPlace.naturalGradientsSync();
        const x = numbersOf(apart.naturalGradientsSync().updates);
        const after = numbersOf(weights);
        // one rounding of W and of η·x each
        after.forEach((value, i) => {
          expect(Math.abs(value - (at(before, i) - learningRate * at(x, i)))).toBeLessThanOrEqual(
            4 * 2 ** -24 * (Math.abs(at(before, i)) + learningRate * Math.sqrt(dot(x, x))),
          );
        });
      },
    ),
  );
});

test('scale-free: a loss times c, sampled gradients times √c, the same trajectory', () => {
  const scaleFree = fc.constantFrom<Partial<PreconditionerOptions>>(
    { factorHistory: 'none' },
    { factorHistory: 'panel', factorDecay: 0.7 },
    { factorHistory: 'dense', factorDecay: 0.7 },
    { method: 'exact', dampingMode: 'tikhonov' },
    { method: 'kfac', stepRule: 'polyak' },
  );
  fc.assert(
    fc.property(
      networks,
      batches,
      seeds,
      scaleFree,
      fc.constantFrom(1 / 64, 3, 1000),
      (of, batch, seed, options, c) => {
        const run = (factor: number) => {
          const preconditioner = network(
            { momentum: 0.5, useEma: false, factorUpdateSteps: 1, ...options },
            undefined,
            of,
          );
          return [0, 1, 2].map((step) => {
            record(
              preconditioner,
              scaled(rowsOf(seed + step, batch, batch, of), { lossGrads: factor, sampled: Math.sqrt(factor) }),
            );
            // so small a loss that the cap at 1 is far
            const { summary, updates } = preconditioner.naturalGradientsSync({
              loss: factor * 1e-9,
              lossFloor: factor * 1e-10,
            });
            return { stepSize: summary.stepSize, updates: numbersOf(updates).slice() };
          });
        };
        const [plain, multiplied] = [run(1), run(c)];
        plain.forEach(({ stepSize, updates }, step) => {
          expect(stepSize).toBeLessThan(1);
          // √c rounds each sampled gradient: a relative error of 2⁻²⁴ times the condition 1 + d/ρ of each factor, and
          // Σ⟨v, x⟩ that of both
          expect(relativeError(multiplied[step]?.updates ?? [], updates)).toBeLessThan(1e-4);
          expect(Math.abs((multiplied[step]?.stepSize ?? 0) / stepSize - 1)).toBeLessThan(1e-4);
        });
      },
    ),
  );
});

test('linear in the gradient, at fixed factors and steps', () => {
  const linear = fc.constantFrom<Partial<PreconditionerOptions>>(
    { factorHistory: 'none' },
    { method: 'exact', dampingMode: 'tikhonov' },
    { method: 'kfac' },
  );
  fc.assert(
    fc.property(networks, batches, seeds, linear, fc.constantFrom(-2, 0.25, 3), (of, batch, seed, options, factor) => {
      const apply = (gradients: Record<string, WeightVector>) => {
        const preconditioner = network({ ...fixed, ...options }, undefined, of);
        record(preconditioner, rowsOf(seed, batch, batch, of));
        preconditioner.stepSync(gradients);
        return numbersOf(gradients);
      };
      const [u, v] = [randomGradients(of, seed + 1), randomGradients(of, seed + 2)];
      const sum = copyOf(u);
      for (const [name, vector] of Object.entries(sum)) {
        const other = arraysOf(v[name] ?? vector);
        arraysOf(vector).forEach((array, index) => {
          array.forEach((value, i) => {
            array[i] = value + factor * at(other[index] ?? [], i);
          });
        });
      }
      const [x, y, z] = [apply(u), apply(v), apply(sum)];
      const size = Math.sqrt(dot(x, x)) + Math.abs(factor) * Math.sqrt(dot(y, y));
      const difference = z.map((value, i) => value - at(x, i) - factor * at(y, i));
      // three float32 solves of condition ≤ 1 + d/ρ ≈ 30 on sums of some ten terms
      expect(Math.sqrt(dot(difference, difference))).toBeLessThanOrEqual(2e-5 * size);
    }),
  );
});

test('a step twice over has the same bits', () => {
  fc.assert(
    fc.property(networks, batches, seeds, methods, (of, batch, seed, options) => {
      const run = () => {
        const preconditioner = network({ ...fixed, ...options }, undefined, of);
        return [0, 1].map((step) => {
          record(preconditioner, rowsOf(seed + step, batch, batch, of));
          return numbersOf(preconditioner.naturalGradientsSync().updates).slice();
        });
      };
      expect(run()).toEqual(run());
    }),
  );
});
