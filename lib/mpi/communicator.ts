import { types } from 'node:util';
import type { Communicator, Expected, Numbers, ReduceOperation } from '../base/communicator';
import { CgfacError, isCgfacError } from '../base/errors';
import { bufferOf, lengthOf } from '../base/float32';
import { elementsOf } from '../base/reading';
import { describe, nonNegativeInteger, oneOf, readOptions, typeError, valueError } from '../base/validate';
import { detached } from '../base/weight-vector';
import { toCgfacError } from '../native/errors';
import type { NativeConnection, NativeMpi, NativeReduction } from '../native/mpi';
import { within } from './deadline';

/** The MPI that was loaded. */
export interface MpiLibrary {
  /** What the library says of itself, 'Open MPI v4.1.4' for instance. */
  readonly version: string;
  /** The file that it was loaded from. */
  readonly path: string;
  /** The binary interface of the library: how its handles and constants look. */
  readonly abi: 'open-mpi' | 'mpich' | 'standard';
}

/** The ranks of an MPI run. */
export interface MpiCommunicator extends Communicator {
  /** The MPI that was loaded. */
  readonly library: MpiLibrary;
}

const reductions: Readonly<Record<ReduceOperation, NativeReduction>> = { sum: 0, min: 1, max: 2 };
const operations: readonly ReduceOperation[] = ['sum', 'min', 'max'];
/** How long the library has to end MPI after all ranks have met, in milliseconds. */
const MPI_ENDS_WITHIN = 30_000;

const known = 'a Float32Array, Float64Array, Int32Array or Uint8Array';

const isKnown = [types.isFloat32Array, types.isFloat64Array, types.isInt32Array, types.isUint8Array];
const typeOf = (value: unknown): number => isKnown.findIndex((is) => is(value));

const lengthIn = (array: Numbers): number => lengthOf(array as Float32Array);

/** Numbers of a type that travels, in memory that is there. */
function numbers<T extends Numbers>(value: T, name: string): T {
  if (typeOf(value) < 0) throw typeError(known, name, value);
  if (lengthIn(value) === 0 && detached(bufferOf(value as Float32Array))) {
    throw new CgfacError(
      'ERR_CGFAC_DETACHED_BUFFER',
      `Expected ${known} for ${name} but received one whose buffer was detached`,
    );
  }
  return value;
}

function shapeError(expected: string, name: string, received: string): CgfacError {
  return new CgfacError('ERR_CGFAC_SHAPE_MISMATCH', `Expected ${expected} for ${name} but received ${received}`);
}

/** An error of the package as it is, one of the addon as one of the package. */
const ofThePackage = (error: unknown): unknown => (isCgfacError(error) ? error : toCgfacError(error));

/** The communicator of this process, once it is connected. */
export class RanksOfMpi implements MpiCommunicator {
  readonly library: MpiLibrary;
  readonly #rank: number;
  readonly #size: number;
  readonly #native: NativeMpi;
  readonly #timeout: number;
  readonly #forget: () => void;
  #ending: Promise<void> | undefined;

  /** @param forget - Called once this process may leave as it likes. */
  constructor(native: NativeMpi, connection: NativeConnection, timeout: number, forget: () => void) {
    const { rank, size, version, path, abi } = connection;
    this.#rank = rank;
    this.#size = size;
    this.library = Object.freeze({ version, path, abi });
    this.#native = native;
    this.#timeout = timeout;
    this.#forget = forget;
  }

  get rank(): number {
    return this.#rank;
  }

  get size(): number {
    return this.#size;
  }

  allreduce<T extends Numbers>(values: T, operation: ReduceOperation = 'sum'): Promise<T> {
    return this.#later(() => this.#native.allreduce(numbers(values, 'values'), reductionOf(operation)));
  }

  allreduceSync<T extends Numbers>(values: T, operation: ReduceOperation = 'sum'): T {
    return this.#now(() => this.#native.allreduceSync(numbers(values, 'values'), reductionOf(operation)));
  }

  alltoallv<T extends Numbers>(parts: readonly T[], expected?: Expected): Promise<T[]> {
    return this.#later(() => this.#native.alltoallv(...this.#parts(parts, expected)));
  }

  alltoallvSync<T extends Numbers>(parts: readonly T[], expected?: Expected): T[] {
    return this.#now(() => this.#native.alltoallvSync(...this.#parts(parts, expected)));
  }

