import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildExamples, repository, startProgram } from '../support/programs';

const MINUTE = 60_000;

const snippets = [...readFileSync(join(repository, 'README.md'), 'utf8').matchAll(/^```js\n(.*?)^```/gms)].map(
  ([, code = '']) => code,
);
/** A program without the comment of its first line, which says what it is. */
const programOf = (name: string) =>
  readFileSync(join(repository, 'examples/quickstart', name), 'utf8').replace(/^\/\/ .*\n/, '');

test.each(['tfjs.mts', 'typed-arrays.mts'])('%s is a program of the README, letter by letter', (name) => {
  expect(snippets).toContain(programOf(name));
});

describe('compiled', () => {
  beforeAll(buildExamples, MINUTE);

  test('tfjs trains a model, tells its losses, and complains of nothing', () => {
    const { status, stdout, stderr } = startProgram('quickstart/tfjs.mjs');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^\[ 0\.\d+, 0\.\d+ \]\n$/);
  });

  test('typed-arrays takes a step, and tells of it', () => {
    const { status, stdout, stderr } = startProgram('quickstart/typed-arrays.mjs');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^(\d+(\.\d+)? ){2}\[\s+\{\s+name: 'output'/);
  });
});
