import { CgfacError } from '../../../lib/base/errors';
import { local } from '../../../lib/base/local';
import type { OptionRow, OptionRows, Term, Where } from '../../../lib/base/option-table';
import { conjugateGradientRows, fisherOperatorRows, layerPreconditionerRows } from '../../../lib/layer/option-rows';
import { parseLayerOptions } from '../../../lib/layer/options';
import { preconditionerRows } from '../../../lib/network/option-rows';
import { recipeOf, resolvePreconditionerOptions, scheduled } from '../../../lib/network/options';

const methods = ['auto', 'cg', 'exact', 'kfac'] as const;
const modes = ['tikhonov', 'factored'] as const;
const histories = ['none', 'panel', 'dense'] as const;

const resolve = (options: object) =>
  resolvePreconditionerOptions({ lossReduction: 'sum', ...options }, 'Preconditioner');
const layerOptions = { inFeatures: 2, outFeatures: 3, damping: 1, lossReduction: 'sum' };
const parse = (options: object) => parseLayerOptions({ ...layerOptions, ...options });

/** The message of a refusal; `undefined` where there is none. Any other code than that of a value is an error. */
function refusal(resolving: () => unknown): string | undefined {
  try {
    resolving();
  } catch (error) {
    if (error instanceof CgfacError && error.code === 'ERR_CGFAC_INVALID_ARG_VALUE') return error.message;
    throw error;
  }
  return undefined;
}

const common = {
  klClip: 0.01,
  trustRegion: undefined,
  adapted: 'nothing',
  learningRate: 1,
  learningRateSchedule: 'constant',
  totalSteps: undefined,
  weightDecay: 0,
  useEma: true,
  emaMomentum: 0.99,
  inverseUpdateSteps: 1,
  factorDecay: 0.95,
  panelRows: 128,
  fisherFraction: 0.5,
  accumulationSteps: 1,
  warmStart: 'previous',
  skipLayers: [],
  seed: 0,
  cg: { maxIterations: 15, tolerance: 0.3, space: 'auto' },
};
const safe = { preset: 'safe', polyakFraction: 1, rank: 128 };
const exact = { method: 'exact', stepRule: 'polyak', momentum: 0.5, factorUpdateSteps: 5 };
const other = { stepRule: 'kl-clip', momentum: 0, factorUpdateSteps: 1, dampingMode: 'tikhonov' };
const factored = { dampingMode: 'factored', window: 256 };

describe('defaults of a network', () => {
  test.each([
    [{}, { ...safe, ...exact, ...factored, damping: { relative: 1 }, factorHistory: 'panel' }],
    [
      { preset: 'reconstruction' },
      {
        ...exact,
        ...factored,
        preset: 'reconstruction',
        polyakFraction: 0.5,
        rank: 128,
        damping: { relative: 0.3 },
        factorHistory: 'none',
        factorUpdateSteps: 2,
      },
    ],
    [
      { preset: 'image-classifier' },
      {
        ...exact,
        ...factored,
        preset: 'image-classifier',
        polyakFraction: 2,
        momentum: 0,
        rank: 64,
        damping: { relative: 0.3 },
        factorHistory: 'panel',
        factorUpdateSteps: 10,
      },
    ],
    [
      { dampingMode: 'tikhonov' },
      { ...safe, ...exact, damping: { relative: 3 }, factorHistory: 'none', window: undefined },
    ],
    [
      { dampingMode: 'tikhonov', trustRegion: { kl: 2 } },
      { ...safe, ...exact, stepRule: 'fixed', trustRegion: { kl: 2 }, factorHistory: 'none', window: undefined },
    ],
    [{ method: 'cg' }, { ...safe, ...other, damping: { relative: 10 }, factorHistory: 'none', window: undefined }],
    [{ method: 'auto' }, { ...safe, ...other, damping: { relative: 3 }, factorHistory: 'none', window: undefined }],
    [{ method: 'kfac' }, { ...safe, ...other, damping: { relative: 3 }, factorHistory: 'dense', window: undefined }],
    [
      { method: 'kfac', dampingMode: 'factored' },
      { ...safe, ...other, dampingMode: 'factored', damping: { relative: 3 }, factorHistory: 'dense' },
    ],
    [{ totalSteps: 199 }, { totalSteps: 199, emaMomentum: 0.95 }],
    [{ totalSteps: 200 }, { totalSteps: 200, emaMomentum: 0.99 }],
    [{ adaptiveDamping: true }, { adapted: 'damping' }],
    [{ adaptiveFraction: true }, { adapted: 'fraction' }],
  ])('with %j', (options, expected) => {
    expect(resolve(options)).toMatchObject({ ...common, lossReduction: 'sum', ...options, ...expected });
  });
});

