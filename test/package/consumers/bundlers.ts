/** The package in programs that bundlers and test runners make: external to them, and inside. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../packed';
import { ending, expectText, node, type Place, type Row, works } from './row';
import { toolsOf } from './tools';

const own = (name: string) => join(ROOT, 'node_modules', name);
const tool = (name: string) => join(toolsOf('always'), name);

/** Where each bundler is, and what it makes: esbuild a CommonJS module, the others an ES module. */
const bundlers = {
  esbuild: { path: () => own('esbuild'), file: 'server.cjs' },
  webpack: { path: () => tool('webpack'), file: 'server.mjs' },
  vite: { path: () => tool('vite'), file: 'server.mjs' },
};
type Bundler = keyof typeof bundlers;

/** Bundles the program `works`; the file of the bundle. */
async function bundle(place: Place, bundler: Bundler, external: boolean): Promise<string> {
  const kind = external ? 'external' : 'inside';
  const { path, file } = bundlers[bundler];
  const made = join(place.project, 'bundles', `${bundler}-${kind}`, file);
  await node(place, [`bundle-${bundler}.mjs`, path(), made, kind]);
  return made;
}

const bundlerRows = (bundler: Bundler): Row[] => [
  {
    name: `${bundler} with cgfac external`,
    spoiledBy: 'no-binary',
    failsWith: /there is none for linux/,
    always: true,
    run: async (place) => expectText(await node(place, [await bundle(place, bundler, true)]), works),
  },
  {
    name: `${bundler} with cgfac inside: the words`,
    spoiledBy: 'wordless',
    failsWith: /cannot be loaded/,
    always: true,
    run: async (place) => {
      const file = await bundle(place, bundler, false);
      const { output: said } = await ending('node', [file], { cwd: place.project, env: place.env });
      expectText(said, /ERR_CGFAC_NATIVE_LOAD/);
      expectText(said, new RegExp(`addon of cgfac in /.*\\(from ${join(file, '..')}.*mark cgfac as external`, 's'));
    },
  },
];

const test = (imports: string, globals: string) => `${imports}
${globals}
test('solves', async () => {
  expect(await solveIdentity({ info, LayerPreconditioner })).toMatch(/^works with/);
});
`;

async function inVitest(place: Place): Promise<void> {
  const folder = join(place.project, 'vitest');
  mkdirSync(folder);
  const imports =
    "import { info, LayerPreconditioner } from 'cgfac';\nimport solveIdentity from '../solve-identity.cjs';";
  writeFileSync(
    join(folder, 'solve.test.mjs'),
    test(imports, `import { expect, test } from '${tool('vitest/dist/index.js')}';`),
  );
  expectText(await node(place, [tool('vitest/vitest.mjs'), 'run', '--root', folder]), /1 passed/);
}

async function inJest(place: Place): Promise<void> {
  const folder = join(place.project, 'jest');
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{}');
  const imports = "const { info, LayerPreconditioner } = require('cgfac');";
  const program = test(imports, "const solveIdentity = require('../solve-identity.cjs');");
  writeFileSync(join(folder, 'solve.test.js'), program);
  expectText(await node(place, [own('jest/bin/jest.js'), '--rootDir', folder, '--no-cache']), /1 passed/);
}

/** Bundlers and test runners. */
export const rows: readonly Row[] = [
  ...(Object.keys(bundlers) as Bundler[]).flatMap(bundlerRows),
  { name: 'Vitest', spoiledBy: 'no-esm', failsWith: /is not a constructor/, always: true, run: inVitest },
  { name: 'Jest', spoiledBy: 'no-binary', failsWith: /there is none for linux/, always: true, run: inJest },
];
