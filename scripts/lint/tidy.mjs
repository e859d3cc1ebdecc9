// clang-tidy-19 over the C++ files, as many at a time as there are cores: the core, the binding and what benchmarks
// compile with the checks of .clang-tidy (headers through the files that include them), the tests of the core and the
// targets of fuzzing for the length of their functions. Most of its time goes into headers, so the files of a room are
// checked as one; where those do not compile together, each is checked by itself. A room that has passed is not checked
// again before a file of it, a header of ours that it includes, the configuration, or the packages change: build/tidy
// keeps a digest of what passed. Needs the compile commands that scripts/setup.sh --lint leaves in build/commands.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { filesOf, root } from './tree.mjs';

const program = 'clang-tidy-19';
const folder = join(root, 'build/tidy');
const text = (path) => readFileSync(join(root, path), 'utf8');

/** What every result depends on. */
const version = spawnSync(program, ['--version'], { encoding: 'utf8' });
if (version.status !== 0) throw new Error(`${program} does not run`, { cause: version.error });
const common = [version.stdout, text('.clang-tidy'), text('package-lock.json')];
const database = JSON.parse(text('build/commands/compile_commands.json'));
const entries = new Map(database.map((entry) => [entry.file, entry]));

/** The entry of the compile commands that a file has. */
function entryOf(path) {
  const entry = entries.get(join(root, path));
  if (entry === undefined)
    throw new Error(`${path} has no compile command: it is no source of a target in build/commands`);
  return entry;
}

/** The files that a file includes in quotes, at any depth, and itself; as paths below the root. */
function withIncludes(path, found = new Set()) {
  if (found.has(path)) return found;
  found.add(path);
  for (const [, name] of text(path).matchAll(/^#include "([^"]+)"/gm)) {
    const places = [dirname(path), 'binding', 'bench', 'test/core', 'test/fuzz'].map((folder) => join(folder, name));
    const place = places.find((candidate) => existsSync(join(root, candidate)));
    if (place !== undefined) withIncludes(place, found);
  }
  return found;
}

const digest = (parts) => createHash('sha256').update(parts.join('\0')).digest('hex');

/** What the result for some files depends on. */
function stampOf(paths, options) {
  const found = new Set();
  for (const path of paths) withIncludes(path, found);
  const texts = [...found].flatMap((file) => [file, text(file)]);
  const commands = paths.map((path) => entryOf(path).command);
  return join(folder, digest([...common, ...options, ...commands, ...texts]));
}

/** Runs clang-tidy on one file; the count of warnings that it suppressed is left out of what it says. */
function tidy(path, database, options) {
  return new Promise((settle, reject) => {
    const child = spawn(program, ['--quiet', '-p', database, ...options, path]);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk) => {
        output += chunk;
      });
    child.on('error', reject).on('close', (status) => {
      const lines = output.split('\n').filter((line) => !/^\d+ warnings?.* generated\.$/.test(line));
      settle({ passed: status === 0, output: lines.join('\n').trimEnd() });
    });
  });
}

/** Checks files as one, by a file that includes them. */
function together(name, paths, options) {
  const file = join(folder, `${name}.cpp`);
  const allowed = 'bugprone-suspicious-include';
  const lines = paths.map((path) => `#include "${join(root, path)}"`);
  writeFileSync(file, `// NOLINTBEGIN(${allowed})\n${lines.join('\n')}\n// NOLINTEND(${allowed})\n`);
  return tidy(file, folder, options);
}

/** Checks the files of a batch, and tells how many do not pass. */
async function failuresOf({ name, paths, options }) {
  const stamp = stampOf(paths, options);
  if (existsSync(stamp)) return 0;
  let failed = 0;
  const whole = await together(name, paths, options);
  if (!whole.passed && !whole.output.includes('clang-diagnostic-error')) {
    console.error(whole.output);
    return 1;
  }
  if (!whole.passed) {
    console.error(`clang-tidy: what is in build/tidy/${name}.cpp does not compile together; each by itself:`);
    for (const path of paths) {
      const { passed, output } = await tidy(join(root, path), join(root, 'build/commands'), options);
      if (output !== '') console.error(output);
      if (!passed) failed++;
    }
  }
  if (failed === 0) writeFileSync(stamp, `${paths.join('\n')}\n`);
  return failed;
}

/** The files of a folder that one command compiles, but for their names. */
function batchesOf(name, paths, options = []) {
  const batches = new Map();
  for (const path of paths) {
    const { command, file } = entryOf(path);
    const settings = command.replace(/ -o \S+/, '').replaceAll(file, '');
    const found = batches.get(settings) ?? { name: `${name}-${batches.size}`, paths: [], options };
    found.paths.push(path);
    batches.set(settings, found);
  }
  return [...batches.values()];
}

const sizes = ['--checks=-*,readability-function-size'];
const rooms = ['block|operator|linalg', 'factor|layer', 'base|kernels|solver|threads'];
const testRooms = new Set(filesOf(/^test\/core\/(?!support)\w+\//).map((path) => path.split('/')[2]));
const batches = [
  ...batchesOf('node', filesOf(/^binding\/node\/.*\.cpp$/)),
  ...batchesOf('mpi', filesOf(/^binding\/mpi\/.*\.cpp$/)),
  ...rooms.flatMap((room, index) =>
    batchesOf(`core-${index}`, filesOf(new RegExp(`^binding/core/(${room})/.*\\.cpp$`))),
  ),
  ...batchesOf('bench', filesOf(/^bench\/.*\.cpp$/)),
  ...batchesOf('test', filesOf(/^test\/core\/(support\/)?\w+\.cpp$/), sizes),
  ...[...testRooms].flatMap((room) =>
    batchesOf(`test-${room}`, filesOf(new RegExp(`^test/core/${room}/.*\\.cpp$`)), sizes),
  ),
  // programs, each with an entry of the same name
  ...filesOf(/^test\/fuzz\/(support\/)?\w+\.cpp$/).flatMap((path) =>
    batchesOf(`fuzz-${basename(path, '.cpp')}`, [path], sizes),
  ),
];
const checked = new Set(batches.flatMap(({ paths }) => paths));
const unchecked = filesOf(/^(binding|bench|test\/core|test\/fuzz)\/.*\.cpp$/).filter((path) => !checked.has(path));
if (unchecked.length > 0) throw new Error(`in no batch: ${unchecked.join(', ')}`);

mkdirSync(folder, { recursive: true });
const commands = batches.map(({ name, paths: [path] }) => {
  const { directory, command, file } = entryOf(path);
  const own = join(folder, `${name}.cpp`);
  return { directory, file: own, command: command.replaceAll(file, own) };
});
writeFileSync(join(folder, 'compile_commands.json'), JSON.stringify(commands));

let failed = 0;
const worker = async () => {
  for (let batch = batches.shift(); batch; batch = batches.shift()) failed += await failuresOf(batch);
};
await Promise.all(Array.from({ length: availableParallelism() }, worker));
if (failed > 0) process.exitCode = 1;