describe('defaults of a layer', () => {
  const ofLayer = {
    bias: false,
    kernelLayout: 'out-in',
    maxIterations: 20,
    tolerance: 0.01,
    space: 'auto',
    warmStart: 'previous',
    factorUpdateSteps: 1,
    inverseUpdateSteps: 1,
    factorDecay: 0.95,
    dampingMode: 'tikhonov',
    block: 'kronecker',
    factorHistory: 'none',
    rank: 128,
    panelRows: 128,
  };
  test.each([
    [{}, { method: 'cg' }],
    [{ dampingMode: 'factored' }, { method: 'exact' }],
    [{ block: 'sample' }, { method: 'exact' }],
    [{ method: 'kfac' }, { factorHistory: 'dense' }],
    [{ method: 'auto' }, {}],
  ])('with %j', (options, expected) => {
    expect(parse(options)).toEqual({ ...layerOptions, ...ofLayer, ...options, ...expected });
  });
});

const notWithKfac = "direct K-FAC's factors are dense running averages";

describe('method × dampingMode × factorHistory', () => {
  const cases = methods.flatMap((method) =>
    modes.flatMap((dampingMode) => histories.map((factorHistory) => ({ method, dampingMode, factorHistory }))),
  );

  test.each(cases)('of a network: %j', (options) => {
    const { method, dampingMode, factorHistory } = options;
    const message = refusal(() => resolve(options));
    if (dampingMode === 'factored' && (method === 'cg' || method === 'auto'))
      expect(message).toBe(
        `Expected 'exact' or 'kfac' with dampingMode 'factored' for method but received '${method}'`,
      );
    else if (method === 'kfac' && factorHistory !== 'dense') expect(message).toContain(notWithKfac);
    else expect(resolve(options)).toMatchObject(options);
  });

  test.each(cases.flatMap((each) => (['kronecker', 'sample'] as const).map((block) => ({ ...each, block }))))(
    'of a layer: %j',
    (options) => {
      const { method, dampingMode, factorHistory, block } = options;
      const message = refusal(() => parse(options));
      if (dampingMode === 'factored' && method === 'cg')
        expect(message).toBe(
          "Expected 'exact', 'kfac' or 'auto' with dampingMode 'factored' for method but received 'cg'",
        );
      else if (block === 'sample' && dampingMode === 'factored')
        expect(message).toBe("Expected 'tikhonov' with block 'sample' for dampingMode but received 'factored'");
      else if (block === 'sample' && (method === 'cg' || method === 'kfac'))
        expect(message).toBe(`Expected 'exact' or 'auto' with block 'sample' for method but received '${method}'`);
      else if (block === 'sample' && factorHistory !== 'none')
        expect(message).toContain('a sum over samples has no factors to average');
      else if (method === 'kfac' && factorHistory !== 'dense') expect(message).toContain(notWithKfac);
      else expect(parse(options)).toMatchObject(options);
    },
  );

  const byHistory = { none: ['window'], panel: ['factorDecay', 'rank', 'panelRows'], dense: ['factorDecay'] };
  const possible = cases.filter((options) => refusal(() => resolve(options)) === undefined);
  test.each(possible)('what goes with averages and what without: %j', (options) => {
    const allowed = ['window', 'factorDecay', 'rank', 'panelRows'].filter(
      (name) => refusal(() => resolve({ ...options, [name]: name === 'factorDecay' ? 0.5 : 8 })) === undefined,
    );
    expect(allowed.sort()).toEqual([...byHistory[options.factorHistory]].sort());
    const ofLayer = ['factorUpdateSteps', 'factorDecay', 'rank', 'panelRows'].filter(
      (name) => refusal(() => parse({ ...options, [name]: name === 'factorDecay' ? 0.5 : 8 })) === undefined,
    );
    const averaged = options.factorHistory === 'none' ? [] : ['factorUpdateSteps'];
    const expected = [...byHistory[options.factorHistory].filter((name) => name !== 'window'), ...averaged];
    expect(ofLayer.sort()).toEqual(expected.sort());
  });
});

/** A value that an option takes, whatever stands beside it. */
const samples: Readonly<Record<string, unknown>> = {
  maxRelativeChange: 2,
  polyakFraction: 2,
  klClip: 2,
  trustRegion: { kl: 1 },
  adaptiveDamping: true,
  adaptiveFraction: true,
  inverseUpdateSteps: 2,
  factorUpdateSteps: 2,
  factorDecay: 0.5,
  rank: 8,
  panelRows: 8,
  window: 8,
  warmStart: 'none',
  maxIterations: 3,
  tolerance: 0.5,
  space: 'gram',
  ownerRows: 'own',
  weightCheckSteps: 5,
};

/** Settings of the options that others depend on. */
const settings = methods.flatMap((method) =>
  modes.flatMap((dampingMode) =>
    histories.flatMap((factorHistory) =>
      (['auto', 'polyak', 'quadratic', 'kl-clip', 'fixed'] as const).flatMap((stepRule) =>
        [{}, { trustRegion: { kl: 1 } }, { adaptiveDamping: true }, { communicator: local() }].map((more) => ({
          ...{ method, dampingMode, factorHistory, stepRule },
          ...more,
        })),
      ),
    ),
  ),
);
const accepted = settings.filter((setting) => refusal(() => resolve(setting)) === undefined);

