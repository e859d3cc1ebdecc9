/** Calls into the addon. */
import { reading } from '../base/reading';
import { toCgfacError } from './errors';
import type { NativeCancelToken } from './layer';
import { native } from './load';

/** Calls into the addon, and throws what it throws as {@link CgfacError}. */
export function callNative<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw toCgfacError(error);
  }
}

/**
 * Runs an asynchronous call of the addon under an `AbortSignal`. It settles only once the pool thread is done; aborted
 * before that, it rejects with the signal's reason.
 */
export async function callNativeAsync<T>(
  signal: AbortSignal | undefined,
  call: (token: NativeCancelToken | undefined) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const token = signal === undefined ? undefined : new native.CancelToken();
  const cancel = () => token?.cancel();
  if (signal) reading('an AbortSignal', 'signal', () => signal.addEventListener('abort', cancel, { once: true }));
  try {
    return await call(token);
  } catch (error) {
    signal?.throwIfAborted();
    throw toCgfacError(error);
  } finally {
    if (signal) reading('an AbortSignal', 'signal', () => signal.removeEventListener('abort', cancel));
  }
}
