/**
 * Trains a classifier of digits with TensorFlow.js on several processes, each with its share of every batch:
 * `npm run start:mpi -- -n 2`. Rank 0 shows how far they are, and tests the model that all of them have in the end.
 */
import { availableParallelism } from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { setThreads } from 'cgfac';
import { type Communicator, connectMpi } from 'cgfac/mpi';
import { type CgfacOptimizer, cgfac, shard } from 'cgfac/tfjs';
import { Command } from 'commander';
import { BATCH, loadDigits, TRAINING_DIGITS } from '../datasets/digits';
import { PIXELS, type Pictures } from '../datasets/pictures';
import { integer, runInterruptibly, seedOption } from './shared/command-line';
import { startProgress } from './shared/progress';
import { startWasm } from './shared/wasm';

interface Options {
  readonly epochs: number;
  readonly seed: number;
}

function parseOptions(): Options {
  return new Command('distributed')
    .description('Trains a classifier (784-300-100-10, relu) on the ranks that mpirun started; alone it is one rank.')
    .addHelpText('after', '\nnpm run start:mpi -- -n 2 --epochs 3')
    .option('--epochs <n>', 'passes through the training set', integer(1, 1000), 2)
    .addOption(seedOption('sampling'))
    .parse()
    .opts<Options>();
}

/** Pictures and their classes as tensors. */
const tensorsOf = ({ pixels, labels }: Pictures) =>
  [
    tf.tensor2d(pixels, [labels.length, PIXELS]),
    tf.tidy(() => tf.cast(tf.oneHot(tf.tensor1d(labels, 'int32'), 10), 'float32')),
  ] as const;

/** Weights that differ from rank to rank at first: those of rank 0 become those of all at the first step. */
const classifier = () =>
  sequential({
    layers: [
      layers.dense({ units: 300, activation: 'relu', inputShape: [PIXELS] }),
      layers.dense({ units: 100, activation: 'relu' }),
      layers.dense({ units: 10, activation: 'softmax' }),
    ],
  });

type Model = ReturnType<typeof classifier>;

/** Trains with this rank's share of the digits, of each batch as of all of them; the seconds that it took. */
async function train(model: Model, optimizer: CgfacOptimizer, communicator: Communicator, options: Options) {
  const { rank, size } = communicator;
  const { training } = loadDigits();
  const whole = tensorsOf(training);
  const [x, y] = shard(whole, communicator);
  const steps = options.epochs * Math.floor(TRAINING_DIGITS / BATCH);
  const progress = rank === 0 ? startProgress('training', steps) : undefined;
  const start = performance.now();
  try {
    await model.fit(x, y, {
      epochs: options.epochs,
      batchSize: BATCH / size,
      verbose: 0,
      callbacks: {
        onBatchEnd: () => {
          const { iterations, lastStep } = optimizer;
          // the loss of all ranks, where model.fit would log that of this one
          const loss = lastStep?.summary?.loss ?? Number.NaN;
          progress?.update(iterations, loss, (performance.now() - start) / iterations);
          return Promise.resolve();
        },
      },
    });
  } finally {
    progress?.stop();
    tf.dispose([...whole, x, y]);
  }
  return (performance.now() - start) / 1000;
}

/** Share of the digits held out that the averaged weights take for others, in per cent. */
async function heldOutErrors(model: Model, optimizer: CgfacOptimizer): Promise<number> {
  const { heldOut } = loadDigits();
  const [x, y] = tensorsOf(heldOut);
  return await optimizer.withAveragedWeights(() =>
    tf.tidy(() => {
      const found = tf.argMax(model.predict(x) as tf.Tensor, 1);
      return 100 * (tf.mean(tf.notEqual(found, tf.argMax(y, 1))).arraySync() as number);
    }),
  );
}

/** Whether all ranks have the same weights. */
async function haveSameWeights(model: Model, communicator: Communicator): Promise<boolean> {
  const own = Float32Array.from(model.getWeights().flatMap((weights) => [...weights.dataSync()]));
  const [least, largest] = [await communicator.allreduce(own, 'min'), await communicator.allreduce(own, 'max')];
  return own.every((weight, at) => weight === least[at] && weight === largest[at]);
}

async function main(): Promise<void> {
  const options = parseOptions();
  const communicator = await connectMpi();
  const { rank, size } = communicator;
  if (BATCH % size !== 0) {
    await communicator.finalize(); // all ranks see it, and rank 0 tells
    process.exitCode = 1;
    if (rank === 0) console.error(`Expected ranks that share out ${BATCH} digits equally, and got ${size}.`);
    return;
  }
  setThreads(Math.max(1, Math.floor(availableParallelism() / size))); // where all ranks run on one machine
  await startWasm();
  const model = classifier();
  const optimizer = cgfac({ communicator, seed: options.seed });
  model.compile({ optimizer, loss: 'categoricalCrossentropy' });

  if (rank === 0) console.log(`Classifier 784-300-100-10 of digits, batches of ${BATCH}: ${BATCH / size} to a rank`);
  const seconds = await train(model, optimizer, communicator, options);
  const same = await haveSameWeights(model, communicator);
  if (rank === 0) {
    const errors = await heldOutErrors(model, optimizer);
    const ranks = `${size} ${size === 1 ? 'rank' : 'ranks, which have the same weights,'}`;
    if (!same) throw new Error('The ranks have other weights than each other.');
    console.log(
      `${ranks} took ${optimizer.iterations} steps in ${seconds.toFixed(1)} s; ` +
        `of 1,000 digits held out ${errors.toFixed(1)} % are taken for others`,
    );
  }
  await communicator.finalize();
}

runInterruptibly(main);
