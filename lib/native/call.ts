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

/** The calls that wait under one signal, which has one listener for all of them. */
interface Waiting {
  readonly tokens: Set<NativeCancelToken>;
  readonly cancel: () => void;
}

const waiting = new WeakMap<AbortSignal, Waiting>();

/** Has a signal cancel a token until {@link release}. */
function hold(signal: AbortSignal, token: NativeCancelToken): Waiting {
  const found = waiting.get(signal);
  if (found) {
    found.tokens.add(token);
    return found;
  }
  const tokens = new Set([token]);
  const cancel = () => {
    for (const each of tokens) each.cancel();
  };
  const made = { tokens, cancel };
  reading('an AbortSignal', 'signal', () => signal.addEventListener('abort', cancel));
  waiting.set(signal, made);
  return made;
}

/** Lets go of a token, and with the last one of the signal. */
function release(signal: AbortSignal, { tokens, cancel }: Waiting, token: NativeCancelToken): void {
  tokens.delete(token);
  if (tokens.size > 0) return;
  waiting.delete(signal);
  reading('an AbortSignal', 'signal', () => signal.removeEventListener('abort', cancel));
}

/**
 * Runs an asynchronous call of the addon under an `AbortSignal`. It settles only once the pool thread is done; aborted
 * before that, it rejects with the signal's reason. However many calls wait under a signal, it has one listener.
 */
export async function callNativeAsync<T>(
  signal: AbortSignal | undefined,
  call: (token: NativeCancelToken | undefined) => Promise<T>,
): Promise<T> {
  if (signal === undefined) return await settledCall(signal, () => call(undefined));
  signal.throwIfAborted();
  const token = new native.CancelToken();
  const held = hold(signal, token);
  try {
    return await settledCall(signal, () => call(token));
  } finally {
    release(signal, held, token);
  }
}

async function settledCall<T>(signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    signal?.throwIfAborted();
    throw toCgfacError(error);
  }
}
