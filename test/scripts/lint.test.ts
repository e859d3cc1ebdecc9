/** The checks of scripts/lint on a tree of small files: each fault is found, and nothing else. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const scripts = resolve(__dirname, '../../scripts/lint');

/** A file of the tree, and a part of what is said of it, with its line; nothing where it passes. */
type Case = readonly [what: string, path: string, text: string, finding?: string | undefined];

/** One tree with the files of all cases, checked once; a test for each of them. */
function testCheck(check: string, cases: readonly Case[]): void {
  describe(check, () => {
    let said: readonly string[] = [];
    beforeAll(() => {
      const tree = mkdtempSync(join(tmpdir(), 'cgfac-lint-'));
      for (const [, path, text] of cases) {
        mkdirSync(dirname(join(tree, path)), { recursive: true });
        writeFileSync(join(tree, path), text);
      }
      const program = join(scripts, `${check}.mjs`);
      const { status, stderr } = spawnSync(process.execPath, [program, tree], { encoding: 'utf8' });
      rmSync(tree, { recursive: true });
      said = stderr.split('\n').filter(Boolean);
      expect(status).toBe(1);
    });

    test.each(cases.map(([what, path, , finding]) => ({ what, path, finding })))('$what', ({ path, finding }) => {
      const own = said.filter((line) => line.startsWith(`${path}:`));
      expect(own).toEqual(finding === undefined ? [] : [expect.stringContaining(`${path}:${finding}`)]);
    });
  });
}

const lines = (count: number, line = '  step();') => Array.from({ length: count }, () => line).join('\n');
const functionOf = (length: number) => `function long() {\n${lines(length - 2)}\n}\n`;
const describing = (head: string) => `${head} => {\n${lines(100)}\n});\n`;

testCheck('lengths', [
  ['120 characters, not bytes', 'a.ts', `// ${'λ'.repeat(117)}\n`],
  ['a row of a table', 'a.md', `| ${'x'.repeat(200)} |\n`],
  ['the target of a link', 'b.md', `[text](https://example.org/${'x'.repeat(120)}) and ${'x'.repeat(90)}\n`],
  ['350 lines', 'binding/a.cpp', `${lines(350)}\n`],
  ['121 characters', 'b.ts', `\n// ${'λ'.repeat(118)}\n`, '2: a line of 121 characters; at most 120'],
  ['a long line of a script', 'a.sh', `# ${'x'.repeat(119)}\n`, '1: a line of 121 characters'],
  ['a long line of prose', 'c.md', `${'word '.repeat(25)}\n`, '1: a line of 125 characters'],
  ['351 lines', 'binding/b.cpp', `${lines(351)}\n`, '351: a file of 351 lines; at most 350'],
]);

testCheck('function-length', [
  ['60 lines', 'lib/a.ts', functionOf(60)],
  ['a long list of tests', 'test/a.test.ts', describing("describe('all', ()")],
  ['a long list of tests, for each', 'test/b.test.ts', describing("describe.each([1])('%d', ()")],
  ['61 lines', 'lib/b.ts', functionOf(61), '1: long: 61 lines; at most 60'],
  ['a list of tests outside of tests', 'lib/c.ts', describing("describe('all', ()"), '1: describe: 102 lines'],
  ['a long test', 'test/c.test.ts', describing("test('one', ()"), '1: test: 102 lines'],
  ['a silenced check', 'binding/a.cpp', '// NOLINTNEXTLINE(readability-function-size)\n', '1: the check of'],
]);

