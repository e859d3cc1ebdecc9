// mpirun -n 2 node link.cjs NETWORK_DEVICE: sums arrays over a link that has nothing else on it, tells what went over
// it by the array's own bytes, and goes on until the link is cut.
const { readFileSync } = require('node:fs');
const { connectMpi } = require('cgfac/mpi');

const [device] = process.argv.slice(2);
const values = new Float32Array(1 << 20);
const rounds = 5;
const bytes = () =>
  ['rx', 'tx'].map((way) => Number(readFileSync(`/sys/class/net/${device}/statistics/${way}_bytes`, 'utf8')));

async function main() {
  const rank = Number(process.env.OMPI_COMM_WORLD_RANK ?? process.env.PMI_RANK);
  process.stdout.write(`process ${process.pid} is rank ${rank}\n`);
  const communicator = await connectMpi({ timeout: 4000 });
  await communicator.allreduce(values);
  for (let i = 0; i < rounds; i++) {
    await communicator.barrier();
    const before = bytes();
    await communicator.allreduce(values);
    await communicator.barrier();
    const shares = bytes().map((after, way) => (after - before[way]) / values.byteLength);
    process.stdout.write(`rank ${rank} shares ${shares.join(' ')}\n`);
  }
  process.stdout.write(`rank ${rank} goes on\n`);
  for (;;) await communicator.allreduce(values);
}

main();
