/** Whether memory stays what it is. */
import type { Heap } from './protocol';

/** The memory of the process at a rest: nothing is at work, garbage was collected, one worker is left. */
export interface MemorySample {
  /** Seconds since the start. */
  readonly seconds: number;
  /** Bytes of memory that the process occupies. */
  readonly resident: number;
  /** The heap of the worker that lives as long as the run. */
  readonly worker: Heap;
  /** The heap of the main thread. */
  readonly main: Heap;
}

/** What the samples say. */
export interface MemoryVerdict {
  /** Samples after the warm-up. */
  readonly samples: number;
  /** Bytes by which the mean of the last third is above that of the first, after the warm-up. */
  readonly growth: number;
  /** Bytes that the samples after the warm-up are above and below their median at the most. */
  readonly spread: number;
  /** Whether it grew by no more than the bound; `undefined` where there are too few samples to tell. */
  readonly flat: boolean | undefined;
}

/** Bytes that memory may grow by after the warm-up. */
export const BOUND = 3e6;
/** The share of a run that is its warm-up: code is compiled, and all threads have been at work at once. */
const WARM_UP = 0.5;
/** Samples after the warm-up that a verdict needs. */
const LEAST = 6;

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Judges the samples of a run. */
export function judgeMemory(samples: readonly MemorySample[], seconds: number): MemoryVerdict {
  const warm = samples.filter((sample) => sample.seconds >= WARM_UP * seconds).map(({ resident }) => resident);
  const third = Math.floor(warm.length / 3);
  const growth = third === 0 ? Number.NaN : mean(warm.slice(-third)) - mean(warm.slice(0, third));
  const middle = median(warm);
  const spread = Math.max(...warm.map((value) => Math.abs(value - middle)), 0);
  const flat = warm.length < LEAST ? undefined : Math.abs(growth) <= BOUND;
  return { samples: warm.length, growth, spread, flat };
}
