/**
 * Trains a recurrent network to add with TensorFlow.js, with cgfac and with Adam, step by step beside each other: of
 * twelve numbers two are marked, and their sum is asked for at the end (Hochreiter and Schmidhuber, "Long Short-Term
 * Memory", 1997, §5.4). `node dist/examples/recurrent.js`, or with `--help` for the options.
 */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { cgfac } from 'cgfac/tfjs';
import { Command, Option } from 'commander';
import { integer, runInterruptibly, seedOption } from './shared/command-line';
import { lossLine, lossVerdict } from './shared/loss-verdict';
import { type Samples, trainSideBySide } from './shared/side-by-side';
import { startWasm } from './shared/wasm';

const CELLS = ['gru', 'lstm'] as const;

interface Options {
  readonly cell: (typeof CELLS)[number];
  readonly units: number;
  readonly steps: number;
  readonly seed: number;
}

const LENGTH = 12;
const BATCH = 128;
const HELD_OUT = 512;
const EVALUATION_STEPS = 25;
/** The best of 0.001, 0.003, 0.01 and 0.03 after 150 steps of the GRU. */
const ADAM = 0.03;
const NAMES = ['cgfac', 'adam'] as const;

function parseOptions(): Options {
  return new Command('recurrent')
    .description('Trains a recurrent network to add the two marked ones of twelve numbers.')
    .addOption(new Option('--cell <name>', 'the recurrent layer').choices(CELLS).default('gru'))
    .addOption(new Option('--units <n>', 'units of the recurrent layer').default(32).argParser(integer(1, 4096)))
    .addOption(new Option('--steps <n>', 'training steps').default(150).argParser(integer(1, 100_000)))
    .addOption(seedOption('data, initial weights and sampling'))
    .parse()
    .opts<Options>();
}

/** Numbers and marks at each of twelve places, one mark in either half; and the sum of the marked numbers. */
function sums(count: number, seed: number): Samples {
  return tf.tidy((): [tf.Tensor, tf.Tensor] => {
    const half = LENGTH / 2;
    const numbers = tf.randomUniform([count, LENGTH], 0, 1, 'float32', seed);
    const mark = (first: number, stream: number) => {
      const place = tf.floor(tf.randomUniform([count], 0, half, 'float32', seed + stream));
      return tf.oneHot(tf.cast(tf.add(place, first), 'int32'), LENGTH);
    };
    const marks = tf.cast(tf.add(mark(0, 1), mark(half, 2)), 'float32');
    return [tf.stack([numbers, marks], 2), tf.sum(tf.mul(numbers, marks), 1, true)];
  });
}

function createModel({ cell, units, seed }: Options): tfl.Sequential {
  const weights = (place: number) => tfl.initializers.glorotUniform({ seed: 10 * seed + place });
  const layer = {
    units,
    inputShape: [LENGTH, 2],
    kernelInitializer: weights(0),
    recurrentInitializer: weights(1),
  };
  return tfl.sequential({
    layers: [
      cell === 'gru' ? tfl.layers.gru({ ...layer, recurrentActivation: 'sigmoid' }) : tfl.layers.lstm(layer),
      tfl.layers.dense({ units: 1, kernelInitializer: weights(2) }),
    ],
  });
}

async function main(signal: AbortSignal): Promise<void> {
  const options = parseOptions();
  const { cell, units, steps, seed } = options;
  await startWasm();
  console.log(
    `Addition by ${cell === 'gru' ? 'a GRU' : 'an LSTM'} of ${units}: ${steps} steps of ${BATCH} new sequences, ` +
      `${HELD_OUT} held out; seed ${seed}; squared errors held out, with averaged weights (0.167 without learning):`,
  );
  const optimizers = { cgfac: () => cgfac({ seed }), adam: () => tf.train.adam(ADAM) };
  const [own, adam] = await trainSideBySide(
    NAMES.map((name) => ({ name, model: createModel(options), optimizer: optimizers[name]() })),
    {
      loss: 'meanSquaredError',
      batch: (step) => sums(BATCH, 1000 * (seed + 1) + 3 * step),
      heldOut: sums(HELD_OUT, 1_000_000_007 + seed),
      steps,
      evaluationSteps: EVALUATION_STEPS,
      told: (evaluations) => lossLine(NAMES, evaluations),
      signal,
    },
  );
  if (own && adam) console.log(lossVerdict([own, adam]));
}

runInterruptibly(main);
