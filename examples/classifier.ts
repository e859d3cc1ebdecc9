/**
 * Trains a classifier of digits or of clothes with TensorFlow.js, with the optimizer of `cgfac/tfjs` and with Adam,
 * step by step beside each other, and compares them. `node dist/examples/classifier.js`, or with `--help` for the
 * options.
 */
import { writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { Command, Option } from 'commander';
import { BATCH } from '../datasets/digits';
import { DATA, type DataName, loadData } from './classifier/data';
import { OPTIMIZERS, type OptimizerName, trainClassifiers } from './classifier/run';
import { classifierTable } from './classifier/table';
import { integer, runInterruptibly, seedOption, writableFile } from './shared/command-line';
import { startWasm } from './shared/wasm';

interface Options {
  readonly data: DataName;
  readonly folder?: string;
  readonly steps?: number;
  readonly epochs?: number;
  readonly optimizer?: OptimizerName;
  readonly seed: number;
  readonly json?: string;
}

const DEFAULT_STEPS = 100;
const DEFAULT_EPOCHS = 2;
const EVALUATION_STEPS = 25;

function parseOptions(): Options {
  return new Command('classifier')
    .description('Trains a classifier (784-500-300-10, relu) with TensorFlow.js.')
    .addOption(
      new Option('--data <name>', 'handwritten digits, or clothes, which are fetched').choices(DATA).default('digits'),
    )
    .addOption(
      new Option('--folder <folder>', "a folder with the fashion images' files, where they are not to be fetched"),
    )
    .addOption(
      new Option('--steps <n>', 'training steps, one batch of 256 each (digits: 100)').argParser(integer(1, 100_000)),
    )
    .addOption(
      new Option('--epochs <n>', 'passes through the training set instead (fashion: 2)')
        .argParser(integer(1, 1000))
        .conflicts('steps'),
    )
    .addOption(new Option('--optimizer <name>', 'train with this one alone (default: both)').choices(OPTIMIZERS))
    .addOption(seedOption('the initial weights and of sampling'))
    .addOption(new Option('--json <file>', 'write the evaluations to a file').argParser(writableFile))
    .parse()
    .opts<Options>();
}

async function main(signal: AbortSignal): Promise<void> {
  const { data, folder, steps: givenSteps, epochs: givenEpochs, optimizer, seed, json } = parseOptions();
  await startWasm();
  const pictures = loadData(data, folder);
  const perEpoch = Math.ceil(pictures.training.labels.length / BATCH);
  const epochs = givenEpochs ?? (data === 'fashion' && givenSteps === undefined ? DEFAULT_EPOCHS : undefined);
  const steps = epochs === undefined ? (givenSteps ?? DEFAULT_STEPS) : epochs * perEpoch;
  const evaluationSteps = data === 'fashion' ? perEpoch : EVALUATION_STEPS;

  const [trained, held] = [pictures.training, pictures.heldOut].map(({ labels }) => labels.length.toLocaleString('en'));
  console.log(
    `Classifier 784-500-300-10, ${data}: ${trained} for training, ${held} held out; ` +
      `${steps} steps of ${BATCH}, ${perEpoch} to an epoch; ` +
      `seed ${seed}; TensorFlow.js ${tf.version_core} on wasm with the kernels of cgfac`,
  );
  const optimizers = optimizer ? [optimizer] : OPTIMIZERS;
  const runs = await trainClassifiers(optimizers, pictures, { data, seed, steps, evaluationSteps, signal });

  console.log(
    '\nHeld out, with averaged weights: cross-entropy in nats, errors in per cent; and seconds of training:\n',
  );
  console.log(classifierTable(runs));
  if (json) {
    writeFileSync(json, `${JSON.stringify({ runs }, null, 2)}\n`);
    console.log(`\nEvaluations: ${json}`);
  }
}

runInterruptibly(main);
