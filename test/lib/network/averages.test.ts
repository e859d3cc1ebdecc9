import { arraysOf } from '../../support/layers';
import { network, numbersOf, randomWeights, record, rowsOf } from '../../support/networks';
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
});
