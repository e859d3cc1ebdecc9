import type { StepSummary } from 'cgfac';
import { presets } from '../../../lib/network/presets';
import { network, rowsOf, type TestRows } from '../../support/networks';
import { take } from '../../support/steps';

const expected = {
  adaptive: {
    relative: 0.5,
    polyakFraction: 1,
    momentum: 0.5,
    factorHistory: 'panel',
    rank: 128,
    factorUpdateSteps: 5,
    fisherFraction: 0.5,
    factorDecay: 0.9,
    fractionRule: 'momentum',
    bounded: true,
  },
  safe: {
    relative: 1,
    polyakFraction: 1,
    momentum: 0.5,
    factorHistory: 'panel',
    rank: 128,
    factorUpdateSteps: 5,
    fisherFraction: 0.5,
    factorDecay: 0.95,
    fractionRule: 'fixed',
    bounded: false,
  },
  reconstruction: {
    relative: 0.3,
    polyakFraction: 0.5,
    momentum: 0.5,
    factorHistory: 'none',
    rank: 128,
    factorUpdateSteps: 2,
    fisherFraction: 0.5,
    factorDecay: 0.95,
    fractionRule: 'fixed',
    bounded: false,
  },
  'image-classifier': {
    relative: 0.3,
    polyakFraction: 2,
    momentum: 0,
    factorHistory: 'panel',
    rank: 64,
    factorUpdateSteps: 10,
    fisherFraction: 0.5,
    factorDecay: 0.95,
    fractionRule: 'fixed',
    bounded: false,
  },
};

test('presets: ρ, φ, μ, factors, T', () => {
  expect(presets).toEqual(expected);
  const recipes = (['safe', 'reconstruction', 'image-classifier'] as const).map((preset) =>
    network({ preset }).report(),
  );
  expect(recipes.map(({ preset, recipe }) => [preset, recipe])).toEqual([
    [
      'safe',
      'exact with factored damping (1 × mean eigenvalue), polyak steps, panels of rank 128, factors every 5 steps',
    ],
    [
      'reconstruction',
      "exact with factored damping (0.3 × mean eigenvalue), polyak steps, the batch's own factors, factors every 2 " +
        'steps',
    ],
    [
      'image-classifier',
      'exact with factored damping (0.3 × mean eigenvalue), polyak steps, panels of rank 64, factors every 10 steps',
    ],
  ]);
  // what they do: the step of the formula, γ = ρ·tr/d
  for (const [preset, { polyakFraction, momentum, relative }] of Object.entries(presets)) {
    const preconditioner = network({ preset: preset as keyof typeof presets });
    const [summary] = take(preconditioner, 1, () => ({ loss: 1e-3 })) as [StepSummary];
    expect(summary.stepSize).toBeCloseTo((polyakFraction * (1 - momentum) * 1e-3) / summary.innerProduct, 12);
    const { sampled } = rowsOf(0).get('second') as TestRows;
    const trace = sampled.reduce((sum, value) => sum + value ** 2, 0) / 12;
    const { damping } = summary.layers[1] as { damping: { output: number } };
    expect(damping.output / ((relative * trace) / 9)).toBeCloseTo(1, 5);
  }
});
