import { type PreconditionerOptions, type StepOptions, type StepSummary, setThreads, type WeightVector } from 'cgfac';
import { presets } from '../../../lib/network/presets';
import { at, relativeError } from '../../support/golden-case';
import { arraysOf, randomNumbers } from '../../support/layers';
import {
  copyOf,
  gradientsOf,
  layers,
  network,
  numbersOf,
  randomWeights,
  record,
  rowsOf,
  type TestRows,
  vectors,
} from '../../support/networks';

// Each number goes through a few float32 operations; the directions themselves are tested in preconditioner.test.ts.
const rounding = 4 * 2 ** -24;
// In-place updates round W − ηx once where the reference rounds in float64, and η·x came of the same product
const updated = 16 * 2 ** -24;

type Network = ReturnType<typeof network>;
const plain = { stepRule: 'fixed', momentum: 0, factorHistory: 'none', factorUpdateSteps: 1 } as const;

/** Directions x of the steps 0 … count − 1, of a network that takes nothing but fixed steps. */
function directions(count: number, options: Partial<PreconditionerOptions> = {}): Float64Array[] {
  const preconditioner = network({ ...plain, ...options });
  return Array.from({ length: count }, (_, step) => {
    record(preconditioner, rowsOf(step));
    return numbersOf(preconditioner.naturalGradientsSync().updates).slice();
  });
}

function closeTo(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = rounding): void {
  expect(relativeError(actual, expected)).toBeLessThan(tolerance);
}

/** Takes the steps 0 … count − 1; the summaries. */
function take(
  preconditioner: Network,
  count: number,
  options: (step: number) => StepOptions = () => ({}),
  first = 0,
): StepSummary[] {
  return Array.from({ length: count }, (_, index) => {
    record(preconditioner, rowsOf(first + index));
    return preconditioner.naturalGradientsSync(options(first + index)).summary;
  });
}

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
    const preconditioner = network({
      ...plain,
      stepRule: 'polyak',
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

  test('damping may be a function of the step', () => {
    for (const method of ['exact', 'cg', 'kfac'] as const) {
      const options = {
        ...(method === 'exact' ? { ...plain, window: 1 } : { method, stepRule: 'fixed' as const }),
        momentum: 0,
      };
      const scheduledOnes = take(network({ ...options, damping: (step) => ({ relative: 1 + step }) }), 3);
      for (const [step, relative] of [1, 2, 3].entries()) {
        const summary = take(
          network({ ...options, damping: { relative }, ...(method === 'kfac' ? { factorDecay: 0 } : {}) }),
          1,
          undefined,
          step,
        );
        const damping = scheduledOnes[step]?.layers[0]?.damping;
        if (method !== 'kfac') expect(damping).toEqual(summary[0]?.layers[0]?.damping);
        else expect(damping).toBeGreaterThan(0);
      }
    }
  });

  test.each(['damping', 'learningRate', 'momentum', 'polyakFraction'] as const)(
    'a function for %s that throws or gives nonsense: refused before anything changes, and nothing stays busy',
    async (name) => {
      let fails: 'throws' | 'nonsense' | undefined = 'throws';
      const good = { damping: { relative: 1 }, learningRate: 1, momentum: 0.5, polyakFraction: 1 }[name];
      const value = () => {
        if (fails === 'throws') throw new Error('a schedule failed');
        return fails === 'nonsense' ? -1 : good;
      };
      const preconditioner = network({ factorUpdateSteps: 1, useEma: false, [name]: value as never });
      const expected = network({ factorUpdateSteps: 1, useEma: false, [name]: good as never });
      for (const each of [preconditioner, expected]) record(each, rowsOf(1));
      expect(() => preconditioner.naturalGradientsSync({ loss: 1 })).toThrow('a schedule failed');
      await expect(preconditioner.naturalGradients({ loss: 1 })).rejects.toThrow('a schedule failed');
      fails = 'nonsense';
      await expect(preconditioner.naturalGradients({ loss: 1 })).rejects.toMatchObject({
        message: expect.stringContaining(`${name}(0)`),
      });
      fails = undefined;
      expect(preconditioner.steps).toBe(0);
      const { updates } = await preconditioner.naturalGradients({ loss: 1 });
      expect(numbersOf(updates)).toEqual(numbersOf(expected.naturalGradientsSync({ loss: 1 }).updates));
    },
  );
});

