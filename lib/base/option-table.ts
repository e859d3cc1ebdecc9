/**
 * Options as a table: a row per option with its check, its default, the values of other options under which it may be
 * given, and its sentence. Names, resolution and refusals follow from the rows here; TSDoc and the tables of
 * docs/guide.md are written from them by scripts/generate-options.mjs.
 */
import { CgfacError } from './errors';
import { anyOf, missingOption, readOptions, valueError } from './validate';

/** The value that an option has been resolved to, by its name; and whether it was given itself. */
export interface Lookup {
  (option: string): unknown;
  readonly given?: (option: string) => boolean;
}

/** What an option takes, as a check and in words. */
export interface Kind<T = unknown> {
  /** Returns the value, or throws the error of one that is not of this kind. */
  readonly check: (value: unknown, name: string, of: Lookup) => T;
  /** The type as TypeScript has it. */
  readonly type: string;
  /** The type and its range in words: "a positive integer". */
  readonly expected: string;
}

/** What is asked of another option: one of some values, or to be given, absent, or a number below a bound. */
export type Term =
  | readonly string[]
  | { readonly given: true }
  | { readonly below: number }
  | {
      /** How a refusal calls an option that should have been absent: "Expected no x … but received one". */
      readonly absent: string;
    };

/** What is asked of other options, all of it. */
export type Where = Readonly<Record<string, Term>>;

/** A default: a value, a value for each value of another option, a choice by other options, or one that is made. */
export type Default<T = unknown> =
  | { readonly value: T }
  | { readonly by: string; readonly values: Readonly<Record<string, T>> }
  | { readonly where: Where; readonly then: Default<T>; readonly otherwise: Default<T> }
  | { readonly make: (of: Lookup) => T; readonly words: string };

/** A value of an option, where it has a sentence of its own or asks something of other options. */
export interface ValueRow {
  /** What it means, without a full stop at its end. */
  readonly text?: string;
  /** What other options must be beside it, each in turn, and why where that is not plain. */
  readonly needs?: readonly { readonly where: Where; readonly because?: string }[];
}

/** A row of the table: all that there is to know of an option. */
export interface OptionRow<T = unknown> {
  readonly kind: Kind<T>;
  /** That there is no default, and none is right. */
  readonly required?: true;
  /** None: an option that need not be given. */
  readonly default?: Default<unknown>;
  /** Where the option may be given, each in turn; one that is false may be given everywhere. */
  readonly only?: readonly Where[];
  /** What is special about its values. */
  readonly values?: Readonly<Record<string, ValueRow>>;
  /** What it is: whole sentences. */
  readonly text: string;
}

/** The options of one owner, in the order in which messages name them and checks go through them. */
export type OptionRows = Readonly<Record<string, OptionRow>>;

type Checked<R extends OptionRow> = ReturnType<R['kind']['check']>;
type DefaultOf<R extends OptionRow> = R extends { readonly default: Default<infer D> } ? D : undefined;
type Resolved<R extends OptionRow> = R extends { readonly required: true }
  ? Checked<R>
  : undefined extends DefaultOf<R>
    ? Checked<R> | undefined
    : Checked<R>;

/** The options of a table with their defaults. */
export type ResolvedOptions<R extends OptionRows> = { readonly [Name in keyof R]: Resolved<R[Name]> };

/** A default that is the same everywhere. */
export const is = <const T>(value: T): Default<T> => ({ value });

/** A default that another option chooses by its value. */
export const by = <T>(option: string, values: Readonly<Record<string, T>>): Default<T> => ({ by: option, values });

/** A default that depends on other options. */
export const when = <A, B>(where: Where, then: Default<A>, otherwise: Default<B>): Default<A | B> => ({
  where,
  then,
  otherwise,
});

/** A default that is another option's value. */
export const like = <T>(option: string): Default<T> => ({ make: (of) => of(option) as T, words: `\`${option}\`` });

/** A default that is made anew each time. */
export const made = <T>(make: () => T, words: string): Default<T> => ({ make, words });

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== false;
}

