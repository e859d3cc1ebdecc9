// A step that is not taken leaves factors and warm starts as they were.

import { gradientsOf, methodNames, methods, network, numbersOf, record, rowsOf } from '../../support/networks';
import { fixed, one, scaled } from '../../support/steps';

describe.each(methodNames)('%s: a step that is not taken leaves the factors alone', (name) => {
  const cold = name === 'cg' || name === 'auto' ? { warmStart: 'none' as const } : {};
  const options = { ...fixed, ...methods[name], ...cold, factorUpdateSteps: 1, damping: { relative: 1 } };
  const begun = () => {
    const preconditioner = network(options);
    for (const step of [1, 2]) {
      record(preconditioner, rowsOf(step));
      preconditioner.naturalGradientsSync();
    }
    return preconditioner;
  };

  test('skipped', async () => {
    const expected = numbersOf(await directions(begun()));
    for (const spoiled of [
      { inputs: 1e3, lossGrads: 0 },
      { inputs: 1e15, lossGrads: 1e30, sampled: 1e-3 },
    ]) {
      const preconditioner = begun();
      record(preconditioner, scaled(rowsOf(3), spoiled));
      const { summary } = preconditioner.naturalGradientsSync();
      expect(summary.skipped).toBeDefined();
      expect(summary.refreshed).toBe(false);
      expect(numbersOf(await directions(preconditioner))).toEqual(expected);
    }
  });

  test('aborted', async () => {
    const preconditioner = begun();
    const before = numbersOf(await directions(begun()));
    const controller = new AbortController();
    record(preconditioner, scaled(rowsOf(3), { inputs: 7 }));
    const pending = preconditioner.naturalGradients({ signal: controller.signal });
    controller.abort();
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
    expect(numbersOf(await directions(preconditioner))).toEqual(before);
  });

  test('the first one, aborted', async () => {
    const preconditioner = network(options, undefined, one);
    record(preconditioner, rowsOf(1, 12, 12, one));
    const controller = new AbortController();
    const pending = preconditioner.naturalGradients({ signal: controller.signal });
    controller.abort();
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
    expect(() => preconditioner.stepSync(gradientsOf(rowsOf(1, 12, 12, one), one))).toThrow(
      expect.objectContaining({ code: 'ERR_CGFAC_NO_RECORD' }),
    );
  });

  /** Of a fourth batch. */
  async function directions(preconditioner: ReturnType<typeof network>) {
    record(preconditioner, rowsOf(4));
    return (await preconditioner.naturalGradients()).updates;
  }
});

test('a step that is skipped before anything is solved keeps the warm start', () => {
  const solves = (skips: boolean) => {
    const preconditioner = network(
      { ...fixed, method: 'cg', damping: { relative: 1 }, maxIterations: 2 },
      undefined,
      one,
    );
    record(preconditioner, rowsOf(1, 12, 12, one));
    preconditioner.naturalGradientsSync();
    if (skips) {
      preconditioner.skip('the loss is NaN');
      record(preconditioner, rowsOf(2, 12, 12, one));
      expect(preconditioner.naturalGradientsSync({ loss: Number.NaN }).summary.skipped).toBe('the loss is NaN');
    }
    record(preconditioner, rowsOf(3, 12, 12, one));
    const { summary, updates } = preconditioner.naturalGradientsSync();
    expect(summary.layers[0]?.initialResidual).not.toBe(1);
    return numbersOf(updates);
  };
  expect(solves(true)).toEqual(solves(false));
});

test('three losses that are not finite keep the warm start', () => {
  const preconditioner = network(
    { ...fixed, method: 'cg', damping: { relative: 1 }, maxIterations: 2 },
    undefined,
    one,
  );
  record(preconditioner, rowsOf(1, 12, 12, one));
  preconditioner.naturalGradientsSync();
  const before = preconditioner.stateDict().layers;
  for (let skip = 0; skip < 3; skip++) {
    record(preconditioner, rowsOf(2, 12, 12, one));
    const step = () => preconditioner.naturalGradientsSync({ loss: Number.NaN });
    if (skip < 2) step();
    else expect(step).toThrow(expect.objectContaining({ code: 'ERR_CGFAC_DIVERGED' }));
  }
  expect(preconditioner.stateDict().layers).toEqual(before);
});
