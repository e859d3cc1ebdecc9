// Steps that cannot be taken: skipped and counted, and nothing changed.

import type { WeightVector } from 'cgfac';
import {
  copyOf,
  gradientsOf,
  layers,
  methodNames,
  methods,
  network,
  numbersOf,
  randomWeights,
  record,
  rowsOf,
  type TestRows,
  vectors,
} from '../../support/networks';
import { fixed, iteratedMethods, scaled } from '../../support/steps';

describe.each(methodNames)('%s', (name) => {
  const options = { ...fixed, ...iteratedMethods[name], factorUpdateSteps: 1 };

  test('not finite: skipped, counted, named, and nothing changed; the third in a row is an error', async () => {
    const weights = randomWeights(3);
    const preconditioner = network({ ...options, momentum: 0.5, useEma: true }, weights);
    record(preconditioner, rowsOf(1));
    preconditioner.naturalGradientsSync({ loss: 1 });
    const before = preconditioner.stateDict();
    const kept = copyOf(weights);
    const unchanged = (skipped: number, inARow: number) => {
      expect(weights).toEqual(kept);
      const after = preconditioner.stateDict();
      for (const [layer, { momentum, average }] of Object.entries(before.layers))
        expect(after.layers[layer]).toMatchObject({ momentum, average });
      expect(after.layers).toEqual(before.layers); // the factors, too
      expect(after).toMatchObject({ steps: 1 + skipped, skippedSteps: { total: skipped, inARow } });
    };
    const spoiled = (step: number, what: 'inputs' | 'lossGrads' | 'sampled', value: number) => {
      const rows = rowsOf(step);
      const [, , third] = layers;
      (rows.get(third?.name ?? '') as TestRows)[what][4] = value;
      return rows;
    };

    record(preconditioner, rowsOf(2));
    const first = preconditioner.naturalGradientsSync({ loss: Number.NaN }).summary;
    expect(first).toMatchObject({
      skipped: 'the loss is NaN',
      stepSize: 0,
      refreshed: false,
      skippedSteps: { total: 1, inARow: 1 },
    });
    expect(first.diagnoses[0]).toContain('step 1 was skipped');
    unchanged(1, 1);

    record(preconditioner, spoiled(3, 'lossGrads', Number.POSITIVE_INFINITY));
    const second = (await preconditioner.naturalGradients({ loss: 1 })).summary;
    expect(second.skipped).toMatch(/layer third: .*lossGrads.*(inf|Infinity)/);
    unchanged(2, 2);

    record(preconditioner, spoiled(4, 'inputs', Number.NaN));
    await expect(preconditioner.naturalGradients({ loss: 1 })).rejects.toMatchObject({ code: 'ERR_CGFAC_DIVERGED' });
    unchanged(3, 3);

    record(preconditioner, spoiled(5, 'sampled', Number.NaN));
    expect(() => preconditioner.naturalGradientsSync({ loss: 1 })).toThrow(/4 in a row.*layer third.*outputGrads/);
    unchanged(4, 4);

    // the next one that can be taken ends the row, on its own rows alone
    record(preconditioner, rowsOf(6));
    expect(preconditioner.refreshDue).toBe(true);
    const summary = preconditioner.naturalGradientsSync({ loss: 1 }).summary;
    expect(summary.skipped).toBeUndefined();
    expect(summary).toMatchObject({ skippedSteps: { total: 4, inARow: 0 }, refreshed: true });
    expect(summary.layers[0]?.inputRows).toBe(name === 'factored, no history' ? 24 : 12);
  });

  test.each([Number.NaN, Number.NEGATIVE_INFINITY])('a gradient of %p becomes zero', (value) => {
    const preconditioner = network(options);
    const gradients = gradientsOf(rowsOf(1));
    const { first } = gradients;
    (first as Exclude<WeightVector, Float32Array>).bias[2] = value;
    record(preconditioner, rowsOf(1));
    const summary = preconditioner.stepSync(gradients);
    expect(summary.skipped).toBe('the gradient of layer first is not finite');
    expect(numbersOf(gradients).every((number) => number === 0)).toBe(true);
  });

  test('Σ⟨v, x⟩ that is not positive', () => {
    const preconditioner = network(options);
    const gradients = vectors((length) => new Float32Array(length));
    record(preconditioner, rowsOf(1));
    const summary = preconditioner.stepSync(gradients);
    expect(summary).toMatchObject({ skipped: 'Σ⟨v, x⟩ is 0', innerProduct: 0 });
    expect(numbersOf(gradients).every((number) => number === 0)).toBe(true);
  });

  test('squares beyond float32 are skipped and leave no trace in an average', () => {
    const preconditioner = network(options);
    record(preconditioner, rowsOf(1));
    preconditioner.naturalGradientsSync();
    const huge = rowsOf(2);
    for (const { inputs } of huge.values()) inputs.fill(1e25);
    record(preconditioner, huge);
    expect(preconditioner.naturalGradientsSync().summary.skipped).toContain('inputs');
    record(preconditioner, rowsOf(3));
    expect(preconditioner.naturalGradientsSync().summary.skipped).toBeUndefined();
  });

  test('an abort forgets the rows, leaves weights alone, and frees the object', async () => {
    const weights = randomWeights(3);
    const kept = copyOf(weights);
    const preconditioner = network(options, weights);
    record(preconditioner, rowsOf(1));
    const controller = new AbortController();
    const pending = preconditioner.naturalGradients({ signal: controller.signal });
    expect(() => preconditioner.memoryUsage()).toThrow(expect.objectContaining({ code: 'ERR_CGFAC_BUSY' }));
    controller.abort(new Error('no longer wanted'));
    await expect(pending).rejects.toThrow('no longer wanted');
    expect(weights).toEqual(kept);
    expect(preconditioner.steps).toBe(0);
    expect(() => preconditioner.naturalGradientsSync()).toThrow(
      expect.objectContaining({ code: 'ERR_CGFAC_NO_RECORD' }),
    );
    record(preconditioner, rowsOf(1));
    await expect(preconditioner.naturalGradients({ signal: AbortSignal.abort(new Error('late')) })).rejects.toThrow(
      'late',
    );
    expect(preconditioner.naturalGradientsSync().summary.layers[0]?.inputRows).toBe(12);
  });
});

