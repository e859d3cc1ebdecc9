// What a summary tells of the layers, and its diagnoses.

import type { PreconditionerOptions } from 'cgfac';
import { randomNumbers } from '../../../support/layers';
import {
  methodNames,
  methods,
  network,
  record,
  rowsOf,
  type TestLayer,
  type TestRows,
} from '../../../support/networks';
import { fixed, one, only, plain } from '../../../support/steps';

describe('diagnoses', () => {
  const one = [{ name: 'only', inFeatures: 6, outFeatures: 4, bias: false, kernelLayout: 'out-in' as const }];
  const diagnosed = (rows: Partial<TestRows>, options: Partial<PreconditionerOptions> = {}) => {
    const preconditioner = network({ ...plain, ...options }, undefined, one);
    const given = rowsOf(1, 32, 32, one);
    record(preconditioner, new Map([['only', { ...(given.get('only') as TestRows), ...rows }]]));
    return preconditioner.naturalGradientsSync().summary;
  };
  test('none where nothing is wrong', () => {
    const { diagnoses, layers: found } = diagnosed({});
    expect(diagnoses).toEqual([]);
    expect(found[0]?.lambdaMaxOverDamping).toBeGreaterThan(1);
    expect(found[0]?.effectiveRank).toMatchObject({ input: expect.any(Number), output: expect.any(Number) });
  });
  test.each([
    ['factored', { damping: { relative: 1000 } }],
    ['Tikhonov', { method: 'exact', dampingMode: 'tikhonov', factorHistory: undefined, damping: { relative: 1000 } }],
  ] as const)('damping dominates: %s', (_, options) => {
    const given = Object.fromEntries(
      Object.entries({ ...plain, ...options }).filter(([, value]) => value !== undefined),
    );
    const preconditioner = network(given, undefined, one);
    record(preconditioner, rowsOf(1, 32, 32, one));
    expect(preconditioner.naturalGradientsSync().summary.diagnoses).toEqual([
      'damping dominates in layer only: this is gradient descent',
    ]);
  });
  test('all inputs alike', () => {
    const { diagnoses } = diagnosed({ inputs: Float32Array.from({ length: 32 * 6 }, (_, i) => 1 + (i % 6)) });
    expect(diagnoses).toEqual([expect.stringMatching(/^rank 1\.0 of 32 in layer only: all inputs alike$/)]);
  });
  test('all output gradients alike', () => {
    const { diagnoses } = diagnosed({ sampled: Float32Array.from({ length: 32 * 4 }, (_, i) => 1 + (i % 4)) });
    expect(diagnoses).toEqual([expect.stringMatching(/of 32 in layer only: all output gradients alike$/)]);
  });
  test('no curvature', () => {
    const { diagnoses, skipped, layers: found } = diagnosed({ inputs: new Float32Array(32 * 6) });
    expect(skipped).toBe('Σ⟨v, x⟩ is 0');
    expect(found[0]?.reason).toBe('no-curvature');
    expect(diagnoses).toEqual([
      'step 0 was skipped: Σ⟨v, x⟩ is 0',
      'no curvature in layer only: all its inputs or output gradients are zero',
    ]);
  });
});

describe.each(methodNames)('%s', (name) => {
  const options = { ...fixed, ...methods[name], factorUpdateSteps: 1 };

  test('a layer tells its largest eigenvalue, and whether its rows are alike', () => {
    const preconditioner = network({ ...options, damping: { relative: 2 } }, undefined, one);
    record(preconditioner, rowsOf(1, 32, 32, one));
    const [layer] = preconditioner.naturalGradientsSync().summary.layers;
    // at least the mean eigenvalue, at most the trace, over λ = 2 mean eigenvalues (4 of factored damping)
    expect(layer?.lambdaMaxOverDamping).toBeGreaterThan(0.25);
    expect(layer?.lambdaMaxOverDamping).toBeLessThan(7 * 4);
    expect(layer?.stableRank).toMatchObject({ input: expect.any(Number), output: expect.any(Number) });
    expect(layer?.microseconds).toBeGreaterThan(0);

    const alike = network({ ...options, damping: { relative: 2 } }, undefined, one);
    const row = randomNumbers(6, 9);
    const inputs = Float32Array.from({ length: 32 * 6 }, (_, i) => row[i % 6] ?? 0);
    record(alike, new Map([['only', { ...only(rowsOf(1, 32, 32, one)), inputs }]]));
    expect(alike.naturalGradientsSync().summary.diagnoses).toContainEqual(
      expect.stringMatching(/^rank 1\.0 of \d+ in layer only: all inputs alike$/),
    );
  });

  test('damping that dominates is said to', () => {
    const preconditioner = network({ ...options, damping: { relative: 1e4 } }, undefined, one);
    record(preconditioner, rowsOf(1, 32, 32, one));
    expect(preconditioner.naturalGradientsSync().summary.diagnoses).toEqual([
      'damping dominates in layer only: this is gradient descent',
    ]);
  });
});

test('rank 3 of 64: inputs that lie in few directions', () => {
  const wide: readonly TestLayer[] = [
    { name: 'only', inFeatures: 40, outFeatures: 20, bias: false, kernelLayout: 'out-in' },
  ];
  const directions = [0, 1, 2].map((k) => randomNumbers(40, 50 + k));
  const weights = randomNumbers(64 * 3, 60);
  const inputs = new Float32Array(64 * 40);
  for (let row = 0; row < 64; row++)
    directions.forEach((direction, k) => {
      for (let j = 0; j < 40; j++)
        inputs[row * 40 + j] = (inputs[row * 40 + j] ?? 0) + (weights[row * 3 + k] ?? 0) * (direction[j] ?? 0);
    });
  const preconditioner = network({ ...fixed, factorHistory: 'none', damping: { relative: 0.3 } }, undefined, wide);
  record(preconditioner, new Map([['only', { ...only(rowsOf(1, 64, 64, wide)), inputs }]]));
  expect(preconditioner.naturalGradientsSync().summary.diagnoses).toEqual([
    expect.stringMatching(/^rank 2\.\d of 64 in layer only: its inputs lie in few directions$/),
  ]);
});

test('direct K-FAC tells how many directions its damping leaves', () => {
  for (const dampingMode of ['tikhonov', 'factored'] as const) {
    const preconditioner = network({ ...fixed, method: 'kfac', dampingMode, damping: { relative: 1 } }, undefined, one);
    record(preconditioner, rowsOf(1, 64, 64, one));
    const rank = preconditioner.naturalGradientsSync().summary.layers[0]?.effectiveRank;
    // 7 × 4 eigenvalues of order 1 and the damping like them: about half of each
    const both = typeof rank === 'object' ? rank.input * rank.output : (rank ?? Number.NaN);
    expect(both).toBeGreaterThan(dampingMode === 'factored' ? 4 : 7);
    expect(both).toBeLessThan(dampingMode === 'factored' ? 14 : 21);
  }
});
