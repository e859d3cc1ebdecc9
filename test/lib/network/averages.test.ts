import type { WeightVector } from 'cgfac';
import { arraysOf } from '../../support/layers';
import { copyOf, network, numbersOf, randomWeights, record, rowsOf } from '../../support/networks';
import { plain, take } from '../../support/steps';

describe('momentum, weight decay and averages against float64', () => {
  test('a skipped step is no step of the averages', () => {
    const run = (skips: boolean) => {
      const weights = randomWeights(3);
      const preconditioner = network({ ...plain, factorUpdateSteps: 1 }, weights);
      take(preconditioner, 1);
      const average = () => preconditioner.stateDict().layers.first?.average;
      const first = average();
      if (skips) {
        record(preconditioner, rowsOf(9));
        preconditioner.naturalGradientsSync({ loss: Number.NaN });
        expect(average()).toEqual(first);
        expect(preconditioner.skip('the caller says so')).toMatchObject({
          skipped: 'the caller says so',
          skippedSteps: { total: 2, inARow: 2 },
        });
        expect(average()).toEqual(first);
      }
      return first;
    };
    expect(run(true)).toEqual(run(false));
  });

  test('finalizeVariableValues and withAveragedWeights want averages', async () => {
    const code = 'ERR_CGFAC_INVALID_ARG_VALUE';
    const without = network({ ...plain, useEma: false }, randomWeights(3));
    expect(() => without.finalizeVariableValues()).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining('useEma false') }),
    );
    await expect(network(plain).withAveragedWeights(() => 0)).rejects.toMatchObject({
      code,
      message: expect.stringContaining('no such layer'),
    });
  });

  test('weights that were loaded after they were registered are what the averages start from', async () => {
    const weights = randomWeights(3);
    const preconditioner = network(plain, weights);
    for (const vector of Object.values(weights)) for (const array of arraysOf(vector)) array.fill(0.5);
    await preconditioner.withAveragedWeights(() =>
      expect(numbersOf(weights).every((value) => value === 0.5)).toBe(true),
    );
  });

  test('each layer counts its own steps: one that joins late has no average of long ago', async () => {
    const weights = randomWeights(3);
    const averageAt = (before: number) => {
      const own = copyOf(weights);
      const preconditioner = network({ ...plain, factorUpdateSteps: 1, momentum: 0, emaMomentum: 0.999 }, own);
      const only = (name: string) => new Map([...rowsOf(1)].filter(([each]) => each === name));
      for (let step = 0; step < before; step++) {
        record(preconditioner, only('first'));
        preconditioner.naturalGradientsSync({ loss: 1e-3 });
      }
      record(preconditioner, only('second'));
      preconditioner.naturalGradientsSync({ loss: 1e-3 });
      return preconditioner.withAveragedWeights(() => numbersOf({ second: own.second as WeightVector }));
    };
    expect(await averageAt(30)).toEqual(await averageAt(0));
  });
});
