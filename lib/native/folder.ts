/** Where the addons of the package are. */
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import loadAddon from 'node-gyp-build';
import { CgfacError } from '../base/errors';
import { platformPackages } from './platforms';

/** The folder that holds package.json: two up from the sources, three up from the compiled files. */
export function packageRoot(): string {
  const parent = join(__dirname, '../..');
  return parent.endsWith('dist') ? join(parent, '..') : parent;
}

/** Whether a folder has an addon that fits this process. */
function hasAddon(folder: string): boolean {
  try {
    loadAddon.resolve(folder);
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

/** The file of the addon that calls MPI: beside that of the package's addon, with the same tags, in a folder `mpi`. */
export function mpiFile(): string {
  const file = loadAddon.resolve(addonRoot());
  return join(dirname(file), 'mpi', basename(file).replace(/^cgfac/, 'cgfac_mpi'));
}
