// Layers of a network: which take part in a step, and with what.

import type { WeightVector } from 'cgfac';
import { relativeError } from '../../support/golden-case';
import { randomNumbers } from '../../support/layers';
import {
  copyOf,
  gradientsOf,
  methodNames,
  methods,
  network,
  numbersOf,
  randomWeights,
  record,
  rowsOf,
  type TestRows,
} from '../../support/networks';
import { fixed, one, only, plain } from '../../support/steps';

describe('layers', () => {
  test('skipLayers: names and expressions, whatever their flags', () => {
    const options = { lossReduction: 'sum', ...plain } as const;
    const preconditioner = network({ ...options, skipLayers: ['first', /^th/g] });
    const { layers: kept, skipped } = preconditioner.report();
    expect(kept.map(({ name, shape, weights, method }) => [name, shape, weights, method])).toEqual([
      ['second', '9×5', 45, 'exact'],
    ]);
    expect(skipped).toEqual([
      { name: 'first', reason: 'skipLayers names it (first)' },
      { name: 'third', reason: 'skipLayers names it (/^th/g)' },
    ]);
    record(preconditioner, rowsOf(1));
    const gradients = gradientsOf(rowsOf(1));
    const before = copyOf(gradients);
    const summary = preconditioner.stepSync(gradients);
    expect(summary.layers.map(({ name }) => name)).toEqual(['second']);
    expect(gradients.first).toEqual(before.first);
    expect(gradients.third).toEqual(before.third);
    expect(gradients.second).not.toEqual(before.second);

    // lastIndex of a global expression is not carried from name to name
    const global = network({ ...options, skipLayers: [/i/g] });
    expect(global.report().layers.map(({ name }) => name)).toEqual(['second']);
    // and the list is the one that was given at construction
    const names = ['first'];
    const given = network({ ...options, skipLayers: names }, undefined, []);
    names.push('second');
    expect(given.registerDense('second', { inFeatures: 2, outFeatures: 2 })).toBe(true);
    expect(given.registerDense('first', { inFeatures: 2, outFeatures: 2 })).toBe(false);
  });

  test('a layer without rows at this step takes no part in it; its gradient is preconditioned by older factors', () => {
    for (const method of ['exact', 'cg', 'kfac'] as const) {
      const preconditioner = network({ stepRule: 'fixed', momentum: 0, method, factorUpdateSteps: 1 });
      record(preconditioner, rowsOf(1));
      preconditioner.naturalGradientsSync();
      const rows = rowsOf(2);
      rows.delete('second');
      record(preconditioner, rows);
      const { summary, updates } = preconditioner.naturalGradientsSync();
      expect(summary.layers.map(({ name }) => name)).toEqual(['first', 'third']);
      expect(Object.keys(updates)).toEqual(['first', 'third']);

      record(preconditioner, rows);
      const gradients = gradientsOf(rowsOf(2));
      const stepped = preconditioner.stepSync(gradients);
      expect(stepped.layers.map(({ name }) => name)).toEqual(['first', 'second', 'third']);
      expect(numbersOf(gradients).every(Number.isFinite)).toBe(true);
      expect(stepped.layers[1]?.inputRows).toBe(12);

      const fresh = network({ stepRule: 'fixed', momentum: 0, method });
      record(fresh, rows);
      expect(() => fresh.stepSync(gradientsOf(rowsOf(2)))).toThrow(/recorded rows of layer 'second'/);
    }
  });

  test('a name that objects inherit is a name like others', () => {
    const preconditioner = network(plain, undefined, []);
    preconditioner.registerDense('toString', { inFeatures: 2, outFeatures: 3, bias: false });
    expect(() => preconditioner.stepSync({})).toThrow(expect.objectContaining({ code: 'ERR_CGFAC_NO_RECORD' }));
    preconditioner.record('toString', { inputs: randomNumbers(8, 1), lossGrads: randomNumbers(12, 2), batch: 4 });
    expect(() => preconditioner.stepSync({})).toThrow(expect.objectContaining({ code: 'ERR_CGFAC_INVALID_ARG_TYPE' }));
    expect(preconditioner.naturalGradientsSync().updates.toString).toBeInstanceOf(Float32Array);
  });
});

