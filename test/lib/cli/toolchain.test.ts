import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { missingLibrary, toolchain, wordsOf } from '../../../lib/cli/toolchain';

const root = resolve(__dirname, '../../..');
const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'cgfac-toolchain-')));
afterAll(() => rmSync(scratch, { recursive: true }));

/** An environment with nothing but commands that say a version. */
function commands(name: string, versions: Readonly<Record<string, string>>) {
  const folder = join(scratch, name);
  mkdirSync(folder);
  for (const [command, version] of Object.entries(versions)) {
    writeFileSync(join(folder, command), `#!/bin/sh\necho '${command} version ${version}'\n`, { mode: 0o755 });
  }
  return { PATH: folder };
}

test('a machine without tools lacks each of them, and is told what brings them', () => {
  const { found, missing } = toolchain(commands('none', {}));
  expect(found).toEqual([]);
  expect(missing.map(({ debian }) => debian)).toEqual(['cmake', 'g++', 'make']);
  expect(wordsOf(missing).join('\n')).toMatch(/CMake 3\.25.*C\+\+20.*make or ninja.*cmake g\+\+ make/s);
});

test.each([
  ['3.24.9', false],
  ['3.25.0', true],
  ['4.0.1', true],
  ['2.30', false],
])('CMake %s is new enough: %s', (version, enough) => {
  const { found, missing } = toolchain(commands(version, { cmake: version, 'c++': '13.2.0', make: '4.3' }));
  expect(missing.map(({ what }) => what)).toEqual(enough ? [] : [`CMake 3.25 or newer; this is ${version}`]);
  expect(found.includes(`cmake ${version}`)).toBe(enough);
});

test('make is taken where there is no ninja, and the compiler that CXX names', () => {
  const tools = { cmake: '3.30.0', 'g++': '13.2.0', make: '4.3' };
  expect(toolchain(commands('make', tools))).toMatchObject({ generator: 'Unix Makefiles', missing: [] });
  const env = commands('ninja', { ...tools, ninja: '1.11' });
  expect(toolchain(env)).toMatchObject({ generator: 'Ninja', missing: [] });
  expect(toolchain({ ...env, CXX: 'no-such-compiler' }).missing.map(({ debian }) => debian)).toEqual(['g++']);
});

test("CMake's own words of an OpenBLAS that is not there are understood, and no others", () => {
  const options = ['-DCGFAC_BUILD_TESTS=OFF', '-DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF'];
  const { status, stdout, stderr } = spawnSync('cmake', ['-S', root, '-B', join(scratch, 'build'), ...options], {
    encoding: 'utf8',
  });
  expect(status).not.toBe(0);
  expect(missingLibrary(stdout + stderr)).toMatchObject({ debian: 'libopenblas-pthread-dev' });
  expect(missingLibrary('CMake Error: The source directory does not exist')).toBeUndefined();
});
