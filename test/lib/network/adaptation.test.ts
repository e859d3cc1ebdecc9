import type { PreconditionerOptions, StepSummary } from 'cgfac';
import { Adaptation, checkAdaptation, type FollowedStep } from '../../../lib/network/adaptation';
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

describe('φ follows agreements of a momentum', () => {
  const step: FollowedStep = { most: 1, loss: undefined, assumed: 0, oneLength: false };
  /** φ after agreements that are all the same, p being 1. */
  const fractionAfter = (agreement: number, steps: number, oneLength = false) => {
    const adaptation = new Adaptation('nothing');
    for (let k = 0; k < steps; k++) adaptation.follow(agreement, 1, { ...step, oneLength });
    return adaptation.fraction(1);
  };
  /** The sum of a·weight over steps, by the closed form of σ²: 0.7ᵏ + (1 − 0.7ᵏ)a² after k of them. */
  const sumOf = (agreement: number, steps: number, small = 0.1) => {
    let sum = 0;
    for (let k = 1; k <= steps; k++) {
      const square = 0.7 ** k + (1 - 0.7 ** k) * agreement ** 2;
      sum += agreement * Math.max(1, Math.min(1 / Math.sqrt(square), small / square));
    }
    return sum;
  };

  test.each([-0.9, -0.5, -0.32])('as they are where they are large: %d', (agreement) => {
    // σ stays above √0.1
    expect(fractionAfter(agreement, 20)).toBeCloseTo(Math.exp((20 * agreement) / 10), 12);
  });

  test.each([-0.2, -0.1, -0.03])('more than they are where all of them are small: %d', (agreement) => {
    const fraction = fractionAfter(agreement, 30);
    expect(fraction).toBeCloseTo(Math.exp(sumOf(agreement, 30) / 10), 9);
    expect(fraction).toBeLessThan(0.8 * Math.exp(3 * agreement));
    // in the end a step counts for as much as one of the usual size
    expect(fractionAfter(-0.03, 200) / fractionAfter(-0.03, 199)).toBeCloseTo(Math.exp(-0.1), 9);
  });

  test.each([-0.2, -0.1, -0.03])('from half of that on where one length serves all layers: %d', (agreement) => {
    const fraction = fractionAfter(agreement, 30, true);
    expect(fraction).toBeCloseTo(Math.exp(sumOf(agreement, 30, 0.05) / 10), 9);
    expect(fraction).toBeGreaterThan(fractionAfter(agreement, 30));
  });

  test('what is as often uphill as downhill keeps it where it is, and none of it is 0 for ever', () => {
    const adaptation = new Adaptation('nothing');
    for (let k = 0; k < 50; k++) adaptation.follow(-0.5, 1, step);
    const before = adaptation.fraction(1);
    for (let k = 0; k < 400; k++) adaptation.follow(k % 2 === 0 ? 0.02 : -0.02, 1, step);
    expect(adaptation.fraction(1) / before).toBeGreaterThan(0.9);
    expect(adaptation.fraction(1) / before).toBeLessThan(1.15);
    for (let k = 0; k < 3000; k++) adaptation.follow(0, 1, step);
    expect(adaptation.state().agreementSquare).toBeGreaterThan(0);
    const later = adaptation.fraction(1);
    adaptation.follow(-1, 1, step);
    expect(adaptation.fraction(1) / later).toBeCloseTo(Math.exp(-0.1), 12);
  });

  test('a twentieth of the slope is to be left where the curvature was assumed', () => {
    const fractions = (assumed: number, agreement: number, most = 1) => {
      const adaptation = new Adaptation('nothing');
      for (let k = 0; k < 20; k++) {
        adaptation.follow(agreement, 1, { ...step, most, assumed });
      }
      return adaptation.fraction(1);
    };
    expect(fractions(0, 0.02)).toBe(1);
    expect(fractions(1, 0.06)).toBe(1);
    expect(fractions(1, 0.02)).toBeLessThan(fractions(0.5, 0.02));
    expect(fractions(0.5, 0.02)).toBeLessThan(1);
    // and no more of it makes φ grow beyond 1
    expect(fractions(0, 0.02, 2)).toBeGreaterThan(1);
    expect(fractions(1, 0.02, 2)).toBe(fractions(1, 0.02));
    // a step that was as wrong as can be: what is saved is within its range
    const adaptation = new Adaptation('nothing');
    for (let k = 0; k < 9; k++) adaptation.follow(-1, 1, { ...step, assumed: 1 });
    expect(() => checkAdaptation(adaptation.state(), 'state', 9)).not.toThrow();
  });

  test('a state has the mean square, and without one it is as at first', () => {
    const [one, other, older] = [1, 2, 3].map(() => new Adaptation('nothing')) as [Adaptation, Adaptation, Adaptation];
    for (let k = 0; k < 10; k++) one.follow(-0.05, 1, step);
    other.restore(one.state());
    const { agreementSquare, ...rest } = one.state();
    expect(agreementSquare).toBeCloseTo(0.7 ** 10 + (1 - 0.7 ** 10) * 0.05 ** 2, 12);
    older.restore(rest);
    for (const each of [one, other, older]) each.follow(-0.05, 1, step);
    expect(other.state()).toEqual(one.state());
    expect(older.fraction(1)).toBeGreaterThan(one.fraction(1));
  });
});
