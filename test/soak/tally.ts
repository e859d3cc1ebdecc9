/** What became of calls, counted by what was called. */

/**
 * How a call ended. `right`: with the bits of its reference. `aborted`: by its signal. `refused`: with the error that
 * it was to end with. `wrong`: with other numbers, or with no error where there had to be one. `unexpected`: with
 * another error.
 */
export const outcomes = ['right', 'aborted', 'refused', 'wrong', 'unexpected'] as const;

/** One of the ends of a call. */
export type Outcome = (typeof outcomes)[number];

/** Counts of each end. */
export type Counts = Record<Outcome, number>;

/** Counts by the name of what was called. */
export type Tally = Record<string, Counts>;

/** A call that did not end as it should, and the seed of the case that it was made in. */
export interface Fault {
  readonly seed: number;
  readonly what: string;
}

/** No call yet. */
export const noCalls = (): Counts => ({ right: 0, aborted: 0, refused: 0, wrong: 0, unexpected: 0 });

/** Adds one tally to another. */
export function add(to: Tally, more: Tally): void {
  for (const [name, counts] of Object.entries(more)) {
    const sum = to[name] ?? noCalls();
    to[name] = sum;
    for (const outcome of outcomes) sum[outcome] += counts[outcome];
  }
}

/** The counts of all calls together. */
export function total(tally: Tally): Counts {
  const sum = noCalls();
  for (const counts of Object.values(tally)) for (const outcome of outcomes) sum[outcome] += counts[outcome];
  return sum;
}

/** Where a case says what became of its calls. */
export class Report {
  readonly seed: number;
  readonly tally: Tally = {};
  readonly faults: Fault[] = [];

  /** @param seed - That of the case. */
  constructor(seed: number) {
    this.seed = seed;
  }

  /** Counts a call; `detail` says what is wrong with one that did not end as it should. */
  count(name: string, outcome: Outcome, detail = ''): void {
    const counts = this.tally[name] ?? noCalls();
    this.tally[name] = counts;
    counts[outcome]++;
    if (outcome === 'wrong' || outcome === 'unexpected')
      this.faults.push({ seed: this.seed, what: `${name}: ${outcome}${detail && `, ${detail}`}` });
  }
}
