// What a Preconditioner's layers do besides solving: sites of shared weights, steps that are not taken, factors without
// curvature, short batches, warm starts that lead uphill, and what they tell of their factors.
import { CgfacError, type WeightVector } from 'cgfac';
import { relativeError } from '../../support/golden-case';
import { randomNumbers } from '../../support/layers';
import {
  copyOf,
  gradientsOf,
  methodNames,
  methods,
  network,
  numbersOf,
  randomWeights,
  record,
  rowsOf,
  type TestLayer,
  type TestRows,
} from '../../support/networks';

/** Direct K-FAC's averages are not taken back. */
const undoable = methodNames.filter((name) => !name.startsWith('kfac'));

const fixed = { stepRule: 'fixed', momentum: 0, useEma: false } as const;
const one: readonly TestLayer[] = [{ name: 'only', inFeatures: 6, outFeatures: 4, bias: true, kernelLayout: 'out-in' }];

function only(rows: ReadonlyMap<string, TestRows>): TestRows {
  const found = rows.get('only');
  if (found === undefined) throw new Error('no rows');
  return found;
}

function scaled(
  rows: ReadonlyMap<string, TestRows>,
  factors: Partial<Record<'inputs' | 'lossGrads' | 'sampled', number>>,
) {
  const times = (array: Float32Array, factor = 1) => array.map((value) => value * factor);
  return new Map(
    [...rows].map(([name, { inputs, lossGrads, sampled, ...rest }]) => [
      name,
      {
        ...rest,
        inputs: times(inputs, factors.inputs),
        lossGrads: times(lossGrads, factors.lossGrads),
        sampled: times(sampled, factors.sampled),
      },
    ]),
  );
}

