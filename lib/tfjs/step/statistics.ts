/** Averages of running statistics, as those of batch normalisation, without what they were made with. */
import { type Tensor, tensor, type Variable } from '@tensorflow/tfjs-core';
import type { StatisticUpdate } from '../capture/running-statistics';
import type { DigestOf } from '../saving/digest';
import { Owner } from '../saving/owners';
import type { SavedStatistic } from '../saving/saved-state';
import { registeredVariables } from '../tape/tape';

interface Statistic {
  readonly variable: Variable;
  /** Its average. */
  readonly values: Float32Array;
  /** Passes that it has taken in. */
  readonly passes: number;
}

/** What rounding makes of a running statistic that was 0 or 1, relative to what moved it. */
const ROUNDING = 1e-6;

/** Whether a statistic was as layers make it, which says nothing of any data: a mean of 0, or a variance of 1. */
function wasMade({ before, batches: [batch] }: StatisticUpdate): boolean {
  const size = Math.max(1e-30, ...(batch ?? []).map(Math.abs));
  return before.every((value) => Math.abs(value) <= ROUNDING * size) || isOne(before);
}

const isOne = (values: Float32Array): boolean => values.every((value) => Math.abs(value - 1) <= ROUNDING);

/** V̄_t = β_t·V̄_{t − 1} + (1 − β_t)·S_t with β_t = β(1 − β^{t − 1})/(1 − β^t): (V_t − β^t·V_0)/(1 − β^t). */
function absorbed(before: Statistic | undefined, momentum: number, batch: Float32Array): Float32Array {
  const passes = before?.passes ?? 0;
  const kept = passes === 0 ? 0 : (momentum * (1 - momentum ** passes)) / (1 - momentum ** (passes + 1));
  return batch.map((value, i) => kept * (before?.values[i] ?? 0) + (1 - kept) * value);
}

/**
 * The averages of running statistics of batches. A layer has them begin at a mean of 0 and a variance of 1, of which
 * β^t is left after t steps: with β = 0.99 some 9 % after 235 of them, which is more than all that a small variance is.
 * Their averages are the same sums without it. Statistics that began as something else, as those of a trained model,
 * have none, for that is no arbitrary number.
 */
export class StatisticAverages {
  /** By variable id, in the order in which they came. */
  readonly #kept = new Map<number, Statistic>();
  /** Statistics that began as something else. */
  #others = new WeakSet<Variable>();
  #owner = new Owner();
  /** Loaded ones whose variables were not met yet. */
  #loaded: readonly SavedStatistic[] = [];

  /** Whether updates of a variable are of use. */
  readonly wanted = (variable: Variable): boolean => !this.#others.has(variable);

  /** Takes in what the forward pass of a step that was taken did. */
  absorb(updates: readonly StatisticUpdate[]): void {
    this.#loaded = [];
    for (const update of updates) {
      const { variable, momentum, batches } = update;
      if (!this.#kept.has(variable.id) && !wasMade(update)) this.#others.add(variable);
      else for (const batch of batches) this.#take(variable, momentum, batch);
    }
  }

  #take(variable: Variable, momentum: number, batch: Float32Array): void {
    if (!batch.every(Number.isFinite)) return;
    const before = this.#kept.get(variable.id);
    const values = absorbed(before, momentum, batch);
    this.#keep({ variable, values, passes: (before?.passes ?? 0) + 1 });
  }

  #keep(statistic: Statistic): void {
    this.#kept.set(statistic.variable.id, statistic);
    this.#owner.claim([statistic.variable]);
  }

  /** Finds the variables of loaded averages: they have the numbers that were saved with them. Before a forward pass. */
  bind(digestOf: DigestOf): void {
    if (this.#loaded.length === 0) return;
    const free = registeredVariables().filter(
      (each) => !each.trainable && each.rank === 1 && !this.#kept.has(each.id) && this.#owner.mayHave(each),
    );
    const left: SavedStatistic[] = [];
    for (const saved of this.#loaded) {
      const alike = ({ size, digest }: SavedStatistic) => size === saved.size && digest === saved.digest;
      const same = free.filter((variable) => alike({ ...saved, size: variable.size, digest: digestOf(variable) }));
      const own = same[this.#loaded.filter(alike).indexOf(saved)];
      // of more variables with these numbers than were saved it cannot be told which are meant
      if (own === undefined || same.length > this.#loaded.filter(alike).length) left.push(saved);
      else this.#keep({ variable: own, values: saved.values, passes: saved.passes });
    }
    this.#loaded = left;
  }

  /** The averages for a state to be saved, and those that were loaded and are not bound. */
  saved(digestOf: DigestOf): readonly SavedStatistic[] {
    this.bind(digestOf);
    const own = [...this.#kept.values()].sort((a, b) => a.variable.id - b.variable.id);
    return [
      ...own.map(({ variable, values, passes }) => {
        return { size: variable.size, digest: digestOf(variable), values: values.slice(), passes };
      }),
      ...this.#loaded,
    ];
  }

  /** Takes saved averages in the place of all there are. */
  load(saved: readonly SavedStatistic[]): void {
    this.dispose();
    this.#loaded = saved;
  }

  /** The variables and their averages, which the caller disposes of. */
  clones(digestOf: DigestOf): (readonly [Variable, Tensor])[] {
    this.bind(digestOf);
    return [...this.#kept.values()].map(({ variable, values }) => [variable, tensor(values, variable.shape)] as const);
  }

  /** Bytes that the averages take. */
  bytes(): number {
    return [...this.#kept.values()].reduce((sum, { values }) => sum + values.byteLength, 0);
  }

  /** Lets go of the averages of variables that were disposed of. */
  prune(): void {
    for (const [id, { variable }] of this.#kept) if (variable.isDisposed) this.#kept.delete(id);
  }

  /** Lets go of all of them. */
  dispose(): void {
    this.#kept.clear();
    this.#owner.release();
    this.#owner = new Owner();
    this.#others = new WeakSet();
    this.#loaded = [];
  }
}