  allgatherv<T extends Numbers>(values: T, expected?: Expected): Promise<T[]> {
    return this.#later(() => this.#native.allgatherv(...this.#values(values, expected)));
  }

  allgathervSync<T extends Numbers>(values: T, expected?: Expected): T[] {
    return this.#now(() => this.#native.allgathervSync(...this.#values(values, expected)));
  }

  bcast<T extends Numbers>(values: T, root = 0): Promise<T> {
    return this.#later(() => this.#native.bcast(numbers(values, 'values'), this.#root(root)));
  }

  bcastSync<T extends Numbers>(values: T, root = 0): T {
    return this.#now(() => this.#native.bcastSync(numbers(values, 'values'), this.#root(root)));
  }

  barrier(): Promise<void> {
    return this.#later(() => this.#native.barrier());
  }

  barrierSync(): void {
    this.#now(() => this.#native.barrierSync());
  }

  finalize(): Promise<void> {
    this.#ending ??= this.#finalize();
    return this.#ending;
  }

  async #finalize(): Promise<void> {
    try {
      // the ranks meet within the deadline; what MPI does afterwards is a matter of milliseconds
      const milliseconds = this.#timeout + MPI_ENDS_WITHIN;
      await within(milliseconds, this.#native.finalize(), () => {
        const here = `on rank ${this.rank} of ${this.size}`;
        const text = `Expected MPI to end within ${milliseconds} ms ${here} but it did not`;
        return new CgfacError('ERR_CGFAC_COMMUNICATION', text);
      });
    } catch (error) {
      throw ofThePackage(error);
    }
    this.#forget();
  }

  #require(): void {
    if (this.#ending !== undefined)
      throw new CgfacError('ERR_CGFAC_DISPOSED', 'Expected a communicator but received one that was finalized');
  }

  async #later<T>(call: () => Promise<T>): Promise<T> {
    this.#require();
    try {
      return await call();
    } catch (error) {
      throw ofThePackage(error);
    }
  }

  #now<T>(call: () => T): T {
    this.#require();
    try {
      return call();
    } catch (error) {
      throw ofThePackage(error);
    }
  }

  #root(root: unknown): number {
    const checked = nonNegativeInteger(root, 'root');
    if (checked >= this.size) throw valueError(`a rank < ${this.size}`, 'root', root);
    return checked;
  }

  #values<T extends Numbers>(values: T, expected: Expected | undefined): [T, number[] | undefined] {
    const checked = numbers(values, 'values');
    return [checked, this.#counts(expected, lengthIn(checked))];
  }

  #parts<T extends Numbers>(parts: readonly T[], expected: Expected | undefined): [T[], number[] | undefined] {
    const list = elementsOf(parts, 'parts') as T[] | undefined;
    if (list === undefined) throw typeError(`an array of ${this.size} arrays`, 'parts', parts);
    if (list.length !== this.size)
      throw shapeError(`${this.size} arrays, one for each rank`, 'parts', `${list.length}`);
    list.forEach((part, rank) => {
      if (typeOf(numbers(part, `parts[${rank}]`)) !== typeOf(list[0]))
        throw typeError('arrays of one type', 'parts', part);
    });
    const own = list[this.rank];
    return [list, this.#counts(expected, own === undefined ? 0 : lengthIn(own))];
  }

  /** What is known of the numbers that come, checked against those of this rank. */
  #counts(expected: Expected | undefined, own: number): number[] | undefined {
    if (expected === undefined) return undefined;
    const { counts } = readOptions(expected, 'expected', ['counts']);
    if (counts === undefined) return undefined;
    const list = elementsOf(counts, 'expected.counts');
    if (list === undefined) throw typeError(`an array of ${this.size} integers`, 'expected.counts', counts);
    if (list.length !== this.size)
      throw shapeError(`${this.size} integers, one for each rank`, 'expected.counts', `${list.length}`);
    const checked = list.map((count, rank) => nonNegativeInteger(count, `expected.counts[${rank}]`));
    if (checked[this.rank] !== own) {
      const received = describe(checked[this.rank]);
      throw shapeError(`${own}, what this rank gives itself,`, `expected.counts[${this.rank}]`, received);
    }
    return checked;
  }
}

const reductionOf = (operation: unknown): NativeReduction => reductions[oneOf(operation, 'operation', operations)];
