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

/** The lower quartile: the value that a quarter of them do not exceed. */
export function lowerQuartile(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 4)] ?? Number.NaN;
}

/** The slope of the line of least squared errors through points. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const centre = { x: mean(points.map(([x]) => x)), y: mean(points.map(([, y]) => y)) };
  const sum = (term: (dx: number, dy: number) => number) =>
    points.reduce((all, [x, y]) => all + term(x - centre.x, y - centre.y), 0);
  return sum((dx, dy) => dx * dy) / sum((dx) => dx * dx);
}

/** What came of timing a call beside another one. */
export interface PairedTiming {
  /** Median milliseconds of the call. */
  readonly ms: number;
  /** Median milliseconds of the reference. */
  readonly referenceMs: number;
  /** Median of the ratios of neighbours in time. */
  readonly ratio: number;
  /** The least of the ratios. */
  readonly ratioMin: number;
  /** Lower quartile of the ratios. */
  readonly ratioLow: number;
  /** The ratios, round by round. */
  readonly ratios: readonly number[];
}

/** A call that is told which turn it is, so that it can take other memory each time. */
export type Turn = (turn: number) => void;

/** An element of a list that is gone through again and again. */
export function at<T>(list: readonly T[], turn: number): T {
  return list[turn % list.length] as T;
}

/** How calls are timed beside a reference. */
export interface PairedOptions {
  /** Something was timed once. */
  readonly onTurn?: () => void;
  /** Done before each timing of the reference, or of a call, and not timed with it. */
  readonly beforeReference?: () => void;
  readonly beforeCall?: () => void;
  /** What takes fewer milliseconds is called several times in a row, and their mean taken. Default: 1. */
  readonly leastMs?: number;
  /** The fewest rounds, however long these take. Default: 3. */
  readonly leastRounds?: number;
}

const mostInARow = 200;
const mostRepeats = 300;

/** A call with the means to time it. */
export interface Timer {
  /** Milliseconds of a call. */
  readonly time: (turn: number) => number;
  /** Milliseconds that timing takes. */
  readonly cost: number;
}

/**
 * Times a call, or as many in a row as make up `leastMs`; the count is found by the one or two calls that also warm up.
 */
export function timer(call: Turn, leastMs = 1, before: () => void = () => {}): Timer {
  before();
  const first = time(() => call(0));
  const once = first > 10 * leastMs ? first : time(() => call(1));
  const count = Math.max(1, Math.min(mostInARow, Math.round(leastMs / Math.max(once, 1e-3))));
  const timed = (turn: number) => {
    before();
    const ms = time(() => {
      for (let i = 0; i < count; i++) call(turn + i);
    });
    return ms / count;
  };
  return { time: timed, cost: once * count };
}

/**
 * Times calls in turns, the reference before each and after the last: a ratio is that of a call to the mean of the
 * references on either side of it, so that what slows the machine down for longer than a call slows both. As many
 * rounds as fill about `budget` milliseconds: at least `leastRounds`, at most 300.
 */
export function pairedTimings(
  reference: Turn,
  calls: readonly Turn[],
  budget: number,
  options: PairedOptions = {},
): PairedTiming[] {
  const { onTurn = () => {}, beforeReference = () => {}, beforeCall = () => {} } = options;
  const { leastMs = 1, leastRounds = 3 } = options;
  const referenceTimer = timer(reference, leastMs, beforeReference);
  const timers = calls.map((call) => timer(call, leastMs, beforeCall));
  const round = timers.reduce((sum, { cost }) => sum + cost + referenceTimer.cost, 0);
  const repeats = Math.max(leastRounds, Math.min(mostRepeats, Math.round(budget / round)));
  const times = calls.map((): number[] => []);
  const ratios = calls.map((): number[] => []);
  const references: number[] = [];
  let before = referenceTimer.time(1);
  for (let repeat = 0; repeat < repeats; repeat++) {
    timers.forEach((own, which) => {
      const turn = repeat * calls.length + which + 2;
      const ms = own.time(turn);
      const after = referenceTimer.time(turn);
      times[which]?.push(ms);
      ratios[which]?.push(ms / ((before + after) / 2));
      references.push(after);
      before = after;
      onTurn();
    });
  }
  const referenceMs = median(references);
  return calls.map((_, which) => {
    const paired = ratios[which] ?? [];
    return {
      ms: median(times[which] ?? []),
      referenceMs,
      ratio: median(paired),
      ratioMin: Math.min(...paired),
      ratioLow: lowerQuartile(paired),
      ratios: paired,
    };
  });
}
