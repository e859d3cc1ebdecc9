// mpirun -n P node train.cjs: the ranks train a network of three layers for 20 steps, each with its share of every
// batch, by promises and on the calling thread; each prints how far its weights are from those of one process that has
// all shares, and whether they have the same bits.
const { Preconditioner } = require('cgfac');
const { connectMpi } = require('cgfac/mpi');

const [STEPS, BATCH] = [20, 8];
const layers = [
  { name: 'first', inFeatures: 30, outFeatures: 20 },
  { name: 'second', inFeatures: 20, outFeatures: 90 },
  { name: 'third', inFeatures: 90, outFeatures: 10 },
];

const numbers = (length, start) => Float32Array.from({ length }, (_, i) => Math.sin(1.3 * i + start));

function network(options) {
  const preconditioner = new Preconditioner({ lossReduction: 'mean', ...options });
  const all = layers.map(({ name, inFeatures, outFeatures }, l) => {
    const weights = { kernel: numbers(inFeatures * outFeatures, l), bias: numbers(outFeatures, l + 9) };
    preconditioner.registerDense(name, { inFeatures, outFeatures, weights });
    return weights;
  });
  const weights = () => all.flatMap(({ kernel, bias }) => [...kernel, ...bias]);
  return { preconditioner, weights };
}

/** The rows of a rank's share of a step. */
function record(preconditioner, step, rank) {
  layers.forEach(({ name, inFeatures, outFeatures }, l) => {
    const at = step + 31 * rank + l;
    const of = (features, start) => numbers(BATCH * features, start + at);
    preconditioner.record(name, { inputs: of(inFeatures, 0), lossGrads: of(outFeatures, 5), batch: BATCH });
    preconditioner.recordFisher(name, { outputGrads: of(outFeatures, 77), batch: BATCH });
  });
}

async function trained(communicator, ownerRows, sync) {
  const { preconditioner, weights } = network({ communicator, ownerRows });
  for (let step = 0; step < STEPS; step++) {
    record(preconditioner, step, communicator.rank);
    const options = { loss: 1 + communicator.rank };
    if (sync) preconditioner.naturalGradientsSync(options);
    else await preconditioner.naturalGradients(options);
  }
  return weights();
}

function alone(size) {
  const { preconditioner, weights } = network();
  for (let step = 0; step < STEPS; step++) {
    for (let rank = 0; rank < size; rank++) record(preconditioner, step, rank);
    preconditioner.naturalGradientsSync({ loss: 1 + (size - 1) / 2 });
  }
  return weights();
}

async function main() {
  const communicator = await connectMpi({ timeout: 15_000 });
  const { rank, size } = communicator;
  const expected = alone(size);
  const norm = Math.hypot(...expected);
  for (const [ownerRows, sync] of [
    ['all', false],
    ['all', true],
    ['auto', false],
  ]) {
    const found = await trained(communicator, ownerRows, sync);
    const error = Math.hypot(...found.map((weight, i) => weight - expected[i])) / norm;
    const same = found.every((weight, i) => Object.is(weight, expected[i]));
    console.log(`rank ${rank} ${ownerRows} ${sync ? 'waits' : 'promises'} ${same ? 'same' : 'other'} ${error}`);
  }
  const before = network().weights();
  const moved = Math.hypot(...expected.map((weight, i) => weight - before[i])) / norm;
  console.log(`rank ${rank} moved ${moved}`);
  await communicator.finalize();
}
main();
