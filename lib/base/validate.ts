import { CgfacError } from './errors';
import { reading, unreadable } from './reading';

/** Describes a received value the way the messages of this package do: `"NaN"`, `"a Float64Array of length 12"`. */
export function describe(value: unknown): string {
  try {
    return words(value);
  } catch {
    return `${typeof value === 'function' ? 'a function' : 'an object'} that cannot be read`;
  }
}

function words(value: unknown): string {
  if (value === null) return 'null';
  if (ArrayBuffer.isView(value)) {
    const length = 'length' in value ? value.length : value.byteLength;
    return `a ${value.constructor?.name ?? 'typed array'} of length ${length}`;
  }
  if (Array.isArray(value)) return `an array of length ${value.length}`;
  switch (typeof value) {
    case 'string':
      return `'${value}'`;
    case 'number':
    case 'boolean':
    case 'undefined':
      return String(value);
    case 'bigint':
      return `${value}n`;
    case 'symbol':
      return 'a symbol';
    case 'function':
      return `a function${value.name ? ` ${value.name}` : ''}`;
    default: {
      const name = (value as object).constructor?.name;
      return name && name !== 'Object'
        ? `an instance of ${name}`
        : `an object with keys ${Object.keys(value as object).join(', ') || '(none)'}`;
    }
  }
}

/** The error for a value of another type. */
export function typeError(expected: string, name: string, received: unknown): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_INVALID_ARG_TYPE',
    `Expected ${expected} for ${name} but received ${describe(received)}`,
  );
}

/** The error for a value of the right type that is out of range. */
export function valueError(expected: string, name: string, received: unknown): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_INVALID_ARG_VALUE',
    `Expected ${expected} for ${name} but received ${describe(received)}`,
  );
}

/** The error of an option without a default that was left out. */
export function missingOption(expected: string, name: string): CgfacError {
  return new CgfacError('ERR_CGFAC_MISSING_OPTION', `Expected ${expected} for ${name} but received undefined`);
}

/** "'a', 'b' or 'c'": strings in the words of an error. */
export function anyOf(values: readonly string[]): string {
  const quoted = values.map((value) => `'${value}'`);
  return [quoted.slice(0, -1).join(', '), ...quoted.slice(-1)].filter(Boolean).join(' or ');
}

/**
 * The least number of insertions, deletions, substitutions and exchanges of two neighbours that make `b` of `a`. With
 * d(i, j) the number for the first i letters of a and j of b, it is the least of d(i − 1, j) + 1, d(i, j − 1) + 1,
 * d(i − 1, j − 1) + [a_i ≠ b_j] and, where the last two letters are exchanged, d(i − 2, j − 2) + 1.
 *
 * Source: F. J. Damerau, "A technique for computer detection and correction of spelling errors", 1964.
 */
export function editDistance(a: string, b: string): number {
  let twoBack: number[] = [];
  let before = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const [above = 0, left = 0, diagonal = 0] = [before[j], row[j - 1], before[j - 1]];
      const least = Math.min(above + 1, left + 1, diagonal + (same ? 0 : 1));
      const exchanged = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(exchanged ? Math.min(least, (twoBack[j - 2] ?? 0) + 1) : least);
    }
    [twoBack, before] = [before, row];
  }
  return before[b.length] ?? 0;
}

/** What other packages call options of this one, in the form of {@link plain}. */
const FOREIGN_NAMES: ReadonlyMap<string, string> = new Map([
  ['lr', 'learningRate'],
  ['stepsize', 'learningRate'],
  ['wd', 'weightDecay'],
  ['beta', 'momentum'],
  ['beta1', 'momentum'],
  ['mu', 'momentum'],
  ['ema', 'useEma'],
  ['emadecay', 'emaMomentum'],
  ['statdecay', 'factorDecay'],
  ['lambda', 'damping'],
  ['eps', 'damping'],
  ['epsilon', 'damping'],
  ['tol', 'tolerance'],
  ['maxiter', 'maxIterations'],
]);