test('there are settings to try', () => {
  expect(accepted.length).toBeGreaterThan(40);
  expect(settings.length - accepted.length).toBeGreaterThan(40);
});

describe('where an option may be given', () => {
  const meets = (setting: Readonly<Record<string, unknown>>, where: Where) =>
    Object.entries(where).every(([name, term]) =>
      Array.isArray(term)
        ? term.includes(setting[name])
        : 'absent' in term
          ? setting[name] === undefined
          : setting[name] !== undefined,
    );
  const limited = Object.entries<OptionRow>(preconditionerRows).filter(([, { only }]) => only !== undefined);

  test.each(limited)('%s: there alone, and is refused by name elsewhere', (name, { only = [] }) => {
    const tried = { refused: 0, taken: 0 };
    for (const setting of accepted) {
      if (name in setting) continue;
      const message = refusal(() => resolve({ ...setting, [name]: samples[name] }));
      if (only.every((where) => meets(setting, where))) {
        // what it does to others is theirs: a damping that adapts is refused beside a trust region, by its own name
        if (name === 'trustRegion' && 'adaptiveDamping' in setting) expect(message).toContain('adaptiveDamping');
        else expect(message).toBeUndefined();
        tried.taken++;
      } else {
        expect(message).toMatch(new RegExp(`^Expected .* with the option ${name} but received .*`));
        tried.refused++;
      }
    }
    expect(Math.min(tried.refused, tried.taken)).toBeGreaterThan(0);
  });
});

const tables: Readonly<Record<string, OptionRows>> = {
  preconditionerRows,
  layerPreconditionerRows,
  fisherOperatorRows,
  conjugateGradientRows,
};

describe.each(Object.entries(tables))('the table %s', (_, rows) => {
  const wheres = Object.values(rows).flatMap(({ only = [], values = {} }) => [
    ...only,
    ...Object.values(values).flatMap(({ needs = [] }) => needs.map(({ where }) => where)),
  ]);
  const terms: [string, Term][] = wheres.flatMap((where) => Object.entries(where));

  test('names options and values that there are', () => {
    expect(terms.length === 0).toBe(rows === conjugateGradientRows || rows === fisherOperatorRows);
    for (const [name, term] of terms) {
      expect(rows).toHaveProperty(name);
      if (!Array.isArray(term)) continue;
      for (const value of term) expect(rows[name]?.kind.check(value, name, () => undefined)).toBe(value);
    }
  });

  test('says what each option is in whole sentences', () => {
    for (const [name, { text }] of Object.entries(rows)) {
      expect([name, text]).toEqual([name, expect.stringMatching(/^[^\s].*\.$/)]);
      expect(text).not.toMatch(/\s\s|\bdefault:/i);
    }
  });
});

test('every default passes its own check', () => {
  for (const setting of accepted) {
    for (const preset of ['adaptive', 'safe', 'reconstruction', 'image-classifier'] as const) {
      const { cg: _, adapted: __, ...resolved } = resolve({ ...setting, preset });
      for (const [name, value] of Object.entries(resolved)) {
        const { kind } = preconditionerRows[name as keyof typeof preconditionerRows] as OptionRow;
        if (value !== undefined) expect([name, kind.check(value, name, () => undefined)]).toEqual([name, value]);
      }
    }
  }
});

test('the checks of schedules are those of the rows', () => {
  expect(Object.keys(scheduled)).toEqual([
    'damping',
    'polyakFraction',
    'klClip',
    'learningRate',
    'momentum',
    'weightDecay',
    'emaMomentum',
    'factorUpdateSteps',
    'fisherFraction',
  ]);
  expect(scheduled.momentum(0.5, 'momentum(3)')).toBe(0.5);
  expect(() => scheduled.momentum(1, 'momentum(3)')).toThrow(
    'Expected a number ≥ 0 and < 1 for momentum(3) but received 1',
  );
});

test.each([
  [{}, 'exact with factored damping (1 × mean eigenvalue), polyak steps, panels of rank 128, factors every 5 steps'],
  [
    { preset: 'reconstruction', damping: 0.5, factorUpdateSteps: 1 },
    "exact with factored damping (0.5), polyak steps, the batch's own factors, factors every step",
  ],
  [{ method: 'cg' }, 'cg with tikhonov damping (10 × mean eigenvalue), kl-clip steps, factors every step'],
  [
    { method: 'cg', factorHistory: 'panel', rank: 32, damping: () => 1 },
    'cg with tikhonov damping (a function of the step), kl-clip steps, panels of rank 32, factors every step',
  ],
  [
    { dampingMode: 'tikhonov', factorHistory: 'dense', factorUpdateSteps: () => 3 },
    'exact with tikhonov damping (3 × mean eigenvalue), polyak steps, dense averages, factors as a function tells',
  ],
  [{ method: 'kfac' }, 'kfac with tikhonov damping (3 × mean eigenvalue), kl-clip steps, factors every step'],
])('the recipe of %j in one sentence', (options, sentence) => {
  expect(recipeOf(resolve(options))).toBe(sentence);
});
