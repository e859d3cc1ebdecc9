/** What the ranks that train a model together tell each other of a step, besides what their preconditioners do. */
import { tensor, type Variable } from '@tensorflow/tfjs-core';
import { CgfacError, type Communicator, type Numbers, requireSameVariables } from '../../adapter-kit';
import type { RanksOptions } from '../options';
import { numbersOf } from '../tape/numbers';

/** What a rank says: what it was asked, or the words of the error that it has instead. */
type Said<T> = { readonly said: T } | { readonly error: string };

/** What an error says, with its code where it has one. */
function wordsOf(thrown: unknown): string {
  if (thrown instanceof CgfacError) return `${thrown.code}: ${thrown.message}`;
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
}

function communicationError(expected: string, received: string): CgfacError {
  return new CgfacError('ERR_CGFAC_COMMUNICATION', `Expected ${expected} but received ${received}`);
}

/**
 * Refuses what one process alone can do.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_COMMUNICATION` where there are other ranks.
 */
export function requireAlone(ranks: RanksOptions | undefined, what: string): void {
  if (ranks === undefined) return;
  const received = `${ranks.communicator.size} ranks, each of which has the factors of its own layers alone`;
  throw communicationError(`one process for ${what}`, received);
}

/** What a rank begins a step with. */
interface Start {
  readonly iteration: number;
  readonly seed: number;
  /** Names, types and shapes of the variables that no step of all ranks has met before. */
  readonly variables: readonly (readonly [string, string, readonly number[]])[];
}

/** The ranks that train a model together. Every method but {@link StepRanks.forget} is a collective. */
export class StepRanks {
  readonly #communicator: Communicator;
  readonly #weightCheckSteps: number;
  /** The variables that are those of rank 0. */
  #brought = new WeakSet<Variable>();

  constructor({ communicator, weightCheckSteps }: RanksOptions) {
    this.#communicator = communicator;
    this.#weightCheckSteps = weightCheckSteps;
  }

  /** Which of the ranks this process is. */
  get rank(): number {
    return this.#communicator.rank;
  }

  /**
   * Begins a step: variables that are new have the numbers of rank 0 from now on, and every so many steps those of all
   * are compared.
   *
   * @returns The seed of rank 0.
   * @throws {@link CgfacError} `ERR_CGFAC_COMMUNICATION` on all ranks, where one has other variables, other numbers, or
   * another number of steps.
   */
  begin(variables: readonly Variable[], iteration: number, seed: number): number {
    const fresh = variables.filter((variable) => !this.#brought.has(variable));
    if (fresh.length > 0) return this.#bring(fresh, iteration, seed);
    if (iteration % this.#weightCheckSteps === 0)
      requireSameVariables(
        this.#communicator,
        variables.flatMap((variable) =>
          variable.dtype === 'float32' ? [{ name: variable.name, arrays: [numbersOf(variable)] }] : [],
        ),
      );
    return seed;
  }

  /** The variables of the steps to come are new. */
  forget(): void {
    this.#brought = new WeakSet();
  }

  /**
   * What all ranks say, in their order.
   *
   * @param make - Finds what this one says; what it throws is told the others.
   * @throws {@link CgfacError} `ERR_CGFAC_COMMUNICATION` for an error of another rank; what `make` throws.
   */
  told<T>(make: () => T): T[] {
    let own: Said<T>;
    try {
      own = { said: make() };
    } catch (thrown) {
      this.fail(thrown);
      throw thrown;
    }
    return this.#tell(own).map((each, rank) => {
      if ('said' in each) return each.said;
      throw communicationError('a step that all ranks can take', `an error of rank ${rank}: ${each.error}`);
    });
  }

  /** Tells the others, who wait for what this rank says, of its error. */
  fail(thrown: unknown): void {
    this.#tell({ error: wordsOf(thrown) });
  }

  /** The reason of the first rank that has one why a step cannot be taken, with the number of that rank. */
  reasonOf(reasons: readonly (string | undefined)[]): string | undefined {
    const rank = reasons.findIndex((reason) => reason !== undefined);
    return rank < 0 ? undefined : `${reasons[rank]} (rank ${rank})`;
  }

  #tell<T>(own: Said<T>): Said<T>[] {
    const bytes = new Uint8Array(Buffer.from(JSON.stringify(own)));
    const all = this.#communicator.allgathervSync(bytes);
    return all.map((each) => JSON.parse(Buffer.from(each).toString()) as Said<T>);
  }

  #bring(fresh: readonly Variable[], iteration: number, seed: number): number {
    const variables = fresh.map(({ name, dtype, shape }) => [name, dtype, shape] as const);
    const starts = this.told((): Start => ({ iteration, seed, variables }));
    requireSame(starts, ({ variables: each }) => JSON.stringify(each), 'the same variables');
    requireSame(starts, (each) => String(each.iteration), 'the same number of steps');
    for (const variable of fresh) {
      const numbers = this.#communicator.bcastSync(variable.dataSync() as Numbers);
      if (this.rank > 0) {
        const value = tensor(numbers, variable.shape, variable.dtype);
        variable.assign(value);
        value.dispose();
      }
      this.#brought.add(variable);
    }
    return starts[0]?.seed ?? seed;
  }
}

function requireSame(starts: readonly Start[], wordsIn: (start: Start) => string, expected: string): void {
  const words = starts.map(wordsIn);
  const other = words.findIndex((each) => each !== words[0]);
  if (other < 0) return;
  throw communicationError(`${expected} on all ranks`, `${words[0]} on rank 0 and ${words[other]} on rank ${other}`);
}