describe.each(methodNames)('%s', (name) => {
  const options = { ...fixed, ...methods[name], factorUpdateSteps: 1 };

  test.each(['sum', 'mean'] as const)('two sites of shared weights are one batch, reduction %s', (lossReduction) => {
    const first = only(rowsOf(1, 12, 12, one));
    const second = only(rowsOf(2, 12, 12, one));
    const divided = (array: Float32Array) => array.map((value) => (lossReduction === 'mean' ? value / 12 : value));
    const sites = network({ ...options, lossReduction }, undefined, one);
    [first, second].forEach(({ inputs, lossGrads, sampled }, site) => {
      sites.record('only', { inputs, lossGrads: divided(lossGrads), batch: 12, site });
      sites.recordFisher('only', { outputGrads: divided(sampled), batch: 12 });
    });
    const together = network({ ...options, lossReduction }, undefined, one);
    const joined = (a: Float32Array, b: Float32Array) => Float32Array.from([...a, ...b]);
    together.record('only', {
      inputs: joined(first.inputs, second.inputs),
      lossGrads: divided(joined(first.lossGrads, second.lossGrads)),
      batch: 12,
    });
    together.recordFisher('only', { outputGrads: divided(joined(first.sampled, second.sampled)), batch: 12 });
    const natural = numbersOf(sites.naturalGradientsSync().updates);
    expect(natural).toEqual(numbersOf(together.naturalGradientsSync().updates));

    // and the gradient is the sum of both sites' own
    const given = network({ ...options, lossReduction }, undefined, one);
    [first, second].forEach(({ inputs, lossGrads, sampled }, site) => {
      given.record('only', { inputs, lossGrads: divided(lossGrads), batch: 12, site });
      given.recordFisher('only', { outputGrads: divided(sampled), batch: 12 });
    });
    const gradients = gradientsOf(
      new Map([
        [
          'only',
          {
            ...first,
            inputs: joined(first.inputs, second.inputs),
            lossGrads: joined(first.lossGrads, second.lossGrads),
            batch: 12,
          },
        ],
      ]),
      one,
    );
    given.stepSync(gradients);
    // 'cg' and 'auto' stop at the residual 0.3: another rounding of v may end them elsewhere
    if (name !== 'cg' && name !== 'auto') expect(relativeError(numbersOf(gradients), natural)).toBeLessThan(2e-5);
  });

  test('no curvature in one layer is no obstacle to the others', () => {
    for (const sampled of [0, 1e-22]) {
      const preconditioner = network({ ...options, damping: { relative: 1 } });
      const rows = new Map([...rowsOf(1)].map(([layer, each]) => [layer, layer === 'second' ? each : { ...each }]));
      const flat = only(new Map([['only', rows.get('second') as TestRows]]));
      rows.set('second', { ...flat, sampled: flat.sampled.map((value) => value * sampled) });
      record(preconditioner, rows);
      const { summary, updates } = preconditioner.naturalGradientsSync();
      expect(summary.skipped).toBeUndefined();
      expect(summary.layers.map(({ reason }) => reason === 'no-curvature')).toEqual([false, true, false]);
      expect(summary.diagnoses).toContain('no curvature in layer second: all its inputs or output gradients are zero');
      expect((updates.second as Float32Array).every((value) => value === 0)).toBe(true);
      expect(numbersOf({ first: updates.first as WeightVector }).some((value) => value !== 0)).toBe(true);
    }
  });

  test('steps with nothing to do are skipped, and are no divergence', () => {
    const preconditioner = network({ ...options, damping: { relative: 1 } });
    for (let step = 0; step < 5; step++) {
      record(preconditioner, scaled(rowsOf(step), { lossGrads: 0 }));
      const { summary } = preconditioner.naturalGradientsSync();
      expect(summary).toMatchObject({ skipped: 'Σ⟨v, x⟩ is 0', skippedSteps: { total: step + 1, inARow: 0 } });
    }
  });

  test('a layer tells its largest eigenvalue, and whether its rows are alike', () => {
    const preconditioner = network({ ...options, damping: { relative: 2 } }, undefined, one);
    record(preconditioner, rowsOf(1, 32, 32, one));
    const [layer] = preconditioner.naturalGradientsSync().summary.layers;
    // at least the mean eigenvalue, at most the trace, over λ = 2 mean eigenvalues (4 of factored damping)
    expect(layer?.lambdaMaxOverDamping).toBeGreaterThan(0.25);
    expect(layer?.lambdaMaxOverDamping).toBeLessThan(7 * 4);
    expect(layer?.stableRank).toMatchObject({ input: expect.any(Number), output: expect.any(Number) });
    expect(layer?.microseconds).toBeGreaterThan(0);

    const alike = network({ ...options, damping: { relative: 2 } }, undefined, one);
    const row = randomNumbers(6, 9);
    const inputs = Float32Array.from({ length: 32 * 6 }, (_, i) => row[i % 6] ?? 0);
    record(alike, new Map([['only', { ...only(rowsOf(1, 32, 32, one)), inputs }]]));
    expect(alike.naturalGradientsSync().summary.diagnoses).toContainEqual(
      expect.stringMatching(/^rank 1\.0 of \d+ in layer only: all inputs alike$/),
    );
  });

  test('damping that dominates is said to', () => {
    const preconditioner = network({ ...options, damping: { relative: 1e4 } }, undefined, one);
    record(preconditioner, rowsOf(1, 32, 32, one));
    expect(preconditioner.naturalGradientsSync().summary.diagnoses).toEqual([
      'damping dominates in layer only: this is gradient descent',
    ]);
  });

  test('a step beyond float32 is skipped', () => {
    const weights = randomWeights(1);
    const kept = copyOf(weights);
    const preconditioner = network({ ...options, damping: 1e-3, learningRate: 1e38 }, weights);
    record(preconditioner, scaled(rowsOf(1), { lossGrads: 1e3 }));
    expect(preconditioner.naturalGradientsSync().summary.skipped).toMatch(/leaves the range of float32/);
    expect(weights).toEqual(kept);
  });
});

