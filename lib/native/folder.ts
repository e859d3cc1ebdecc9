/** Where the addons of the package are. */
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { CgfacError } from '../base/errors';
import type { Loader } from './node-gyp-build';
import { platformPackages } from './platforms';

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

/** Whether a folder has an addon that fits this process. */
function hasAddon(folder: string): boolean {
  try {
    loader().resolve(folder);
    return true;
  } catch {
    return false;
  }
}

/** The folder of a package that is installed where this one finds it. */
function folderOf(name: string, find: NodeJS.Require): string | undefined {
  try {
    return dirname(find.resolve(`${name}/package.json`));
  } catch {
    return undefined;
  }
}

/**
 * The folder whose addon is loaded: that of the package, or, where it has none that fits, that of a package for this
 * platform; where there is neither, the first, whose loading says what is missing.
 *
 * @throws CgfacError `ERR_CGFAC_NATIVE_LOAD` where the package for this platform is of another version.
 */
export function addonRoot(): string {
  const own = packageRoot();
  if (hasAddon(own)) return own;
  const find = createRequire(join(own, 'package.json'));
  for (const name of platformPackages()) {
    const folder = folderOf(name, find);
    if (folder === undefined || !hasAddon(folder)) continue;
    const [wanted, received] = [own, folder].map((each) => find(join(each, 'package.json')).version);
    if (received === wanted) return folder;
    const message = `Expected ${name} ${wanted} beside cgfac ${wanted} but received ${received} in ${folder}`;
    throw new CgfacError('ERR_CGFAC_NATIVE_LOAD', `${message}; install both anew`);
  }
  return own;
}

/** The file of the addon of the core, as node-gyp-build finds it; throws where there is none. */
export function addonFile(): string {
  return loader().resolve(addonRoot());
}

/** The file of the addon that calls MPI: beside that of the package's addon, with the same tags, in a folder `mpi`. */
export function mpiFile(): string {
  const file = addonFile();
  return join(dirname(file), 'mpi', basename(file).replace(/^cgfac/, 'cgfac_mpi'));
}
