import { info, type PreconditionerOptions, type StepOptions, setThreads, type WeightVector } from 'cgfac';
import { relativeError } from '../../support/golden-case';
import { arraysOf } from '../../support/layers';
import {
  copyOf,
  methods as everyMethod,
  factoredDirection,
  factorOf,
  gradientsOf,
  inner,
  layers,
  matrixOf,
  methodNames,
  network,
  numbersOf,
  randomWeights,
  record,
  rowsOf,
  type TestRows,
  vectors,
} from '../../support/networks';

// The layers are 5×7 to 3×9 with 12 rows; every element is of order 1. A direction in float32 is then right to some
// 2⁻²⁴·N times the condition of the damped factors, which is at most 1 + d/ρ ≈ 10 at ρ = 1: 6e-8 · 12 · 10 ≈ 7e-6. Both
// ways of a comparison round.
const rounding = 2e-5;
// Conjugate gradients and eigenbases of F + λI, λ = 3 mean eigenvalues: condition at most 1 + n·m/3 ≈ 15.
const solved = 5e-5;

/** Solved to the end, that results can be compared. */
const iterated = { tolerance: 0, maxIterations: 60, warmStart: 'none' } as const;
const methods = { ...everyMethod, cg: { ...everyMethod.cg, ...iterated }, auto: { ...everyMethod.auto, ...iterated } };

const fixed = { stepRule: 'fixed', momentum: 0, useEma: false } as const;
type Network = ReturnType<typeof network>;

function naturalSync(preconditioner: Network, options: StepOptions = {}): Float64Array {
  return numbersOf(preconditioner.naturalGradientsSync(options).updates);
}

function steppedSync(
  preconditioner: Network,
  gradients: Record<string, WeightVector>,
  options: StepOptions = {},
): Float64Array {
  preconditioner.stepSync(gradients, options);
  return numbersOf(gradients);
}

/** The rows of two batches as one. */
function joined(a: ReadonlyMap<string, TestRows>, b: ReadonlyMap<string, TestRows>): Map<string, TestRows> {
  const both = (x: Float32Array, y: Float32Array) => Float32Array.from([...x, ...y]);
  return new Map(
    [...a].map(([name, first]) => {
      const second = b.get(name) ?? first;
      const rows = {
        inputs: both(first.inputs, second.inputs),
        lossGrads: both(first.lossGrads, second.lossGrads),
        sampled: both(first.sampled, second.sampled),
        batch: first.batch + second.batch,
        sampledBatch: first.sampledBatch + second.sampledBatch,
      };
      return [name, rows];
    }),
  );
}

/** to ← from, in place. */
function assign(to: Record<string, WeightVector>, from: Record<string, WeightVector>): void {
  for (const [name, vector] of Object.entries(from)) {
    const source = arraysOf(vector);
    arraysOf(to[name] ?? vector).forEach((array, index) => {
      array.set(source[index] ?? []);
    });
  }
}

/** A summary without the clock. */
function timeless(summary: ReturnType<Network['stepSync']>) {
  return { ...summary, layers: summary.layers.map(({ microseconds: _, bytes: __, ...layer }) => layer) };
}

