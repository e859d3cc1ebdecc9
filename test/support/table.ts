/** The table method × dampingMode × factorHistory × block × gradient × call: its entries and its rows. */
import type { CgfacErrorCode, LayerPreconditionerOptions } from 'cgfac';

type Options = Required<LayerPreconditionerOptions>;

/** One way to ask for a direction. */
export interface Entry {
  readonly method: Options['method'];
  readonly dampingMode: Options['dampingMode'];
  readonly factorHistory: Options['factorHistory'];
  readonly block: Options['block'];
  /** Whether v is given, or the recorded rows' own. */
  readonly gradient: 'given' | 'own';
  readonly call: 'sync' | 'async';
}

/** The values of each of some parts of entries. */
export type Axes<Parts extends keyof Entry> = { readonly [Part in Parts]: readonly Entry[Part][] };

/** Entries that have something in common, and that they work, or the error that says why not. */
export interface TableRow {
  readonly where: { readonly [Part in keyof Entry]?: readonly Entry[Part][] };
  readonly refused?: { readonly code: CgfacErrorCode; readonly message: string };
}

/** A table whole, with the numbers of entries that work and that are refused. */
export interface Table {
  readonly rows: readonly TableRow[];
  readonly working: number;
  readonly refused: number;
}

/** What the table of options knows of an option that is one of some strings. */
export interface Choice<T> {
  /** The union of them as TypeScript has it. */
  readonly type: string;
  /** Returns one of them. */
  readonly check: (...value: never) => T;
}

/** The values that an option takes, as its kind has them. */
export function valuesOf<T extends string>({ type }: Choice<T>): T[] {
  return [...type.matchAll(/'([^']+)'/g)].map(([, value]) => value as T);
}

/** The product of the values of some parts: with all of them, all entries. */
export function entriesOf<Parts extends keyof Entry>(axes: Axes<Parts>): Pick<Entry, Parts>[] {
  let entries: object[] = [{}];
  for (const [part, values] of Object.entries<readonly string[]>(axes))
    entries = entries.flatMap((entry) => values.map((value) => ({ ...entry, [part]: value })));
  return entries as Pick<Entry, Parts>[];
}

/** The rows of a table that an entry belongs to. */
export function rowsFor(entry: Entry, { rows }: Table): TableRow[] {
  const parts = Object.entries(entry) as [keyof Entry, string][];
  return rows.filter(({ where }) =>
    parts.every(([part, value]) => (where[part] as readonly string[] | undefined)?.includes(value) ?? true),
  );
}

/** An entry in words. */
export const nameOf = (entry: Entry): string => Object.values(entry).join(', ');
