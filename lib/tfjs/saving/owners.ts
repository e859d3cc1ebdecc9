/** Which optimizer variables belong to: a saved state is not taken for one of variables that another one trains. */
import type { Variable } from '@tensorflow/tfjs-core';

/** What an optimizer goes by. */
export class Owner {
  static readonly #owners = new WeakMap<Variable, Owner>();
  #released = false;

  /** Takes variables for its own. */
  claim(variables: Iterable<Variable>): void {
    for (const variable of variables) Owner.#owners.set(variable, this);
  }

  /** Whether no other one has a variable. */
  mayHave(variable: Variable): boolean {
    const owner = Owner.#owners.get(variable);
    return owner === undefined || owner === this || owner.#released;
  }

  /** Gives up all that it has. */
  release(): void {
    this.#released = true;
  }
}