describe.each(methodNames)('%s', (name) => {
  const options = { ...fixed, ...methods[name], factorUpdateSteps: 1 };

  test('steps with nothing to do are skipped, and are no divergence', () => {
    const preconditioner = network({ ...options, damping: { relative: 1 } });
    for (let step = 0; step < 5; step++) {
      record(preconditioner, scaled(rowsOf(step), { lossGrads: 0 }));
      const { summary } = preconditioner.naturalGradientsSync();
      expect(summary).toMatchObject({ skipped: 'Σ⟨v, x⟩ is 0', skippedSteps: { total: step + 1, inARow: 0 } });
    }
  });

  test('a step beyond float32 is skipped', () => {
    const weights = randomWeights(1);
    const kept = copyOf(weights);
    const preconditioner = network({ ...options, damping: 1e-3, learningRate: 1e38 }, weights);
    record(preconditioner, scaled(rowsOf(1), { lossGrads: 1e3 }));
    expect(preconditioner.naturalGradientsSync().summary.skipped).toMatch(/leaves the range of float32/);
    expect(weights).toEqual(kept);
  });

  test('a step whose weight decay would make weights grow is skipped', () => {
    const weights = randomWeights(1);
    const kept = copyOf(weights);
    const preconditioner = network({ ...options, learningRate: 1e10, weightDecay: 1e3 }, weights);
    record(preconditioner, rowsOf(1));
    expect(preconditioner.naturalGradientsSync({ loss: 1 }).summary.skipped).toMatch(
      /weightDecay times the length of the step is .*: the weights of layer first would grow/,
    );
    expect(weights).toEqual(kept);
  });
});
