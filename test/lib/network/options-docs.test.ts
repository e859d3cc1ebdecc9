import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type {
  CgOptions,
  ConjugateGradientOptions,
  FisherOperatorOptions,
  LayerOptions,
  LayerPreconditionerOptions,
  PreconditionerOptions,
} from 'cgfac';
import type { OptionRow, OptionRows } from '../../../lib/base/option-table';
import * as layer from '../../../lib/layer/option-rows';
import { parseCgOptions, parseLayerOptions } from '../../../lib/layer/options';
import { preconditionerRows } from '../../../lib/network/option-rows';
import { resolvePreconditionerOptions } from '../../../lib/network/options';

const root = resolve(__dirname, '../../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

test('TSDoc and guide are what the tables say', () => {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/generate-options.mjs'), '--check'], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

// The interfaces have the types of the tables. These lines fail to compile where they do not.
type Checked<R extends OptionRow> = ReturnType<R['kind']['check']>;
type Required<R extends OptionRows> = {
  [Name in keyof R]: R[Name] extends { readonly required: true } ? Name : never;
}[keyof R];
type Given<R extends OptionRows> = { readonly [Name in Required<R>]: Checked<R[Name]> } & {
  readonly [Name in Exclude<keyof R, Required<R>>]?: Checked<R[Name]>;
};
type Flat<T> = { [Name in keyof T]: T[Name] };
type Same<A, B> =
  (<T>() => T extends Flat<A> ? 1 : 2) extends <T>() => T extends Flat<B> ? 1 : 2 ? true : { a: Flat<A>; b: Flat<B> };
const same: readonly true[] = [
  true satisfies Same<PreconditionerOptions, Given<typeof preconditionerRows>>,
  true satisfies Same<LayerOptions, Given<typeof layer.layerRows>>,
  true satisfies Same<CgOptions, Given<typeof layer.cgRows>>,
  true satisfies Same<ConjugateGradientOptions, Given<typeof layer.conjugateGradientRows>>,
  true satisfies Same<FisherOperatorOptions, Given<typeof layer.fisherOperatorRows>>,
  true satisfies Same<LayerPreconditionerOptions, Given<typeof layer.layerPreconditionerRows>>,
];

test('six interfaces have the types of their tables', () => {
  expect(same).toHaveLength(6);
});

/** The members of an interface and what an editor shows of them, read without the generator. */
function membersOf(file: string, name: string): Map<string, string> {
  const [, body = ''] = new RegExp(`export interface ${name}\\b[^{]*\\{\\n([\\s\\S]*?)\\n\\}`).exec(read(file)) ?? [];
  const members = body.matchAll(/ {2}\/\*\*([\s\S]*?)\*\/\n {2}readonly (\w+)/g);
  return new Map(
    Array.from(members, ([, comment = '', member = '']) => [member, comment.replace(/\s*\n\s*\* ?|\s+/g, ' ').trim()]),
  );
}

/** The rows of a table of the guide by their first column, read without the generator. */
function guideRows(title: string): Map<string, readonly string[]> {
  const [, section = ''] = read('docs/guide.md').split(`\n### ${title}\n`);
  const [table = ''] = section.split('\n### ');
  const rows = Array.from(table.matchAll(/^\| `(\w+)` \| (.*) \|$/gm), ([, name = '', cells = '']) => [
    name,
    cells.split(' | '),
  ]);
  return new Map(rows as [string, string[]][]);
}

const condition = /(?:with|and|or) `\w+`(?: below \d+| '[\w-]+'(?:(?:,| or) '[\w-]+')*)?/g;

/** The values that a sentence on a default names, its conditions apart. */
function valuesIn(sentence: string): Set<string> {
  const bare = sentence.replace(condition, '');
  return new Set(bare.match(/'[^']*'|\{[^}]*\}|\d+(?:\.\d+)?|\btrue\b|\bfalse\b|\bnone\b/g) ?? []);
}

/** A value as a sentence has it. */
function written(value: unknown): string {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return 'none';
  if (typeof value === 'string') return `'${value}'`;
  return typeof value === 'object'
    ? `{ ${Object.entries(value as object).map(([name, each]) => `${name}: ${each}`)} }`
    : String(value);
}

/** What the options come to, under every choice of those that defaults depend on. */
function networks(): readonly Readonly<Record<string, unknown>>[] {
  const found: Readonly<Record<string, unknown>>[] = [];
  for (const preset of ['adaptive', 'safe', 'reconstruction', 'image-classifier'])
    for (const solve of [
      { method: 'exact' },
      { method: 'exact', dampingMode: 'tikhonov' },
      { method: 'exact', dampingMode: 'tikhonov', trustRegion: { kl: 1 } },
      { method: 'cg' },
      { method: 'auto' },
      { method: 'kfac' },
      { method: 'kfac', dampingMode: 'factored' },
    ])
      for (const more of [{}, { totalSteps: 100 }, { totalSteps: 300 }, { klClip: 0.01 }]) {
        if ('klClip' in more && 'trustRegion' in solve) continue;
        const given = { preset, lossReduction: 'sum', ...solve, ...more };
        found.push({ ...resolvePreconditionerOptions(given, 'Preconditioner') });
      }
  return found;
}

function layers(): readonly Readonly<Record<string, unknown>>[] {
  const shape = { inFeatures: 2, outFeatures: 3, damping: 1, lossReduction: 'sum' };
  return [{}, { method: 'kfac' }, { dampingMode: 'factored' }, { block: 'sample' }].map((given) =>
    parseLayerOptions({ ...shape, ...given }),
  );
}

interface Documented {
  readonly title: string;
  readonly rows: OptionRows;
  readonly tsdoc: ReadonlyMap<string, string>;
  /** Options as they are resolved, under all that defaults depend on. */
  readonly resolved: readonly Readonly<Record<string, unknown>>[];
  /** Those given there, and not defaults. */
  readonly given: readonly string[];
}

const inLayer = (name: string) => membersOf('lib/layer/options.ts', name);
const documented: readonly Documented[] = [
  {
    title: '`Preconditioner`',
    rows: preconditionerRows,
    tsdoc: membersOf('lib/network/options.ts', 'PreconditionerOptions'),
    resolved: networks(),
    given: ['preset', 'method', 'dampingMode', 'trustRegion', 'totalSteps'],
  },
  {
    title: '`LayerPreconditioner`',
    rows: layer.layerPreconditionerRows,
    tsdoc: new Map([...inLayer('LayerOptions'), ...inLayer('LayerPreconditionerOptions')]),
    resolved: layers(),
    given: ['method', 'dampingMode', 'block'],
  },
  {
    title: '`ConjugateGradient`',
    rows: layer.conjugateGradientRows,
    tsdoc: new Map([...inLayer('CgOptions'), ...inLayer('ConjugateGradientOptions')]),
    resolved: [parseCgOptions({})],
    given: [],
  },
];

describe.each(documented)('$title', ({ title, rows, tsdoc, resolved, given }) => {
  const guide = guideRows(title);
  const names = Object.keys(rows);

  test('every option is in its interface and in the guide, and no other', () => {
    expect([...tsdoc.keys()].sort()).toEqual([...names].sort());
    expect([...guide.keys()]).toEqual(names);
  });

  test.each(names)('%s: the defaults that are told are those that hold', (name) => {
    const [, told = ''] = / Default: (.*)\.$/.exec(tsdoc.get(name) ?? '') ?? [];
    if (rows[name]?.required) {
      expect(tsdoc.get(name)).toMatch(/ No default\.$/);
      expect(guide.get(name)?.[1]).toBe('required');
      return;
    }
    expect(guide.get(name)?.[1]).toBe(told);
    const hold = new Set(resolved.map((options) => written(options[name])));
    if (given.includes(name)) expect([...hold]).toEqual(expect.arrayContaining([...valuesIn(told)]));
    else expect(valuesIn(told)).toEqual(hold);
  });
});

test('of budget and tolerance each class tells its own defaults', () => {
  const ofNetwork = membersOf('lib/network/options.ts', 'PreconditionerOptions');
  const ofOptimizer = membersOf('lib/tfjs/options.ts', 'CgOptimizerOptions');
  for (const members of [ofNetwork, ofOptimizer]) {
    expect(members.get('maxIterations')).toMatch(/ Default: 15\.$/);
    expect(members.get('tolerance')).toMatch(/ Default: 0\.3\.$/);
  }
  for (const name of ['CgOptions', 'LayerPreconditionerOptions']) {
    expect(inLayer(name).get('maxIterations')).toMatch(/ Default: 20\.$/);
    expect(inLayer(name).get('tolerance')).toMatch(/ Default: 0\.01\.$/);
  }
});
