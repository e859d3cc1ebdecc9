/** Whose turn it is with an optimizer: one call at a time, and none from within a loss or a schedule. */
import { CgfacError } from '../../adapter-kit';

/** Refuses calls while another one is under way, or while averages stand in the place of the weights. */
export class Turn {
  /** The call that is under way. */
  #call: string | undefined;
  /** Whether the averages stand in the place of the variables. */
  #averaging = false;

  /** Refuses a call of what another one asks, or of the averages, with which its changes would be undone. */
  requireIdle(call: string): void {
    this.requireOutside(call);
    if (!this.#averaging) return;
    throw new CgfacError(
      'ERR_CGFAC_BUSY',
      `Expected the weights themselves for ${call}() but received their averages; await withAveragedWeights first`,
    );
  }

  /** Refuses a call from within another one: of its loss, its schedules, or a getter of what it was given. */
  requireOutside(call: string): void {
    if (this.#call === undefined) return;
    throw new CgfacError(
      'ERR_CGFAC_BUSY',
      `Expected a loss or a schedule that does not ask for ${call}() of what it belongs to during ${this.#call}() ` +
        'but received one that does',
    );
  }

  /** Runs a call, during which others are refused. */
  take<T>(call: string, body: () => T): T {
    this.requireIdle(call);
    this.#call = call;
    try {
      return body();
    } finally {
      this.#call = undefined;
    }
  }

  /** Runs what has the averages in the place of the variables. */
  async averaging<T>(body: () => Promise<T>): Promise<T> {
    this.#averaging = true;
    try {
      return await body();
    } finally {
      this.#averaging = false;
    }
  }
}
