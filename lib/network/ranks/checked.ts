/** A communicator whose results are what its contract says, or an error: a program may bring one of its own. */
import { isFloat32Array, isFloat64Array, isInt32Array, isUint8Array } from 'node:util/types';
import type { Communicator, Expected, Numbers, ReduceOperation } from '../../base/communicator';
import { CgfacError, isCgfacError } from '../../base/errors';
import { lengthOf } from '../../base/float32';
import { elementsOf, wordsOf } from '../../base/reading';
import { describe } from '../../base/validate';

/** The error of what a collective gave. */
export function unexpected(collective: string, expected: string, received: string): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_COMMUNICATION',
    `Expected ${expected} of ${collective}() of the communicator but received ${received}`,
  );
}

/** A count that came by a collective. */
export function countIn(said: number | undefined, collective: string): number {
  if (said !== undefined && Number.isSafeInteger(said) && said >= 0) return said;
  throw unexpected(collective, 'counts', String(said));
}

const types = [
  ['Float32Array', isFloat32Array],
  ['Float64Array', isFloat64Array],
  ['Int32Array', isInt32Array],
  ['Uint8Array', isUint8Array],
] as const;

const typeOf = (value: unknown): string | undefined => types.find(([, isOfType]) => isOfType(value))?.[0];

const numbersIn = (values: Numbers): number => lengthOf(values as Float32Array);

/** Numbers of the type of those that were given, and as many where that is known. */
function checked<T extends Numbers>(value: unknown, like: T | undefined, length: number | undefined, call: string): T {
  const type = like === undefined ? 'Float32Array' : typeOf(like);
  const found = value as T;
  if (typeOf(value) !== type || (length !== undefined && numbersIn(found) !== length))
    throw unexpected(call, `a ${type}${length === undefined ? '' : ` of length ${length}`}`, describe(value));
  return found;
}

/** The error of a collective that did not come to its end; one of the package as it is. */
function failed(collective: string, thrown: unknown): CgfacError {
  if (isCgfacError(thrown)) return thrown;
  return new CgfacError(
    'ERR_CGFAC_COMMUNICATION',
    `Expected a result of ${collective}() of the communicator but received an error: ${wordsOf(thrown).slice(0, 200)}`,
    { cause: thrown },
  );
}

function now(collective: string, call: () => unknown): unknown {
  try {
    return call();
  } catch (thrown) {
    throw failed(collective, thrown);
  }
}

async function later(collective: string, call: () => Promise<unknown>): Promise<unknown> {
  try {
    return await call();
  } catch (thrown) {
    throw failed(collective, thrown);
  }
}

/** The results of another communicator, checked. */
export class CheckedCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  readonly #given: Communicator;

  /** @param given - Its rank and size were read and checked. */
  constructor(given: Communicator, rank: number, size: number) {
    this.#given = given;
    this.rank = rank;
    this.size = size;
    Object.freeze(this);
  }

  async allreduce<T extends Numbers>(values: T, operation?: ReduceOperation): Promise<T> {
    const found = await later('allreduce', () => this.#given.allreduce(values, operation));
    return checked(found, values, numbersIn(values), 'allreduce');
  }

  allreduceSync<T extends Numbers>(values: T, operation?: ReduceOperation): T {
    const found = now('allreduceSync', () => this.#given.allreduceSync(values, operation));
    return checked(found, values, numbersIn(values), 'allreduceSync');
  }

  async alltoallv<T extends Numbers>(parts: readonly T[], expected?: Expected): Promise<T[]> {
    const own = this.#own(parts);
    const found = await later('alltoallv', () => this.#given.alltoallv(parts, expected));
    return this.#parts(found, own, expected, 'alltoallv');
  }

  alltoallvSync<T extends Numbers>(parts: readonly T[], expected?: Expected): T[] {
    const own = this.#own(parts);
    const found = now('alltoallvSync', () => this.#given.alltoallvSync(parts, expected));
    return this.#parts(found, own, expected, 'alltoallvSync');
  }

  async allgatherv<T extends Numbers>(values: T, expected?: Expected): Promise<T[]> {
    const own = { like: values, length: numbersIn(values) };
    const found = await later('allgatherv', () => this.#given.allgatherv(values, expected));
    return this.#parts(found, own, expected, 'allgatherv');
  }

  allgathervSync<T extends Numbers>(values: T, expected?: Expected): T[] {
    const own = { like: values, length: numbersIn(values) };
    const found = now('allgathervSync', () => this.#given.allgathervSync(values, expected));
    return this.#parts(found, own, expected, 'allgathervSync');
  }

  async bcast<T extends Numbers>(values: T, root?: number): Promise<T> {
    const found = await later('bcast', () => this.#given.bcast(values, root));
    return checked(found, values, numbersIn(values), 'bcast');
  }

  bcastSync<T extends Numbers>(values: T, root?: number): T {
    const found = now('bcastSync', () => this.#given.bcastSync(values, root));
    return checked(found, values, numbersIn(values), 'bcastSync');
  }

  barrier(): Promise<void> {
    return this.#given.barrier();
  }

  barrierSync(): void {
    this.#given.barrierSync();
  }

  finalize(): Promise<void> {
    return this.#given.finalize();
  }

  /** What this rank gives itself. */
  #own<T extends Numbers>(parts: readonly T[]): { readonly like: T | undefined; readonly length: number } {
    const like = parts[this.rank];
    return { like, length: like === undefined ? 0 : numbersIn(like) };
  }

  #parts<T extends Numbers>(
    value: unknown,
    { like, length }: { readonly like: T | undefined; readonly length: number },
    expected: Expected | undefined,
    call: string,
  ): T[] {
    const list = arraysOf(value, call);
    if (list?.length !== this.size)
      throw unexpected(call, `an array of ${this.size} arrays, one for each rank,`, describe(value));
    return list.map((part, rank) => checked(part, like, rank === this.rank ? length : expected?.counts?.[rank], call));
  }
}

/** The elements of a result. */
function arraysOf(value: unknown, call: string): unknown[] | undefined {
  try {
    return elementsOf(value, 'the result');
  } catch (cause) {
    throw unexpected(call, 'an array that can be read', cause instanceof Error ? cause.message : 'another');
  }
}