describe.each(undoable)('%s: a step that is not taken leaves the factors alone', (name) => {
  const cold = name === 'cg' || name === 'auto' ? { warmStart: 'none' as const } : {};
  const options = { ...fixed, ...methods[name], ...cold, factorUpdateSteps: 1, damping: { relative: 1 } };
  const begun = () => {
    const preconditioner = network(options);
    for (const step of [1, 2]) {
      record(preconditioner, rowsOf(step));
      preconditioner.naturalGradientsSync();
    }
    return preconditioner;
  };

  test('skipped', async () => {
    const expected = numbersOf(await directions(begun()));
    for (const spoiled of [
      { inputs: 1e3, lossGrads: 0 },
      { inputs: 1e15, lossGrads: 1e30, sampled: 1e-3 },
    ]) {
      const preconditioner = begun();
      record(preconditioner, scaled(rowsOf(3), spoiled));
      const { summary } = preconditioner.naturalGradientsSync();
      expect(summary.skipped).toBeDefined();
      expect(summary.refreshed).toBe(false);
      expect(numbersOf(await directions(preconditioner))).toEqual(expected);
    }
  });

  test('aborted', async () => {
    const preconditioner = begun();
    const before = numbersOf(await directions(begun()));
    const controller = new AbortController();
    record(preconditioner, scaled(rowsOf(3), { inputs: 7 }));
    const pending = preconditioner.naturalGradients({ signal: controller.signal });
    controller.abort();
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
    expect(numbersOf(await directions(preconditioner))).toEqual(before);
  });

  test('the first one, aborted', async () => {
    const preconditioner = network(options, undefined, one);
    record(preconditioner, rowsOf(1, 12, 12, one));
    const controller = new AbortController();
    const pending = preconditioner.naturalGradients({ signal: controller.signal });
    controller.abort();
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
    expect(() => preconditioner.stepSync(gradientsOf(rowsOf(1, 12, 12, one), one))).toThrow(
      expect.objectContaining({ code: 'ERR_CGFAC_NO_RECORD' }),
    );
  });

  /** Of a fourth batch. */
  async function directions(preconditioner: ReturnType<typeof network>) {
    record(preconditioner, rowsOf(4));
    return (await preconditioner.naturalGradients()).updates;
  }
});

describe('conjugate gradients', () => {
  const options = { ...fixed, method: 'cg', damping: { relative: 1 }, tolerance: 1e-3, maxIterations: 40 } as const;

  test('a warm start that leads uphill is dropped', () => {
    const few = { ...options, maxIterations: 1, damping: { relative: 0.1 } };
    const preconditioner = network(few, undefined, one);
    let restarts = 0;
    for (let step = 0; step < 30; step++) {
      record(preconditioner, scaled(rowsOf(step, 12, 12, one), { lossGrads: step % 2 === 0 ? 1 : -1e-3 }));
      const { summary } = preconditioner.naturalGradientsSync();
      expect(summary.skipped).toBeUndefined();
      if (summary.layers[0]?.restarted === true) {
        restarts++;
        expect(summary.layers[0]).toMatchObject({ initialResidual: 1 });
      }
    }
    expect(restarts).toBeGreaterThan(0);
  });

  test('a short batch is filled up with rows of the one before', () => {
    const preconditioner = network({ ...options, warmStart: 'none' }, undefined, one);
    const whole = only(rowsOf(1, 12, 12, one));
    const short = only(rowsOf(2, 5, 5, one));
    record(preconditioner, new Map([['only', whole]]));
    preconditioner.naturalGradientsSync();
    record(preconditioner, new Map([['only', short]]));
    const { summary, updates } = preconditioner.naturalGradientsSync();
    expect(summary.layers[0]).toMatchObject({ inputRows: 12, outputRows: 12 });

    const filled = network({ ...options, warmStart: 'none' }, undefined, one);
    const joined = (a: Float32Array, b: Float32Array, features: number) =>
      Float32Array.from([...a, ...b.subarray(0, 7 * features)]);
    const inputs = joined(short.inputs, whole.inputs, 6);
    const sampled = joined(short.sampled, whole.sampled, 4);
    filled.record('only', { inputs, lossGrads: new Float32Array(12 * 4), batch: 12 });
    filled.recordFisher('only', { outputGrads: sampled, batch: 12 });
    const gradients = gradientsOf(new Map([['only', short]]), one);
    filled.stepSync(gradients);
    expect(relativeError(numbersOf(updates), numbersOf(gradients))).toBeLessThan(1e-5);
  });

  test('one long batch makes no others long, and a smaller share of sampled rows is no short batch', () => {
    const preconditioner = network(options, undefined, one);
    const used = [32, 96, 32, 32, 16, 32].map((batch) => {
      record(preconditioner, rowsOf(batch, batch, batch, one));
      const layer = preconditioner.naturalGradientsSync().summary.layers[0];
      return [layer?.inputRows, layer?.outputRows];
    });
    expect(used.map(([input]) => input)).toEqual([32, 96, 96, 32, 32, 32]);
    expect(used.map(([, output]) => output)).toEqual([32, 96, 96, 32, 32, 32]);
    const shares = [1, 0.25, 0.25].map((share) => {
      record(preconditioner, rowsOf(7, 32, 32 * share, one));
      const layer = preconditioner.naturalGradientsSync().summary.layers[0];
      return [layer?.inputRows, layer?.outputRows];
    });
    expect(shares).toEqual([
      [32, 32],
      [32, 8],
      [32, 8],
    ]);
  });
});

