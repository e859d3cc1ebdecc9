import type { BenchLayer } from './layers';
import type { BenchRow } from './rows';

/** A display of what is being measured. */
export interface Progress {
  /** A layer or another part begins. */
  next(part: string): void;
  /** Something was timed once. */
  readonly tick: () => void;
  stop(): void;
}

export interface SuiteContext {
  readonly layers: readonly BenchLayer[];
  /** Methods to measure; none: all. */
  readonly methods: readonly string[];
  /** Milliseconds to spend on a group of calls. */
  readonly budget: number;
  readonly progress: Progress;
}

export interface Suite {
  readonly name: string;
  readonly summary: string;
  readonly run: (context: SuiteContext) => readonly BenchRow[] | Promise<readonly BenchRow[]>;
}