/** A name as names are compared: upper and lower case, `_` and `-` make no difference. */
const plain = (name: string): string => name.replace(/[_-]/g, '').toLowerCase();

/** A name with more letters is near to none: to compare it would take as long as it is. */
const LONGEST_NAME = 64;

/**
 * The known name that is probably meant: what another package's name stands for here, else the nearest, if at most a
 * third of its letters are wrong; of a name that is too long for a mistake none.
 */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  if (name.length > LONGEST_NAME) return undefined;
  const own = FOREIGN_NAMES.get(plain(name));
  if (own !== undefined && known.includes(own)) return own;
  const distances = known.map((candidate) => editDistance(plain(name), plain(candidate)));
  const index = distances.indexOf(Math.min(...distances));
  const candidate = known[index];
  if (candidate === undefined) return undefined;
  return (distances[index] ?? 0) <= Math.max(name.length, candidate.length) / 3 ? candidate : undefined;
}

/** "; did you mean 'cg'?": the end of the message about a name that is not known; empty where none is near. */
export function didYouMean(name: string, known: readonly string[]): string {
  const meant = nearestName(name, known);
  return meant === undefined ? '' : `; did you mean '${meant}'?`;
}

/**
 * Checks that `options` is an object with no other names than `known` (a misspelt option is refused by name), and reads
 * each of them once: a copy, in which nothing is the caller's but the values. An option that is `undefined` was not
 * given.
 *
 * @param read - How they are read, where it has to be quick: it takes those of `known` apart and puts them together.
 */
export function readOptions<T>(
  options: T,
  owner: string,
  known: readonly string[],
  read: (options: T) => unknown = (given) => readByName(given, known),
): T {
  try {
    if (typeof options !== 'object' || options === null || Array.isArray(options) || ArrayBuffer.isView(options))
      throw typeError('an options object', `the options of ${owner}`, options);
    for (const name of Object.keys(options)) if (!known.includes(name)) throw unknownOption(name, owner, known);
    return read(options) as T;
  } catch (thrown) {
    throw unreadable('an object that can be read', `the options of ${owner}`, thrown);
  }
}

function readByName(options: unknown, known: readonly string[]): object {
  const read: Record<string, unknown> = {};
  for (const name of known) {
    const value = (options as Readonly<Record<string, unknown>>)[name];
    if (value !== undefined) read[name] = value;
  }
  return read;
}

function unknownOption(name: string, owner: string, known: readonly string[]): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_UNKNOWN_OPTION',
    `Expected one of ${known.join(', ')} for an option of ${owner} but received '${name}'${didYouMean(name, known)}`,
  );
}

/** A positive integer that fits the 32-bit integers of BLAS. */
export function positiveInteger(value: unknown, name: string): number {
  if (typeof value !== 'number') throw typeError('a positive integer', name, value);
  if (!Number.isInteger(value) || value < 1 || value > 0x7fffffff)
    throw valueError('a positive integer below 2^31', name, value);
  return value;
}

/** An integer ≥ 0. */
export function nonNegativeInteger(value: unknown, name: string): number {
  if (typeof value !== 'number') throw typeError('an integer ≥ 0', name, value);
  if (!Number.isSafeInteger(value) || value < 0) throw valueError('an integer ≥ 0', name, value);
  return value;
}

/** Checks that a value is a boolean. */
export function boolean(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw typeError('a boolean', name, value);
  return value;
}

/** A finite number of either sign. */
export function finite(value: unknown, name: string): number {
  if (typeof value !== 'number') throw typeError('a number', name, value);
  if (!Number.isFinite(value)) throw valueError('a finite number', name, value);
  return value;
}

/** A finite number ≥ 0. */
export function nonNegative(value: unknown, name: string): number {
  if (typeof value !== 'number') throw typeError('a number ≥ 0', name, value);
  if (!(value >= 0 && Number.isFinite(value))) throw valueError('a finite number ≥ 0', name, value);
  return value;
}

