// mpirun -n 2 node link.cjs NETWORK_DEVICE: sums arrays, and trains, over a link that has nothing else on it; tells what
// went over it by the array's own bytes, and by those that a plan of the training has; and goes on until it is cut.
const { readFileSync } = require('node:fs');
const { Preconditioner } = require('cgfac');
const { connectMpi } = require('cgfac/mpi');

const [device] = process.argv.slice(2);
const values = new Float32Array(1 << 20);
const rounds = 5;
const bytes = () =>
  ['rx', 'tx'].map((way) => Number(readFileSync(`/sys/class/net/${device}/statistics/${way}_bytes`, 'utf8')));

const [BATCH, FEATURES, EVERY] = [32, 640, 5];

/** Takes the steps from one refresh to the next; what went over the link by what was planned of both ranks. */
async function trained(communicator) {
  const preconditioner = new Preconditioner({
    ...{ lossReduction: 'mean', communicator, ownerRows: 'sampled', factorUpdateSteps: EVERY, stepRule: 'polyak' },
  });
  const kernel = () => Float32Array.from({ length: FEATURES * FEATURES }, (_, i) => Math.sin(i));
  const names = ['first', 'second'];
  for (const name of names)
    preconditioner.registerDense(name, {
      ...{ inFeatures: FEATURES, outFeatures: FEATURES, bias: false, weights: kernel() },
    });
  const rows = (start) =>
    Float32Array.from({ length: BATCH * FEATURES }, (_, i) => Math.sin(i * (start + communicator.rank)));
  const steps = async (count) => {
    for (let step = 0; step < count; step++) {
      for (const name of names) preconditioner.record(name, { inputs: rows(1), lossGrads: rows(2), batch: BATCH });
      if (preconditioner.refreshDue)
        for (const name of names) preconditioner.recordFisher(name, { outputGrads: rows(3), batch: BATCH });
      await preconditioner.naturalGradients({ loss: 1 });
    }
  };
  await steps(2 * EVERY); // the first ten of them all refresh
  const planned = Array.from({ length: EVERY }, (_, step) =>
    preconditioner.plan({ batch: BATCH, sampled: BATCH, refresh: step === 0, started: true }),
  );
  await communicator.barrier();
  const before = bytes();
  await steps(EVERY);
  await communicator.barrier();
  const moved = bytes().reduce((sum, after, way) => sum + after - before[way], 0);
  const sent = planned.reduce((sum, { mean }) => sum + mean, 0);
  return { planned: moved / (2 * sent), sgd: moved / (2 * EVERY * planned[0].sgd) };
}

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
  for (let i = 0; i < 2; i++) {
    const { planned, sgd } = await trained(communicator);
    process.stdout.write(`rank ${rank} trains ${planned} ${sgd}\n`);
  }
  process.stdout.write(`rank ${rank} goes on\n`);
  for (;;) await communicator.allreduce(values);
}

main();
