// mpirun -n P node fault.cjs FAULT: all ranks connect, and go from collective to collective; rank 1 does what FAULT
// says. Each rank tells its process first.
const { connectMpi } = require('cgfac/mpi');
const { Worker } = require('node:worker_threads');

const fault = process.argv[2];
const timeout = Number(process.argv[3] ?? 20_000);
const say = (text) => process.stdout.write(`${text}\n`);
const never = () => new Promise(() => setInterval(() => {}, 1000));
const values = (length) => new Float32Array(length);

/** What rank 1 does in the place of the fourth allreduce of 10 numbers. */
const faults = {
  none: () => {},
  throw: () => {
    setImmediate(() => {
      throw new Error('a mistake of the program');
    });
    return never();
  },
  rejection: () => {
    throw new TypeError('a promise that nobody catches');
  },
  'exit-0': () => process.exit(0),
  'exit-3': () => process.exit(3),
  'really-exit-0': () => process.reallyExit(0),
  // nothing keeps the process alive then
  'end-early': () => new Promise(() => {}),
  kill: () => {
    process.kill(process.pid, 'SIGKILL');
    return never();
  },
  term: () => {
    process.kill(process.pid, 'SIGTERM');
    return never();
  },
  hang: never,
  barrier: (communicator) => communicator.barrier(),
  bcast: (communicator) => communicator.bcast(values(10), 1),
  shorter: (communicator) => communicator.allreduce(values(9)),
  'other-type': (communicator) => communicator.allreduce(new Int32Array(10)),
  maximum: (communicator) => communicator.allreduce(values(10), 'max'),
  finalize: (communicator) => communicator.finalize(),
};

async function main() {
  const rank = Number(process.env.OMPI_COMM_WORLD_RANK ?? process.env.PMI_RANK);
  say(`process ${process.pid} is rank ${rank}`);
  if (fault === 'absent' && rank === 1) return never();
  const communicator = await connectMpi({ timeout });
  for (let i = 0; i < 3; i++) await communicator.allreduce(values(10));
  if (rank === 1) await faults[fault]?.(communicator);
  await communicator.allreduce(values(10));
  await communicator.finalize();
  say(`rank ${rank} is done`);
}

main();
void Worker;
