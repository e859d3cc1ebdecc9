/** Every collective under both MPIs, on one to four ranks, against what follows from the numbers that ranks gave. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Mpi, mpis, requireMpi, startRanks } from '../support/mpi';

interface Stored {
  readonly type: 'Float32Array' | 'Float64Array' | 'Int32Array' | 'Uint8Array';
  readonly bytes: string;
}

interface Entry {
  readonly call: 'allreduce' | 'bcast' | 'alltoallv' | 'allgatherv';
  readonly operation?: 'sum' | 'min' | 'max';
  readonly root?: number;
  readonly values?: Stored;
  readonly parts?: readonly Stored[];
  /** Of a promise, and of its synchronous twin. */
  readonly results: readonly (Stored | readonly Stored[])[];
}

interface Told {
  readonly rank: number;
  readonly size: number;
  readonly library: { readonly abi: string };
  readonly entries: readonly Entry[];
  readonly refused: { readonly codes: readonly string[]; readonly sum: number };
  readonly after: string;
  readonly again: string;
}

const types = { Float32Array, Float64Array, Int32Array, Uint8Array };

function numbersOf({ type, bytes }: Stored) {
  const memory = Uint8Array.from(Buffer.from(bytes, 'base64'));
  return new types[type](memory.buffer);
}

const rounded = (type: Stored['type'], value: number) => (type === 'Float32Array' ? Math.fround(value) : value);

/** What all ranks together make of their numbers, in the order of ranks. */
function reduced(operation: 'sum' | 'min' | 'max', given: readonly Stored[]): number[] {
  const [first, ...others] = given.map((stored) => Array.from(numbersOf(stored)));
  const type = given[0]?.type ?? 'Float32Array';
  const combine = { sum: (a: number, b: number) => rounded(type, a + b), min: Math.min, max: Math.max }[operation];
  return others.reduce((sums, numbers) => sums.map((sum, i) => combine(sum, numbers[i] ?? 0)), first ?? []);
}

/** The result of a call on a rank, by what every rank gave. */
function expected(rank: number, ranks: readonly Entry[]): number[] | number[][] {
  const own = ranks[rank] as Entry;
  const values = (entry: Entry | undefined) => Array.from(numbersOf(entry?.values as Stored));
  switch (own.call) {
    case 'allreduce':
      return reduced(
        own.operation ?? 'sum',
        ranks.map((entry) => entry.values as Stored),
      );
    case 'bcast':
      return values(ranks[own.root ?? 0]);
    case 'allgatherv':
      return ranks.map(values);
    case 'alltoallv':
      return ranks.map((entry) => Array.from(numbersOf(entry.parts?.[rank] as Stored)));
  }
}

/** Fails where a result is not, number for number, what is wanted. */
function requireSame(result: Stored | readonly Stored[], wanted: number[] | number[][]): void {
  const arrays = ('type' in result ? [result] : result).map(numbersOf);
  const lists = ('type' in result ? [wanted] : wanted) as number[][];
  expect(arrays.map(({ length }) => length)).toEqual(lists.map(({ length }) => length));
  arrays.forEach((array, index) => {
    const list = lists[index] ?? [];
    const at = array.findIndex((value: number, i: number) => !Object.is(value, list[i]));
    if (at >= 0) expect({ index, at, value: array[at] }).toEqual({ index, at, value: list[at] });
  });
}

/** The ranks' own accounts of a run. */
async function accounts(mpi: Mpi, ranks: number, env: Readonly<Record<string, string>> = {}): Promise<Told[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cgfac-mpi-'));
  try {
    const { code, output, left } = await startRanks(mpi, ranks, 'collectives.cjs', { args: [folder], env });
    if (code !== 0 || output !== '') throw new Error(`${mpi} on ${ranks} ranks ended with ${code}: ${output}`);
    expect(left).toEqual([]);
    return Array.from({ length: ranks }, (_, rank) => JSON.parse(readFileSync(join(folder, `${rank}.json`), 'utf8')));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What the program's calls with wrong arguments are told. */
const refusals = [
  'ERR_CGFAC_INVALID_ARG_VALUE',
  'ERR_CGFAC_INVALID_ARG_TYPE',
  'ERR_CGFAC_INVALID_ARG_VALUE',
  'ERR_CGFAC_INVALID_ARG_VALUE',
  'ERR_CGFAC_SHAPE_MISMATCH',
  'ERR_CGFAC_SHAPE_MISMATCH',
  'ERR_CGFAC_UNKNOWN_OPTION',
];

/** Of assignments to rank and size, of arrays that say of themselves what is not so, and of one that was moved. */
const odd = ['read-only', 'read-only', 'none', 'none', 'ERR_CGFAC_DETACHED_BUFFER'];

beforeAll(requireMpi);

/** Fails where the ranks of a run did not get what follows from what they gave. */
function requireRight(told: readonly Told[], abi: string): void {
  const ranks = told.length;
  expect(told.map(({ rank, size }) => [rank, size])).toEqual(told.map((_, rank) => [rank, ranks]));
  expect(told.map(({ library }) => library.abi)).toEqual(told.map(() => abi));
  for (const { refused, after, again } of told) {
    const beyond = ranks === 1 ? 'none' : 'ERR_CGFAC_INVALID_ARG_VALUE';
    const uncountable = [beyond, beyond, beyond, beyond];
    expect(refused).toEqual({
      codes: [beyond, beyond, ...refusals, ...uncountable, ...odd],
      sum: (ranks * (ranks - 1)) / 2,
    });
    expect([after, again]).toEqual(['ERR_CGFAC_DISPOSED', 'ERR_CGFAC_MPI']);
  }
  const count = told[0]?.entries.length ?? 0;
  // sixteen types and lengths, each with three reductions, P roots and four exchanges; and eighty at once
  expect(count).toBeGreaterThan(16 * (7 + ranks) + 80);
  for (let i = 0; i < count; i++) {
    const calls = told.map(({ entries }) => entries[i] as Entry);
    calls.forEach((call, rank) => {
      const wanted = expected(rank, calls);
      for (const result of call.results) requireSame(result, wanted);
    });
  }
}

const abis: Readonly<Record<Mpi, string>> = { openmpi: 'open-mpi', mpich: 'mpich' };

describe.each(mpis)('%s', (mpi) => {
  test.each([1, 2, 3, 4])('every collective on %i ranks, and what is refused', async (ranks) => {
    requireRight(await accounts(mpi, ranks), abis[mpi]);
  });
});

test('the binary interface of MPI 5.0, which is MPICH beneath here', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cgfac-mpi-abi-'));
  try {
    const library = join(folder, 'libmpi_abi.so.1');
    const source = resolve(__dirname, 'programs/standard-abi.cpp');
    const made = spawnSync('g++', ['-std=c++20', '-shared', '-fPIC', '-o', library, source], { encoding: 'utf8' });
    expect(made).toMatchObject({ status: 0, stderr: '' });
    requireRight(await accounts('mpich', 3, { CGFAC_MPI_LIBRARY: library }), 'standard');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
