/** Whose turn it is with a {@link Preconditioner}: one call at a time, and none from within a schedule. */
import { CgfacError } from '../base/errors';

/** Refuses calls while another one is under way. */
export class Turns {
  #busy = false;
  #asking = false;

  /** Refuses a call while another one is pending, or from within a schedule. */
  requireIdle(call: string): void {
    this.#requireNotAsking(call);
    if (this.#busy)
      throw new CgfacError('ERR_CGFAC_BUSY', `Expected no pending step for ${call} but received one; await it first`);
  }

  /** Other calls are refused from now on. */
  begin(): void {
    this.#busy = true;
  }

  /** Other calls are welcome again. */
  end(): void {
    this.#busy = false;
  }

  /** Runs `body`, during which other calls are refused. */
  async exclusively<T>(body: () => Promise<T>): Promise<T> {
    this.begin();
    try {
      return await body();
    } finally {
      this.end();
    }
  }

  /** Asks schedules for their values; one that calls back is refused what it asks for. */
  asking<T>(call: string, ask: () => T): T {
    this.#requireNotAsking(call);
    this.#asking = true;
    try {
      return ask();
    } finally {
      this.#asking = false;
    }
  }

  #requireNotAsking(call: string): void {
    if (!this.#asking) return;
    throw new CgfacError(
      'ERR_CGFAC_BUSY',
      `Expected a schedule that does not ask for ${call} of what it belongs to but received one that does`,
    );
  }
}
