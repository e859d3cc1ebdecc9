/** Which library is loaded, and what is said where it cannot be, or is not the launcher's. */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { launcherOf } from '../../lib/mpi/launcher';
import { type Mpi, mpis, requireMpi, startRanks } from '../support/mpi';

const root = resolve(__dirname, '../..');

beforeAll(requireMpi);

describe('the launcher', () => {
  test.each([
    [{}, 'no launcher', undefined, 'libmpi.so.40'],
    [{ OMPI_COMM_WORLD_SIZE: '4', PMI_SIZE: '2', OMPI_COMM_WORLD_RANK: '3' }, /^mpirun of Open MPI/, 4, 'libmpi.so.40'],
    [{ PMI_SIZE: '2', PMI_RANK: '1' }, /PMI_SIZE/, 2, 'libmpi.so.12'],
    [{ MPI_LOCALNRANKS: '8' }, /MPI_LOCALNRANKS/, 8, 'libmpi.so.12'],
    [{ SLURM_STEP_NUM_TASKS: '16' }, /^srun/, 16, 'libmpi.so.40'],
    [{ OMPI_COMM_WORLD_SIZE: 'many' }, 'no launcher', undefined, 'libmpi.so.40'],
  ])('of %j', (env, name, ranks, first) => {
    const launcher = launcherOf(env);
    expect(launcher).toMatchObject({ name: expect.stringMatching(name), ranks });
    expect(launcher.libraries[0]).toBe(first);
  });
});

test('to import the module loads no addon, and no MPI', () => {
  const program = "require('cgfac/mpi'); process.stdout.write(require('fs').readFileSync('/proc/self/maps', 'utf8'))";
  const { stdout, status } = spawnSync(process.execPath, ['--eval', program], { cwd: root, encoding: 'utf8' });
  expect(status).toBe(0);
  expect(stdout).toMatch(/libc/);
  expect(stdout).not.toMatch(/\.node$|libmpi/m);
});

test('wrong options are refused before anything is loaded', () => {
  const program = `const { connectMpi } = require('cgfac/mpi');
    const codes = [{ timeout: 0 }, { timeout: '1' }, { timeuot: 1 }, 5].map((options) =>
      connectMpi(options).catch(({ code }) => code));
    Promise.all(codes).then((all) => console.log(all.join()));`;
  const env = { ...process.env, CGFAC_MPI_LIBRARY: 'none.so' };
  const { stdout } = spawnSync(process.execPath, ['--eval', program], { cwd: root, env, encoding: 'utf8' });
  const [value, type, unknown] = ['VALUE', 'TYPE', 'OPTION'].map((end) =>
    end === 'OPTION' ? 'ERR_CGFAC_UNKNOWN_OPTION' : `ERR_CGFAC_INVALID_ARG_${end}`,
  );
  expect(stdout.trim()).toBe([value, type, unknown, type].join());
});

/** A library of the other MPI than the launcher's. */
const others: Readonly<Record<Mpi, string>> = { openmpi: 'libmpich.so.12', mpich: 'libmpi.so.40' };

test('a library that is not the one of the launcher', async () => {
  const run = (mpi: Mpi) =>
    startRanks(mpi, 2, 'fault.cjs', { args: ['none'], env: { CGFAC_MPI_LIBRARY: others[mpi] } });
  for (const { code, output, left } of await Promise.all(mpis.map(run))) {
    expect(output).toMatch(/Expected 2 ranks, as .* says on rank \d, but .* knows of one: .* unset it$/m);
    expect(output).toMatch(/code: 'ERR_CGFAC_MPI'/);
    expect({ code, left }).toEqual({ code: 1, left: [] });
    expect(output).not.toMatch(/is done/);
  }
});

test.each([
  ['libnothing.so', /but the system could load none: libnothing\.so: cannot open .* Install the MPI/],
  ['libm.so.6', /but what was loaded is no MPI of version 3 or newer/],
])('no MPI: %s', async (library, says) => {
  const run = (mpi: Mpi) => startRanks(mpi, 2, 'fault.cjs', { args: ['none'], env: { CGFAC_MPI_LIBRARY: library } });
  for (const { code, output, left } of await Promise.all(mpis.map(run))) {
    expect(output).toMatch(says);
    expect(output).toMatch(new RegExp(`'${library}' of CGFAC_MPI_LIBRARY.*on rank \\d but`));
    expect({ code, left }).toEqual({ code: 1, left: [] });
  }
});

test.each([
  ['works', 0, /^rank 1: the sum is 1$/m],
  ['second', 0, /^rank 1: ERR_CGFAC_MPI$/m],
  ['throw', 1, /^Error: a mistake of the worker$[\s\S]*cgfac: rank 1 of 2 .* leaves without finalize/m],
  ['terminate', 70, /cgfac: rank 1 of 2 .* leaves without finalize/],
])('a connection in a worker_thread: %s', async (what, code, says) => {
  for (const run of await Promise.all(mpis.map((mpi) => startRanks(mpi, 2, 'workers.cjs', { args: [what] }))))
    expect(run).toEqual({ code, output: expect.stringMatching(says), left: [] });
});

/** How often MPI is started and ended: `CGFAC_MPI_RUNS`, or 20 times; beneath UCX it crashed 6 times of 510. */
const times = Number(process.env.CGFAC_MPI_RUNS ?? 20);

test(
  `${times} starts and ends under MPICH, two at a time`,
  async () => {
    const endings = new Set<string>();
    let next = 0;
    const lane = async () => {
      while (next++ < times) {
        const { code, output } = await startRanks('mpich', 2, 'once.cjs');
        endings.add(`${code}: ${output}`);
      }
    };
    await Promise.all([lane(), lane()]);
    expect([...endings]).toEqual(['0: 3\n']);
  },
  30_000 + 2000 * times,
);