test('a layer that joins later is sampled for, and averages start with the weights of the first step', async () => {
  const weights = randomWeights(1);
  const preconditioner = network({ ...fixed, useEma: true, factorUpdateSteps: 20, emaMomentum: 0.5 }, undefined, []);
  const register = (name: 'first' | 'second', shape: object) =>
    preconditioner.registerDense(name, {
      ...(shape as { inFeatures: number; outFeatures: number }),
      weights: weights[name] as WeightVector,
    });
  register('first', { inFeatures: 7, outFeatures: 5, bias: true });
  (weights.first as { kernel: Float32Array }).kernel.fill(3); // once it is registered
  for (let step = 0; step < 12; step++) {
    record(preconditioner, new Map([...rowsOf(step)].filter(([name]) => name === 'first')));
    preconditioner.naturalGradientsSync();
    if (step > 0) continue;
    // β_0 = 1/10
    const after = (weights.first as { kernel: Float32Array }).kernel.slice();
    const average = await preconditioner.withAveragedWeights(() =>
      (weights.first as { kernel: Float32Array }).kernel.slice(),
    );
    for (const [i, value] of after.entries()) expect(average[i]).toBeCloseTo(0.1 * 3 + 0.9 * value, 5);
  }
  expect(preconditioner.refreshDue).toBe(false);
  register('second', { inFeatures: 5, outFeatures: 9, bias: false, kernelLayout: 'in-out' });
  expect(preconditioner.refreshDue).toBe(true);
});

describe.each(methodNames)('%s', (name) => {
  const options = { ...fixed, ...methods[name], factorUpdateSteps: 1 };

  test.each(['sum', 'mean'] as const)('two sites of shared weights are one batch, reduction %s', (lossReduction) => {
    const first = only(rowsOf(1, 12, 12, one));
    const second = only(rowsOf(2, 12, 12, one));
    const divided = (array: Float32Array) => array.map((value) => (lossReduction === 'mean' ? value / 12 : value));
    const sites = network({ ...options, lossReduction }, undefined, one);
    [first, second].forEach(({ inputs, lossGrads, sampled }, site) => {
      sites.record('only', { inputs, lossGrads: divided(lossGrads), batch: 12, site });
      sites.recordFisher('only', { outputGrads: divided(sampled), batch: 12 });
    });
    const together = network({ ...options, lossReduction }, undefined, one);
    const joined = (a: Float32Array, b: Float32Array) => Float32Array.from([...a, ...b]);
    together.record('only', {
      inputs: joined(first.inputs, second.inputs),
      lossGrads: divided(joined(first.lossGrads, second.lossGrads)),
      batch: 12,
    });
    together.recordFisher('only', { outputGrads: divided(joined(first.sampled, second.sampled)), batch: 12 });
    const natural = numbersOf(sites.naturalGradientsSync().updates);
    expect(natural).toEqual(numbersOf(together.naturalGradientsSync().updates));

    // and the gradient is the sum of both sites' own
    const given = network({ ...options, lossReduction }, undefined, one);
    [first, second].forEach(({ inputs, lossGrads, sampled }, site) => {
      given.record('only', { inputs, lossGrads: divided(lossGrads), batch: 12, site });
      given.recordFisher('only', { outputGrads: divided(sampled), batch: 12 });
    });
    const gradients = gradientsOf(
      new Map([
        [
          'only',
          {
            ...first,
            inputs: joined(first.inputs, second.inputs),
            lossGrads: joined(first.lossGrads, second.lossGrads),
            batch: 12,
          },
        ],
      ]),
      one,
    );
    given.stepSync(gradients);
    // 'cg' and 'auto' stop at the residual 0.3: another rounding of v may end them elsewhere
    if (name !== 'cg' && name !== 'auto') expect(relativeError(numbersOf(gradients), natural)).toBeLessThan(2e-5);
  });

  test('no curvature in one layer is no obstacle to the others', () => {
    for (const sampled of [0, 1e-22]) {
      const preconditioner = network({ ...options, damping: { relative: 1 } });
      const rows = new Map([...rowsOf(1)].map(([layer, each]) => [layer, layer === 'second' ? each : { ...each }]));
      const flat = only(new Map([['only', rows.get('second') as TestRows]]));
      rows.set('second', { ...flat, sampled: flat.sampled.map((value) => value * sampled) });
      record(preconditioner, rows);
      const { summary, updates } = preconditioner.naturalGradientsSync();
      expect(summary.skipped).toBeUndefined();
      expect(summary.layers.map(({ reason }) => reason === 'no-curvature')).toEqual([false, true, false]);
      expect(summary.diagnoses).toEqual([
        expect.stringMatching(/^all output gradients of layer second are zero, or next to it: /),
      ]);
      expect((updates.second as Float32Array).every((value) => value === 0)).toBe(true);
      expect(numbersOf({ first: updates.first as WeightVector }).some((value) => value !== 0)).toBe(true);
    }
  });
});
