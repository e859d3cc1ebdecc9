import type { PreconditionerOptions, StepSummary } from 'cgfac';
import { network } from '../../support/networks';
import { plain, take } from '../../support/steps';

describe('adaptation by reported losses', () => {
  const run = (options: Partial<PreconditionerOptions>, decrease: (summary: StepSummary) => number) => {
    const preconditioner = network({ ...plain, stepRule: 'polyak', ...options });
    const [summary] = take(preconditioner, 1, () => ({ loss: 0.05 })) as [StepSummary];
    const report = preconditioner.reportLoss(0.05 - decrease(summary));
    const [next] = take(preconditioner, 1, () => ({ loss: 0.05 }), 0) as [StepSummary];
    return { summary, report, next };
  };
  const good = ({ predictedDecrease }: StepSummary) => 0.8 * predictedDecrease;
  const fair = ({ predictedDecrease }: StepSummary) => 0.5 * predictedDecrease;
  const poor = ({ predictedDecrease }: StepSummary) => 0.2 * predictedDecrease;
  const never = () => Number.NaN;

  test.each([
    ['more than 3/4', good, 0.8, 0.9],
    ['between', fair, 0.5, 1],
    ['less than 1/4', poor, 0.2, 1 / 0.9],
    ['not finite', never, Number.NEGATIVE_INFINITY, 1 / 0.9],
  ] as const)('a decrease of %s of what was predicted', (_, decrease, ratio, factor) => {
    const damped = run({ adaptiveDamping: true, polyakFraction: 0.01 }, decrease);
    if (Number.isFinite(ratio)) expect(damped.report.ratio).toBeCloseTo(ratio, 8);
    else expect(damped.report.ratio).toBe(ratio);
    expect(damped.report).toMatchObject({ fractionFactor: 1 });
    expect(damped.report.dampingFactor).toBeCloseTo(factor, 12);
    const product = ({ layers: [layer] }: StepSummary) => {
      const damping = layer?.damping as { input: number; output: number };
      return damping.input * damping.output;
    };
    // the same rows: λ = γ_A·γ_G is what it was, times the factor
    expect(product(damped.next) / product(damped.summary)).toBeCloseTo(factor, 6);

    const stepped = run({ adaptiveFraction: true, polyakFraction: 0.01 }, decrease);
    expect(stepped.report.fractionFactor).toBeCloseTo(1 / factor, 12);
    expect(stepped.report.dampingFactor).toBe(1);
    expect(stepped.next.stepSize / stepped.summary.stepSize).toBeCloseTo(1 / factor, 6);

    const neither = run({ polyakFraction: 0.01 }, decrease);
    expect(neither.report).toMatchObject({ dampingFactor: 1, fractionFactor: 1 });
  });

  test('0.9 for each step since the last report; a resumed run goes on with it', () => {
    const preconditioner = network({ ...plain, adaptiveDamping: true });
    take(preconditioner, 3, () => ({ loss: 1 }));
    expect(preconditioner.reportLoss(Number.POSITIVE_INFINITY).dampingFactor).toBeCloseTo(0.9 ** -3, 12);
    take(preconditioner, 1, () => ({ loss: 1 }));
    const resumed = network({ ...plain, adaptiveDamping: true });
    resumed.loadStateDict(preconditioner.stateDict());
    for (const each of [preconditioner, resumed]) expect(each.reportLoss(2).dampingFactor).toBeCloseTo(0.9 ** -4, 12);
    preconditioner.reset();
    take(preconditioner, 1, () => ({ loss: 1 }));
    expect(preconditioner.reportLoss(2).dampingFactor).toBeCloseTo(1 / 0.9, 12);
  });

  test('a step is reported once, if it was taken with a loss', () => {
    const refused = expect.objectContaining({ code: 'ERR_CGFAC_INVALID_ARG_VALUE' });
    const preconditioner = network({ ...plain, adaptiveDamping: true });
    expect(() => preconditioner.reportLoss(1)).toThrow(refused);
    take(preconditioner, 1);
    expect(() => preconditioner.reportLoss(1)).toThrow(refused);
    take(preconditioner, 1, () => ({ loss: 1 }));
    preconditioner.reportLoss(0.5);
    expect(() => preconditioner.reportLoss(0.5)).toThrow(refused);
    take(preconditioner, 1, () => ({ loss: 1 }));
    preconditioner.skip('no gradient');
    expect(() => preconditioner.reportLoss(0.5)).toThrow(refused);
  });
});
