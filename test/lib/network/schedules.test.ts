// Options that are functions of the step.

import type { PreconditionerOptions } from 'cgfac';
import { relativeError } from '../../support/golden-case';
import { copyOf, network, numbersOf, randomWeights, record, rowsOf } from '../../support/networks';
import { fixed, plain, scaled, take } from '../../support/steps';

test('schedules: refreshes, the share of sampled targets, decay and averages as functions of the step', () => {
  const weights = randomWeights(1);
  const preconditioner = network(
    {
      ...fixed,
      useEma: true,
      factorUpdateSteps: (step) => (step < 4 ? 1 : 3),
      fisherFraction: (step) => 1 / (step + 1),
      weightDecay: (step) => (step === 1 ? 0.5 : 0),
      emaMomentum: (step) => (step === 2 ? 0.9 : 0),
      learningRate: 0.1,
    },
    weights,
  );
  const due: boolean[] = [];
  const before = numbersOf(weights);
  for (let step = 0; step < 7; step++) {
    expect(preconditioner.fisherFraction).toBe(1 / (step + 1));
    due.push(preconditioner.refreshDue);
    record(preconditioner, scaled(rowsOf(step), { lossGrads: 1e-9 })); // what moves the weights is the decay
    preconditioner.naturalGradientsSync();
    // weights ← weights·(1 − η·½) at step 1 alone
    const shrunk = before.map((value) => value * (step < 1 ? 1 : 0.95));
    expect(relativeError(numbersOf(weights), shrunk)).toBeLessThan(1e-6);
  }
  expect(due).toEqual([true, true, true, true, false, false, true]);
});

test('the decay of averages as a function of the step', async () => {
  for (const [given, decay] of [
    [() => 0, 0],
    [(step: number) => (step === 0 ? 0.05 : 0.9), 0.05],
    [() => 0.9, 0.1], // β_0 = min(β, 1/10)
  ] as const) {
    const weights = randomWeights(1);
    const before = numbersOf(weights);
    const preconditioner = network({ ...fixed, useEma: true, emaMomentum: given }, weights);
    record(preconditioner, rowsOf(0));
    preconditioner.naturalGradientsSync();
    const expected = numbersOf(weights).map((value, i) => decay * (before[i] ?? 0) + (1 - decay) * value);
    const average = await preconditioner.withAveragedWeights(() => numbersOf(weights));
    expect(relativeError(average, expected)).toBeLessThan(1e-6);
  }
});

test('a schedule that fails leaves everything as it is', () => {
  const weights = randomWeights(1);
  const failing = (step: number) => {
    if (step === 1) throw new Error('no value');
    return 0.5;
  };
  for (const schedule of ['emaMomentum', 'weightDecay', 'momentum'] as const) {
    const preconditioner = network({ ...fixed, useEma: true, [schedule]: failing }, weights);
    record(preconditioner, rowsOf(0));
    preconditioner.naturalGradientsSync();
    const kept = copyOf(weights);
    record(preconditioner, rowsOf(1));
    expect(() => preconditioner.naturalGradientsSync()).toThrow('no value');
    expect(weights).toEqual(kept);
    expect(preconditioner.steps).toBe(1);
  }
});

