// npm run start:mpi -- -n 2 [options of the example]: examples/distributed.ts on so many processes of this machine,
// under the mpirun that is on PATH. Ends with its exit code.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

const args = process.argv.slice(2);
const at = args.indexOf('-n');
const ranks = at < 0 ? 2 : Number(args[at + 1]);
if (!Number.isInteger(ranks) || ranks < 1) {
  console.error(
    `start:mpi: expected a number of processes after -n, such as -n 2, and got ${args[at + 1] ?? 'nothing'}`,
  );
  process.exit(1);
}
const own = at < 0 ? args : args.filter((_, index) => index !== at && index !== at + 1);

const version = spawnSync('mpirun', ['--version'], { encoding: 'utf8' });
if (version.error) {
  console.error(`start:mpi: mpirun cannot be started (${version.error.message}); is an MPI installed?`);
  process.exit(1);
}
const isOpenMpi = version.stdout.includes('Open MPI');
// Open MPI counts processors, and does not run as root, as most containers do, unless it is told to.
const launcher = isOpenMpi && ranks > availableParallelism() ? ['--oversubscribe'] : [];
const root =
  isOpenMpi && process.getuid?.() === 0 ? { OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' } : {};
const program = fileURLToPath(new URL('../dist/examples/distributed.js', import.meta.url));
const { status } = spawnSync('mpirun', [...launcher, '-n', `${ranks}`, process.execPath, program, ...own], {
  stdio: 'inherit',
  env: { ...process.env, ...root },
});
process.exitCode = status ?? 1;
