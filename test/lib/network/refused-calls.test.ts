// Calls while a step is pending, and arrays that cannot be used: nothing changes.

import { CgfacError, type WeightVector } from 'cgfac';
import { copyOf, gradientsOf, network, randomWeights, record, rowsOf } from '../../support/networks';
import { fixed, plain } from '../../support/steps';

describe('calls that are refused', () => {
  const busy = expect.objectContaining({ code: 'ERR_CGFAC_BUSY' });
  test('while a step is pending everything else is busy', async () => {
    const weights = randomWeights(1);
    const preconditioner = network(plain, weights);
    record(preconditioner, rowsOf(1));
    const state = preconditioner.stateDict();
    const pending = preconditioner.naturalGradients();
    const calls: (() => unknown)[] = [
      () => record(preconditioner, rowsOf(1)),
      () => preconditioner.recordFisher('first', { outputGrads: new Float32Array(5), batch: 1 }),
      () => preconditioner.registerDense('fourth', { inFeatures: 1, outFeatures: 1 }),
      () => preconditioner.stepSync({}),
      () => preconditioner.naturalGradientsSync(),
      () => preconditioner.skip('x'),
      () => preconditioner.discard(),
      () => preconditioner.reset(),
      () => preconditioner.stateDict(),
      () => preconditioner.loadStateDict(state),
      () => preconditioner.memoryUsage(),
      () => preconditioner.finalizeVariableValues(),
      () => preconditioner.reportLoss(1),
    ];
    for (const call of calls) expect(call).toThrow(busy);
    await expect(preconditioner.naturalGradients()).rejects.toEqual(busy);
    await expect(preconditioner.step({})).rejects.toEqual(busy);
    await expect(preconditioner.withAveragedWeights(() => 0)).rejects.toEqual(busy);
    expect((await pending).summary.step).toBe(0);
    preconditioner.stateDict();
  });

  test('arrays that are wrong change nothing; the step can be taken afterwards', () => {
    const preconditioner = network(plain);
    const expected = network(plain);
    for (const each of [preconditioner, expected]) record(each, rowsOf(1));
    const good = gradientsOf(rowsOf(1));
    const before = copyOf(good);
    const detached = new Float32Array(45);
    structuredClone(detached, { transfer: [detached.buffer] });
    const shared = new Float32Array(60);
    const table: [Record<string, unknown>, string][] = [
      [{ ...good, third: new Float32Array(27) }, 'ERR_CGFAC_INVALID_ARG_TYPE'],
      [{ ...good, third: undefined }, 'ERR_CGFAC_INVALID_ARG_TYPE'],
      [{ ...good, second: new Float32Array(44) }, 'ERR_CGFAC_SHAPE_MISMATCH'],
      [{ ...good, second: detached }, 'ERR_CGFAC_DETACHED_BUFFER'],
      [
        {
          ...good,
          second: shared.subarray(0, 45),
          third: { kernel: shared.subarray(30, 57), bias: new Float32Array(3) },
        },
        'ERR_CGFAC_OVERLAP',
      ],
    ];
    for (const [gradients, code] of table)
      expect(() => preconditioner.stepSync(gradients as Record<string, WeightVector>)).toThrow(
        expect.objectContaining({ code }),
      );
    expect(good).toEqual(before);
    preconditioner.stepSync(good);
    expected.stepSync(before);
    expect(good).toEqual(before);
  });

  test('weights that were transferred away, and weights of two layers', () => {
    const weights = randomWeights(1);
    const preconditioner = network(plain, weights);
    record(preconditioner, rowsOf(1));
    const second = weights.second as Float32Array;
    structuredClone(second, { transfer: [second.buffer as ArrayBuffer] });
    expect(() => preconditioner.naturalGradientsSync()).toThrow(
      expect.objectContaining({
        code: 'ERR_CGFAC_DETACHED_BUFFER',
        message: expect.stringContaining("weights of layer 'second'"),
      }),
    );
    const tied = new Float32Array(4);
    const two = network(plain, undefined, []);
    two.registerDense('a', { inFeatures: 2, outFeatures: 2, bias: false, weights: tied });
    expect(() => two.registerDense('b', { inFeatures: 2, outFeatures: 2, bias: false, weights: tied })).toThrow(
      expect.objectContaining({ code: 'ERR_CGFAC_OVERLAP' }),
    );
    expect(two.report().layers).toHaveLength(1);
  });
});

test('arrays that are transferred away while a step is prepared: an error before anything is written', async () => {
  const weights = randomWeights(1);
  const preconditioner = network({ ...fixed, factorHistory: 'none', momentum: 0.5 }, weights);
  record(preconditioner, rowsOf(1));
  const first = copyOf({ first: weights.first as WeightVector });
  const pending = preconditioner.naturalGradients();
  const second = weights.second as Float32Array;
  structuredClone(second, { transfer: [second.buffer as ArrayBuffer] });
  await expect(pending).rejects.toMatchObject({ code: 'ERR_CGFAC_DETACHED_BUFFER' });
  expect(weights.first).toEqual(first.first);
  expect(preconditioner.stateDict().layers.first?.momentum).toBeUndefined();

  const given = network({ ...fixed, factorHistory: 'none', momentum: 0.5 });
  record(given, rowsOf(1));
  const gradients = gradientsOf(rowsOf(1));
  const stepping = given.step(gradients);
  const gradient = gradients.second as Float32Array;
  structuredClone(gradient, { transfer: [gradient.buffer as ArrayBuffer] });
  await expect(stepping).rejects.toBeInstanceOf(CgfacError);
  expect(given.stateDict().layers.first?.momentum).toBeUndefined();
});
