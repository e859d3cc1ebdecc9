/** Errors of the addon as those of the package. */
import { CgfacError } from '../base/errors';

/** Makes a {@link CgfacError} of an error that the addon threw; anything else is returned as it is. */
export function toCgfacError(error: unknown): unknown {
  // not `instanceof Error`: the addon's errors may be of another realm
  try {
    if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error)) return error;
    const { code, message } = error as { code: unknown; message: unknown };
    if (typeof code !== 'string' || !code.startsWith('ERR_CGFAC_')) return error;
    return new CgfacError(code as CgfacError['code'], String(message), { cause: error });
  } catch {
    return error; // the caller's, which throws when it is read
  }
}
