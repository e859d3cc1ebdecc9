/**
 * A step as a sequence of phases, each of which the addon can do at once or on the pool: `…Sync` methods and their
 * twins that return promises go through the same one.
 */

/** A call of the addon, in both its forms. */
export interface Phase {
  /** Does it on the calling thread and the pool. */
  readonly now: () => void;
  /** Does it on the pool. */
  readonly later: (signal: AbortSignal | undefined) => Promise<void>;
}

/** What is left to do, phase by phase. */
export type Phases<T> = Generator<Phase, T, void>;

/** Goes through the phases on the calling thread; an error of a phase is thrown where the sequence waits for it. */
export function runNow<T>(phases: Phases<T>): T {
  let next = phases.next();
  while (!next.done) {
    try {
      next.value.now();
    } catch (error) {
      next = phases.throw(error);
      continue;
    }
    next = phases.next();
  }
  return next.value;
}

/** Goes through the phases on the pool; an error of a phase is thrown where the sequence waits for it. */
export async function runLater<T>(phases: Phases<T>, signal: AbortSignal | undefined): Promise<T> {
  let next = phases.next();
  while (!next.done) {
    try {
      await next.value.later(signal);
    } catch (error) {
      next = phases.throw(error);
      continue;
    }
    next = phases.next();
  }
  return next.value;
}
