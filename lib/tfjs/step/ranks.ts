/** What the ranks that train a model together tell each other of a step, besides what their preconditioners do. */
import { deserialize, serialize } from 'node:v8';
import { tensor, type Variable } from '@tensorflow/tfjs-core';
import {
  CgfacError,
  type Communicator,
  concatenated,
  type Numbers,
  type OptionRows,
  preconditionerRows,
  requireSameVariables,
  resolveOptions,
} from '../../adapter-kit';
import { numbersOf } from '../tape/numbers';
import type { RanksOptions } from './resolved-options';

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

function tell<T>(communicator: Communicator, own: Said<T>): Said<T>[] {
  const all = communicator.allgathervSync(new Uint8Array(Buffer.from(JSON.stringify(own))));
  return all.map((each) => JSON.parse(Buffer.from(each).toString()) as Said<T>);
}

function toldBy<T>(communicator: Communicator, make: () => T): T[] {
  let own: Said<T>;
  try {
    own = { said: make() };
  } catch (thrown) {
    tell(communicator, { error: wordsOf(thrown) });
    throw thrown;
  }
  return tell(communicator, own).map((each, rank) => {
    if ('said' in each) return each.said;
    throw communicationError('a step that all ranks can take', `an error of rank ${rank}: ${each.error}`);
  });
}

const communicatorRows = { communicator: { ...preconditionerRows.communicator, required: true } } satisfies OptionRows;

/**
 * Checks that an argument is a communicator.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_MISSING_OPTION`.
 */
export function requireCommunicator(communicator: unknown, call: string): Communicator {
  return resolveOptions(communicatorRows, { communicator }, call).communicator;
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
    return toldBy(this.#communicator, make);
  }

  /** The sums of arrays over all ranks, each of which has as many of the same lengths. */
  sums(arrays: readonly Float32Array[]): Float32Array[] {
    const sum = this.#communicator.allreduceSync(concatenated(arrays));
    let at = 0;
    return arrays.map(({ length }) => {
      at += length;
      return sum.slice(at - length, at);
    });
  }

  /** What rank 0 has, on all ranks; the others' own is not looked at. */
  shared<T>(value: T): T {
    const communicator = this.#communicator;
    const own = this.rank === 0 ? new Uint8Array(serialize(value)) : new Uint8Array();
    const [length = 0] = communicator.bcastSync(Float64Array.of(own.length));
    return deserialize(communicator.bcastSync(this.rank === 0 ? own : new Uint8Array(length))) as T;
  }

  /** Tells the others, who wait for what this rank says, of its error. */
  fail(thrown: unknown): void {
    tell(this.#communicator, { error: wordsOf(thrown) });
  }

  /** The reason of the first rank that has one why a step cannot be taken, with the number of that rank. */
  reasonOf(reasons: readonly (string | undefined)[]): string | undefined {
    const rank = reasons.findIndex((reason) => reason !== undefined);
    return rank < 0 ? undefined : `${reasons[rank]} (rank ${rank})`;
  }

  #bring(fresh: readonly Variable[], iteration: number, seed: number): number {
    const variables = fresh.map(({ name, dtype, shape }) => [name, dtype, shape] as const);
    const starts = this.told((): Start => ({ iteration, seed, variables }));
    requireSame(
      starts.map((each) => JSON.stringify(each.variables)),
      'the same variables',
    );
    requireSame(
      starts.map((each) => String(each.iteration)),
      'the same number of steps',
    );
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

/**
 * Compares the words of all ranks.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_COMMUNICATION` on all ranks, where one has others.
 */
export function requireSame(words: readonly string[], expected: string): void {
  const other = words.findIndex((each) => each !== words[0]);
  if (other < 0) return;
  throw communicationError(`${expected} on all ranks`, `${words[0]} on rank 0 and ${words[other]} on rank ${other}`);
}

/** Does something; where that fails, the others, who wait for what this rank says, are told. */
export function telling<T>(ranks: StepRanks | undefined, make: () => T): T {
  try {
    return make();
  } catch (error) {
    ranks?.fail(error);
    throw error;
  }
}

/**
 * Compares words of all ranks.
 *
 * @param make - Finds those of this one; what it throws is told the others.
 * @throws {@link CgfacError} `ERR_CGFAC_COMMUNICATION` on all ranks, where one has others; what `make` throws.
 */
export function requireSameWords(communicator: Communicator, make: () => string, expected: string): void {
  requireSame(toldBy(communicator, make), expected);
}
