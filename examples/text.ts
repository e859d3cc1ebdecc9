/**
 * Trains a model of text with TensorFlow.js, with cgfac and with Adam, step by step beside each other: whether short
 * reviews mean well. Tells the errors of both after each epoch, and what they make of some sentences in the end.
 * `node dist/examples/text.js`, or with `--help` for the options.
 */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { cgfac } from 'cgfac/tfjs';
import { Command, Option } from 'commander';
import { idsOf, REVIEW_LENGTH, type Reviews, VOCABULARY, writeReviews } from '../datasets/reviews';
import { integer, runInterruptibly, seedOption } from './shared/command-line';
import { trainSideBySide } from './shared/side-by-side';
import { epochLine, verdict } from './shared/verdict';
import { startWasm } from './shared/wasm';

const MODELS = ['mean', 'convolution', 'lstm'] as const;
type ModelName = (typeof MODELS)[number];

interface Options {
  readonly model: ModelName;
  readonly epochs: number;
  readonly reviews: number;
  readonly seed: number;
}

const BATCH = 128;
const HELD_OUT = 1024;
const FEATURES = 32;
/** The best of 0.001, 0.003 and 0.01 for each of the models. */
const ADAM = 0.01;
const NAMES = ['cgfac', 'adam'] as const;
const SENTENCES = [
  'we saw vormar the plot was good and the acting was very clever',
  'we saw vormar the plot was not good and the acting was never clever',
  'we saw vormar the ending was dull but the music was not bad',
];

function parseOptions(): Options {
  return new Command('text')
    .description('Trains a model of short reviews that are made up: vectors of words, and one sigmoid.')
    .addOption(
      new Option('--model <name>', "what reads the words' vectors: their mean, a convolution over three, or an LSTM")
        .choices(MODELS)
        .default('convolution'),
    )
    .addOption(new Option('--epochs <n>', 'passes through the training set').default(4).argParser(integer(1, 1000)))
    .addOption(new Option('--reviews <n>', 'train on so many reviews').default(4096).argParser(integer(1, 100_000)))
    .addOption(seedOption('the initial weights and of sampling'))
    .parse()
    .opts<Options>();
}

/** What makes one vector of those of a review's words. */
function readers(name: ModelName, glorot: (place: number) => ReturnType<typeof tfl.initializers.glorotUniform>) {
  const { layers } = tfl;
  switch (name) {
    case 'mean':
      return [layers.globalAveragePooling1d()];
    case 'convolution':
      return [
        layers.conv1d({ filters: FEATURES, kernelSize: 3, activation: 'relu', kernelInitializer: glorot(1) }),
        layers.globalMaxPooling1d(),
      ];
    case 'lstm':
      return [layers.lstm({ units: FEATURES, kernelInitializer: glorot(1), recurrentInitializer: glorot(2) })];
  }
}

function createModel({ model, seed }: Options): tfl.Sequential {
  const glorot = (place: number) => tfl.initializers.glorotUniform({ seed: 10 * seed + place });
  return tfl.sequential({
    layers: [
      tfl.layers.embedding({
        inputDim: VOCABULARY.length,
        outputDim: FEATURES,
        inputLength: REVIEW_LENGTH,
        maskZero: model === 'lstm',
        embeddingsInitializer: tfl.initializers.randomUniform({ minval: -0.05, maxval: 0.05, seed: 10 * seed }),
      }),
      ...readers(model, glorot),
      tfl.layers.dense({ units: 1, activation: 'sigmoid', kernelInitializer: glorot(3) }),
    ],
  });
}

/** Some of the reviews, and what they mean. */
function samples({ ids, labels }: Reviews, first: number, count: number): [tf.Tensor, tf.Tensor] {
  const own = labels.subarray(first, first + count);
  const words = ids.subarray(first * REVIEW_LENGTH, (first + own.length) * REVIEW_LENGTH);
  return [
    tf.tensor2d(words, [own.length, REVIEW_LENGTH], 'int32'),
    tf.tensor2d(Float32Array.from(own), [own.length, 1]),
  ];
}

/** How probable a model holds it that sentences mean well. */
function readings(model: tfl.LayersModel): number[] {
  return tf.tidy(() => {
    const ids = SENTENCES.map((sentence) => [...idsOf(sentence.split(' '))]);
    return [...(model.predict(tf.tensor2d(ids, [ids.length, REVIEW_LENGTH], 'int32')) as tf.Tensor).dataSync()];
  });
}

async function main(signal: AbortSignal): Promise<void> {
  const options = parseOptions();
  await startWasm();
  const reviews = writeReviews(options.reviews + HELD_OUT, 1);
  const perEpoch = Math.ceil(options.reviews / BATCH);
  console.log(
    `Model of text (${options.model}): ${options.reviews.toLocaleString('en')} reviews for training, ` +
      `${HELD_OUT.toLocaleString('en')} held out; ${perEpoch} steps of ${BATCH} to an epoch; seed ${options.seed}; ` +
      `TensorFlow.js ${tf.version_core} on wasm with the kernels of cgfac`,
  );
  const optimizers = { cgfac: () => cgfac({ seed: options.seed }), adam: () => tf.train.adam(ADAM) };
  const read: number[][] = [];
  const [own, adam] = await trainSideBySide(
    NAMES.map((name) => ({ name, model: createModel(options), optimizer: optimizers[name]() })),
    {
      loss: 'binaryCrossentropy',
      batch: (step) => {
        const first = ((step - 1) % perEpoch) * BATCH;
        return samples(reviews, first, Math.min(BATCH, options.reviews - first));
      },
      heldOut: samples(reviews, options.reviews, HELD_OUT),
      steps: options.epochs * perEpoch,
      evaluationSteps: perEpoch,
      told: (evaluations) => epochLine((evaluations[0]?.step ?? 0) / perEpoch, NAMES, evaluations),
      signal,
    },
    ({ model }) => read.push(readings(model)),
  );
  SENTENCES.forEach((sentence, i) => {
    console.log(`"${sentence}": good, ${NAMES.map((name, j) => `${name} ${read[j]?.[i]?.toFixed(2)}`).join(', ')}`);
  });
  if (own && adam) console.log(`Held out, with averaged weights: ${verdict([own, adam], perEpoch)}`);
}

runInterruptibly(main);
