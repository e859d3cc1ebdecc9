/** Running averages of variables. */
import { add, dispose, keep, mul, type Tensor, tensor, tidy, type Variable } from '@tensorflow/tfjs-core';
import { combined } from '../tape/numbers';

interface Average {
  readonly variable: Variable;
  /** Kept. */
  readonly mean: Tensor;
  /** Steps that it has taken in. */
  readonly steps: number;
  /** Steps since then whose loss depended on the variable and did not train it. */
  readonly idle: number;
}

/** β_t of an average that has taken in t steps. */
const decayAfter = (steps: number, momentum: number) => Math.min(momentum, (1 + steps) / (10 + steps));

/** β·W̄ + (1 − β)·W */
function averaged(mean: Tensor, variable: Variable, decay: number): Tensor {
  return combined(decay, mean, 1 - decay, variable) ?? add(mul(mean, decay), mul(variable, 1 - decay));
}

/**
 * The averages of the variables of an optimizer: tensors that it owns. Frozen variables have none: those that say so
 * themselves, and those that steps depend on and leave as they are, as those of a layer that was frozen before its
 * model was compiled again (which makes its variables trainable, and leaves them out of the steps). A variable may only
 * have its turn later, as in networks that are trained against each other: its average is kept for 1/(1 − β_t)
 * steps, for as long as it would remember what was before, and does not stand in for the variable meanwhile.
 */
export class Averages {
  /** Steps that any of them has taken in. */
  steps = 0;
  /** By variable id, in the order in which they came. */
  readonly #kept = new Map<number, Average>();

  /**
   * Averages ← β_t·averages + (1 − β_t)·variables, β_t = min(β, (1 + t)/(10 + t)), t the steps that the average has
   * taken in; a variable that is new starts at itself, and so does one that was frozen.
   *
   * @param variables - Those that the step trained.
   * @param used - The ids of the variables that its loss took in, where they are known.
   */
  absorb(variables: readonly Variable[], momentum: number, used: ReadonlySet<number> = new Set()): void {
    this.steps++;
    this.#leave(new Set(variables), used);
    this.#drop(({ variable, steps, idle }) => !variable.trainable || idle * (1 - decayAfter(steps, momentum)) > 1);
    for (const variable of variables) {
      const { mean: before, steps = 0 } = this.#kept.get(variable.id) ?? {};
      const decay = decayAfter(steps, momentum);
      this.#set(
        variable,
        tidy(() => keep(before ? averaged(before, variable, decay) : variable.clone())),
        steps + 1,
      );
    }
  }

  /** Counts a step for the variables that its loss depends on and that it does not train. */
  #leave(trained: ReadonlySet<Variable>, used: ReadonlySet<number>): void {
    for (const [id, kept] of this.#kept)
      if (used.has(id) && !trained.has(kept.variable)) this.#kept.set(id, { ...kept, idle: kept.idle + 1 });
  }

  /** Takes over a saved average. */
  load(variable: Variable, values: Float32Array, steps: number): void {
    this.#set(variable, keep(tensor(values, variable.shape)), steps);
  }

  /** Whether a variable has an average. */
  has(variable: Variable): boolean {
    return this.#kept.has(variable.id);
  }

  /** A copy of an average's numbers, and the steps that it has taken in. */
  read(variable: Variable): { readonly values: Float32Array; readonly steps: number } | undefined {
    const kept = this.#kept.get(variable.id);
    return kept && { values: kept.mean.dataSync<'float32'>().slice(), steps: kept.steps };
  }

  /** The variables that have averages. */
  variables(): Variable[] {
    return this.#own().map(({ variable }) => variable);
  }

  /** The variables and their averages, which the caller disposes of; without those that the last steps left alone. */
  clones(): (readonly [Variable, Tensor])[] {
    return this.#own().flatMap(({ variable, mean, idle }) => (idle > 0 ? [] : [[variable, mean.clone()] as const]));
  }

  /** Bytes that the averages take. */
  bytes(): number {
    return [...this.#kept.values()].reduce((sum, { mean }) => sum + 4 * mean.size, 0);
  }

  /** Lets go of the averages of variables that were disposed of. */
  prune(): void {
    this.#drop(({ variable }) => variable.isDisposed);
  }

  /** Lets go of all of them, and counts from 0 again. */
  dispose(): void {
    dispose([...this.#kept.values()].map(({ mean }) => mean));
    this.#kept.clear();
    this.steps = 0;
  }

  /** The averages of variables that are not frozen: these have the weights that they are frozen at. */
  #own(): Average[] {
    return [...this.#kept.values()].filter(({ variable }) => variable.trainable);
  }

  #drop(dropped: (average: Average) => boolean): void {
    for (const [id, average] of this.#kept) {
      if (!dropped(average)) continue;
      average.mean.dispose();
      this.#kept.delete(id);
    }
  }

  #set(variable: Variable, mean: Tensor, steps: number): void {
    this.#kept.get(variable.id)?.mean.dispose();
    this.#kept.set(variable.id, { variable, mean, steps, idle: 0 });
  }
}

/** Gives variables the values that stand beside them, and disposes of these. */
export function assignAll(values: readonly (readonly [Variable, Tensor])[]): void {
  for (const [variable, value] of values) {
    variable.assign(value);
    value.dispose();
  }
}

/**
 * Puts averages in the place of their variables while `callback` runs, and then the variables back. The averages are
 * disposed of.
 */
export async function exchanged<T>(
  averages: readonly (readonly [Variable, Tensor])[],
  callback: () => T | Promise<T>,
): Promise<T> {
  const before = averages.map(([variable]) => [variable, keep(variable.clone())] as const);
  try {
    assignAll(averages);
    return await callback();
  } finally {
    for (const [variable, kept] of before) if (!variable.isDisposed) variable.assign(kept);
    dispose(before.map(([, kept]) => kept));
  }
}
