/** Where the addon comes from on a platform that the package has no binary of its own for. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repository } from '../support/programs';

const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'cgfac-platform-')));
afterAll(() => rmSync(scratch, { recursive: true }));

const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string };
const platform = `${process.platform}-${process.arch}`;
const modules = join(scratch, 'node_modules');

/** Puts the addons of the checkout into a package. */
function putAddons(folder: string): void {
  const prebuilds = join(folder, 'prebuilds', platform);
  mkdirSync(join(prebuilds, 'mpi'), { recursive: true });
  for (const name of ['cgfac', 'mpi/cgfac_mpi']) {
    cpSync(join(repository, `build/Release/${name}.node`), join(prebuilds, `${name}.glibc.node`));
  }
}

function putPlatformPackage(itsVersion: string): string {
  const folder = join(modules, '@cgfac', `linux-${process.arch}`);
  putAddons(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'of a platform', version: itsVersion }));
  return folder;
}

/** What a program beside the packages prints: where the addons come from, or the error. */
function evaluate(): string {
  const program = `
    try {
      const { version } = require('cgfac').info();
      const { mpiFile } = require(require.resolve('cgfac').replace('index.js', 'native/folder.js'));
      const maps = require('node:fs').readFileSync('/proc/self/maps', 'utf8');
      console.log(version, [...new Set(maps.match(/\\S*cgfac\\S*\\.node$/gm))].join(), mpiFile());
    } catch (error) {
      console.log(error.code, error.message);
    }`;
  const { CGFAC_PREBUILD: _, LD_PRELOAD: __, ...env } = process.env;
  const { stdout, stderr } = spawnSync(process.execPath, ['--eval', program], { cwd: scratch, env, encoding: 'utf8' });
  return stdout.trim() + stderr;
}

const own = join(modules, 'cgfac');

beforeAll(() => {
  for (const name of ['package.json', 'dist/lib']) {
    cpSync(join(repository, name), join(own, name), { recursive: true });
  }
  cpSync(join(repository, 'node_modules/node-gyp-build'), join(modules, 'node-gyp-build'), { recursive: true });
});

afterEach(() => rmSync(join(modules, '@cgfac'), { recursive: true, force: true }));

test('both addons come from the package of the platform', () => {
  const folder = putPlatformPackage(version);
  const prebuilds = join(folder, 'prebuilds', platform);
  expect(evaluate()).toBe(`${version} ${prebuilds}/cgfac.glibc.node ${prebuilds}/mpi/cgfac_mpi.glibc.node`);
});

test('a package of another version is refused by name', () => {
  putPlatformPackage('0.0.1');
  const expected = `Expected @cgfac/linux-${process.arch} ${version} beside cgfac ${version} but received 0.0.1 in `;
  expect(evaluate()).toContain(`ERR_CGFAC_NATIVE_LOAD ${expected}`);
});

test('without one the error tells of the folder of the package itself', () => {
  expect(evaluate()).toMatch(new RegExp(`^ERR_CGFAC_NATIVE_LOAD .*${own}.*there is none for ${platform}`));
});

test('an addon in the package itself goes before', () => {
  putPlatformPackage('0.0.1');
  putAddons(own);
  expect(evaluate()).toContain(`${version} ${own}/prebuilds/${platform}/cgfac.glibc.node`);
});