test('rank 3 of 64: inputs that lie in few directions', () => {
  const wide: readonly TestLayer[] = [
    { name: 'only', inFeatures: 40, outFeatures: 20, bias: false, kernelLayout: 'out-in' },
  ];
  const directions = [0, 1, 2].map((k) => randomNumbers(40, 50 + k));
  const weights = randomNumbers(64 * 3, 60);
  const inputs = new Float32Array(64 * 40);
  for (let row = 0; row < 64; row++)
    directions.forEach((direction, k) => {
      for (let j = 0; j < 40; j++)
        inputs[row * 40 + j] = (inputs[row * 40 + j] ?? 0) + (weights[row * 3 + k] ?? 0) * (direction[j] ?? 0);
    });
  const preconditioner = network({ ...fixed, factorHistory: 'none', damping: { relative: 0.3 } }, undefined, wide);
  record(preconditioner, new Map([['only', { ...only(rowsOf(1, 64, 64, wide)), inputs }]]));
  expect(preconditioner.naturalGradientsSync().summary.diagnoses).toEqual([
    expect.stringMatching(/^rank 2\.\d of 64 in layer only: its inputs lie in few directions$/),
  ]);
});

test('direct K-FAC tells how many directions its damping leaves', () => {
  for (const dampingMode of ['tikhonov', 'factored'] as const) {
    const preconditioner = network({ ...fixed, method: 'kfac', dampingMode, damping: { relative: 1 } }, undefined, one);
    record(preconditioner, rowsOf(1, 64, 64, one));
    const rank = preconditioner.naturalGradientsSync().summary.layers[0]?.effectiveRank;
    // 7 × 4 eigenvalues of order 1 and the damping like them: about half of each
    const both = typeof rank === 'object' ? rank.input * rank.output : (rank ?? Number.NaN);
    expect(both).toBeGreaterThan(dampingMode === 'factored' ? 4 : 7);
    expect(both).toBeLessThan(dampingMode === 'factored' ? 14 : 21);
  }
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

test('a state with numbers that are none is refused', () => {
  const preconditioner = network({ ...fixed, momentum: 0.5 }, randomWeights(2));
  record(preconditioner, rowsOf(1));
  preconditioner.naturalGradientsSync();
  const state = preconditioner.stateDict();
  const second = state.layers.second as object;
  const kernel = new Float32Array(45).fill(1);
  kernel[7] = Number.NaN;
  for (const what of ['momentum', 'average']) {
    expect(() =>
      preconditioner.loadStateDict({
        ...state,
        layers: { ...state.layers, second: { ...second, [what]: { kernel } } as never },
      }),
    ).toThrow(
      expect.objectContaining({
        code: 'ERR_CGFAC_NOT_FINITE',
        message: `Expected finite numbers for state.layers.second.${what} but received NaN`,
      }),
    );
  }
  for (const adaptation of [
    { damping: -1, fraction: 1, stepsSince: 0 },
    { damping: 1, fraction: 'x', stepsSince: 0 },
    { damping: 1, fraction: 1, stepsSince: -1 },
    7,
  ])
    expect(() => preconditioner.loadStateDict({ ...state, adaptation: adaptation as never })).toThrow(CgfacError);
  expect(preconditioner.stateDict()).toEqual(state);
});

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

test('a step that is skipped before anything is solved keeps the warm start', () => {
  const solves = (skips: boolean) => {
    const preconditioner = network(
      { ...fixed, method: 'cg', damping: { relative: 1 }, maxIterations: 2 },
      undefined,
      one,
    );
    record(preconditioner, rowsOf(1, 12, 12, one));
    preconditioner.naturalGradientsSync();
    if (skips) {
      preconditioner.skip('the loss is NaN');
      record(preconditioner, rowsOf(2, 12, 12, one));
      expect(preconditioner.naturalGradientsSync({ loss: Number.NaN }).summary.skipped).toBe('the loss is NaN');
    }
    record(preconditioner, rowsOf(3, 12, 12, one));
    const { summary, updates } = preconditioner.naturalGradientsSync();
    expect(summary.layers[0]?.initialResidual).not.toBe(1);
    return numbersOf(updates);
  };
  expect(solves(true)).toEqual(solves(false));
});

test('a layer that joins later is sampled for, and averages start with the weights of the first step', async () => {
  const weights = randomWeights(1);
  const preconditioner = network({ ...fixed, useEma: true, factorUpdateSteps: 20, emaMomentum: 0.5 }, undefined, []);
  const register = (name: 'first' | 'second', shape: object) =>
    preconditioner.registerDense(name, {
      ...(shape as { inFeatures: number; outFeatures: number }),
      weights: weights[name] as WeightVector,
    });
  register('first', { inFeatures: 7, outFeatures: 5, bias: true });
  (weights.first as { kernel: Float32Array }).kernel.fill(3); // once it is registered
  for (let step = 0; step < 12; step++) {
    record(preconditioner, new Map([...rowsOf(step)].filter(([name]) => name === 'first')));
    preconditioner.naturalGradientsSync();
    if (step > 0) continue;
    // β_0 = 1/10
    const after = (weights.first as { kernel: Float32Array }).kernel.slice();
    const average = await preconditioner.withAveragedWeights(() =>
      (weights.first as { kernel: Float32Array }).kernel.slice(),
    );
    for (const [i, value] of after.entries()) expect(average[i]).toBeCloseTo(0.1 * 3 + 0.9 * value, 5);
  }
  expect(preconditioner.refreshDue).toBe(false);
  register('second', { inFeatures: 5, outFeatures: 9, bias: false, kernelLayout: 'in-out' });
  expect(preconditioner.refreshDue).toBe(true);
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

test('three losses that are not finite keep the warm start', () => {
  const preconditioner = network(
    { ...fixed, method: 'cg', damping: { relative: 1 }, maxIterations: 2 },
    undefined,
    one,
  );
  record(preconditioner, rowsOf(1, 12, 12, one));
  preconditioner.naturalGradientsSync();
  const before = preconditioner.stateDict().layers;
  for (let skip = 0; skip < 3; skip++) {
    record(preconditioner, rowsOf(2, 12, 12, one));
    const step = () => preconditioner.naturalGradientsSync({ loss: Number.NaN });
    if (skip < 2) step();
    else expect(step).toThrow(expect.objectContaining({ code: 'ERR_CGFAC_DIVERGED' }));
  }
  expect(preconditioner.stateDict().layers).toEqual(before);
});

test('factors of a state that are no factors are refused', () => {
  const preconditioner = network({ ...fixed }, undefined, one);
  record(preconditioner, rowsOf(1, 12, 12, one));
  preconditioner.naturalGradientsSync();
  const state = preconditioner.stateDict();
  const { factors } = state.layers.only ?? {};
  if (factors === undefined) throw new Error('no factors');
  const numbers = (place: number, value: number) =>
    factors.input.numbers.map((number, i) => (i === place ? value : number));
  const bad: unknown[] = [
    null,
    7,
    ...[Number.NaN, -1].flatMap((value) =>
      [1, 3].map((place) => ({ ...factors, input: { ...factors.input, numbers: numbers(place, value) } })),
    ),
  ];
  for (const each of bad)
    expect(() =>
      preconditioner.loadStateDict({
        ...state,
        layers: { only: { ...state.layers.only, started: true, factors: each as never } },
      }),
    ).toThrow(CgfacError);
});
