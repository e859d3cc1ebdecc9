/** States with numbers that no preconditioner has: refused with a code, and nothing is changed. */
import { CgfacError, Preconditioner, type PreconditionerOptions, type PreconditionerState } from 'cgfac';
import { diagonalLayer, type KindLayer, kindLayers, kindRows, recordKind } from '../../support/kind-layers';

const denseLayer = (inFeatures: number): KindLayer => ({
  name: 'dense',
  register: (preconditioner, { maxRows: _, ...more } = {}) => {
    preconditioner.registerDense('layer', { inFeatures, outFeatures: 4, ...more });
  },
  kernel: 4 * inFeatures,
  bias: 4,
  inputs: inFeatures,
  outputs: 4,
});

const dense = denseLayer(9);
/** One whose input side is long enough for a panel. */
const long = denseLayer(220);
const fixed = { lossReduction: 'sum', stepRule: 'fixed', damping: { relative: 0.5 } } as const;
const recipes = {
  panel: { factorHistory: 'panel', rank: 5 },
  dense: { factorHistory: 'dense' },
  none: { factorHistory: 'none' },
  kfac: { method: 'kfac' },
  cg: { method: 'cg' },
} as const;

function trained(layer: KindLayer, options: Partial<PreconditionerOptions> = {}): Preconditioner {
  const preconditioner = new Preconditioner({ ...fixed, ...options } as PreconditionerOptions);
  layer.register(preconditioner);
  for (const seed of [1, 2, 3]) {
    recordKind(preconditioner, kindRows(layer, seed));
    preconditioner.naturalGradientsSync({ loss: 1 });
  }
  return preconditioner;
}

type Path = readonly string[];

/** The paths of all arrays with numbers, but those that count. */
function arraysIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [];
  if (ArrayBuffer.isView(value)) return value.byteLength > 0 && path.at(-1) !== 'numbers' ? [path] : [];
  return Object.entries(value).flatMap(([name, each]) => arraysIn(each, [...path, name]));
}

/** A copy in which one value is another. */
function changed<T>(value: T, [name, ...rest]: Path, change: (value: never) => unknown): T {
  if (name === undefined) return change(value as never) as T;
  const of = value as Readonly<Record<string, unknown>>;
  return { ...of, [name]: changed(of[name], rest, change) } as T;
}

const spoil = {
  negated: (x: number) => -Math.abs(x) - 1,
  'of the largest numbers': () => 3e38,
  'times 1e20': (x: number) => x * 1e20,
};

/** What may be negative, or of any size. */
const free = ['momentum', 'average'];
const rows = ['rows', 'inputs', 'outputGrads', 'previous'];

/** Whether a change makes numbers of what none can be: rows alone may well be negative, and long a solution. */
function spoils(path: Path, how: keyof typeof spoil, factorHistory: string): boolean {
  const name = path.at(-1) ?? '';
  if (free.includes(path[2] ?? '') || name === 'previous') return false;
  if (how === 'negated' && rows.includes(name)) return factorHistory === 'panel';
  return name !== 'inputValues' && name !== 'outputValues' ? true : how === 'negated';
}

function expectRefused(preconditioner: Preconditioner, state: PreconditionerState, words: string): void {
  const before = preconditioner.stateDict();
  let thrown: unknown;
  try {
    preconditioner.loadStateDict(state);
  } catch (error) {
    thrown = error;
  }
  expect([words, thrown]).toEqual([words, expect.any(CgfacError)]);
  expect(preconditioner.stateDict()).toEqual(before);
}

describe.each(Object.entries(recipes))('with %s', (recipe, options) => {
  const layers = [recipe === 'panel' ? long : dense, ...kindLayers, diagonalLayer];
  test.each(layers.map((layer) => [layer.name, layer] as const))('factors of %s', (_, layer) => {
    const preconditioner = trained(layer, options);
    const state = preconditioner.stateDict();
    preconditioner.loadStateDict(state);
    const arrays = arraysIn(state);
    expect(arrays.length).toBeGreaterThan(2);
    for (const path of arrays)
      for (const [how, map] of Object.entries(spoil)) {
        if (!spoils(path, how as keyof typeof spoil, recipe)) continue;
        const copy = changed(state, path, (array: Float32Array) => array.map(map));
        expectRefused(preconditioner, copy, `${path.join('.')} ${how}`);
      }
  });
});

describe('counts and what was adapted', () => {
  const table: readonly (readonly [Path, unknown])[] = [
    [['adaptation', 'damping'], 1e300],
    [['adaptation', 'damping'], 1e-5],
    [['adaptation', 'damping'], 10_001],
    [['adaptation', 'fraction'], 17],
    [['adaptation', 'fraction'], 0],
    [['adaptation', 'stepsSince'], 4],
    [['adaptation', 'momentumProduct'], Number.NaN],
    [['adaptation', 'agreementSquare'], 0],
    [['adaptation', 'agreementSquare'], 1.1],
    [['adaptation', 'last'], null],
    [['layers', 'layer', 'momentumProduct'], Number.POSITIVE_INFINITY],
    [['layers', 'layer', 'assumedCurvature'], -0.1],
    [['layers', 'layer', 'assumedCurvature'], 1.1],
    [['skippedSteps', 'total'], 4],
    [['skippedSteps', 'inARow'], 1],
  ];
  test.each(table)('%j of %d', (path, value) => {
    const preconditioner = trained(dense, { stepRule: 'polyak' });
    const state = preconditioner.stateDict();
    expectRefused(
      preconditioner,
      changed(state, path, () => value),
      path.join('.'),
    );
  });

  test('at the ends of their ranges are those of a preconditioner', () => {
    for (const [damping, fraction] of [
      [1e4, 16],
      [1e-4, 1 / 16],
    ]) {
      const preconditioner = trained(dense);
      const state = preconditioner.stateDict();
      preconditioner.loadStateDict({ ...state, adaptation: { damping, fraction, stepsSince: 3 } as never });
      expect(preconditioner.stateDict().adaptation).toMatchObject({ damping, fraction, stepsSince: 3 });
    }
  });
});
