// mpirun -n P node once.cjs: connects, adds once, and ends.
const { connectMpi } = require('cgfac/mpi');

connectMpi().then(async (communicator) => {
  const [sum] = await communicator.allreduce(Float64Array.of(communicator.rank + 1));
  if (communicator.rank === 0) process.stdout.write(`${sum}\n`);
  await communicator.finalize();
});
