/** Where the addons of the package are. */
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import type { Loader } from './node-gyp-build';

/** The folder of this file. In an ES module that a bundler made nothing tells it, and it is that of the program. */
export const here = typeof __dirname === 'undefined' ? dirname(process.argv[1] ?? process.cwd()) : __dirname;

/** The folder that holds package.json: two up from the sources, three up from the compiled files. */
export function packageRoot(): string {
  const parent = join(here, '../..');
  return parent.endsWith('dist') ? join(parent, '..') : parent;
}

/** The file by which node-gyp-build tells Alpine's C library. */
const alpine = '/etc/alpine-release';

/**
 * The loader of addons, node-gyp-build, loaded when it is asked for, so that what it throws can be told in the words of
 * this package. Under `--permission` it may not look for the file of Alpine, and is told the C library.
 */
export function loader(): Loader {
  const load = () => createRequire(join(here, 'folder.js'))('node-gyp-build') as Loader;
  if (process.env.LIBC !== undefined || process.permission?.has('fs.read', alpine) !== false) return load();
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  process.env.LIBC = header?.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
  try {
    return load();
  } finally {
    delete process.env.LIBC;
  }
}

/** The file of the addon of the core, as node-gyp-build finds it; throws where there is none. */
export function addonFile(): string {
  return loader().resolve(packageRoot());
}

/** The file of the addon that calls MPI: beside that of the package's addon, with the same tags, in a folder `mpi`. */
export function mpiFile(): string {
  const file = addonFile();
  return join(dirname(file), 'mpi', basename(file).replace(/^cgfac/, 'cgfac_mpi'));
}
