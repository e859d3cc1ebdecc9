/** The package in odd folders, in one that cannot be written to, for a user who is not root, and beside two copies. */
import { cpSync, existsSync, linkSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, runWell } from '../packed';
import { expectText, node, type Place, type Row, works } from './row';

/** Nobody, where the tests run as root; else who runs them. */
export const nobody = process.getuid?.() === 0 ? { uid: 65_534 } : {};

/** A copy of the project, in which the binaries are the same files. */
export function copyOf(place: Place, name: string): string {
  const copy = join(place.folder, name);
  cpSync(place.project, copy, { recursive: true, filter: (path) => !path.endsWith('.node') });
  const binaries = 'node_modules/cgfac/prebuilds';
  const found = existsSync(join(place.project, binaries))
    ? readdirSync(join(place.project, binaries), { recursive: true, encoding: 'utf8' })
    : [];
  for (const path of found.filter((name) => name.endsWith('.node'))) {
    linkSync(join(place.project, binaries, path), join(copy, binaries, path));
  }
  return copy;
}

const bothModules = async (place: Place, cwd: string, start = {}) => {
  for (const program of ['works.cjs', 'works.mjs']) {
    expectText(await node(place, [join(cwd, program)], { cwd, ...start }), works);
  }
};

const oddPath = (name: string): Row => ({
  name: `the folder '${name}'`,
  spoiledBy: 'path-as-url',
  failsWith: /ERR_CGFAC_NATIVE_LOAD/,
  always: true,
  run: async (place) => bothModules(place, copyOf(place, name)),
});

async function inReadOnlyFolder(place: Place): Promise<void> {
  const copy = copyOf(place, 'read-only');
  runWell('chmod', ['-R', 'a-w', copy], { cwd: place.folder });
  try {
    await bothModules(place, copy, nobody);
  } finally {
    runWell('chmod', ['-R', 'u+w', copy], { cwd: place.folder });
  }
}

/** A project with a copy of tfjs-core of its own, and one below cgfac. */
async function withTwoCopies(place: Place): Promise<void> {
  const copy = copyOf(place, 'two-copies');
  const modules = join(ROOT, 'node_modules');
  const second = join(copy, 'node_modules/cgfac/node_modules');
  const core = '@tensorflow/tfjs-core';
  mkdirSync(join(second, core, 'dist'), { recursive: true });
  for (const file of ['package.json', 'dist/tf-core.node.js']) {
    cpSync(join(modules, core, file), join(second, core, file));
  }
  for (const name of ['long', 'seedrandom', 'node-fetch']) symlinkSync(join(modules, name), join(second, name));
  const start = { cwd: copy };
  expectText(await node(place, ['train.cjs'], start), /another copy of @tensorflow\/tfjs-core.*npm ls/s);
  expectText(
    await node(place, ['node_modules/cgfac/dist/lib/cli/main.js', 'doctor'], start),
    /two copies.*npm dedupe/s,
  );
}

/** Where the package is, and who uses it. */
export const rows: readonly Row[] = [
  ...['with a space', 'Größe 日本', 'a #hash', '50% off?'].map(oddPath),
  {
    name: 'a folder that cannot be written to',
    spoiledBy: 'writes-at-load',
    failsWith: /EACCES/,
    always: true,
    run: inReadOnlyFolder,
  },
  {
    name: 'a user who is not root and has no home',
    spoiledBy: 'writes-at-load',
    failsWith: /EACCES|is not root/,
    always: true,
    run: async (place) => {
      const { HOME: _, ...env } = place.env;
      await bothModules(place, place.project, { ...nobody, env });
    },
  },
  {
    name: 'two copies of tfjs-core: the words',
    spoiledBy: 'no-warning',
    failsWith: /another copy/,
    always: true,
    run: withTwoCopies,
  },
];
