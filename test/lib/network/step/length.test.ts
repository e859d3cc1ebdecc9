import type { StepSummary } from 'cgfac';
import { at } from '../../../support/golden-case';
import { network } from '../../../support/networks';
import { plain, take } from '../../../support/steps';

describe('step sizes', () => {
  test.each([
    ['a number', 0.3, [0.3, 0.3, 0.3]],
    ['a function of the step', (step: number) => 0.3 / (step + 1), [0.3, 0.15, 0.1]],
  ] as const)("'fixed' is learningRate: %s", (_, learningRate, expected) => {
    const summaries = take(network({ ...plain, learningRate }), 3);
    summaries.forEach(({ stepSize, predictedDecrease, innerProduct }, step) => {
      const eta = at(expected, step);
      expect(stepSize).toBeCloseTo(eta, 14);
      expect(predictedDecrease).toBeCloseTo((eta - eta ** 2 / 2) * innerProduct, 12);
    });
  });

  test.each(['polyak', 'quadratic', 'kl-clip', 'fixed'] as const)(
    'a stepSize of the step takes the place of %s, without a loss',
    (stepRule) => {
      const preconditioner = network({ ...plain, stepRule, learningRate: 0.5 });
      if (stepRule === 'quadratic') take(preconditioner, 1, () => ({ loss: 1 }));
      const [summary] = take(preconditioner, 1, () => ({ stepSize: 0.3 })) as [StepSummary];
      expect(summary.stepSize).toBeCloseTo(0.15, 14);
      expect(summary.loss).toBeUndefined();
      expect(() => take(preconditioner, 1, () => ({ stepSize: -1 }))).toThrow(/stepSize but received -1/);
    },
  );

  test("'kl-clip': ν·learningRate, ν = min(1, √(κ/(learningRate²·Σ⟨v, x⟩)))", () => {
    const klClip = (step: number) => (step === 0 ? 1e-3 : 1e6);
    const [clipped, free] = take(network({ ...plain, stepRule: 'kl-clip', klClip, learningRate: 0.7 }), 2) as [
      StepSummary,
      StepSummary,
    ];
    expect(clipped.stepSize).toBeCloseTo(0.7 * Math.sqrt(1e-3 / (0.49 * clipped.innerProduct)), 12);
    expect(clipped.stepSize).toBeLessThan(0.7);
    expect(free.stepSize).toBe(0.7);
  });

  test("'polyak': min(1, φ(1 − μ)(L − L_min)/Σ⟨v, x⟩), times learningRate", () => {
    const plainPolyak = { ...plain, stepRule: 'polyak' } as const;
    const preconditioner = network({
      ...plainPolyak,
      polyakFraction: (step) => 0.5 + step,
      momentum: 0.6,
      learningRate: 0.5,
    });
    const losses = [0.01, 0.02, 1e6, 0.001];
    const summaries = take(preconditioner, 4, (step) => ({ loss: at(losses, step), lossFloor: 0.002 }));
    const expected = (step: number) =>
      0.5 *
      Math.min(
        1,
        ((0.5 + step) * 0.4 * Math.max(at(losses, step) - 0.002, 0)) /
          at(
            summaries.map((each) => each.innerProduct),
            step,
          ),
      );
    summaries.forEach(({ stepSize, loss, lossFloor }, step) => {
      expect(stepSize).toBeCloseTo(expected(step), 12);
      expect([loss, lossFloor]).toEqual([losses[step], 0.002]);
    });
    expect(summaries[2]?.stepSize).toBe(0.5);
    expect(summaries[3]).toMatchObject({
      stepSize: 0,
      diagnoses: ['the loss 0.001 is below lossFloor 0.002: a step of length 0'],
    });
    // 0 where none is given, which steps with φ of the momentum do not hold for a bound
    const [negative] = take(network(plainPolyak), 1, () => ({ loss: -1 }));
    expect(negative).toMatchObject({
      stepSize: 0,
      diagnoses: ['the loss -1 is below lossFloor 0: a step of length 0'],
    });
    const [adaptive] = take(network({ ...plainPolyak, fractionRule: 'momentum' }), 1, () => ({ loss: -1 }));
    expect(adaptive?.diagnoses).toEqual([]);
    expect(adaptive?.stepSize).toBeGreaterThan(0);
  });

  test("'linear': flat for half of totalSteps, then linearly to 0", () => {
    const preconditioner = network({ ...plain, learningRate: 2, learningRateSchedule: 'linear', totalSteps: 8 });
    const sizes = take(preconditioner, 10).map(({ stepSize }) => stepSize);
    expect(sizes).toEqual([2, 2, 2, 2, 2, 1.5, 1, 0.5, 0, 0]);
  });

  test('learningRate can be set between steps, and is checked', () => {
    const preconditioner = network(plain);
    expect(preconditioner.learningRate).toBe(1);
    preconditioner.learningRate = 0.25;
    expect(take(preconditioner, 1)[0]?.stepSize).toBe(0.25);
    expect(() => {
      preconditioner.learningRate = -1;
    }).toThrow(expect.objectContaining({ code: 'ERR_CGFAC_INVALID_ARG_VALUE' }));
    expect(preconditioner.learningRate).toBe(0.25);
  });
});
