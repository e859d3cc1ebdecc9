import type { BenchLayer } from './layers';
import type { BenchRow, Machine } from './rows';

/** A display of what is being measured. */
export interface Progress {
  /** A layer or another part begins. */
  next(part: string): void;
  /** Something was timed once. */
  readonly tick: () => void;
  stop(): void;
}

/** What a suite is asked to measure. */
export interface SuiteContext {
  /** Layers that were asked for, of the suite's own. */
  readonly layers: readonly BenchLayer[];
  /** Methods that were asked for, of the suite's own. */
  readonly methods: readonly string[];
  /** Milliseconds to spend on a group of calls. */
  readonly budget: number;
  readonly progress: Progress;
}

/** A suite refuses the options for which it lacks the field of that name. */
export interface Suite {
  readonly name: string;
  readonly summary: string;
  /** The layers that `--layers` chooses from. */
  readonly layers?: readonly BenchLayer[];
  /** The methods that `--methods` chooses from. */
  readonly methods?: readonly string[];
  /** The rows as an SVG picture, for `--plot`. */
  readonly plot?: (rows: readonly BenchRow[], machine: Machine) => Promise<string>;
  readonly run: (context: SuiteContext) => readonly BenchRow[] | Promise<readonly BenchRow[]>;
}