describe.each(methodNames)('%s', (name) => {
  const options = { ...fixed, ...methods[name], factorUpdateSteps: 1 };
  const tolerance = name.startsWith('factored') ? rounding : solved;

  test('step() after an explicit gradient is naturalGradients(), in both forms of a call', async () => {
    const form = async (take: (preconditioner: Network, rows: Map<string, TestRows>) => Promise<Float64Array>) => {
      const preconditioner = network(options);
      const steps: Float64Array[] = [];
      for (const step of [1, 2, 3]) {
        const rows = rowsOf(step);
        record(preconditioner, rows);
        steps.push(await take(preconditioner, rows));
      }
      return steps;
    };
    const natural = await form(async (preconditioner) => naturalSync(preconditioner));
    const naturalLater = await form(async (preconditioner) =>
      numbersOf((await preconditioner.naturalGradients()).updates),
    );
    const stepped = await form(async (preconditioner, rows) => steppedSync(preconditioner, gradientsOf(rows)));
    const steppedLater = await form(async (preconditioner, rows) => {
      const gradients = gradientsOf(rows);
      await preconditioner.step(gradients);
      return numbersOf(gradients);
    });
    expect(naturalLater).toEqual(natural);
    expect(steppedLater).toEqual(stepped);
    natural.forEach((direction, step) => {
      expect(relativeError(stepped[step] ?? [], direction)).toBeLessThan(tolerance);
    });
  });

  test('the summaries of both forms agree', () => {
    const [natural, stepped] = [network(options), network(options)];
    const rows = rowsOf(1);
    for (const each of [natural, stepped]) record(each, rows);
    const { summary } = natural.naturalGradientsSync();
    const other = stepped.stepSync(gradientsOf(rows));
    expect(Math.abs(summary.innerProduct / other.innerProduct - 1)).toBeLessThan(tolerance);
    expect(summary.layers.map(({ name: layer }) => layer)).toEqual(layers.map(({ name: layer }) => layer));
    expect(summary.innerProduct).toBeCloseTo(
      summary.layers.reduce((sum, layer) => sum + layer.innerProduct, 0),
      10,
    );
    for (const layer of [...summary.layers, ...other.layers]) {
      expect(layer.innerProduct).toBeGreaterThan(0);
      expect(layer).toMatchObject({
        inputRows: 12,
        outputRows: 12,
        bytes: expect.any(Number),
        microseconds: expect.any(Number),
      });
    }
  });

  test('two half batches are one batch: with the reduction of each, or divided by accumulationSteps', () => {
    const halves = [rowsOf(1), rowsOf(2)] as const;
    const whole = network(options);
    record(whole, joined(...halves));
    const expected = naturalSync(whole);
    const scaled = (array: Float32Array, factor: number) => array.map((value) => value * factor);
    for (const [given, factor] of [
      [{}, 1],
      [{ lossReduction: 'mean' }, 1 / 12],
      [{ accumulationSteps: 2 }, 1 / 2],
      [{ lossReduction: 'mean', accumulationSteps: 2 }, 1 / 24],
    ] as const) {
      const parts = network({ ...options, ...given });
      for (const half of halves) {
        const rows = [...half].map(
          ([layer, rows]) =>
            [
              layer,
              { ...rows, lossGrads: scaled(rows.lossGrads, factor), sampled: scaled(rows.sampled, factor) },
            ] as const,
        );
        record(parts, new Map(rows));
      }
      // the factors 1/12 and 1/24 round each gradient once more
      expect(relativeError(naturalSync(parts), expected)).toBeLessThan(tolerance);
    }
  });

  test.each([1, 2])(
    'a resumed run has the bits of one that was not interrupted (factors every %d steps)',
    (factorUpdateSteps) => {
      const given = {
        ...options,
        momentum: 0.5,
        useEma: true,
        factorUpdateSteps,
        ...(name === 'cg' ? { warmStart: 'previous' as const } : {}),
      };
      const start = randomWeights(5);
      const run = (preconditioner: Network, from: number, to: number) => {
        const summaries = [];
        for (let step = from; step < to; step++) {
          record(preconditioner, rowsOf(step));
          summaries.push(timeless(preconditioner.naturalGradientsSync().summary));
        }
        return summaries;
      };
      const weights = copyOf(start);
      const whole = network(given, weights);
      const first = run(whole, 0, 5);
      const saved = structuredClone(whole.stateDict());
      const halfway = copyOf(weights);
      const rest = run(whole, 5, 9);
      expect(first[4]?.refreshed).toBe(true);
      expect(rest[0]?.refreshed).toBe(factorUpdateSteps === 1);

      const resumedWeights = copyOf(halfway);
      const resumed = network(given, resumedWeights);
      run(resumed, 20, 21); // other factors, momentum and averages, all replaced
      assign(resumedWeights, halfway);
      resumed.loadStateDict(saved);
      expect(resumed.steps).toBe(5);
      expect(run(resumed, 5, 9)).toEqual(rest);
      expect(resumedWeights).toEqual(weights);
      expect(resumed.stateDict()).toEqual(whole.stateDict());
      expect(resumed.uniforms()()).toBe(whole.uniforms()());
    },
  );

  test('the same bits with one pool thread and with two', () => {
    const threads = info().threads;
    const wide = [{ name: 'wide', inFeatures: 300, outFeatures: 260, bias: true, kernelLayout: 'in-out' as const }];
    try {
      const outcomes = [1, 2].map((count) => {
        setThreads(count);
        const preconditioner = network(options, undefined, wide);
        return [1, 2].map((step) => {
          record(preconditioner, rowsOf(step, 96, 48, wide));
          return naturalSync(preconditioner).slice();
        });
      });
      expect(outcomes[1]).toEqual(outcomes[0]);
    } finally {
      setThreads(threads);
    }
  });

  test('fewer sampled rows than the batch', () => {
    const preconditioner = network(options);
    for (const [layer, { inputs, lossGrads, sampled, batch }] of rowsOf(1, 12, 4)) {
      preconditioner.record(layer, { inputs, lossGrads, batch });
      preconditioner.recordFisher(layer, { outputGrads: sampled, batch: 4 });
    }
    const { summary } = preconditioner.naturalGradientsSync();
    expect(summary.layers.map(({ inputRows, outputRows }) => [inputRows, outputRows])).toEqual(
      layers.map(() => [12, 4]),
    );
    // the rows of the factors, where those are older
    const gradients = gradientsOf(rowsOf(2));
    expect(preconditioner.stepSync(gradients).layers.map(({ outputRows }) => outputRows)).toEqual(layers.map(() => 4));
  });

  test('not finite: skipped, counted, named, and nothing changed; the third in a row is an error', async () => {
    const weights = randomWeights(3);
    const preconditioner = network({ ...options, momentum: 0.5, useEma: true }, weights);
    record(preconditioner, rowsOf(1));
    preconditioner.naturalGradientsSync({ loss: 1 });
    const before = preconditioner.stateDict();
    const kept = copyOf(weights);
    const unchanged = (skipped: number, inARow: number) => {
      expect(weights).toEqual(kept);
      const after = preconditioner.stateDict();
      for (const [layer, { momentum, average }] of Object.entries(before.layers))
        expect(after.layers[layer]).toMatchObject({ momentum, average });
      expect(after.layers).toEqual(before.layers); // the factors, too
      expect(after).toMatchObject({ steps: 1 + skipped, skippedSteps: { total: skipped, inARow } });
    };
    const spoiled = (step: number, what: 'inputs' | 'lossGrads' | 'sampled', value: number) => {
      const rows = rowsOf(step);
      const [, , third] = layers;
      (rows.get(third?.name ?? '') as TestRows)[what][4] = value;
      return rows;
    };

    record(preconditioner, rowsOf(2));
    const first = preconditioner.naturalGradientsSync({ loss: Number.NaN }).summary;
    expect(first).toMatchObject({
      skipped: 'the loss is NaN',
      stepSize: 0,
      refreshed: false,
      skippedSteps: { total: 1, inARow: 1 },
    });
    expect(first.diagnoses[0]).toContain('step 1 was skipped');
    unchanged(1, 1);

    record(preconditioner, spoiled(3, 'lossGrads', Number.POSITIVE_INFINITY));
    const second = (await preconditioner.naturalGradients({ loss: 1 })).summary;
    expect(second.skipped).toMatch(/layer third: .*lossGrads.*(inf|Infinity)/);
    unchanged(2, 2);

    record(preconditioner, spoiled(4, 'inputs', Number.NaN));
    await expect(preconditioner.naturalGradients({ loss: 1 })).rejects.toMatchObject({ code: 'ERR_CGFAC_DIVERGED' });
    unchanged(3, 3);

    record(preconditioner, spoiled(5, 'sampled', Number.NaN));
    expect(() => preconditioner.naturalGradientsSync({ loss: 1 })).toThrow(/4 in a row.*layer third.*outputGrads/);
    unchanged(4, 4);

    // the next one that can be taken ends the row, on its own rows alone
    record(preconditioner, rowsOf(6));
    expect(preconditioner.refreshDue).toBe(true);
    const summary = preconditioner.naturalGradientsSync({ loss: 1 }).summary;
    expect(summary.skipped).toBeUndefined();
    expect(summary).toMatchObject({ skippedSteps: { total: 4, inARow: 0 }, refreshed: true });
    expect(summary.layers[0]?.inputRows).toBe(name === 'factored, no history' ? 24 : 12);
  });

  test.each([Number.NaN, Number.NEGATIVE_INFINITY])('a gradient of %p becomes zero', (value) => {
    const preconditioner = network(options);
    const gradients = gradientsOf(rowsOf(1));
    const { first } = gradients;
    (first as Exclude<WeightVector, Float32Array>).bias[2] = value;
    record(preconditioner, rowsOf(1));
    const summary = preconditioner.stepSync(gradients);
    expect(summary.skipped).toBe('the gradient of layer first is not finite');
    expect(numbersOf(gradients).every((number) => number === 0)).toBe(true);
  });

  test('Σ⟨v, x⟩ that is not positive', () => {
    const preconditioner = network(options);
    const gradients = vectors((length) => new Float32Array(length));
    record(preconditioner, rowsOf(1));
    const summary = preconditioner.stepSync(gradients);
    expect(summary).toMatchObject({ skipped: 'Σ⟨v, x⟩ is 0', innerProduct: 0 });
    expect(numbersOf(gradients).every((number) => number === 0)).toBe(true);
  });

  test('squares beyond float32 are skipped and leave no trace in an average', () => {
    const preconditioner = network(options);
    record(preconditioner, rowsOf(1));
    preconditioner.naturalGradientsSync();
    const huge = rowsOf(2);
    for (const { inputs } of huge.values()) inputs.fill(1e25);
    record(preconditioner, huge);
    expect(preconditioner.naturalGradientsSync().summary.skipped).toContain('inputs');
    record(preconditioner, rowsOf(3));
    expect(preconditioner.naturalGradientsSync().summary.skipped).toBeUndefined();
  });

  test('an abort forgets the rows, leaves weights alone, and frees the object', async () => {
    const weights = randomWeights(3);
    const kept = copyOf(weights);
    const preconditioner = network(options, weights);
    record(preconditioner, rowsOf(1));
    const controller = new AbortController();
    const pending = preconditioner.naturalGradients({ signal: controller.signal });
    expect(() => preconditioner.memoryUsage()).toThrow(expect.objectContaining({ code: 'ERR_CGFAC_BUSY' }));
    controller.abort(new Error('no longer wanted'));
    await expect(pending).rejects.toThrow('no longer wanted');
    expect(weights).toEqual(kept);
    expect(preconditioner.steps).toBe(0);
    expect(() => preconditioner.naturalGradientsSync()).toThrow(
      expect.objectContaining({ code: 'ERR_CGFAC_NO_RECORD' }),
    );
    record(preconditioner, rowsOf(1));
    await expect(preconditioner.naturalGradients({ signal: AbortSignal.abort(new Error('late')) })).rejects.toThrow(
      'late',
    );
    expect(preconditioner.naturalGradientsSync().summary.layers[0]?.inputRows).toBe(12);
  });
});