/** A finite number > 0. */
export function positive(value: unknown, name: string): number {
  if (typeof value !== 'number') throw typeError('a number > 0', name, value);
  if (!(value > 0 && Number.isFinite(value))) throw valueError('a finite number > 0', name, value);
  return value;
}

/** A number ≥ 0 and < 1. */
export function fraction(value: unknown, name: string): number {
  if (typeof value !== 'number') throw typeError('a number ≥ 0 and < 1', name, value);
  if (!(value >= 0 && value < 1)) throw valueError('a number ≥ 0 and < 1', name, value);
  return value;
}

/** A number > 0 and ≤ 1. */
export function share(value: unknown, name: string): number {
  if (typeof value !== 'number') throw typeError('a number > 0 and ≤ 1', name, value);
  if (!(value > 0 && value <= 1)) throw valueError('a number > 0 and ≤ 1', name, value);
  return value;
}

/** A number from 0 to 1. */
export function unit(value: unknown, name: string): number {
  if (typeof value !== 'number') throw typeError('a number from 0 to 1', name, value);
  if (!(value >= 0 && value <= 1)) throw valueError('a number from 0 to 1', name, value);
  return value;
}

/** A seed: an integer that a double holds exactly. */
export function seedOf(value: unknown, name: string): number {
  if (typeof value !== 'number') throw typeError('an integer from 0 to 2^53 - 1', name, value);
  if (!Number.isSafeInteger(value) || value < 0) throw valueError('an integer from 0 to 2^53 - 1', name, value);
  return value;
}

/** One of a closed set of strings. */
export function oneOf<const T extends string>(value: unknown, name: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) {
    const expected = allowed.map((candidate) => `'${candidate}'`).join(' or ');
    if (typeof value !== 'string') throw typeError(expected, name, value);
    const { code, message } = valueError(expected, name, value);
    throw new CgfacError(code, message + didYouMean(value, allowed));
  }
  return found;
}

/** Checks that the options without a default are there. */
export function checkRequired(options: object, owner: string, required: Readonly<Record<string, string>>): void {
  for (const name in required) {
    if ((options as Record<string, unknown>)[name] === undefined)
      throw missingOption(required[name] ?? '', `${name} of ${owner}, which has no default,`);
  }
}

const smallestFloat32 = 2 ** -126;
const largestFloat32 = 3.4028234663852886e38;

/** A damping: a number > 0 in the range of float32, or `{ relative }` of one. */
export function damping(value: unknown, name = 'damping'): number | { readonly relative: number } {
  if (typeof value === 'number') {
    if (!(value >= smallestFloat32 && value <= largestFloat32))
      throw valueError('a number > 0 in the range of float32', name, value);
    return value;
  }
  if (
    typeof value !== 'object' ||
    value === null ||
    !reading('an object that can be read', name, () => 'relative' in value)
  )
    throw typeError('a number > 0 or { relative: number > 0 }', name, value);
  const { relative } = readOptions(value as { readonly relative?: unknown }, name, ['relative']);
  if (typeof relative !== 'number') throw typeError('a number > 0', `${name}.relative`, relative);
  if (!(relative >= smallestFloat32 && relative <= largestFloat32)) {
    throw valueError('a number > 0 in the range of float32', `${name}.relative`, relative);
  }
  return { relative };
}

const ofSignals = ['throwIfAborted', 'addEventListener', 'removeEventListener'];

/** An `AbortSignal`, or undefined. */
export function abortSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined;
  const isSignal = reading('an AbortSignal', 'signal', () => {
    const found = value as Readonly<Record<string, unknown>> | null;
    return typeof found === 'object' && found !== null && ofSignals.every((name) => typeof found[name] === 'function');
  });
  if (!isSignal) throw typeError('an AbortSignal', 'signal', value);
  return value as AbortSignal;
}

/** A number, which may be NaN: a reason to skip a step, not an error. */
export function anyNumber(value: unknown, name: string): number {
  if (typeof value !== 'number') throw typeError('a number', name, value);
  return value;
}