describe('momentum, weight decay and averages against float64', () => {
  const steps = 6;
  const xs = directions(steps);
  const eta = 0.3;

  test.each([
    ['constant', 0.6],
    ['a function with zeros', (step: number) => (step % 3 === 1 ? 0 : 0.6)],
  ] as const)('M ← μM + ηx, in both forms: %s', (_, momentum) => {
    const mu = (step: number) => (typeof momentum === 'function' ? momentum(step) : momentum);
    const natural = network({ ...plain, momentum, learningRate: eta });
    const stepped = network({ ...plain, momentum, learningRate: eta });
    let m = new Float64Array(at([xs[0]?.length ?? 0], 0));
    for (let step = 0; step < steps; step++) {
      m = m.map((value, i) => mu(step) * value + eta * at(xs[step] ?? [], i));
      record(natural, rowsOf(step));
      closeTo(numbersOf(natural.naturalGradientsSync().updates), m, updated);
      record(stepped, rowsOf(step));
      const gradients = gradientsOf(rowsOf(step));
      stepped.stepSync(gradients);
      closeTo(numbersOf(gradients), m, 2e-5); // the directions of both forms differ by as much (preconditioner.test.ts)
    }
  });

  test.each([0, 0.6])('W ← W(1 − η·weightDecay) − M in place, momentum %p, and the averages', async (momentum) => {
    const weightDecay = 0.2;
    const emaMomentum = 0.4;
    const weights = randomWeights(3);
    const start = numbersOf(weights);
    const preconditioner = network({ ...plain, momentum, learningRate: eta, weightDecay, emaMomentum }, weights);
    expect(preconditioner.report().layers.every(({ averaged }) => averaged)).toBe(true);

    // before the first step the averages are the weights
    await preconditioner.withAveragedWeights(() => closeTo(numbersOf(weights), start, 1e-12));
    let w = start;
    let mean = start;
    let m = start.map(() => 0);
    for (let step = 0; step < steps; step++) {
      m = m.map((value, i) => momentum * value + eta * at(xs[step] ?? [], i));
      w = w.map((value, i) => value * (1 - eta * weightDecay) - at(m, i));
      const beta = Math.min(emaMomentum, (1 + step) / (10 + step));
      mean = mean.map((value, i) => beta * value + (1 - beta) * at(w, i));
      record(preconditioner, rowsOf(step));
      const { updates } = preconditioner.naturalGradientsSync();
      expect(updates).toEqual({});
      closeTo(numbersOf(weights), w, updated);
      const before = numbersOf(weights);
      const seen = await preconditioner.withAveragedWeights(() => {
        expect(() => preconditioner.stateDict()).toThrow(expect.objectContaining({ code: 'ERR_CGFAC_BUSY' }));
        return Promise.resolve(numbersOf(weights));
      });
      closeTo(seen, mean, updated);
      expect(numbersOf(weights)).toEqual(before);
    }
    await expect(
      preconditioner.withAveragedWeights(() => {
        throw new Error('of the callback');
      }),
    ).rejects.toThrow('of the callback');
    closeTo(numbersOf(weights), w, updated);
    preconditioner.finalizeVariableValues();
    closeTo(numbersOf(weights), mean, updated);
  });

  test('with step() the decay is in the gradient, beside M, and averages see weights that the optimizer has updated', async () => {
    const weightDecay = 0.2;
    const weights = randomWeights(3);
    const preconditioner = network(
      { ...plain, momentum: 0.6, learningRate: eta, weightDecay, emaMomentum: 0.4 },
      weights,
    );
    let w = numbersOf(weights);
    let mean = w;
    let m = w.map(() => 0);
    for (let step = 0; step < steps; step++) {
      m = m.map((value, i) => 0.6 * value + eta * at(xs[step] ?? [], i));
      w = w.map((value, i) => value * (1 - eta * weightDecay) - at(m, i));
      const beta = Math.min(0.4, (1 + step) / (10 + step));
      mean = mean.map((value, i) => beta * value + (1 - beta) * at(w, i));
      record(preconditioner, rowsOf(step));
      const gradients = gradientsOf(rowsOf(step));
      preconditioner.stepSync(gradients);
      for (const [name, vector] of Object.entries(weights)) {
        const by = arraysOf(gradients[name] ?? vector);
        arraysOf(vector).forEach((array, index) => {
          array.forEach((value, i) => {
            array[i] = value - at(by[index] ?? [], i);
          });
        });
      }
    }
    closeTo(numbersOf(weights), w, 2e-5);
    await preconditioner.withAveragedWeights(() => closeTo(numbersOf(weights), mean, 2e-5));
  });

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

describe('trustRegion', () => {
  const options = { method: 'exact', dampingMode: 'tikhonov', momentum: 0, factorUpdateSteps: 1 } as const;
  test.each([1e-4, 1e-3, 1e-2])('½η²Σ xᵀF x = %p, in both forms of a call', async (kl) => {
    const eta = 0.5;
    const [sync, later] = [
      network({ ...options, trustRegion: { kl }, learningRate: eta }),
      network({ ...options, trustRegion: { kl }, learningRate: eta }),
    ];
    for (const step of [1, 2]) {
      for (const each of [sync, later]) record(each, rowsOf(step));
      const { summary, updates } = sync.naturalGradientsSync();
      const divergence =
        (eta ** 2 / 2) * summary.layers.reduce((sum, { curvature = Number.NaN }) => sum + curvature, 0);
      // λ is found to 1e-13, xᵀF x of a solve to the rounding of float32 products
      expect(Math.abs(divergence / kl - 1)).toBeLessThan(2e-5);
      expect(summary.stepSize).toBe(eta);
      const found = summary.layers.map(({ damping }) => damping as number);
      expect(numbersOf((await later.naturalGradients()).updates)).toEqual(numbersOf(updates));

      // the same λ given layer by layer gives the same directions
      layers.forEach((layer, index) => {
        const alone = network(
          { ...options, damping: at(found, index), stepRule: 'fixed', learningRate: eta },
          undefined,
          [layer],
        );
        record(alone, new Map([...rowsOf(step)].filter(([name]) => name === layer.name)));
        const update = alone.naturalGradientsSync().updates[layer.name] as WeightVector;
        closeTo(numbersOf({ update }), numbersOf({ update: updates[layer.name] as WeightVector }), updated);
      });
    }
  });
  test('a smaller divergence is a larger damping', () => {
    const found = [1e-3, 1e-5].map((kl) => {
      const preconditioner = network({ ...options, trustRegion: { kl } });
      return take(preconditioner, 1)[0]?.layers[0]?.damping as number;
    });
    expect(at(found, 1)).toBeGreaterThan(at(found, 0));
  });
});

test('presets: ρ, φ, μ, factors, T', () => {
  expect(presets).toEqual({
    safe: {
      relative: 1,
      polyakFraction: 1,
      momentum: 0.5,
      factorHistory: 'panel',
      rank: 128,
      factorUpdateSteps: 5,
      fisherFraction: 0.5,
    },
    reconstruction: {
      relative: 0.3,
      polyakFraction: 0.5,
      momentum: 0.5,
      factorHistory: 'none',
      rank: 128,
      factorUpdateSteps: 2,
      fisherFraction: 0.5,
    },
    'image-classifier': {
      relative: 0.3,
      polyakFraction: 2,
      momentum: 0,
      factorHistory: 'panel',
      rank: 64,
      factorUpdateSteps: 10,
      fisherFraction: 0.5,
    },
  });
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
      "exact with factored damping (0.3 × mean eigenvalue), polyak steps, the batch's own factors, factors every 2 steps",
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

test.each([
  [1, [0, 1, 2, 3, 4, 5]],
  [2, [0, 1, 2, 4]],
  [3, [0, 1, 3]],
  [4, [0, 1, 2, 3, 4, 5]],
] as const)('refreshDue: factors every %d steps', (factorUpdateSteps, expected) => {
  const preconditioner = network({ ...plain, factorUpdateSteps });
  const due = Array.from({ length: 14 }, (_, step) => {
    const { refreshDue } = preconditioner;
    const [summary] = take(preconditioner, 1, undefined, step) as [StepSummary];
    expect(summary.refreshed).toBe(refreshDue);
    return refreshDue ? [step] : [];
  }).flat();
  expect(due.filter((step) => step < 6)).toEqual(expected);
  expect(due.filter((step) => step >= 10)).toEqual([10, 11, 12, 13].filter((step) => step % factorUpdateSteps === 0));
});

describe('layers', () => {
  test('skipLayers: names and expressions, whatever their flags', () => {
    const options = { lossReduction: 'sum', ...plain } as const;
    const preconditioner = network({ ...options, skipLayers: ['first', /^th/g] });
    const { layers: kept, skipped } = preconditioner.report();
    expect(kept.map(({ name, shape, weights, method }) => [name, shape, weights, method])).toEqual([
      ['second', '9×5', 45, 'exact'],
    ]);
    expect(skipped).toEqual([
      { name: 'first', reason: 'skipLayers names it (first)' },
      { name: 'third', reason: 'skipLayers names it (/^th/g)' },
    ]);
    record(preconditioner, rowsOf(1));
    const gradients = gradientsOf(rowsOf(1));
    const before = copyOf(gradients);
    const summary = preconditioner.stepSync(gradients);
    expect(summary.layers.map(({ name }) => name)).toEqual(['second']);
    expect(gradients.first).toEqual(before.first);
    expect(gradients.third).toEqual(before.third);
    expect(gradients.second).not.toEqual(before.second);

    // lastIndex of a global expression is not carried from name to name
    const global = network({ ...options, skipLayers: [/i/g] });
    expect(global.report().layers.map(({ name }) => name)).toEqual(['second']);
    // and the list is the one that was given at construction
    const names = ['first'];
    const given = network({ ...options, skipLayers: names }, undefined, []);
    names.push('second');
    expect(given.registerDense('second', { inFeatures: 2, outFeatures: 2 })).toBe(true);
    expect(given.registerDense('first', { inFeatures: 2, outFeatures: 2 })).toBe(false);
  });

  test('a layer without rows at this step takes no part in it; its gradient is preconditioned by older factors', () => {
    for (const method of ['exact', 'cg', 'kfac'] as const) {
      const preconditioner = network({ stepRule: 'fixed', momentum: 0, method, factorUpdateSteps: 1 });
      record(preconditioner, rowsOf(1));
      preconditioner.naturalGradientsSync();
      const rows = rowsOf(2);
      rows.delete('second');
      record(preconditioner, rows);
      const { summary, updates } = preconditioner.naturalGradientsSync();
      expect(summary.layers.map(({ name }) => name)).toEqual(['first', 'third']);
      expect(Object.keys(updates)).toEqual(['first', 'third']);

      record(preconditioner, rows);
      const gradients = gradientsOf(rowsOf(2));
      const stepped = preconditioner.stepSync(gradients);
      expect(stepped.layers.map(({ name }) => name)).toEqual(['first', 'second', 'third']);
      expect(numbersOf(gradients).every(Number.isFinite)).toBe(true);
      expect(stepped.layers[1]?.inputRows).toBe(12);

      const fresh = network({ stepRule: 'fixed', momentum: 0, method });
      record(fresh, rows);
      expect(() => fresh.stepSync(gradientsOf(rowsOf(2)))).toThrow(/recorded rows of layer 'second'/);
    }
  });

  test('a name that objects inherit is a name like others', () => {
    const preconditioner = network(plain, undefined, []);
    preconditioner.registerDense('toString', { inFeatures: 2, outFeatures: 3, bias: false });
    expect(() => preconditioner.stepSync({})).toThrow(expect.objectContaining({ code: 'ERR_CGFAC_NO_RECORD' }));
    preconditioner.record('toString', { inputs: randomNumbers(8, 1), lossGrads: randomNumbers(12, 2), batch: 4 });
    expect(() => preconditioner.stepSync({})).toThrow(expect.objectContaining({ code: 'ERR_CGFAC_INVALID_ARG_TYPE' }));
    expect(preconditioner.naturalGradientsSync().updates.toString).toBeInstanceOf(Float32Array);
  });
});

describe('diagnoses', () => {
  const one = [{ name: 'only', inFeatures: 6, outFeatures: 4, bias: false, kernelLayout: 'out-in' as const }];
  const diagnosed = (rows: Partial<TestRows>, options: Partial<PreconditionerOptions> = {}) => {
    const preconditioner = network({ ...plain, ...options }, undefined, one);
    const given = rowsOf(1, 32, 32, one);
    record(preconditioner, new Map([['only', { ...(given.get('only') as TestRows), ...rows }]]));
    return preconditioner.naturalGradientsSync().summary;
  };
  test('none where nothing is wrong', () => {
    const { diagnoses, layers: found } = diagnosed({});
    expect(diagnoses).toEqual([]);
    expect(found[0]?.lambdaMaxOverDamping).toBeGreaterThan(1);
    expect(found[0]?.effectiveRank).toMatchObject({ input: expect.any(Number), output: expect.any(Number) });
  });
  test.each([
    ['factored', { damping: { relative: 1000 } }],
    ['Tikhonov', { method: 'exact', dampingMode: 'tikhonov', factorHistory: undefined, damping: { relative: 1000 } }],
  ] as const)('damping dominates: %s', (_, options) => {
    const given = Object.fromEntries(
      Object.entries({ ...plain, ...options }).filter(([, value]) => value !== undefined),
    );
    const preconditioner = network(given, undefined, one);
    record(preconditioner, rowsOf(1, 32, 32, one));
    expect(preconditioner.naturalGradientsSync().summary.diagnoses).toEqual([
      'damping dominates in layer only: this is gradient descent',
    ]);
  });
  test('all inputs alike', () => {
    const { diagnoses } = diagnosed({ inputs: Float32Array.from({ length: 32 * 6 }, (_, i) => 1 + (i % 6)) });
    expect(diagnoses).toEqual([expect.stringMatching(/^rank 1\.0 of 32 in layer only: all inputs alike$/)]);
  });
  test('all output gradients alike', () => {
    const { diagnoses } = diagnosed({ sampled: Float32Array.from({ length: 32 * 4 }, (_, i) => 1 + (i % 4)) });
    expect(diagnoses).toEqual([expect.stringMatching(/of 32 in layer only: all output gradients alike$/)]);
  });
  test('no curvature', () => {
    const { diagnoses, skipped, layers: found } = diagnosed({ inputs: new Float32Array(32 * 6) });
    expect(skipped).toBe('Σ⟨v, x⟩ is 0');
    expect(found[0]?.reason).toBe('no-curvature');
    expect(diagnoses).toEqual([
      'step 0 was skipped: Σ⟨v, x⟩ is 0',
      'no curvature in layer only: all its inputs or output gradients are zero',
    ]);
  });
});

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

describe('state', () => {
  const given = { ...plain, momentum: 0.5 } as const;
  const trained = (options: Partial<PreconditionerOptions> = given) => {
    const preconditioner = network(options, randomWeights(2));
    take(preconditioner, 3);
    return preconditioner;
  };
  test('a bad state changes nothing', () => {
    const cg = trained({ stepRule: 'fixed', method: 'cg' }).stateDict();
    const factored = trained().stateDict();
    for (const [method, preconditioner] of [
      ['factored', trained()],
      ['kfac', trained({ stepRule: 'fixed', method: 'kfac' })],
    ] as const) {
      const state = preconditioner.stateDict();
      const third = state.layers.third as object;
      const bad = (what: object) => ({ ...state, layers: { ...state.layers, third: { ...third, ...what } } });
      const nan = (array: Float32Array) => Float32Array.from(array, (value, i) => (i === 0 ? Number.NaN : value));
      const factors = state.layers.third?.factors;
      const solver = state.layers.third?.solver;
      const table: [unknown, string][] = [
        [undefined, 'ERR_CGFAC_INVALID_ARG_TYPE'],
        [{ ...state, version: 2 }, 'ERR_CGFAC_INVALID_ARG_TYPE'],
        [{ ...state, layers: undefined }, 'ERR_CGFAC_INVALID_ARG_TYPE'],
        [{ ...state, steps: -1 }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
        [{ ...state, steps: '3' }, 'ERR_CGFAC_INVALID_ARG_TYPE'],
        [{ ...state, seed: 0.5 }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
        [{ ...state, skippedSteps: { total: 1.5, inARow: 0 } }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
        [{ ...state, layers: { first: state.layers.first } }, 'ERR_CGFAC_INVALID_ARG_VALUE'],
        [bad({ momentum: { kernel: new Float32Array(3), bias: new Float32Array(3) } }), 'ERR_CGFAC_SHAPE_MISMATCH'],
        [method === 'factored' ? cg : factored, 'ERR_CGFAC_SHAPE_MISMATCH'],
        factors
          ? [
              bad({ factors: { ...factors, output: { ...factors.output, rows: new Float32Array(1) } } }),
              'ERR_CGFAC_SHAPE_MISMATCH',
            ]
          : [bad({ solver: { ...solver, inputFactor: new Float32Array(1) } }), 'ERR_CGFAC_SHAPE_MISMATCH'],
        factors
          ? [
              bad({ factors: { ...factors, output: { ...factors.output, rows: nan(factors.output.rows) } } }),
              'ERR_CGFAC_NOT_FINITE',
            ]
          : [
              bad({ solver: { ...solver, inputValues: nan(solver?.inputValues ?? new Float32Array()) } }),
              'ERR_CGFAC_NOT_FINITE',
            ],
        factors
          ? [
              bad({ factors: { ...factors, input: { ...factors.input, numbers: new Float32Array(5) } } }),
              'ERR_CGFAC_SHAPE_MISMATCH',
            ]
          : [bad({ solver: { ...solver, numbers: new Float64Array(5) } }), 'ERR_CGFAC_SHAPE_MISMATCH'],
      ];
      for (const [wrong, code] of table) {
        expect(() => preconditioner.loadStateDict(wrong as typeof state)).toThrow(expect.objectContaining({ code }));
        expect(preconditioner.stateDict()).toEqual(state);
      }
    }
  });

  test('reset() is a new one', () => {
    for (const options of [
      given,
      { stepRule: 'fixed', method: 'kfac' },
      { stepRule: 'fixed', method: 'cg' },
    ] as const) {
      const used = network(options);
      take(used, 3);
      used.reset();
      expect(used.steps).toBe(0);
      const fresh = network(options);
      const results = [used, fresh].map((each) => {
        record(each, rowsOf(7));
        return numbersOf(each.naturalGradientsSync().updates).slice();
      });
      expect(results[0]).toEqual(results[1]);
    }
  });

  test('discard() forgets the rows of the step to come, and nothing else', () => {
    const [a, b] = [network(given), network(given)];
    for (const each of [a, b]) take(each, 2);
    record(a, rowsOf(9));
    a.discard();
    expect(a.stateDict()).toEqual(b.stateDict());
    expect(() => a.naturalGradientsSync()).toThrow(expect.objectContaining({ code: 'ERR_CGFAC_NO_RECORD' }));
  });

  test('seed and step fix the uniform numbers', () => {
    const [a, b, c] = [network({ ...given, seed: 7 }), network({ ...given, seed: 7 }), network({ ...given, seed: 8 })];
    const draw = (each: Network) => {
      const uniform = each.uniforms();
      return [uniform(), uniform()];
    };
    expect(draw(a)).toEqual(draw(b));
    expect(draw(a)).not.toEqual(draw(c));
    const first = draw(a);
    take(a, 1);
    expect(draw(a)).not.toEqual(first);
    c.loadStateDict(a.stateDict());
    expect(draw(c)).toEqual(draw(a));
  });
});

describe('memoryUsage', () => {
  const shape = { name: 'wide', inFeatures: 200, outFeatures: 160, bias: true, kernelLayout: 'out-in' as const };
  const rows = 64;
  test.each([0, 0.5])(
    'factored damping, no history, momentum %p: 2 × weights + 6 × rows + 16 N² numbers at most',
    (momentum) => {
      setThreads(1);
      const weights = vectors((length) => randomNumbers(length, length), [shape]);
      const preconditioner = network({ ...plain, momentum, window: 1 }, weights, [shape]);
      for (const step of [0, 1, 2]) {
        record(preconditioner, rowsOf(step, rows, rows, [shape]));
        preconditioner.naturalGradientsSync();
      }
      const weightBytes = 4 * 160 * 201;
      const recordedBytes = 4 * rows * (200 + 160 + 160);
      const memory = preconditioner.memoryUsage();
      expect(memory.momentum).toBe(momentum > 0 ? weightBytes : 0);
      expect(memory.averages).toBe(weightBytes);
      expect(memory.total).toBe(
        memory.recorded + memory.factors + memory.workspace + memory.momentum + memory.averages,
      );
      // rows as recorded, as kept by the factors, and multiplied by their inverses; the rest are Gram matrices and
      // inverses, in float64 at most
      expect(memory.total).toBeLessThanOrEqual(2 * weightBytes + 6 * recordedBytes + 16 * 8 * rows ** 2);
      expect(memory.recorded).toBeGreaterThanOrEqual(recordedBytes);
    },
  );
  test('rows that are recorded are counted for every method', () => {
    for (const method of ['exact', 'cg', 'kfac'] as const) {
      const preconditioner = network({ method, stepRule: 'fixed' });
      const empty = preconditioner.memoryUsage();
      const all = rowsOf(1);
      record(preconditioner, all);
      const bytes = [...all.values()].reduce(
        (sum, { inputs, lossGrads, sampled }) => sum + 4 * (inputs.length + lossGrads.length + sampled.length),
        0,
      );
      expect(preconditioner.memoryUsage().recorded - empty.recorded).toBeGreaterThanOrEqual(bytes);
    }
  });
});
