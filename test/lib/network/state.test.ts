// What is saved, what is loaded, and what is forgotten.

import { CgfacError, type Preconditioner, type PreconditionerOptions } from 'cgfac';
import {
  copyOf,
  methodNames,
  network,
  numbersOf,
  randomWeights,
  record,
  rowsOf,
  type TestRows,
} from '../../support/networks';
import { assign, fixed, iteratedMethods, type Network, one, plain, take } from '../../support/steps';

/** A summary without the clock. */
function timeless(summary: ReturnType<Network['stepSync']>) {
  return { ...summary, layers: summary.layers.map(({ microseconds: _, bytes: __, ...layer }) => layer) };
}

describe.each(methodNames)('%s', (name) => {
  const options = { ...fixed, ...iteratedMethods[name], factorUpdateSteps: 1 };

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
        [bad({ started: undefined }), 'ERR_CGFAC_INVALID_ARG_TYPE'],
        [bad({ rows: 3 }), 'ERR_CGFAC_INVALID_ARG_TYPE'],
        [bad({ rows: { input: 1, output: -1 } }), 'ERR_CGFAC_INVALID_ARG_VALUE'],
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

test.each(['__proto__', 'constructor', 'toString', ''])(
  "a layer called '%s' has an update and a state like others",
  (name) => {
    const made = () => {
      const preconditioner = network(plain, undefined, []);
      preconditioner.registerDense(name, { inFeatures: 7, outFeatures: 5, bias: true });
      return preconditioner;
    };
    const rows = new Map([[name, rowsOf(1).get('first') as TestRows]]);
    const [whole, resumed] = [made(), made()];
    record(whole, rows);
    const { updates } = whole.naturalGradientsSync({ loss: 1 });
    expect(Object.keys(updates)).toEqual([name]);
    expect(Object.keys(whole.stateDict().layers)).toEqual([name]);
    resumed.loadStateDict(structuredClone(whole.stateDict()));
    const [first, second] = [whole, resumed].map((each) => {
      record(each, rows);
      return Object.entries(each.naturalGradientsSync({ loss: 1 }).updates);
    });
    expect(second).toEqual(first);
    for (const each of [whole, resumed]) {
      record(each, rows);
      expect(Object.keys(each.naturalGradientsSync({ loss: Number.NaN }).updates)).toEqual([name]);
    }
  },
);

test.each(['cg', 'exact', 'auto'] as const)('a convolution whose rows are drawn goes on with them: %s', (method) => {
  const numbers = (length: number, seed: number) =>
    Float32Array.from({ length }, (_, i) => Math.sin(i * 12.9898 + seed * 78.233) * 0.5);
  const made = () => {
    const damping = { damping: 0.1, dampingMode: 'tikhonov' } as const;
    const preconditioner = network(
      { ...fixed, method, ...damping, factorHistory: 'none', factorUpdateSteps: 1 } as Partial<PreconditionerOptions>,
      undefined,
      [],
    );
    const sizes = { filters: 3, kernelSize: [3, 3] as const, inputShape: [7, 7, 2] as const };
    preconditioner.registerConv2d('layer', { ...sizes, bias: false, maxRows: 16 });
    return preconditioner;
  };
  const step = (each: Preconditioner, seed: number) => {
    each.record('layer', { inputs: numbers(4 * 98, seed), lossGrads: numbers(4 * 75, seed + 9), batch: 4 });
    return each.naturalGradientsSync({ loss: 1 }).updates;
  };
  const [whole, resumed] = [made(), made()];
  for (let seed = 0; seed < 3; seed++) step(whole, seed);
  resumed.loadStateDict(whole.stateDict());
  for (let seed = 3; seed < 6; seed++) expect(step(resumed, seed)).toEqual(step(whole, seed));
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
