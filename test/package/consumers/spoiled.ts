/** The package harmed on purpose, in one way for each: what a row has to notice. */
import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runWell } from '../packed';

type Change = (root: string) => void;

/** Replaces all of a file, or what a pattern finds in it, which has to be there. */
function edit(root: string, file: string, pattern: RegExp, text: string): void {
  const path = join(root, file);
  const before = readFileSync(path, 'utf8');
  const after = before.replace(pattern, text);
  if (after === before) throw new Error(`${file} has no ${pattern}`);
  writeFileSync(path, after);
}

const editPackage = (root: string, change: (json: Record<string, unknown>) => void) => {
  const path = join(root, 'package.json');
  const json = JSON.parse(readFileSync(path, 'utf8'));
  change(json);
  writeFileSync(path, JSON.stringify(json));
};

const declarations = (root: string, end: string) =>
  readdirSync(join(root, 'dist/lib'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(end))
    .map((name) => join(root, 'dist/lib', name));

const changes = {
  'no-binary': (root) => rmSync(join(root, 'prebuilds'), { recursive: true }),
  undeclared: (root) => editPackage(root, (json) => delete json.dependencies),
  'no-esm': (root) => writeFileSync(join(root, 'dist/lib/index.mjs'), 'export {};\n'),
  'no-types-versions': (root) => editPackage(root, (json) => delete json.typesVersions),
  'no-types-of-esm': (root) => {
    for (const file of declarations(root, '.d.mts')) rmSync(file);
  },
  'broken-types': (root) =>
    appendFileSync(join(root, 'dist/lib/index.d.ts'), '\nexport declare const x: NoSuchType;\n'),
  wordless: (root) =>
    edit(root, 'dist/lib/native/load-error.js', /const message = [^;]*;/, "const message = 'cannot be loaded';"),
  'build-without-words': (root) =>
    edit(root, 'dist/lib/cli/build.js', /class BuildError extends Error \{/, "$& constructor() { super('failed'); }"),
  alpine: (root) => edit(root, 'dist/lib/native/folder.js', /process\.env\.LIBC = [^;]*;/, ''),
  'writes-at-load': (root) =>
    edit(root, 'dist/lib/index.js', /^/, "require('node:fs').writeFileSync(__dirname + '/cache', '');\n"),
  'path-as-url': (root) =>
    edit(
      root,
      'dist/lib/native/folder.js',
      /const parent = ([^;]*);/,
      "const parent = new URL('file://' + $1).pathname;",
    ),
  'main-thread-only': (root) =>
    edit(
      root,
      'dist/lib/index.js',
      /^/,
      "if (!require('node:worker_threads').isMainThread) throw new Error('main');\n",
    ),
  'no-warning': (root) => edit(root, 'dist/lib/tfjs/step/notices.js', /another copy/g, 'a copy'),
} satisfies Record<string, Change>;

/** A harm to the package. */
export type Spoil = keyof typeof changes;

/** A tarball with a harm, made of a good one. */
export function spoil(tarball: string, harm: Spoil, folder: string): string {
  mkdirSync(folder, { recursive: true });
  runWell('tar', ['-xzf', tarball], { cwd: folder });
  changes[harm](join(folder, 'package'));
  const result = join(folder, `cgfac-${harm}.tgz`);
  runWell('tar', ['--use-compress-program', 'gzip -1', '-cf', result, 'package'], { cwd: folder });
  rmSync(join(folder, 'package'), { recursive: true });
  return result;
}
