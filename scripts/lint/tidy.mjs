// clang-tidy-19 over the C++ files, as many at a time as there are cores: the core, the binding and what benchmarks
// compile with the checks of .clang-tidy (headers through the files that include them), the tests of the core for the
// length of their functions. A file that has passed is not checked again before it, a header of ours that it includes,
// the configuration, or the packages change: build/tidy keeps a digest of what passed. Needs the compile commands that
// scripts/setup.sh --test leaves in build.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { filesOf, root } from './tree.mjs';

const program = 'clang-tidy-19';
const stamps = join(root, 'build/tidy');
const text = (path) => readFileSync(join(root, path), 'utf8');

/** What every result depends on. */
const version = spawnSync(program, ['--version'], { encoding: 'utf8' });
if (version.status !== 0) throw new Error(`${program} does not run`, { cause: version.error });
const common = [version.stdout, text('.clang-tidy'), text('package-lock.json')];
const commands = new Map(JSON.parse(text('build/compile_commands.json')).map((entry) => [entry.file, entry.command]));

/** The files that a file includes in quotes, at any depth, and itself; as paths below the root. */
function withIncludes(path, found = new Set()) {
  if (found.has(path)) return found;
  found.add(path);
  for (const [, name] of text(path).matchAll(/^#include "([^"]+)"/gm)) {
    const places = [dirname(path), 'binding', 'bench', 'test/core'].map((folder) => join(folder, name));
    const place = places.find((candidate) => existsSync(join(root, candidate)));
    if (place !== undefined) withIncludes(place, found);
  }
  return found;
}

function digestOf(path, options) {
  const hash = createHash('sha256');
  for (const part of [...common, options.join(), commands.get(join(root, path)) ?? '']) hash.update(`${part}\0`);
  for (const file of withIncludes(path)) hash.update(`${file}\0${text(file)}\0`);
  return hash.digest('hex');
}

/** Checks a file, and tells whether it passed; the count of warnings that clang-tidy suppressed is left out. */
function checked({ path, options }) {
  const stamp = join(stamps, digestOf(path, options));
  if (existsSync(stamp)) return Promise.resolve(true);
  return new Promise((settle, reject) => {
    const child = spawn(program, ['--quiet', '-p', 'build', ...options, path], { cwd: root });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk) => {
        output += chunk;
      });
    child.on('error', reject).on('close', (status) => {
      const lines = output.split('\n').filter((line) => !/^\d+ warnings?.* generated\.$/.test(line));
      if (lines.some(Boolean)) console.error(lines.join('\n').trimEnd());
      if (status === 0) writeFileSync(stamp, `${path}\n`);
      settle(status === 0);
    });
  });
}

const sizes = ['--checks=-*,readability-function-size'];
const tasks = [
  ...filesOf(/^(binding|bench)\/.*\.cpp$/).map((path) => ({ path, options: [] })),
  ...filesOf(/^test\/core\/.*\.cpp$/).map((path) => ({ path, options: sizes })),
];
// what includes Node-API takes longest, then the large ones: they begin, so that no core waits for one of them
const weight = ({ path, options }) =>
  statSync(join(root, path)).size * (options.length > 0 ? 0.1 : 1) * (path.startsWith('binding/node') ? 10 : 1);
tasks.sort((a, b) => weight(b) - weight(a));
mkdirSync(stamps, { recursive: true });

let failed = tasks.length === 0 ? 1 : 0;
const worker = async () => {
  for (let task = tasks.shift(); task; task = tasks.shift()) if (!(await checked(task))) failed++;
};
await Promise.all(Array.from({ length: availableParallelism() }, worker));
if (failed > 0) process.exitCode = 1;
