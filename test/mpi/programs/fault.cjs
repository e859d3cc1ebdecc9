// mpirun -n P node fault.cjs FAULT [TIMEOUT]: all ranks connect, and go from collective to collective; in the place of
// the fourth allreduce, rank 1 does what FAULT says. Each rank tells its process first.
const { connectMpi } = require('cgfac/mpi');

const [fault, timeout = '20000'] = process.argv.slice(2);
const say = (text) => process.stdout.write(`${text}\n`);
const never = () => new Promise(() => setInterval(() => {}, 1000));
const terminated = () => {
  process.kill(process.pid, 'SIGTERM');
  return never();
};
const values = (length) => new Float32Array(length);

const faults = {
  none: (communicator) => communicator.allreduce(values(10)),
  throw: () => {
    setImmediate(() => {
      throw new Error('a mistake of the program');
    });
    return never();
  },
  rejection: () => Promise.reject(new Error('a mistake of the program')),
  'exit-0': () => process.exit(0),
  'exit-3': () => process.exit(3),
  'really-exit-0': () => process.reallyExit(0),
  // nothing keeps the process alive
  'end-early': () => new Promise(() => {}),
  kill: () => process.kill(process.pid, 'SIGKILL'),
  term: () => terminated(),
  // the program's own way to end, from before the connection or after it
  'term-before': () => terminated(),
  'term-after': () => {
    process.on('SIGTERM', () => process.exit(3));
    return terminated();
  },
  hang: never,
  barrier: (communicator) => communicator.barrier(),
  bcast: (communicator) => communicator.bcast(values(10), 1),
  shorter: (communicator) => communicator.allreduceSync(values(9)),
  'other-type': (communicator) => communicator.allreduce(new Int32Array(10)),
  maximum: (communicator) => communicator.allreduce(values(10), 'max'),
  finalize: (communicator) => communicator.finalize(),
};

/** Ranks that know how many numbers come from each, wrongly on rank 1. */
const counted = {
  'more-than-known': 7,
  'fewer-than-known': 3,
};

async function go(communicator) {
  const { rank, size } = communicator;
  for (let i = 0; i < 3; i++) await communicator.allreduce(values(10));
  if (fault in counted) {
    const counts = Array.from({ length: size }, () => 5);
    if (rank === 1) counts[1] = counted[fault];
    await communicator.allgatherv(values(counts[rank]), { counts });
  } else {
    await (rank === 1 ? faults[fault] : faults.none)(communicator);
  }
  await communicator.finalize();
}

async function main() {
  const rank = Number(process.env.OMPI_COMM_WORLD_RANK ?? process.env.PMI_RANK);
  say(`process ${process.pid} is rank ${rank}`);
  if (fault === 'absent' && rank === 1) return never();
  if (fault === 'term-before') process.on('SIGTERM', () => process.exit(3));
  await go(await connectMpi({ timeout: Number(timeout) }));
  say(`rank ${rank} is done`);
}

main();
