/** The one place that loads the native addon. */
import { join } from 'node:path';
import loadAddon from 'node-gyp-build';
import { CgfacError } from '../base/errors';
import type { Native } from './declarations';
import { toCgfacError } from './errors';

/** The folder that holds package.json: two up from the sources, three up from the compiled files. */
function packageRoot(): string {
  const parent = join(__dirname, '../..');
  return parent.endsWith('dist') ? join(parent, '..') : parent;
}

function load(): Native {
  try {
    return loadAddon(packageRoot()) as Native;
  } catch (cause) {
    if ((cause as { code?: unknown }).code === 'ERR_CGFAC_BLAS_MISMATCH') throw toCgfacError(cause);
    const platform = `${process.platform}-${process.arch}, Node ${process.versions.node}`;
    throw new CgfacError(
      'ERR_CGFAC_NATIVE_LOAD',
      `Expected a native addon for ${platform}, but none could be loaded. A binary is shipped for linux-x64 ` +
        '(glibc 2.34 or newer); for another platform build from a checkout of the repository: npm run build',
      { cause },
    );
  }
}

/** The addon, loaded once for each environment. */
export const native: Native = load();