describe('methods that solve the same system', () => {
  const directions = (options: Partial<PreconditionerOptions>) => {
    const preconditioner = network({ ...fixed, damping: 0.2, factorUpdateSteps: 1, ...options });
    return [1, 2].map((step) => {
      record(preconditioner, rowsOf(step));
      return naturalSync(preconditioner).slice();
    });
  };
  const exact = directions({ method: 'exact', dampingMode: 'tikhonov' });
  test.each([
    ['kfac with decay 0', { method: 'kfac', factorDecay: 0 }, solved],
    // in Gram space it ends at ‖r‖ = 2⁻¹¹‖v‖, below which its recurrence is noise, and ‖x − x*‖ ≤ ‖r‖/λ with ‖v‖ ≈
    // 4λ‖x‖ here
    ['cg with tolerance 0', { method: 'cg', tolerance: 0, maxIterations: 200 }, 4 * 2 ** -11],
    ['auto', { method: 'auto', tolerance: 0, maxIterations: 200 }, 4 * 2 ** -11],
  ] as const)('%s is exact', (_, options, tolerance) => {
    directions(options).forEach((direction, step) => {
      expect(relativeError(direction, exact[step] ?? [])).toBeLessThan(tolerance);
    });
  });
  test('kfac with a decay is another one after the first step', () => {
    const kfac = directions({ method: 'kfac', factorDecay: 0.95 });
    expect(relativeError(kfac[0] ?? [], exact[0] ?? [])).toBeLessThan(solved);
    expect(relativeError(kfac[1] ?? [], exact[1] ?? [])).toBeGreaterThan(0.01);
  });
  test('kfac with factored damping and decay 0 is exact with factored damping', () => {
    const factored = directions({
      method: 'exact',
      dampingMode: 'factored',
      factorHistory: 'none',
      window: 1,
      damping: { relative: 1 },
    });
    const kfac = directions({ method: 'kfac', dampingMode: 'factored', factorDecay: 0, damping: { relative: 1 } });
    kfac.forEach((direction, step) => {
      expect(relativeError(direction, factored[step] ?? [])).toBeLessThan(rounding);
    });
  });
});

