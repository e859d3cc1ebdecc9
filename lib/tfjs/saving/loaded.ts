import { type Tensor, tensor, type Variable } from '@tensorflow/tfjs-core';
import type { StoredLayer } from '../../adapter-kit';
import { registeredVariables } from '../tape/tape';
import { digests } from './digest';
import { averagedAmong } from './matches';
import { Owner } from './owners';
import { type SavedAverage, type SavedState, withAverages } from './saved-state';
import { type NewLayer, type Pending, statesByContent, type TakenOver, takeOver } from './take-over';

/** What was loaded: its layers and lone variables leave it as those of the model come to be known. */
export class LoadedState {
  #pending: Pending | undefined;
  /** The variables of its averages, where these could be told when they were loaded. */
  #bound: ReadonlyMap<SavedAverage, Variable> | undefined;
  #owner = new Owner();

  /** What is left of it. */
  get state(): SavedState | undefined {
    return this.#pending?.state;
  }

  /** Takes a state in the place of what there is. */
  load(state: SavedState): void {
    this.dispose();
    this.#pending = { state, certain: false };
    this.#bound = this.#free(state);
    if (this.#bound) this.#owner.claim(this.#bound.values());
  }

  /** Lets go of it, and of the variables. */
  dispose(): void {
    this.#pending = this.#bound = undefined;
    this.#owner.release();
    this.#owner = new Owner();
  }

  /** Says that this optimizer trains variables. */
  claim(variables: Iterable<Variable>): void {
    this.#owner.claim(variables);
  }

  /** What was saved of blocks whose variables are as they were saved; `undefined` of the others. */
  statesOf(blocks: readonly NewLayer[]): readonly (StoredLayer | undefined)[] {
    return this.#pending ? statesByContent(this.#pending, blocks, digests()) : blocks.map(() => undefined);
  }

  /**
   * Finds what was saved of layers and lone variables; it stays until {@link LoadedState.leave}.
   *
   * @param still - Lone variables that take no part in steps.
   * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for a part that is of another shape than its variable.
   */
  find<T extends NewLayer>(fresh: readonly T[], still: readonly NewLayer[]): TakenOver<T> | undefined {
    const others = registeredVariables().filter((variable) => this.#owner.mayHave(variable));
    return this.#pending && takeOver(this.#pending, fresh, still, others, digests());
  }

  /** Leaves the rest to wait. */
  leave({ rest }: Pick<TakenOver<NewLayer>, 'rest'>): void {
    this.#pending = rest;
  }

  /**
   * The averages before a step and the variables that they belong to: those with the numbers that were saved with them,
   * which no other optimizer has, or none at all. Frozen variables have none. The caller disposes of them.
   */
  averages(): (readonly [Variable, Tensor])[] {
    const state = this.#pending?.state;
    if (state === undefined) return [];
    // where the variables were told when they were loaded, those of another optimizer are none of them
    const found =
      this.#free(state) ?? (this.#bound ? undefined : averagedAmong(state, registeredVariables(), digests()));
    return [...(found ?? [])].flatMap(([{ values }, variable]) =>
      variable.trainable ? [[variable, tensor(values, variable.shape)] as const] : [],
    );
  }

  /** Lets go of the averages of variables that are frozen. */
  dropFrozen(): void {
    const frozen = [...(this.#bound ?? [])].filter(([, { trainable }]) => !trainable);
    if (this.#pending === undefined || frozen.length === 0) return;
    const dropped = new Set(frozen.map(([average]) => average));
    const state = withAverages(this.#pending.state, (average) => (dropped.has(average) ? undefined : average));
    this.#pending = { ...this.#pending, state };
  }

  /** The variables of saved averages, none of which another optimizer has. */
  #free(state: SavedState): ReadonlyMap<SavedAverage, Variable> | undefined {
    const free = registeredVariables().filter((variable) => this.#owner.mayHave(variable));
    return averagedAmong(state, free, digests());
  }
}
