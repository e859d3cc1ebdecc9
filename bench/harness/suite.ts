import type { BenchLayer } from './layers';
import type { BenchRow, Machine } from './rows';

/** A display of what is being measured. */
export interface Progress {
  /** A layer or another part begins. */
  next(part: string): void;
  /** Something was timed once. */
  readonly tick: () => void;
  /** Prints lines that stay, above the display. */
  say(text: string): void;
  stop(): void;
}

/** Milliseconds that suites which time calls spend on a group of them. */
export const usualBudget = 3000;

/** What a suite is asked to measure. */
export interface SuiteContext {
  /** Layers that were asked for, of the suite's own. */
  readonly layers: readonly BenchLayer[];
  /** Methods that were asked for, of the suite's own. */
  readonly methods: readonly string[];
  /** Tasks that were asked for, of the suite's own. */
  readonly tasks: readonly string[];
  /** Seeds that were asked for. */
  readonly seeds: readonly number[];
  /** Milliseconds to spend on a group of calls. */
  readonly budget: number;
  /** Whether tables are to be those of a document. */
  readonly markdown: boolean;
  /** Where a suite that resumes keeps what it has. */
  readonly file: string | undefined;
  readonly machine: Machine;
  readonly progress: Progress;
}

/** What a suite says that does not fit rows, or has kept its rows itself. */
export interface Report {
  readonly text: string;
  /** Whether something of it could not be measured because of an error. */
  readonly failed: boolean;
}

/** A suite refuses the options for which it lacks the field of that name. */
export interface Suite {
  readonly name: string;
  readonly summary: string;
  /** The layers that `--layers` chooses from. */
  readonly layers?: readonly BenchLayer[];
  /** The methods that `--methods` chooses from. */
  readonly methods?: readonly string[];
  /** Names that stand for several methods. */
  readonly methodGroups?: Readonly<Record<string, readonly string[]>>;
  /** The methods of a run that asks for none; all of them by default. */
  readonly usualMethods?: readonly string[];
  /** The tasks that `--tasks` chooses from. */
  readonly tasks?: readonly string[];
  /** The seeds of a run that asks for none with `--seeds`. */
  readonly seeds?: readonly number[];
  /** Milliseconds for a group of calls, where `--budget` says no other number. */
  readonly budget?: number;
  /** Takes `--markdown`. */
  readonly markdown?: true;
  /** Writes the file of `--json` itself, whatever it has, and goes on with one that is there. */
  readonly resumes?: true;
  /** The rows as an SVG picture, for `--plot`. */
  readonly plot?: (rows: readonly BenchRow[], machine: Machine) => Promise<string>;
  readonly run: (context: SuiteContext) => readonly BenchRow[] | Promise<readonly BenchRow[] | Report>;
}
