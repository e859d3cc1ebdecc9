// Directions against loops in float64, and methods against each other.

import type { PreconditionerOptions } from 'cgfac';
import { relativeError } from '../../support/golden-case';
import {
  factoredDirection,
  factorOf,
  gradientsOf,
  inner,
  layers,
  matrixOf,
  network,
  numbersOf,
  record,
  rowsOf,
  type TestRows,
} from '../../support/networks';
import { fixed, naturalSync, solved } from '../../support/steps';

// The layers are 5×7 to 3×9 with 12 rows; every element is of order 1. A direction in float32 is then right to some
// 2⁻²⁴·N times the condition of the damped factors, which is at most 1 + d/ρ ≈ 10 at ρ = 1: 6e-8 · 12 · 10 ≈ 7e-6. Both
// ways of a comparison round.
const rounding = 2e-5;

describe('methods that solve the same system', () => {
  const directions = (options: Partial<PreconditionerOptions>) => {
    const preconditioner = network({ ...fixed, damping: 0.2, factorUpdateSteps: 1, ...options });
    return [1, 2].map((step) => {
      record(preconditioner, rowsOf(step));
      return naturalSync(preconditioner).slice();
    });
  };
  const exact = directions({ method: 'exact', dampingMode: 'tikhonov' });
  test.each([
    ['kfac with decay 0', { method: 'kfac', factorDecay: 0 }, solved],
    // in Gram space it ends at ‖r‖ = 2⁻¹¹‖v‖, below which its recurrence is noise, and ‖x − x*‖ ≤ ‖r‖/λ with ‖v‖ ≈
    // 4λ‖x‖ here
    ['cg with tolerance 0', { method: 'cg', tolerance: 0, maxIterations: 200 }, 4 * 2 ** -11],
    ['auto', { method: 'auto', tolerance: 0, maxIterations: 200 }, 4 * 2 ** -11],
  ] as const)('%s is exact', (_, options, tolerance) => {
    directions(options).forEach((direction, step) => {
      expect(relativeError(direction, exact[step] ?? [])).toBeLessThan(tolerance);
    });
  });
  test('kfac with a decay is another one after the first step', () => {
    const kfac = directions({ method: 'kfac', factorDecay: 0.95 });
    expect(relativeError(kfac[0] ?? [], exact[0] ?? [])).toBeLessThan(solved);
    expect(relativeError(kfac[1] ?? [], exact[1] ?? [])).toBeGreaterThan(0.01);
  });
  test('kfac with factored damping and decay 0 is exact with factored damping', () => {
    const factored = directions({
      method: 'exact',
      dampingMode: 'factored',
      factorHistory: 'none',
      window: 1,
      damping: { relative: 1 },
    });
    const kfac = directions({ method: 'kfac', dampingMode: 'factored', factorDecay: 0, damping: { relative: 1 } });
    kfac.forEach((direction, step) => {
      expect(relativeError(direction, factored[step] ?? [])).toBeLessThan(rounding);
    });
  });
});

describe('factored damping against loops in float64', () => {
  const relative = 0.7;
  const options = { ...fixed, damping: { relative } };
  const expected = (history: readonly Map<string, TestRows>[], decay: number) => {
    const rows = history.at(-1) ?? new Map<string, TestRows>();
    const gradients = gradientsOf(rows);
    return layers.map((layer) => {
      const average = (of: (each: TestRows) => number[][]) =>
        history
          .map((each) => of(each.get(layer.name) as TestRows))
          .reduce((mean, next, k) => {
            // the share of what was there: δ(1 − δ^k)/(1 − δ^(k + 1)), so that the first batch weighs no more than the
            // others
            const kept = (decay * (1 - decay ** k)) / (1 - decay ** (k + 1));
            return mean.map((row, i) => row.map((value, j) => kept * value + (1 - kept) * (next[i]?.[j] ?? 0)));
          });
      const a = average(({ inputs, batch }) => factorOf(inputs, layer.inFeatures, 1 / batch, layer.bias));
      const g = average(({ sampled }) =>
        factorOf(sampled, layer.outFeatures, layer.outFeatures / sampled.length, false),
      );
      const v = matrixOf(gradients[layer.name] ?? new Float32Array(), layer);
      const x = factoredDirection(v, a, g, relative);
      return { x, innerProduct: inner(v, x) };
    });
  };
  test.each([
    ['none', 0],
    ['dense', 0.8],
    ['panel', 0.8],
  ] as const)('history %s', (factorHistory, decay) => {
    const history = [rowsOf(1), rowsOf(2, 12, 6), rowsOf(3, 20, 10)];
    const given = factorHistory === 'none' ? { window: 1 } : { factorDecay: decay };
    const preconditioner = network({ ...options, ...given, factorHistory, factorUpdateSteps: 1 });
    history.forEach((rows, step) => {
      record(preconditioner, rows);
      const { updates, summary } = preconditioner.naturalGradientsSync();
      expected(history.slice(0, step + 1), decay).forEach(({ x, innerProduct }, index) => {
        const layer = layers[index] as (typeof layers)[number];
        const update = matrixOf(updates[layer.name] ?? new Float32Array(), layer);
        expect(relativeError(update.flat(), x.flat())).toBeLessThan(rounding);
        expect(Math.abs((summary.layers[index]?.innerProduct ?? 0) / innerProduct - 1)).toBeLessThan(rounding);
      });
    });
  });

  test.each(['none', 'panel', 'dense'] as const)(
    'history %s: rows that are those of the factor, and the general form for the same rows',
    (history) => {
      const rows = rowsOf(1);
      const preconditioner = network({ ...options, factorHistory: history, factorUpdateSteps: 3 });
      const taken = [0, 1, 2].map(() => {
        record(preconditioner, rows, false);
        const { summary, updates } = preconditioner.naturalGradientsSync();
        return { refreshed: summary.refreshed, x: numbersOf(updates) };
      });
      expect(taken.map(({ refreshed }) => refreshed)).toEqual([true, true, false]);
      expect(relativeError(taken[2]?.x ?? [], taken[1]?.x ?? [])).toBeLessThan(rounding);
    },
  );

  test('rows of shared weights: A sums over the rows of a sample', () => {
    const [layer] = layers;
    if (layer === undefined) throw new Error('no layer');
    const preconditioner = network({ ...options, factorHistory: 'none' }, undefined, [layer]);
    const rows = rowsOf(1, 12, 12, [layer]).get(layer.name) as TestRows;
    preconditioner.record(layer.name, { inputs: rows.inputs, lossGrads: rows.lossGrads, batch: 4 });
    preconditioner.recordFisher(layer.name, { outputGrads: rows.sampled, batch: 4 });
    const { updates } = preconditioner.naturalGradientsSync();
    const v = matrixOf(
      gradientsOf(new Map([[layer.name, { ...rows, batch: 4 }]]), [layer])[layer.name] ?? new Float32Array(),
      layer,
    );
    const a = factorOf(rows.inputs, layer.inFeatures, 1 / 4, layer.bias);
    const g = factorOf(rows.sampled, layer.outFeatures, 1 / 12, false);
    const update = matrixOf(updates[layer.name] ?? new Float32Array(), layer);
    expect(relativeError(update.flat(), factoredDirection(v, a, g, relative).flat())).toBeLessThan(rounding);
  });
});