function isMet(option: string, term: Term, of: Lookup): boolean {
  const given = () => of.given?.(option) ?? isGiven(of(option));
  if ('given' in term) return given();
  if ('absent' in term) return !given();
  const value = of(option);
  if ('below' in term) return typeof value === 'number' && value < term.below;
  return term.some((allowed) => allowed === value);
}

const firstUnmet = (where: Where, of: Lookup): readonly [string, Term] | undefined =>
  Object.entries(where).find(([option, term]) => !isMet(option, term, of));

function defaultOf(row: Default, of: Lookup): unknown {
  if ('value' in row) return row.value;
  if ('by' in row) return row.values[String(of(row.by))];
  if ('make' in row) return row.make(of);
  return defaultOf(firstUnmet(row.where, of) ? row.otherwise : row.then, of);
}

/** The error of an option that is given where it may not be. */
export type Refusal = (option: string, where: Where, of: Lookup) => CgfacError;

/** "Expected method 'cg' or 'auto' with the option space but received 'exact'": all that is asked, and all there is. */
export const refusedWith: Refusal = (option, where, of) => {
  const terms = Object.entries(where);
  const expected = terms.map(([name, term]) => {
    if ('given' in term) return `a ${name}`;
    return 'absent' in term ? `no ${name}` : `${name} ${anyOf(term as string[])}`;
  });
  const received = terms.map(([name, term]) => {
    if ('given' in term) return 'none';
    return 'absent' in term ? term.absent : `'${of(name)}'`;
  });
  return new CgfacError(
    'ERR_CGFAC_INVALID_ARG_VALUE',
    `Expected ${expected.join(' with ')} with the option ${option} but received ${received.join(' with ')}`,
  );
};

/** "Expected 'cg' or 'auto' with the option space for method but received 'exact'": the first that is not met. */
export const refusedFor: Refusal = (option, where, of) => {
  const [name, term] = firstUnmet(where, of) ?? ['', []];
  return valueError(`${anyOf(term as string[])} with the option ${option}`, name, of(name));
};

/** Checks what a value asks of other options. */
function requireBeside(rows: OptionRows, name: string, value: string, owner: string, of: Lookup): void {
  for (const { where, because } of rows[name]?.values?.[value]?.needs ?? []) {
    const [other, term] = firstUnmet(where, of) ?? [];
    if (other === undefined || term === undefined) continue;
    if ('given' in term)
      throw missingOption(rows[other]?.kind.expected ?? '', `${other} of ${owner} with ${name} '${value}'`);
    const expected = `${anyOf(term as string[])} with ${name} '${value}'`;
    throw valueError(because === undefined ? expected : `${expected} (${because})`, other, of(other));
  }
}

/**
 * Checks options by their table and fills in the defaults. Row by row: whether the option may be given beside the
 * others, then its value, then what the value asks of the others.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
 * `ERR_CGFAC_INVALID_ARG_VALUE`.
 */
export function resolveOptions<const R extends OptionRows>(
  rows: R,
  options: unknown,
  owner: string,
  refused: Refusal = refusedWith,
): ResolvedOptions<R> {
  const given = readOptions(options as Readonly<Record<string, unknown>>, owner, Object.keys(rows));
  const found = new Map<string, unknown>();
  const resolved = (name: string): unknown => {
    if (found.has(name)) return found.get(name);
    const row: OptionRow | undefined = rows[name];
    const value =
      given[name] !== undefined ? row?.kind.check(given[name], name, of) : row?.default && defaultOf(row.default, of);
    found.set(name, value);
    return value;
  };
  const of: Lookup = Object.assign(resolved, { given: (name: string) => isGiven(given[name]) });
  const entries = Object.entries<OptionRow>(rows);
  for (const [name, { required, kind }] of entries)
    if (required && given[name] === undefined)
      throw missingOption(kind.expected, `${name} of ${owner}, which has no default,`);
  for (const [name, { only = [] }] of entries) {
    const refusing = isGiven(given[name]) ? only.find((where) => firstUnmet(where, of)) : undefined;
    if (refusing) throw refused(name, refusing, of);
    const value = of(name);
    if (typeof value === 'string') requireBeside(rows, name, value, owner, of);
  }
  return Object.fromEntries(found) as ResolvedOptions<R>;
}
