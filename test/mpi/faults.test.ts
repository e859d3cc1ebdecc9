/** A rank that goes wrong ends the run: with a code that is not 0, a message that names it, and no rank left behind. */
import { type Mpi, mpis, requireMpi, startRanks } from '../support/mpi';

interface Fault {
  readonly fault: string;
  /** The launcher's exit code. */
  readonly code: number | Readonly<Record<Mpi, number>>;
  /** What is said, by one of the ranks or by the launcher. */
  readonly says: RegExp | Readonly<Record<Mpi, RegExp>>;
  /** What a collective has, in milliseconds. */
  readonly timeout?: number;
  /** Where it runs, if not under both: ranks compare calls by themselves, whichever MPI brings these. */
  readonly under?: readonly Mpi[];
}

const leaves = (code: number) =>
  new RegExp(`cgfac: rank 1 of 3 \\(process \\d+\\) leaves without finalize\\(\\).* exit code ${code}$`, 'm');
/** Nothing is said of a signal that the program takes itself. */
const onlyLeaves = /^(?![\s\S]*received SIGTERM)[\s\S]*cgfac: rank 1 of 3 .* exit code 3$/m;
const tells = (text: string) => new RegExp(`on rank [02] of 3 to come to its end but ${text}`);

const faults: readonly Fault[] = [
  // Node tells of the error first
  { fault: 'throw', code: 1, says: /^Error: a mistake of the program$[\s\S]*cgfac: rank 1 of 3 .* exit code 1$/m },
  { fault: 'rejection', code: 1, says: leaves(1) },
  { fault: 'exit-0', code: 70, says: leaves(70) },
  { fault: 'exit-3', code: 3, says: leaves(3) },
  { fault: 'really-exit-0', code: 70, says: leaves(70) },
  { fault: 'end-early', code: 70, says: leaves(70) },
  // the launcher alone is left to tell, and ends the others at once; that of MPICH names the process and its code
  {
    fault: 'kill',
    code: { openmpi: 137, mpich: 9 },
    says: { openmpi: /process rank 1 .* exited on signal 9/, mpich: /PID \d+ RUNNING AT/ },
  },
  {
    fault: 'term',
    code: { openmpi: 143, mpich: 15 },
    says: {
      openmpi: /process rank 1 .* exited on signal 15/,
      mpich: /^cgfac: rank 1 of 3 \(process \d+\) received SIGTERM, /m,
    },
  },
  { fault: 'term-before', code: 3, says: onlyLeaves },
  { fault: 'term-after', code: 3, says: onlyLeaves },
  {
    fault: 'barrier',
    code: 1,
    says: /rank 1 called barrier as its collective 4|on rank 1 .* rank 0 called allreduce of/,
  },
  {
    fault: 'bcast',
    code: 1,
    says: /rank 1 called bcast of 10 .* from root 1 as|on rank 1 .* rank 0 called allreduce of/,
  },
  {
    fault: 'shorter',
    code: 1,
    says: /rank 1 called allreduce of 9 numbers|on rank 1 .* rank 0 called allreduce of 10/,
  },
  {
    fault: 'other-type',
    code: 1,
    says: /rank 1 called .* Int32Array|on rank 1 .* rank 0 called .* Float32Array/,
    under: ['mpich'],
  },
  { fault: 'maximum', code: 1, says: /rank 1 called .*'max'|on rank 1 .* rank 0 called .*'sum'/, under: ['mpich'] },
  { fault: 'finalize', code: 1, says: /rank 1 called finalize|on rank 1 .* rank 0 called allreduce/, under: ['mpich'] },
  { fault: 'fewer-than-known', code: 1, says: tells('rank 1 called allgatherv of 3') },
  {
    fault: 'more-than-known',
    code: 1,
    says: { openmpi: tells('MPI_Test failed: MPI_ERR_TRUNCATE'), mpich: tells('rank 1 sent something else') },
  },
  // the others connect and add in a fraction of it, also on a busy machine
  { fault: 'hang', code: 1, says: tells('nothing came from rank 1 within 2500 ms'), timeout: 2500 },
];

const of = <T>(value: T | Readonly<Record<Mpi, T>>, mpi: Mpi): T =>
  typeof value === 'object' && value !== null && mpi in value ? (value as Readonly<Record<Mpi, T>>)[mpi] : (value as T);

beforeAll(requireMpi);

test('without a fault all ranks come to their end', async () => {
  for (const run of await Promise.all(mpis.map((mpi) => startRanks(mpi, 3, 'fault.cjs', { args: ['none'] })))) {
    expect(run).toMatchObject({ code: 0, left: [] });
    expect(run.output.match(/^rank \d is done$/gm)).toHaveLength(3);
  }
});

test.each(faults)('$fault: $says', async ({ fault, code, says, timeout = 20_000, under = mpis }) => {
  const args = [fault, String(timeout)];
  const runs = await Promise.all(under.map((mpi) => startRanks(mpi, 3, 'fault.cjs', { args })));
  runs.forEach((run, index) => {
    const mpi = under[index] ?? 'mpich';
    expect(run).toEqual({ code: of(code, mpi), output: expect.stringMatching(of(says, mpi)), left: [] });
    expect(run.output).not.toMatch(/is done/);
  });
});

test('a rank that does not connect', async () => {
  const args = ['absent', '2500'];
  const runs = await Promise.all(mpis.map((mpi) => startRanks(mpi, 3, 'fault.cjs', { args })));
  for (const { code, output, left } of runs) {
    expect(output).toMatch(/Expected all ranks in connectMpi\(\) within 2500 ms on rank [02] but not all of them came/);
    // which of the processes that are ended is the first one, differs; 124 would be the end by `timeout`
    expect(code).not.toBe(0);
    expect(code).not.toBe(124);
    expect(left).toEqual([]);
  }
});

test.each(mpis)('%s: a launcher that is told to stop takes all ranks with it', async (mpi) => {
  const stop = (output: string, launcher: { kill(signal: NodeJS.Signals): unknown }) => {
    if (output.match(/^process/gm)?.length === 3) launcher.kill('SIGTERM');
  };
  const { code, left } = await startRanks(mpi, 3, 'fault.cjs', { args: ['hang'], listen: stop });
  expect(code).not.toBe(0);
  expect(left).toEqual([]);
});
