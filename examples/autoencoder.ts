/**
 * Trains a deep autoencoder on handwritten digits with TensorFlow.js, once with the optimizer of `cgfac/tfjs` as it
 * comes, once with its CG-FAC and once with Adam, and compares them. `npm start`, or `npm start -- --help` for the
 * options.
 */
import { writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { Command, Option } from 'commander';
import { HELD_OUT_DIGITS, loadDigits, TRAINING_DIGITS } from '../datasets/digits';
import { PIXELS, type Pictures } from '../datasets/pictures';
import { type NetworkName, networkShape } from './autoencoder/model';
import { type RunResult, trainAutoencoder } from './autoencoder/run';
import { costText, errorTable } from './autoencoder/table';
import { integer, runInterruptibly, seedOption, writableFile } from './shared/command-line';
import { OPTIMIZERS, type OptimizerName } from './shared/contenders';
import { writeDigitsPng } from './shared/digits-png';
import { startWasm } from './shared/wasm';

interface Options {
  readonly steps: number;
  readonly optimizer?: OptimizerName;
  readonly seed: number;
  readonly small: boolean;
  readonly json?: string;
}

const PNG_FILE = 'out/autoencoder.png';
const DEFAULT_OPTIMIZERS: readonly OptimizerName[] = ['cgfac', 'cg', 'adam'];
const thousands = (count: number) => count.toLocaleString('en');

function parseOptions(): Options {
  return new Command('npm start --')
    .description(
      `Trains a deep autoencoder (${networkShape('deep')}) on ` +
        `${thousands(TRAINING_DIGITS)} handwritten digits with TensorFlow.js.`,
    )
    .addOption(
      new Option('--steps <n>', 'training steps, one batch of 256 digits each')
        .default(50)
        .argParser(integer(1, 100_000)),
    )
    .addOption(
      new Option('--optimizer <name>', 'train with this one alone (default: cgfac, then cg, then adam)').choices(
        OPTIMIZERS,
      ),
    )
    .addOption(seedOption('the initial weights and of sampling'))
    .addOption(new Option('--small', `train the smaller network ${networkShape('small')} instead`).default(false))
    .addOption(
      new Option('--json <file>', 'write the evaluations, one at every 5th step, to a file').argParser(writableFile),
    )
    .parse()
    .opts<Options>();
}

/** One digit of each class, the first of the set: (10 × 784). */
function oneOfEach({ pixels, labels }: Pictures): Float32Array {
  const shown = new Float32Array(10 * PIXELS);
  for (let label = 0; label < 10; label++) {
    const index = labels.indexOf(label);
    shown.set(pixels.subarray(index * PIXELS, (index + 1) * PIXELS), label * PIXELS);
  }
  return shown;
}

async function main(signal: AbortSignal): Promise<void> {
  const { steps, optimizer, seed, small, json } = parseOptions();
  const network: NetworkName = small ? 'small' : 'deep';
  await startWasm();
  const digits = loadDigits();
  const shown = oneOfEach(digits.heldOut);
  console.log(`Autoencoder ${networkShape(network)}, ${steps} steps of 256 digits, seed ${seed}`);
  console.log(`TensorFlow.js ${tf.version_core} on wasm with the matrix products of cgfac, for every optimizer`);

  const results: RunResult[] = [];
  for (const name of optimizer ? [optimizer] : DEFAULT_OPTIMIZERS) {
    results.push(await trainAutoencoder(name, { network, seed, steps, digits, shown, signal }));
  }

  const counts = [TRAINING_DIGITS, HELD_OUT_DIGITS].map(thousands);
  console.log(
    `\nNats per image on the ${counts[0]} training digits and on ${counts[1]} held out, ` +
      'squared error (sq.; of an image',
  );
  console.log('held out, summed over its pixels), and milliseconds of a training step (median):\n');
  console.log(errorTable(results));
  for (const result of results) {
    const text = costText(result);
    if (text) console.log(`\n${text}`);
  }
  writeDigitsPng(PNG_FILE, [shown, ...results.map(({ reconstructions }) => reconstructions)], 10);
  console.log(
    `\nReconstructions (rows: ${['digits', ...results.map((result) => result.optimizer)].join(', ')}): ${PNG_FILE}`,
  );
  if (json) {
    const runs = results.map(({ reconstructions, ...run }) => run);
    writeFileSync(json, `${JSON.stringify({ runs }, null, 2)}\n`);
    console.log(`Evaluations: ${json}`);
  }
}

runInterruptibly(main);
