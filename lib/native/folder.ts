/** Where the addons of the package are. */
import { basename, dirname, join } from 'node:path';
import loadAddon from 'node-gyp-build';

/** The folder that holds package.json: two up from the sources, three up from the compiled files. */
export function packageRoot(): string {
  const parent = join(__dirname, '../..');
  return parent.endsWith('dist') ? join(parent, '..') : parent;
}

/** The file of the addon of the core, as node-gyp-build finds it; throws where there is none. */
export function addonFile(): string {
  return loadAddon.resolve(packageRoot());
}

/** The file of the addon that calls MPI: beside that of the package's addon, with the same tags, in a folder `mpi`. */
export function mpiFile(): string {
  const file = addonFile();
  return join(dirname(file), 'mpi', basename(file).replace(/^cgfac/, 'cgfac_mpi'));
}
