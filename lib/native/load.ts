/** The one place that loads the addon of the core. */
import { CgfacError } from '../base/errors';
import type { Native } from './declarations';
import { toCgfacError } from './errors';
import { addonRoot, here, loader, packageRoot } from './folder';
import { loadError } from './load-error';

function load(): Native {
  const folder = packageRoot();
  try {
    return loader()(addonRoot()) as Native;
  } catch (cause) {
    const error = toCgfacError(cause);
    throw error instanceof CgfacError ? error : loadError(folder, here, cause);
  }
}

/** Says once in a process that its CGFAC_NUM_THREADS is no number of threads. */
function warnOfSetting(addon: Native): void {
  const received = addon.refusedThreads();
  if (received === undefined) return;
  const { threads } = addon.info();
  process.emitWarning(
    `Expected an integer from 1 to 1024 for CGFAC_NUM_THREADS but received '${received}'; cgfac takes the ${threads} ` +
      'that the system allows',
    { type: 'CgfacWarning', code: 'CGFAC_NUM_THREADS' },
  );
}

/** The addon, loaded once for each environment. */
export const native: Native = load();
warnOfSetting(native);
