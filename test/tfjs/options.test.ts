import { cgOptimizerRows, recipeOptionNames, recipeRows } from '../../lib/tfjs/options';
import { resolveRecipeOptions } from '../../lib/tfjs/step/resolved-options';
import { errorOf } from './support/backends';

/** An error code, or `undefined` where the options are taken. */
async function codeOf(options: object): Promise<string | undefined> {
  try {
    resolveRecipeOptions(options);
  } catch {
    return (await errorOf(() => resolveRecipeOptions(options))).code;
  }
  return undefined;
}

test('the options of its own have defaults', () => {
  const { seed, ...resolved } = resolveRecipeOptions({});
  expect(resolved).toEqual({
    method: 'exact',
    presets: ['adaptive', 'safe', 'reconstruction'],
    chosen: false,
    fisher: 'true',
    given: { seed },
  });
  expect(Number.isSafeInteger(seed) && seed >= 0).toBe(true);
  expect(resolveRecipeOptions({}).seed).not.toBe(seed);
});

test.each([
  [{ rank: 8 }, ['adaptive', 'safe']],
  [{ panelRows: 8 }, ['adaptive', 'safe']],
  [{ factorDecay: 0.5 }, ['adaptive', 'safe']],
  [{ factorDecay: 0.5, factorHistory: 'dense' }, ['adaptive', 'safe', 'reconstruction']],
  [{ window: 8 }, ['reconstruction']],
  [{ preset: 'image-classifier' }, ['image-classifier']],
])('presets that %j fits', (options, presets) => {
  expect(resolveRecipeOptions(options).presets).toEqual(presets);
});

test("with 'cg' every target is sampled unless said otherwise", () => {
  expect(resolveRecipeOptions({ method: 'cg', seed: 1 }).given).toEqual({ method: 'cg', seed: 1, fisherFraction: 1 });
  expect(resolveRecipeOptions({ method: 'cg', fisherFraction: 0.25 }).given).toMatchObject({ fisherFraction: 0.25 });
});

test.each(['factorDecay', 'rank', 'panelRows', 'window', 'preset', 'trustRegion', 'inverseUpdateSteps'])(
  "%s beside 'cg'",
  async (name) => {
    const values: Readonly<Record<string, unknown>> = {
      factorDecay: 0.5,
      preset: 'safe',
      trustRegion: { kl: 1 },
    };
    const options = { method: 'cg', [name]: values[name] ?? 8 };
    const accepted = await Promise.all(
      ['none', 'panel', 'dense'].map(async (factorHistory) => [
        factorHistory,
        await codeOf({ ...options, factorHistory }),
      ]),
    );
    const histories: Readonly<Record<string, readonly string[]>> = {
      factorDecay: ['panel', 'dense'],
      rank: ['panel'],
      panelRows: ['panel'],
      window: ['none'],
    };
    for (const [factorHistory, code] of accepted)
      expect([factorHistory, code]).toEqual([
        factorHistory,
        histories[name]?.includes(factorHistory ?? '') ? undefined : 'ERR_CGFAC_INVALID_ARG_VALUE',
      ]);
  },
);

test('every row is of an option, and in whole sentences', () => {
  expect(recipeOptionNames).toEqual(expect.arrayContaining(Object.keys({ ...recipeRows, ...cgOptimizerRows })));
  for (const { text } of Object.values({ ...recipeRows, ...cgOptimizerRows })) expect(text).toMatch(/^[^\s].*\.$/);
});

test('options may be inherited, or be getters of a class, as those of Preconditioner', async () => {
  class Options {
    readonly learningRate = 0.25;
    get method() {
      return 'cg';
    }
  }
  const inherited = Object.assign(Object.create({ method: 'cg', typo: 1 }), { learningRate: 0.25 });
  for (const options of [inherited, new Options()])
    expect(resolveRecipeOptions(options)).toMatchObject({ method: 'cg', given: { method: 'cg', learningRate: 0.25 } });
  const { code, message } = await errorOf(() => resolveRecipeOptions(Object.assign(new Options(), { typo: 1 })));
  expect([code, message]).toEqual(['ERR_CGFAC_UNKNOWN_OPTION', expect.stringContaining("received 'typo'")]);
});

test('options that are objects are copied: what becomes of them afterwards is not seen', () => {
  const options = { damping: { relative: 0.5 }, skipLayers: ['first'] };
  const { given } = resolveRecipeOptions({ ...options, seed: 1 });
  options.damping.relative = 7;
  options.skipLayers.push('second');
  expect(given).toEqual({ damping: { relative: 0.5 }, skipLayers: ['first'], seed: 1 });
  const trustRegion = { kl: 0.5 };
  const region = resolveRecipeOptions({ method: 'exact', dampingMode: 'tikhonov', stepRule: 'fixed', trustRegion });
  trustRegion.kl = 7;
  expect(region.given).toMatchObject({ trustRegion: { kl: 0.5 } });
});

test('a misspelt name is refused, with the one that was meant', async () => {
  const { code, message } = await errorOf(() => resolveRecipeOptions({ learningrates: 1 }));
  expect(code).toBe('ERR_CGFAC_UNKNOWN_OPTION');
  expect(message).toMatch(/but received 'learningrates'; did you mean 'learningRate'\?$/);
});

test.each([
  [{ lr: 0.1 }, 'ERR_CGFAC_UNKNOWN_OPTION', "received 'lr'; did you mean 'learningRate'?"],
  [{ weight_decay: 0.1 }, 'ERR_CGFAC_UNKNOWN_OPTION', "received 'weight_decay'; did you mean 'weightDecay'?"],
  [{ nesterov: true }, 'ERR_CGFAC_UNKNOWN_OPTION', "received 'nesterov'"],
  [{ preset: 'adaptiv' }, 'ERR_CGFAC_INVALID_ARG_VALUE', "preset but received 'adaptiv'; did you mean 'adaptive'?"],
  [{ method: 'CG' }, 'ERR_CGFAC_INVALID_ARG_VALUE', "method but received 'CG'; did you mean 'cg'?"],
  [{ fisher: 'emprical' }, 'ERR_CGFAC_INVALID_ARG_VALUE', "fisher but received 'emprical'; did you mean 'empirical'?"],
  [{ method: 'adam' }, 'ERR_CGFAC_INVALID_ARG_VALUE', "method but received 'adam'"],
] as const)('%j is refused, with what was meant where that can be told', async (options, code, end) => {
  const error = await errorOf(() => resolveRecipeOptions(options));
  expect(error.code).toBe(code);
  expect(error.message.endsWith(end)).toBe(true);
});

test.each(['lossReduction', 'accumulationSteps', 'adaptiveDamping', 'adaptiveFraction'])(
  '%s is not among its options',
  async (name) => {
    expect(await codeOf({ [name]: 1 })).toBe('ERR_CGFAC_UNKNOWN_OPTION');
  },
);
