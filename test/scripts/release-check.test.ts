import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

// The steps of `npm run release:check` that read, on a copy of what they read.
const root = resolve(__dirname, '../..');
const copy = realpathSync(mkdtempSync(join(tmpdir(), 'cgfac-release-')));
const papers = ['package.json', 'package-lock.json', 'CHANGELOG.md', 'SECURITY.md'];
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };

beforeAll(() => {
  mkdirSync(join(copy, 'scripts'));
  cpSync(join(root, 'scripts/release'), join(copy, 'scripts/release'), { recursive: true });
  cpSync(join(root, 'scripts/release-check.mjs'), join(copy, 'scripts/release-check.mjs'));
});
beforeEach(() => {
  for (const name of papers) cpSync(join(root, name), join(copy, name));
});
afterAll(() => rmSync(copy, { recursive: true }));

function check(args: readonly string[], variables: Readonly<Record<string, string>> = {}) {
  const { GITHUB_REPOSITORY: _, GITHUB_REF_TYPE: __, GITHUB_REF_NAME: ___, ...rest } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/release-check.mjs', ...args], {
    cwd: copy,
    encoding: 'utf8',
    env: { ...rest, ...variables },
  });
  return { status, output: stdout + stderr, line: stdout.trimEnd().split('\n').at(-1) };
}

const edit = (name: string, from: string | RegExp, to: string) => {
  const before = readFileSync(join(copy, name), 'utf8');
  const after = before.replace(from, to);
  expect(after).not.toBe(before);
  writeFileSync(join(copy, name), after);
};

test('versions and addresses of the checkout hold', () => {
  const { status, line } = check(['--only', 'version,repository']);
  expect([status, line]).toEqual([0, '2 passed, 0 failed']);
});

test('tells its steps, and refuses those that it does not have', () => {
  const { status, output } = check(['--list']);
  expect(status).toBe(0);
  expect(output).toMatch(/^tree .*^version .*^consumers .*^build .*^tree-after /ms);
  expect(check(['--only', 'version,nothing'])).toMatchObject({
    status: 1,
    output: expect.stringMatching(/received nothing/),
  });
});

test.each([
  [
    'version',
    'package-lock.json',
    `"version": "${version}"`,
    '"version": "9.9.9"',
    /package-lock.json but found 9\.9\.9/,
  ],
  ['changelog', 'CHANGELOG.md', /^## .*/m, '## [Unreleased]\n\n- Something.\n\n$&', /unreleased entries/],
  ['changelog', 'CHANGELOG.md', /^## .*/m, '## [9.9.9] - 2026-11-27', /but found \[9\.9\.9\]/],
  ['changelog', 'CHANGELOG.md', /^## .*/m, `## [${version}]`, /Expected the entry/],
  ['changelog', 'CHANGELOG.md', /^## .*/m, `## [${version}] - 2999-01-01`, /which is to come/],
  ['repository', 'SECURITY.md', /github\.com\/cgfac/, 'github.com/other', /below https:\/\/github\.com\/cgfac\/cgfac/],
  ['repository', 'package.json', 'cgfac/cgfac/issues', 'cgfac/elsewhere', /cgfac\/elsewhere/],
])('the step %s fails where %s is wrong (%s → %s)', (step, file, from, to, words) => {
  edit(file, from, to);
  const { status, output, line } = check(['--only', step]);
  expect([status, line]).toEqual([1, '0 passed, 1 failed']);
  expect(output).toMatch(words);
});

test('a tag is one of this repository and this version', () => {
  const tag = { GITHUB_REPOSITORY: 'cgfac/cgfac', GITHUB_REF_TYPE: 'tag', GITHUB_REF_NAME: `v${version}` };
  expect(check(['--only', 'repository'], tag).status).toBe(0);
  expect(check(['--only', 'repository'], { ...tag, GITHUB_REPOSITORY: 'some/fork' }).output).toMatch(
    /this is some\/fork/,
  );
  expect(check(['--only', 'repository'], { ...tag, GITHUB_REF_NAME: 'v9.9.9' }).output).toMatch(/received v9\.9\.9/);
});