testCheck(
  'export-sentences',
  (
    [
      ['/** The square of a number. */\nexport const square = (x: number) => x * x;\n'],
      ['/** ‖x − y‖/‖y‖, in float64. */\nexport function error(x: number, y: number): number;\n'],
      ['/** x ← x + αy, in place. */\nexport function axpy(): void {}\n'],
      ['/** A form with two overloads. */\nexport function f(): void;\nexport function f(x?: number): void {}\n'],
      ['const hidden = 1;\nexport { hidden };\n'],
      ['/** A pair of two numbers. */\nexport interface Pair {\n  /** Default: 1. */\n  a: number;\n  b: number;\n}\n'],
      ['export const a = 1;\n', '1: a is not documented'],
      ['/** The same. */\nexport const a = 1;\n', '2: a has a comment that leans on the one before'],
      ['/** The same for the other side. */\nexport const a = 1;\n', '2: a has a comment that leans'],
      ['/** Their names, in order. */\nexport const a = 1;\n', '2: a has a comment that leans'],
      ['/** the square of a number. */\nexport const a = 1;\n', '2: a has a comment that begins with a small letter'],
      ['/** The square of a number */\nexport const a = 1;\n', '2: a has a comment without a full stop'],
      ['/** A square. */\nexport const a = 1;\n', '2: a has a comment of fewer than 4 words'],
      ['/** @returns A number. */\nexport function a(): number;\n', '2: a has a comment without a summary'],
      [
        '/** A pair of two numbers. */\nexport interface Pair {\n  /** Of the other. */\n  a: number;\n}\n',
        '4: Pair.a has a comment that leans',
      ],
    ] as const
  ).map(([text, finding], index): Case => [JSON.stringify(text), `lib/${index}.ts`, text, finding]),
);

const header = (body: string) => `#pragma once\n\nnamespace cgfac {\n\n${body}\n\n}  // namespace cgfac\n`;
const inClass = (body: string) => header(`/// Holds two numbers.\nclass Pair {\n public:\n${body}\n};`);

testCheck(
  'cpp-comments',
  (
    [
      ['a documented function', header('/// Adds two numbers.\nvoid add(int a,\n         int b);')],
      ['a run of overloads', header('/// Adds two numbers.\nvoid add(int a);\nvoid add(float a);')],
      ['a declaration ahead', header('class Pair;\ntemplate <typename T>\nclass List;')],
      ['a formula', header('/// y ← y + α x\nvoid axpy(int a);')],
      ['a listing', header('/// The two of them are:\n///   a   first\n///   b   second\nvoid add(int a);')],
      ['an inline member', inClass('  int first() const { return first_; }')],
      ['what the class tells of', inClass('  Pair() = default;\n  explicit Pair(\n      int a);\n  ~Pair();')],
      [
        'a constructor template',
        inClass('  template <typename F>\n    requires(!std::same_as<F, Pair>)\n  Pair(F&& f)\n      : f_(&f) {}'),
      ],
      ['private members', inClass('  Pair() = default;\n\n private:\n  void hide();\n  int first_;')],
      ['data members', header('/// Holds two numbers.\nstruct Pair {\n  int first = 0;\n  int second{};\n};')],
      ['a function without a comment', header('void add(int a);'), '5: void add(int a); has no comment'],
      ['a type without a comment', header('struct Pair {\n  int first;\n};'), '5: struct Pair { has no comment'],
      ['a type in a run', header('/// Adds two numbers.\nvoid add(int a);\nstruct Pair {\n};'), '7: struct Pair {'],
      ['a member without a comment', inClass('  void add(int a);'), '8: void add(int a); has no comment'],
      [
        'after a blank line',
        inClass('  /// Adds to the first.\n  void add(int a);\n\n  void take();'),
        '11: void take()',
      ],
      [
        'no sentence',
        header('/// adds two numbers\nvoid add(int a);'),
        '6: void add(int a); has a comment that begins',
      ],
      ['a comment that leans', header('/// The same for rows.\nvoid add(int a);'), '6: void add(int a); has a comment'],
    ] as const
  ).map(([what, text, finding], index): Case => [what, `binding/${index}.h`, text, finding]),
);

test('the list of exceptions is short, and each entry has its reason', () => {
  const exceptions = require('../../scripts/lint/exceptions.json') as readonly { readonly reason: string }[];
  expect(exceptions.length).toBeLessThanOrEqual(5);
  for (const { reason } of exceptions) expect(reason.split(' ').length).toBeGreaterThan(5);
});
