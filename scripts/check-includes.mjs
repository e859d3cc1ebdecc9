// node scripts/check-includes.mjs: the arrows between the folders of the C++ sources. Prints each #include that goes
// against them, FILE:LINE: what is wrong, and exits with 1 where there is any.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));

/** Where includes begin, as the compiler is told. */
const includeFolders = ['binding', 'bench', 'test/core', 'test/fuzz'];

const base = ['core/base'];
const threads = [...base, 'core/threads'];
const linalg = [...threads, 'core/linalg'];
const block = [...linalg, 'core/block'];
const solver = [...block, 'core/factor', 'core/operator', 'core/solver'];
const layer = [...solver, 'core/layer'];
const convert = ['core', 'node/errors', 'node/convert'];
// the state of an environment: its job queue, and the native memory that its engine is told of
const environment = [...convert, 'node/async', 'node/addon.h', 'node/native_memory'];

/**
 * Which rooms a room may use; a room is a folder, or a file of one (`node/errors` are the header and the source), and a
 * file belongs to the longest name that begins its path.
 */
const rooms = {
  'core/base': base,
  'core/threads': threads,
  'core/linalg': linalg,
  'core/block': block,
  'core/factor': [...block, 'core/factor'],
  'core/operator': [...block, 'core/operator'],
  'core/solver': solver,
  'core/layer': layer,
  'core/kernels': [...linalg, 'core/kernels'],
  'node/errors': ['core', 'node/errors'],
  'node/convert': convert,
  'node/async': [...convert, 'node/async'],
  'node/addon.h': environment,
  'node/native_memory': environment,
  'node/classes': [...environment, 'node/classes'],
  // what takes objects of the classes, or none
  'node/functions': [...environment, 'node/classes', 'node/functions'],
  // what puts the addon together
  'node/addon.cpp': ['core', 'node'],
  // the addon that calls MPI stands alone
  mpi: ['mpi'],
  native: ['core', 'native'],
  // a test of the core, or a target of fuzzing: the core, and what they share
  support: ['core', 'support'],
  test: ['core', 'support'],
};

/** Headers that one room alone may include, in the core. */
const reserved = {
  'core/linalg': /^(cblas|openblas_config|lapacke?|f77blas)\.h$/,
  'core/threads': /^(thread|condition_variable|future|shared_mutex|semaphore|barrier|latch|stop_token)$/,
  'no room': /^(napi|node_api|js_native_api|uv|v8)\.h$/,
};

const within = (path, name) => path.startsWith(`${name}/`) || path === name || path.startsWith(`${name}.`);

function roomOf(path) {
  const names = Object.keys(rooms).filter((name) => within(path, name));
  return names.sort((a, b) => b.length - a.length)[0];
}

/** What is wrong with a line of a file of a room, or nothing. */
function fault(line, room) {
  const [, quoted, angled] = /^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)/.exec(line) ?? [];
  if (quoted !== undefined && !rooms[room].some((used) => within(quoted, used))) {
    return `${room} may not include "${quoted}", but ${rooms[room].join(', ')}`;
  }
  if (angled === undefined || !room.startsWith('core/')) return undefined;
  const owner = Object.keys(reserved).find((name) => name !== room && reserved[name].test(angled));
  return owner && `${room} may not include <${angled}>, which ${owner} of the core may`;
}

function faultsOf(folder) {
  const sources = readdirSync(join(root, folder), { recursive: true }).filter((path) => /\.(h|cpp)$/.test(path));
  return sources.sort().flatMap((path) => {
    const file = `${folder}/${path}`;
    const room = folder.startsWith('test/') && !within(path, 'support') ? 'test' : roomOf(path);
    if (room === undefined) return [`${file}: belongs to no room that scripts/check-includes.mjs knows`];
    const lines = readFileSync(join(root, file), 'utf8').split('\n');
    return lines.flatMap((line, index) => {
      const wrong = fault(line, room);
      return wrong ? [`${file}:${index + 1}: ${wrong}`] : [];
    });
  });
}

const faults = includeFolders.flatMap(faultsOf);
for (const line of faults) console.error(line);
process.exitCode = faults.length > 0 ? 1 : 0;