describe('step sizes', () => {
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

  test('damping that falls: a half, a third and a quarter of what is given, from steps 50, 100 and 150 on', () => {
    const part = (step: number) => (step < 50 ? 1 : step < 100 ? 2 : step < 150 ? 3 : 4);
    for (const options of [
      { damping: { relative: 0.5 } },
      { damping: 0.1 },
      { damping: (step: number) => ({ relative: 0.5 + 0.01 * step }) },
      { damping: { relative: 3 }, dampingMode: 'tikhonov', factorHistory: 'none', factorUpdateSteps: 1 },
    ] as const) {
      const { damping } = options;
      const given = (step: number) => (typeof damping === 'function' ? damping(step) : damping);
      const divided = (step: number) => {
        const value = given(step);
        return typeof value === 'number' ? value / part(step) : { relative: value.relative / part(step) };
      };
      const stepsOf = (more: Partial<PreconditionerOptions>) =>
        take(network({ ...options, ...more }), 205, () => ({ loss: 1 })).map(({ innerProduct, layers }) => [
          innerProduct,
          layers.map((layer) => layer.damping),
        ]);
      const falling = stepsOf({ dampingSchedule: 'falling' });
      expect(falling).toEqual(stepsOf({ damping: divided }));
      expect(falling).not.toEqual(stepsOf({}));
    }
  });

  describe('a share of the curvature that is assumed', () => {
    const told = (share: number | undefined) => (share === undefined ? {} : { assumedCurvature: share });
    /** γ_A of the first layer at steps that tell such shares. */
    const dampings = (options: Partial<PreconditionerOptions>, shares: readonly (number | undefined)[]) => {
      const preconditioner = network({ ...plain, ...options });
      const summaries = shares.flatMap((share) => take(preconditioner, 1, () => ({ loss: 1, ...told(share) }), 0));
      const found = summaries.map(({ layers: [layer] }) => layer?.damping);
      return { preconditioner, found: found.map((each) => (typeof each === 'number' ? each : (each?.input ?? NaN))) };
    };
    const falling = { damping: { relative: 0.5 }, dampingSchedule: 'falling' } as const;

    test('makes falling damping up to six times as large, as it was told when factors were refreshed', () => {
      const { found, preconditioner } = dampings(falling, [undefined, 1, undefined, 0.4, 0, undefined]);
      const [first = Number.NaN] = found;
      expect(found.map((each) => each / first)).toEqual([1, 6, 6, 3, 1, 1].map((each) => expect.closeTo(each, 5)));
      for (const layer of Object.values(preconditioner.stateDict().layers))
        expect(layer).not.toHaveProperty('assumedCurvature');
    });

    test('changes with the factors alone', () => {
      const preconditioner = network({ ...falling, stepRule: 'fixed', factorUpdateSteps: 4 });
      const summaries = Array.from({ length: 20 }, (_, step) =>
        take(preconditioner, 1, () => told(step % 3 === 0 ? 1 : 0)),
      )
        .flat()
        .map(({ refreshed, layers: [layer] }, step) => ({ refreshed, share: step % 3 === 0 ? 1 : 0, layer }));
      expect(summaries.filter(({ refreshed }) => !refreshed).length).toBeGreaterThan(5);
      let share = Number.NaN;
      const ratios = new Map<number, number[]>();
      for (const each of summaries) {
        if (each.refreshed) share = each.share;
        const damping = each.layer?.damping as { readonly output: number; readonly input: number } | undefined;
        ratios.set(share, [...(ratios.get(share) ?? []), damping?.input ?? Number.NaN]);
      }
      // the same rows at each step: the factors' traces hardly move
      expect(Math.min(...(ratios.get(1) ?? [])) / Math.max(...(ratios.get(0) ?? []))).toBeGreaterThan(5);
    });

    test('goes on in a run that is resumed, and not where a step is skipped', () => {
      const { preconditioner, found } = dampings(falling, [0.4]);
      record(preconditioner, rowsOf(0));
      preconditioner.naturalGradientsSync({ loss: Number.NaN, assumedCurvature: 1 });
      for (const layer of Object.values(preconditioner.stateDict().layers))
        expect(layer).toMatchObject({ assumedCurvature: 0.4 });
      const resumed = network({ ...plain, ...falling });
      resumed.loadStateDict(preconditioner.stateDict());
      const [next] = take(resumed, 1, () => ({ loss: 1 }), 0);
      const damping = next?.layers[0]?.damping as { readonly input: number } | undefined;
      expect(damping?.input).toBeCloseTo(found[0] ?? Number.NaN, 6);
    });

    test('leaves other damping as it is', () => {
      for (const options of [
        { damping: { relative: 0.5 }, dampingSchedule: 'constant' },
        { damping: { relative: 0.5 } },
        { damping: 0.5, dampingSchedule: 'falling' },
      ] as const) {
        const { found } = dampings(options, [0, 1]);
        expect((found[1] ?? 0) / (found[0] ?? 1)).toBeCloseTo(1, 6);
      }
    });
  });

  test("damping falls by default with the preset 'adaptive', where none is given", () => {
    const falls = (options: Partial<PreconditionerOptions>) =>
      network(options).report().recipe.includes('falling to a quarter');
    expect(falls({ preset: 'adaptive' })).toBe(true);
    expect(falls({ preset: 'adaptive', damping: { relative: 0.5 } })).toBe(false);
    expect(falls({ preset: 'adaptive', dampingSchedule: 'constant' })).toBe(false);
    expect(falls({ preset: 'adaptive', damping: { relative: 0.1 }, dampingSchedule: 'falling' })).toBe(true);
    expect(falls({ preset: 'adaptive', method: 'cg' })).toBe(false);
    expect(falls({})).toBe(false);
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
