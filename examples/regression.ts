/**
 * Fits a function of ten numbers with TensorFlow.js, with cgfac and with Adam, step by step beside each other: the
 * first benchmark of Friedman ("Multivariate Adaptive Regression Splines", 1991), five inputs that count, five that do
 * not, and noise of variance 1, which no model can fall below. `node dist/examples/regression.js`, or with `--help`
 * for the options.
 */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { cgfac } from 'cgfac/tfjs';
import { Command, Option } from 'commander';
import { integer, runInterruptibly, seedOption } from './shared/command-line';
import { lossLine, lossVerdict } from './shared/loss-verdict';
import { type Samples, trainSideBySide } from './shared/side-by-side';
import { startWasm } from './shared/wasm';

interface Options {
  readonly steps: number;
  readonly seed: number;
}

const INPUTS = 10;
const TRAINING = 2048;
const HELD_OUT = 1024;
const BATCH = 128;
const EVALUATION_STEPS = 50;
/** The best of 0.001, 0.003, 0.01 and 0.03 after 200 steps. */
const ADAM = 0.01;
const NAMES = ['cgfac', 'adam'] as const;

function parseOptions(): Options {
  return new Command('regression')
    .description('Fits a function of ten numbers (10-64-64-1, relu), of which five count, with noise of variance 1.')
    .addOption(new Option('--steps <n>', 'training steps').default(200).argParser(integer(1, 100_000)))
    .addOption(seedOption('data, initial weights and sampling'))
    .parse()
    .opts<Options>();
}

/** Inputs between 0 and 1, and 10 sin(π x₀ x₁) + 20 (x₂ − ½)² + 10 x₃ + 5 x₄ with noise. */
function friedman(count: number, seed: number): Samples {
  return tf.tidy((): [tf.Tensor, tf.Tensor] => {
    const x = tf.randomUniform([count, INPUTS], 0, 1, 'float32', 10 * seed + 1);
    const input = (place: number) => tf.slice(x, [0, place], [count, 1]);
    const wave = tf.mul(10, tf.sin(tf.mul(Math.PI, tf.mul(input(0), input(1)))));
    const bowl = tf.mul(20, tf.square(tf.sub(input(2), 0.5)));
    const line = tf.add(tf.mul(10, input(3)), tf.mul(5, input(4)));
    const noise = tf.randomNormal([count, 1], 0, 1, 'float32', 10 * seed + 2);
    return [x, tf.addN([wave, bowl, line, noise])];
  });
}

function createModel(seed: number): tfl.Sequential {
  const widths = [64, 64, 1];
  return tfl.sequential({
    layers: widths.map((units, place) =>
      tfl.layers.dense({
        units,
        activation: place < widths.length - 1 ? 'relu' : 'linear',
        kernelInitializer: tfl.initializers.glorotUniform({ seed: 10 * seed + place }),
        ...(place === 0 ? { inputShape: [INPUTS] } : {}),
      }),
    ),
  });
}

async function main(signal: AbortSignal): Promise<void> {
  const { steps, seed } = parseOptions();
  await startWasm();
  const training = friedman(TRAINING, seed);
  console.log(
    `Regression 10-64-64-1: ${TRAINING} samples for training, ${HELD_OUT} held out; ${steps} steps of ${BATCH}; seed ` +
      `${seed}; squared errors held out, with averaged weights (the noise alone is 1):`,
  );
  const optimizers = { cgfac: () => cgfac({ seed }), adam: () => tf.train.adam(ADAM) };
  const [own, adam] = await trainSideBySide(
    NAMES.map((name) => ({ name, model: createModel(seed), optimizer: optimizers[name]() })),
    {
      loss: 'meanSquaredError',
      batch: (step) => {
        const first = ((step - 1) * BATCH) % TRAINING;
        return tf.tidy((): [tf.Tensor, tf.Tensor] => [
          tf.slice(training[0], [first, 0], [BATCH, INPUTS]),
          tf.slice(training[1], [first, 0], [BATCH, 1]),
        ]);
      },
      heldOut: friedman(HELD_OUT, seed + 1_000_000),
      steps,
      evaluationSteps: EVALUATION_STEPS,
      told: (evaluations) => lossLine(NAMES, evaluations),
      signal,
    },
  );
  if (own && adam) console.log(lossVerdict([own, adam]));
}

runInterruptibly(main);
