// mpirun -n P node tfjs.cjs: the ranks train an autoencoder of TensorFlow.js for 20 steps by model.fit, each with its
// share of every batch. Rank 0 prints how far its weights are from those of one process that has all samples, how far
// these move where its samples come in another order, and whether all ranks have the same bits.
const tf = require('@tensorflow/tfjs-core');
const { initializers, layers, sequential } = require('@tensorflow/tfjs-layers');
require('@tensorflow/tfjs-backend-cpu');
const { connectMpi } = require('cgfac/mpi');
const { cgfac, shard } = require('cgfac/tfjs');

const [STEPS, BATCH, PIXELS] = [20, 12, 12];
const ORDERS = [11, 5, 7].map((factor) => Array.from({ length: BATCH }, (_, i) => (factor * i + 3) % BATCH));

/** An autoencoder 12-7-12, with other weights on each rank: those of rank 0 become those of all. */
function autoencoder(rank) {
  const kernel = (seed) => ({ kernelInitializer: initializers.glorotUniform({ seed: seed + 10 * rank }) });
  return sequential({
    layers: [
      layers.dense({ units: 7, activation: 'tanh', inputShape: [PIXELS], ...kernel(1) }),
      layers.dense({ units: PIXELS, activation: 'sigmoid', ...kernel(2) }),
    ],
  });
}

/** Trains on all samples, or on this rank's, in an order where one is given; the weights. */
async function trained(rank, communicator, order) {
  const model = autoencoder(rank);
  // targets are sampled by each rank for itself: training gradients are the same ones however they are shared out
  const ranks = communicator ? { communicator, ownerRows: 'all' } : {};
  const optimizer = cgfac({ seed: 3, fisher: 'empirical', stepRule: 'polyak', ...ranks });
  model.compile({ optimizer, loss: 'binaryCrossentropy' });
  for (let step = 0; step < STEPS; step++) {
    const drawn = tf.tidy(() => tf.sigmoid(tf.randomNormal([BATCH, PIXELS], 0, 1, 'float32', 100 + step)));
    const all = order ? tf.gather(drawn, order) : drawn;
    const x = communicator ? shard(all, communicator) : all;
    await model.fit(x, x, { epochs: 1, batchSize: BATCH, shuffle: false, verbose: 0 });
  }
  return Float32Array.from(model.getWeights().flatMap((weights) => [...weights.dataSync()]));
}

async function main() {
  console.warn = console.info = () => undefined;
  await tf.setBackend('cpu');
  const communicator = await connectMpi({ timeout: 15_000 });
  const { rank } = communicator;
  const weights = await trained(rank, communicator);
  const [least, largest] = [await communicator.allreduce(weights, 'min'), await communicator.allreduce(weights, 'max')];
  if (rank === 0) {
    const expected = await trained(0);
    const norm = Math.hypot(...expected);
    const error = (found) => Math.hypot(...found.map((weight, i) => weight - expected[i])) / norm;
    const moved = [];
    for (const order of ORDERS) moved.push(error(await trained(0, undefined, order)));
    const same = weights.every((weight, i) => least[i] === largest[i] && weight === least[i]);
    const start = Float32Array.from(
      autoencoder(0)
        .getWeights()
        .flatMap((each) => [...each.dataSync()]),
    );
    const numbers = { error: error(weights), moved: Math.max(...moved), trained: error(start), same };
    console.log(`tfjs ${JSON.stringify(numbers)}`);
  }
  await communicator.finalize();
}
main();