describe('factored damping against loops in float64', () => {
  const relative = 0.7;
  const options = { ...fixed, damping: { relative } };
  const expected = (history: readonly Map<string, TestRows>[], decay: number) => {
    const rows = history.at(-1) ?? new Map<string, TestRows>();
    const gradients = gradientsOf(rows);
    return layers.map((layer) => {
      const average = (of: (each: TestRows) => number[][]) =>
        history
          .map((each) => of(each.get(layer.name) as TestRows))
          .reduce((mean, next, k) => {
            // the share of what was there: δ(1 − δ^k)/(1 − δ^(k + 1)), so that the first batch weighs no more than the
            // others
            const kept = (decay * (1 - decay ** k)) / (1 - decay ** (k + 1));
            return mean.map((row, i) => row.map((value, j) => kept * value + (1 - kept) * (next[i]?.[j] ?? 0)));
          });
      const a = average(({ inputs, batch }) => factorOf(inputs, layer.inFeatures, 1 / batch, layer.bias));
      const g = average(({ sampled }) =>
        factorOf(sampled, layer.outFeatures, layer.outFeatures / sampled.length, false),
      );
      const v = matrixOf(gradients[layer.name] ?? new Float32Array(), layer);
      const x = factoredDirection(v, a, g, relative);
      return { x, innerProduct: inner(v, x) };
    });
  };
  test.each([
    ['none', 0],
    ['dense', 0.8],
    ['panel', 0.8],
  ] as const)('history %s', (factorHistory, decay) => {
    const history = [rowsOf(1), rowsOf(2, 12, 6), rowsOf(3, 20, 10)];
    const given = factorHistory === 'none' ? { window: 1 } : { factorDecay: decay };
    const preconditioner = network({ ...options, ...given, factorHistory, factorUpdateSteps: 1 });
    history.forEach((rows, step) => {
      record(preconditioner, rows);
      const { updates, summary } = preconditioner.naturalGradientsSync();
      expected(history.slice(0, step + 1), decay).forEach(({ x, innerProduct }, index) => {
        const layer = layers[index] as (typeof layers)[number];
        const update = matrixOf(updates[layer.name] ?? new Float32Array(), layer);
        expect(relativeError(update.flat(), x.flat())).toBeLessThan(rounding);
        expect(Math.abs((summary.layers[index]?.innerProduct ?? 0) / innerProduct - 1)).toBeLessThan(rounding);
      });
    });
  });

  test.each(['none', 'panel', 'dense'] as const)(
    'history %s: rows that are those of the factor, and the general form for the same rows',
    (history) => {
      const rows = rowsOf(1);
      const preconditioner = network({ ...options, factorHistory: history, factorUpdateSteps: 3 });
      const taken = [0, 1, 2].map(() => {
        record(preconditioner, rows, false);
        const { summary, updates } = preconditioner.naturalGradientsSync();
        return { refreshed: summary.refreshed, x: numbersOf(updates) };
      });
      expect(taken.map(({ refreshed }) => refreshed)).toEqual([true, true, false]);
      expect(relativeError(taken[2]?.x ?? [], taken[1]?.x ?? [])).toBeLessThan(rounding);
    },
  );

  test('rows of shared weights: A sums over the rows of a sample', () => {
    const [layer] = layers;
    if (layer === undefined) throw new Error('no layer');
    const preconditioner = network({ ...options, factorHistory: 'none' }, undefined, [layer]);
    const rows = rowsOf(1, 12, 12, [layer]).get(layer.name) as TestRows;
    preconditioner.record(layer.name, { inputs: rows.inputs, lossGrads: rows.lossGrads, batch: 4 });
    preconditioner.recordFisher(layer.name, { outputGrads: rows.sampled, batch: 4 });
    const { updates } = preconditioner.naturalGradientsSync();
    const v = matrixOf(
      gradientsOf(new Map([[layer.name, { ...rows, batch: 4 }]]), [layer])[layer.name] ?? new Float32Array(),
      layer,
    );
    const a = factorOf(rows.inputs, layer.inFeatures, 1 / 4, layer.bias);
    const g = factorOf(rows.sampled, layer.outFeatures, 1 / 12, false);
    const update = matrixOf(updates[layer.name] ?? new Float32Array(), layer);
    expect(relativeError(update.flat(), factoredDirection(v, a, g, relative).flat())).toBeLessThan(rounding);
  });
});
