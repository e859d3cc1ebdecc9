/** Milliseconds that a call takes. */
export function time(call: () => void): number {
  const begin = process.hrtime.bigint();
  call();
  return Number(process.hrtime.bigint() - begin) / 1e6;
}

/** The median; of an even number of values the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** What came of timing a call beside another one. */
export interface PairedTiming {
  /** Median milliseconds of the call. */
  readonly ms: number;
  /** Median milliseconds of the reference. */
  readonly referenceMs: number;
  /** Median of the ratios of neighbours in time. */
  readonly ratio: number;
  /** The least of them. */
  readonly ratioMin: number;
}

/** A call that is told which turn it is, so that it can take other memory each time. */
export type Turn = (turn: number) => void;

/**
 * Times calls in turns, the reference before each and after the last: a ratio is that of a call to the mean of the references on
 * either side of it, so that what slows the machine down for longer than a call slows both.
 */
export function pairedTimings(reference: Turn, calls: readonly Turn[], repeats: number, onTurn: () => void = () => {}): PairedTiming[] {
  reference(0);
  for (const call of calls) call(0);
  const times = calls.map((): number[] => []);
  const ratios = calls.map((): number[] => []);
  const references: number[] = [];
  let before = time(() => reference(1));
  for (let repeat = 0; repeat < repeats; repeat++) {
    calls.forEach((call, which) => {
      const turn = repeat * calls.length + which + 2;
      const ms = time(() => call(turn));
      const after = time(() => reference(turn));
      times[which]?.push(ms);
      ratios[which]?.push(ms / ((before + after) / 2));
      references.push(after);
      before = after;
      onTurn();
    });
  }
  const referenceMs = median(references);
  return calls.map((_, which) => {
    const own = ratios[which] ?? [];
    return { ms: median(times[which] ?? []), referenceMs, ratio: median(own), ratioMin: Math.min(...own) };
  });
}

/** Repeats for a call of that many milliseconds, to fill about `budget` milliseconds: at least 3, at most 60. */
export function repeatsFor(milliseconds: number, budget: number): number {
  return Math.max(3, Math.min(60, Math.round(budget / Math.max(milliseconds, 1e-3))));
}
