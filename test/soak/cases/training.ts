/** Programs of TensorFlow.js that train on its wasm backend, with the weights that they end with. */
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import '@tensorflow/tfjs-layers';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { initializers, type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import { CgfacOptimizer, cgfac, installKernels } from 'cgfac/tfjs';
import type { Random } from '../random';
import type { Report } from '../tally';
import { watchRefused } from '../watched';

const STEPS = 6;
const SAMPLES = 24;

/** A network, its loss, and a batch. */
interface Program {
  readonly net: LayersModel;
  readonly loss: string;
  readonly x: tf.Tensor;
  readonly y: tf.Tensor;
}

const normal = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, 'float32', seed);
const initial = (seed: number) => initializers.glorotUniform({ seed });
const dense = (units: number, activation: 'relu' | 'sigmoid' | 'softmax', seed: number, more: object = {}) =>
  layers.dense({ units, activation, kernelInitializer: initial(seed), ...more });
const classes = (count: number, seed: number) =>
  tf.tidy(() => tf.cast(tf.oneHot(tf.argMax(normal([SAMPLES, count], seed), 1), count), 'float32'));
const probabilities = (count: number, seed: number) => tf.tidy(() => tf.sigmoid(normal([SAMPLES, count], seed)));
const words = (count: number, positions: number, seed: number) =>
  tf.tidy(() => tf.floor(tf.randomUniform([SAMPLES, positions], 0, count, 'float32', seed)));

/** Dense layers, convolutions with normalisation and pooling, and an embedding before a recurrent layer. */
const programs: Readonly<Record<string, () => Program>> = {
  classifier: () => ({
    net: sequential({ layers: [dense(14, 'relu', 1, { inputShape: [20] }), dense(4, 'softmax', 2)] }),
    loss: 'categoricalCrossentropy',
    x: normal([SAMPLES, 20], 3),
    y: classes(4, 4),
  }),
  autoencoder: () => ({
    net: sequential({ layers: [dense(6, 'relu', 1, { inputShape: [16] }), dense(16, 'sigmoid', 2)] }),
    loss: 'binaryCrossentropy',
    x: probabilities(16, 3),
    y: probabilities(16, 3),
  }),
  convnet: () => ({
    net: sequential({
      layers: [
        layers.conv2d({ filters: 4, kernelSize: 3, inputShape: [8, 8, 2], kernelInitializer: initial(1) }),
        layers.batchNormalization(),
        layers.reLU(),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.flatten(),
        dense(3, 'softmax', 2),
      ],
    }),
    loss: 'categoricalCrossentropy',
    x: normal([SAMPLES, 8, 8, 2], 3),
    y: classes(3, 4),
  }),
  sequences: () => ({
    net: sequential({
      layers: [
        layers.embedding({ inputDim: 12, outputDim: 5, inputLength: 7, embeddingsInitializer: initial(1) }),
        layers.gru({ units: 6, kernelInitializer: initial(2), recurrentInitializer: initial(3) }),
        dense(3, 'softmax', 4),
      ],
    }),
    loss: 'categoricalCrossentropy',
    x: words(12, 7, 3),
    y: classes(3, 4),
  }),
};

/** The names of the programs. */
export const programNames = Object.keys(programs);

/** A digest of all weights. */
function digestOf(net: LayersModel): string {
  const hash = createHash('sha256');
  for (const weight of net.getWeights()) hash.update(new Uint8Array(weight.dataSync().slice().buffer));
  return hash.digest('hex');
}

let started: Promise<void> | undefined;

/** Starts the wasm backend with the kernels of the package, once; what TensorFlow.js says of itself is kept back. */
async function start(): Promise<void> {
  setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'))}/dist/`);
  tf.env().set('IS_TEST', true);
  if (!(await tf.setBackend('wasm'))) throw new Error('The wasm backend of TensorFlow.js could not be started');
  tf.scalar(0).dispose();
  tf.env().set('IS_TEST', false);
  installKernels(tf);
}

/** An optimizer that goes on with the state of another one, for the same network. */
async function resumed(report: Report, net: LayersModel, loss: string, from: CgfacOptimizer): Promise<CgfacOptimizer> {
  const weights = await from.getWeights();
  const optimizer = CgfacOptimizer.fromConfig(CgfacOptimizer, from.getConfig()) as CgfacOptimizer;
  await watchRefused(report, 'setWeights, bad argument', /^ERR_CGFAC_INVALID_ARG_VALUE$/, () =>
    optimizer.setWeights(weights.slice(1)),
  );
  await optimizer.setWeights(weights);
  tf.dispose(weights.map(({ tensor }) => tensor));
  from.dispose();
  net.compile({ optimizer, loss });
  return optimizer;
}

/** A program that was made, and its initial weights. */
interface Made extends Program {
  readonly weights: readonly tf.Tensor[];
}

/** Those that were made: TensorFlow.js remembers the names of all layers that there ever were. */
const made = new Map<string, Made>();

function programNamed(name: string): Made {
  const found = made.get(name);
  if (found !== undefined) return found;
  const make = programs[name];
  if (make === undefined) throw new RangeError(`Expected one of ${programNames} but received '${name}'`);
  const program = make();
  const weights = tf.tidy(() => program.net.getWeights().map((weight) => weight.clone()));
  made.set(name, { ...program, weights });
  return { ...program, weights };
}

/** Takes the steps of a program; `breaksAt`: before which one another optimizer takes over its state. */
async function trained(report: Report, name: string, breaksAt: number | undefined): Promise<string> {
  const { net, loss, x, y, weights } = programNamed(name);
  net.setWeights([...weights]);
  let optimizer = cgfac({ seed: 1 });
  net.compile({ optimizer, loss });
  for (let step = 0; step < STEPS; step++) {
    if (step === breaksAt) optimizer = await resumed(report, net, loss, optimizer);
    await net.trainOnBatch(x, y);
  }
  optimizer.dispose();
  return digestOf(net);
}

/** The end of every program. */
export async function references(report: Report): Promise<Record<string, string>> {
  started ??= start();
  await started;
  const digests: Record<string, string> = {};
  for (const name of programNames) digests[name] = await trained(report, name, undefined);
  return digests;
}

/** One program at a time: tensors are counted before and after it. */
let turn: Promise<unknown> = Promise.resolve();

/** Trains one program, which ends with the weights of its reference, and leaves no tensor. */
export function training(expected: Readonly<Record<string, string>>) {
  const one = async (report: Report, random: Random) => {
    started ??= start();
    await started;
    const name = random.pick(programNames);
    programNamed(name);
    const before = tf.memory().numTensors;
    const digest = await trained(report, name, random.chance(0.4) ? random.integer(1, STEPS - 1) : undefined);
    report.count(`training, ${name}`, digest === expected[name] ? 'right' : 'wrong', 'other weights');
    const left = tf.memory().numTensors - before;
    report.count('tensors after training', left === 0 ? 'right' : 'wrong', `${left} tensors left`);
  };
  return (report: Report, random: Random): Promise<void> => {
    const mine = turn.then(() => one(report, random));
    turn = mine.catch(() => undefined);
    return mine;
  };
}
