/**
 * Trains a convolutional network on fashion images with TensorFlow.js, with cgfac and with Adam, step by step beside
 * each other, and tells the errors of both after each epoch. `node dist/examples/convnet.js`, or with `--help` for the
 * options.
 */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { cgfac } from 'cgfac/tfjs';
import { Command, Option } from 'commander';
import { fetchFashion, loadFashion } from '../datasets/fashion';
import { PIXELS, type Pictures } from '../datasets/pictures';
import { integer, runInterruptibly, seedOption } from './shared/command-line';
import { trainSideBySide } from './shared/side-by-side';
import { epochLine, verdict } from './shared/verdict';
import { startWasm } from './shared/wasm';

interface Options {
  readonly folder?: string;
  readonly epochs: number;
  readonly images?: number;
  readonly batchnorm?: true;
  readonly seed: number;
}

const BATCH = 128;
const CLASSES = 10;
const FILTERS = [16, 32, 64];
/** The best of 0.001, 0.003 and 0.01 after 200 steps, and of the last two after two epochs. */
const ADAM = 0.01;
const NAMES = ['cgfac', 'adam'] as const;

function parseOptions(): Options {
  return new Command('convnet')
    .description('Trains a convolutional network (3 × 3: 16-32-64, 64, 10; relu) on fashion images.')
    .addOption(new Option('--folder <folder>', "a folder with the images' files, where they are not to be fetched"))
    .addOption(new Option('--epochs <n>', 'passes through the training set').default(2).argParser(integer(1, 1000)))
    .addOption(new Option('--images <n>', 'train on so many images (default: all)').argParser(integer(1, 60_000)))
    .addOption(new Option('--batchnorm', 'with batch normalisation after each convolution'))
    .addOption(seedOption('the initial weights and of sampling'))
    .parse()
    .opts<Options>();
}

/** A convolution, relu, and half of the rows and columns; batch normalisation before relu where it is asked for. */
function block(filters: number, place: number, { batchnorm, seed }: Options): tfl.layers.Layer[] {
  return [
    tfl.layers.conv2d({
      filters,
      kernelSize: 3,
      padding: 'same',
      useBias: !batchnorm,
      kernelInitializer: tfl.initializers.glorotUniform({ seed: 10 * seed + place }),
      ...(place === 0 ? { inputShape: [28, 28, 1] } : {}),
    }),
    ...(batchnorm ? [tfl.layers.batchNormalization()] : []),
    tfl.layers.reLU(),
    tfl.layers.maxPooling2d({ poolSize: 2 }),
  ];
}

/** Three convolutions, and two dense layers behind them. */
function createModel(options: Options): tfl.Sequential {
  const dense = (units: number, activation: 'relu' | 'softmax', place: number) =>
    tfl.layers.dense({
      units,
      activation,
      kernelInitializer: tfl.initializers.glorotUniform({ seed: 10 * options.seed + place }),
    });
  return tfl.sequential({
    layers: [
      ...FILTERS.flatMap((filters, place) => block(filters, place, options)),
      tfl.layers.flatten(),
      dense(64, 'relu', 3),
      dense(CLASSES, 'softmax', 4),
    ],
  });
}

/** Some of the images, and what they show as zeros and a one. */
function samples({ pixels, labels }: Pictures, first: number, count: number): [tf.Tensor, tf.Tensor] {
  const own = labels.subarray(first, first + count);
  return tf.tidy(() => [
    tf.tensor4d(pixels.subarray(first * PIXELS, (first + own.length) * PIXELS), [own.length, 28, 28, 1]),
    tf.cast(tf.oneHot(tf.tensor1d(own, 'int32'), CLASSES), 'float32'),
  ]);
}

async function main(signal: AbortSignal): Promise<void> {
  const options = parseOptions();
  await startWasm();
  const { training, heldOut } = loadFashion(options.folder ?? fetchFashion());
  const images = Math.min(options.images ?? training.labels.length, training.labels.length);
  const perEpoch = Math.ceil(images / BATCH);
  console.log(
    `Convolutional network 16-32-64-64-10${options.batchnorm ? ' with batch normalisation' : ''}: ` +
      `${images.toLocaleString('en')} fashion images for training, ` +
      `${heldOut.labels.length.toLocaleString('en')} held out; ` +
      `${perEpoch} steps of ${BATCH} to an epoch; seed ${options.seed}; ` +
      `TensorFlow.js ${tf.version_core} on wasm with the kernels of cgfac`,
  );
  const optimizers = { cgfac: () => cgfac({ seed: options.seed }), adam: () => tf.train.adam(ADAM) };
  const [own, adam] = await trainSideBySide(
    NAMES.map((name) => ({ name, model: createModel(options), optimizer: optimizers[name]() })),
    {
      loss: 'categoricalCrossentropy',
      batch: (step) => {
        const first = ((step - 1) % perEpoch) * BATCH;
        return samples(training, first, Math.min(BATCH, images - first));
      },
      heldOut: samples(heldOut, 0, heldOut.labels.length),
      steps: options.epochs * perEpoch,
      evaluationSteps: perEpoch,
      told: (evaluations) => epochLine((evaluations[0]?.step ?? 0) / perEpoch, NAMES, evaluations),
      signal,
    },
  );
  if (own && adam) console.log(`Held out, with averaged weights: ${verdict([own, adam], perEpoch)}`);
}

runInterruptibly(main);
