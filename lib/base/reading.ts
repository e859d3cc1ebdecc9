/**
 * What callers give is code that they may have written: getters, traps of proxies, schedules. All of it runs here, once
 * for each call, and what it throws becomes an error of the package.
 */
import { CgfacError, isCgfacError } from './errors';

/** The message of what was thrown, which may be anything. */
function messageOf(thrown: unknown): string {
  try {
    const { message } = thrown as { readonly message?: unknown };
    return typeof message === 'string' ? message : String(thrown);
  } catch {
    return 'something that cannot be read';
  }
}

/** The name and the message of what was thrown, which may be anything. */
export function wordsOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return messageOf(thrown);
  }
}

/**
 * Runs code of the caller's.
 *
 * @param expected - What an error says was expected for `name`.
 * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_VALUE` for whatever the code throws; an error of the package as it
 * is.
 */
export function reading<T>(expected: string, name: string, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    throw unreadable(expected, name, thrown);
  }
}

/** The error for what the caller's code threw; one of the package as it is. */
export function unreadable(expected: string, name: string, thrown: unknown): CgfacError {
  if (isCgfacError(thrown)) return thrown;
  const words = `Expected ${expected} for ${name} but received one that throws: ${messageOf(thrown).slice(0, 200)}`;
  return new CgfacError('ERR_CGFAC_INVALID_ARG_VALUE', words, { cause: thrown });
}

/** The elements of an array, each read once; `undefined` of what is no array. */
export function elementsOf(value: unknown, name: string): unknown[] | undefined {
  return reading('an array that can be read', name, () =>
    Array.isArray(value) ? Array.from({ length: value.length }, (_, index) => value[index] as unknown) : undefined,
  );
}

/** A copy of plain data, however deep, in which nothing is the caller's but the arrays of numbers. */
export function plainCopy(value: unknown, name: string): unknown {
  return reading('data that can be read', name, () => copyOf(value, MOST_LEVELS));
}

/** What is deeper refers to itself. */
const MOST_LEVELS = 8;

function copyOf(value: unknown, levels: number): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (levels === 0) throw new RangeError('objects within objects');
  return Object.fromEntries(
    Object.entries(value).map(([name, each]: [string, unknown]) => [name, copyOf(each, levels - 1)]),
  );
}
