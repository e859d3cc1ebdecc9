/**
 * What keeps a rank from a step, and how the others are told: the rank goes through the collectives that they are in,
 * with a word in the place of its numbers, until all of them have it; then each throws, or skips the step.
 */
import type { Communicator } from '../../base/communicator';
import { CgfacError, isCgfacError } from '../../base/errors';
import { wordsOf } from '../../base/reading';
import type { Phases } from '../step/phase';
import { unexpected } from './checked';
import { allgatherv } from './collectives';

/** What a rank says of a step before numbers. */
export const status = {
  /** It takes part. */
  fine: 0,
  /** It cannot be taken, and is no error. */
  skipped: 1,
  /** It failed. */
  failed: 2,
} as const;

/** What a rank says of a step, as it came by a collective. */
export function statusIn(said: number | undefined, collective: string): number {
  if (said === status.fine || said === status.skipped || said === status.failed) return said;
  throw unexpected(collective, 'a word of each rank on how it fares', String(said));
}

/** The first thing that went wrong on this rank. */
export class Trouble {
  #reason: string | undefined;
  #error: { readonly thrown: unknown } | undefined;

  /** What the others are told in a collective. */
  get status(): number {
    if (this.#error !== undefined) return status.failed;
    return this.#reason === undefined ? status.fine : status.skipped;
  }

  /** The step cannot be taken. */
  skip(reason: string): void {
    if (this.status === status.fine) this.#reason = reason;
  }

  /** The step is an error, for what was thrown. */
  fail(thrown: unknown): void {
    if (this.#error === undefined) this.#error = { thrown };
  }

  /** What was thrown on the way: numbers that are not finite skip the step, anything else is an error. */
  note(thrown: unknown): void {
    if (isCgfacError(thrown) && thrown.code === 'ERR_CGFAC_NOT_FINITE') this.skip(thrown.message);
    else this.fail(thrown);
  }

  /** Goes through phases, unless there is trouble already; what they throw is noted. */
  *avoiding<T>(body: () => Phases<T>): Phases<T | undefined> {
    if (this.status !== status.fine) return undefined;
    try {
      return yield* body();
    } catch (thrown) {
      this.note(thrown);
      return undefined;
    }
  }

  /** Does something, unless there is trouble already; what it throws is noted. */
  avoid<T>(body: () => T): T | undefined {
    if (this.status !== status.fine) return undefined;
    try {
      return body();
    } catch (thrown) {
      this.note(thrown);
      return undefined;
    }
  }

  /** Throws what was noted, or what another rank tells of its own. */
  raise(from: number, words: string): never {
    if (this.#error !== undefined) throw this.#error.thrown;
    throw new CgfacError(
      'ERR_CGFAC_COMMUNICATION',
      `Expected a step that all ranks can take but received an error of rank ${from}: ${words}`,
    );
  }

  /** What the others are told of it. */
  get words(): string {
    if (this.#error === undefined) return this.#reason ?? '';
    const { thrown } = this.#error;
    if (isCgfacError(thrown)) return `${thrown.code}: ${thrown.message}`;
    return wordsOf(thrown);
  }
}

/** Words of all ranks, by rank. */
export function* allWords(communicator: Communicator, words: string): Phases<string[]> {
  const all = yield* allgatherv(communicator, new Uint8Array(Buffer.from(words)));
  return all.map((bytes) => Buffer.from(bytes).toString());
}

/**
 * What becomes of a step, once the words of all ranks for it are known: nothing (`undefined`), a reason to skip it, the
 * same on all ranks, or an error: its own on a rank that failed, on the others that of the first that did.
 */
export function* settled(
  communicator: Communicator,
  trouble: Trouble,
  statuses: readonly number[],
): Phases<string | undefined> {
  if (statuses.every((each) => each === status.fine)) return undefined;
  const words = yield* allWords(communicator, trouble.words);
  const failed = statuses.indexOf(status.failed);
  if (failed >= 0) trouble.raise(failed, words[failed] ?? '');
  const skipped = statuses.indexOf(status.skipped);
  // what all of them say is of none of them
  if (words.every((each) => each === words[0]) && words[0] !== undefined) return words[0];
  return `${words[skipped]} (rank ${skipped})`;
}
