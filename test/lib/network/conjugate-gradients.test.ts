// Warm starts and short batches of conjugate gradients.

import { relativeError } from '../../support/golden-case';
import { gradientsOf, network, numbersOf, record, rowsOf } from '../../support/networks';
import { fixed, one, only, scaled } from '../../support/steps';

describe('conjugate gradients', () => {
  const options = { ...fixed, method: 'cg', damping: { relative: 1 }, tolerance: 1e-3, maxIterations: 40 } as const;

  test('a warm start that leads uphill is dropped', () => {
    const few = { ...options, maxIterations: 1, damping: { relative: 0.1 } };
    const preconditioner = network(few, undefined, one);
    let restarts = 0;
    for (let step = 0; step < 30; step++) {
      record(preconditioner, scaled(rowsOf(step, 12, 12, one), { lossGrads: step % 2 === 0 ? 1 : -1e-3 }));
      const { summary } = preconditioner.naturalGradientsSync();
      expect(summary.skipped).toBeUndefined();
      if (summary.layers[0]?.restarted === true) {
        restarts++;
        expect(summary.layers[0]).toMatchObject({ initialResidual: 1 });
      }
    }
    expect(restarts).toBeGreaterThan(0);
  });

  test('a short batch is filled up with rows of the one before', () => {
    const preconditioner = network({ ...options, warmStart: 'none' }, undefined, one);
    const whole = only(rowsOf(1, 12, 12, one));
    const short = only(rowsOf(2, 5, 5, one));
    record(preconditioner, new Map([['only', whole]]));
    preconditioner.naturalGradientsSync();
    record(preconditioner, new Map([['only', short]]));
    const { summary, updates } = preconditioner.naturalGradientsSync();
    expect(summary.layers[0]).toMatchObject({ inputRows: 12, outputRows: 12 });

    const filled = network({ ...options, warmStart: 'none' }, undefined, one);
    const joined = (a: Float32Array, b: Float32Array, features: number) =>
      Float32Array.from([...a, ...b.subarray(0, 7 * features)]);
    const inputs = joined(short.inputs, whole.inputs, 6);
    const sampled = joined(short.sampled, whole.sampled, 4);
    filled.record('only', { inputs, lossGrads: new Float32Array(12 * 4), batch: 12 });
    filled.recordFisher('only', { outputGrads: sampled, batch: 12 });
    const gradients = gradientsOf(new Map([['only', short]]), one);
    filled.stepSync(gradients);
    expect(relativeError(numbersOf(updates), numbersOf(gradients))).toBeLessThan(1e-5);
  });

  test('one long batch makes no others long, and a smaller share of sampled rows is no short batch', () => {
    const preconditioner = network(options, undefined, one);
    const used = [32, 96, 32, 32, 16, 32].map((batch) => {
      record(preconditioner, rowsOf(batch, batch, batch, one));
      const layer = preconditioner.naturalGradientsSync().summary.layers[0];
      return [layer?.inputRows, layer?.outputRows];
    });
    expect(used.map(([input]) => input)).toEqual([32, 96, 96, 32, 32, 32]);
    expect(used.map(([, output]) => output)).toEqual([32, 96, 96, 32, 32, 32]);
    const shares = [1, 0.25, 0.25].map((share) => {
      record(preconditioner, rowsOf(7, 32, 32 * share, one));
      const layer = preconditioner.naturalGradientsSync().summary.layers[0];
      return [layer?.inputRows, layer?.outputRows];
    });
    expect(shares).toEqual([
      [32, 32],
      [32, 8],
      [32, 8],
    ]);
  });
});
