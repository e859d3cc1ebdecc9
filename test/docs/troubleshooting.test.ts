import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

// Whoever searches for what was said finds it: words that the sources no longer say are no help.
const root = resolve(__dirname, '../..');
const text = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8');

/** The sources with strings that go over several lines as one. */
const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join(root, 'lib', name), 'utf8'))
  .join('\n')
  .replace(/['`"] \+\s*['`"]/g, '');

/** The first cells of the tables of a section. */
function firstCells(heading: string): string[] {
  const section = text.split(/^## /m).find((each) => each.startsWith(heading)) ?? '';
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell = '']) => cell);
}

/** Pieces of a sentence that are the same whatever names and numbers stand in it. */
const pieces = (sentence: string) =>
  sentence
    .replace(/^cgfac: /, '')
    .split('…')
    .map((piece) => piece.trim())
    .filter((piece) => piece.length > 3);

test.each(['Words on the console', 'Diagnoses of a step'])('%s: each sentence is one of the sources', (heading) => {
  const sentences = firstCells(heading);
  expect(sentences.length).toBeGreaterThan(5);
  expect(sentences.flatMap(pieces).filter((piece) => !sources.includes(piece))).toEqual([]);
});

test('each code is one of the package, and is in the table of all of them', () => {
  const codes = firstCells('Errors by code');
  const known = [...readFileSync(join(root, 'lib/base/errors.ts'), 'utf8').matchAll(/ERR_CGFAC_\w+/g)].map(
    ([code]) => code,
  );
  const told = readFileSync(join(root, 'docs/guide.md'), 'utf8');
  expect(codes.length).toBeGreaterThan(10);
  expect(codes.filter((code) => !known.includes(code) || !told.includes(`| \`${code}\` |`))).toEqual([]);
});
