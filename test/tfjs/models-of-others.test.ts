/** Models that others wrote, of packages on npm: trained with cgfac() in the place of their optimizer. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { loadDigits } from '../../datasets/digits';
import { PIXELS } from '../../datasets/pictures';
import { type CgfacOptimizer, cgfac, type InstalledKernels, installKernels } from '../../lib/tfjs';
import { fetchPackage } from '../support/npm-package';
import { quietWarnings, useBackend } from './support/backends';

const MINUTE = 60_000;
const mockOptimizers: { adam: () => tf.Optimizer } = { adam: () => tf.train.adam() };

// What the packages import, all of TensorFlow.js with methods of tensors, is made of the parts that are here.
jest.mock(
  '@tensorflow/tfjs',
  () => {
    const core = jest.requireActual<typeof tf>('@tensorflow/tfjs-core');
    for (const name of ['expandDims', 'slice', 'tile'] as const) {
      const call = core[name] as (...all: readonly unknown[]) => tf.Tensor;
      Object.assign(core.Tensor.prototype, {
        [name](this: tf.Tensor, ...rest: readonly unknown[]) {
          return call(this, ...rest);
        },
      });
    }
    const train = { ...core.train, adam: () => mockOptimizers.adam() };
    return { ...core, ...jest.requireActual<typeof tfl>('@tensorflow/tfjs-layers'), train };
  },
  { virtual: true },
);

let kernels: InstalledKernels;

beforeAll(async () => {
  await useBackend('wasm');
  kernels = installKernels(tf);
});

afterAll(() => kernels.uninstall());

quietWarnings();

const digits = loadDigits().training;

/** Digits as pictures of one channel. */
const pictures = (count: number) => tf.tensor4d(digits.pixels.subarray(0, count * PIXELS), [count, 28, 28, 1]);

/** How many numbers a model trains. */
const trained = (model: tfl.LayersModel) =>
  model.trainableWeights.reduce(
    (sum, { shape }) => sum + shape.reduce<number>((size, side) => size * (side ?? 0), 1),
    0,
  );

/** Every number that the model trains is in the block of a layer, and none was left out. */
function expectAllCovered(optimizer: CgfacOptimizer, model: tfl.LayersModel): void {
  const report = optimizer.report();
  expect(report?.skipped).toEqual([]);
  expect(report?.layers.reduce((sum, { weights }) => sum + weights, 0)).toBe(trained(model));
}

/** Trains a model that is compiled on one batch; the losses before each step. */
async function losses(model: tfl.LayersModel, x: tf.Tensor, y: tf.Tensor, steps: number): Promise<number[]> {
  const all: number[] = [];
  for (let step = 0; step < steps; step++) all.push((await model.trainOnBatch(x, y)) as number);
  return all;
}

const expectFalling = (all: readonly number[], share: number) =>
  expect(all.at(-1)).toBeLessThan(share * (all[0] ?? Number.NaN));

/** What gpt-tfjs has of its models. */
interface Gpt {
  readonly model: {
    readonly GPTLMHeadModel: (config: object) => {
      readonly model: tfl.LayersModel;
      train(dataset: object, config: object): Promise<void>;
    };
  };
}

const TOKENS = 16;
const CONTEXT = 12;

/** Batches of counts from 0 to 15 and round again, from anywhere: tokens, and those that follow. */
function counting(batch: number) {
  const x = tf.tidy(() => {
    const starts = tf.randomUniform([batch, 1], 0, TOKENS, 'int32', 7);
    return tf.cast(tf.mod(tf.add(starts, tf.range(0, CONTEXT, 1, 'int32')), TOKENS), 'int32');
  });
  const y = tf.tidy(() => tf.oneHot(tf.cast(tf.mod(tf.add(x, 1), TOKENS), 'int32'), TOKENS));
  return { x, y };
}

/** Draws matrices as GPT-2 starts with them. The package draws some without a seed, and leaves those of words zero. */
function drawMatrices(model: tfl.LayersModel): void {
  for (const [seed, weight] of model.trainableWeights.entries()) {
    const shape = weight.shape.map(Number);
    if (shape.length !== 2) continue;
    const drawn = tf.randomNormal(shape, 0, 0.02, 'float32', seed + 1);
    weight.write(drawn);
    drawn.dispose();
  }
}

test(
  'gpt-tfjs trains in its own loop, which clips gradients',
  async () => {
    const folder = fetchPackage({
      name: 'gpt-tfjs',
      version: '0.0.5',
      integrity: 'sha512-6vpi+je3MHE2Aojtqqcm0/E12Mp0EZPoQWU0A3oCclln4/CbUgEJJhCV3IkwmeoPlIGRvNfsWoWbvprRkEFvTQ==',
    });
    const { model: gpt } = require(folder) as Gpt;
    const optimizer = cgfac({ seed: 1 });
    mockOptimizers.adam = () => optimizer;
    const size = { nLayer: 2, nHead: 2, nEmbd: 32, vocabSize: TOKENS, blockSize: CONTEXT };
    const made = gpt.GPTLMHeadModel({ ...size, dropout: 0, embdDrop: 0, residDrop: 0 });
    drawMatrices(made.model);
    const all: number[] = [];
    const dataset = {
      shuffle: () => dataset,
      batch: () => dataset,
      iterator: () => ({ next: () => ({ done: false, value: counting(32) }) }),
    };
    await made.train(dataset, { maxIter: 25, callbacks: [(_: unknown, loss: number) => void all.push(loss)] });
    expectAllCovered(optimizer, made.model);
    expect(optimizer.report()?.layers.filter(({ kind }) => kind === 'diagonal')).toEqual([]);
    // what follows is known: Adam at the best of its rates, 0.01, has 0.02 after as many steps
    expectFalling(all, 0.001);
  },
  2 * MINUTE,
);

interface Saved {
  readonly modelTopology: object;
  readonly weightsManifest: readonly { readonly weights: tf.io.WeightsManifestEntry[] }[];
}

/** A network of pictures of 224 × 224, which it makes 7 × 7 of before it takes a mean, for those of another side. */
const withSide = (saved: Saved, side: number): Saved =>
  JSON.parse(
    JSON.stringify(saved)
      .replace('"batch_input_shape":[null,224,224,3]', `"batch_input_shape":[null,${side},${side},3]`)
      .replace('"pool_size":[7,7]', `"pool_size":[${side / 32},${side / 32}]`),
  );

/** A model as packages have it: what describes it, and the bytes of its weights. */
const loaded = ({ modelTopology, weightsManifest: [manifest] }: Saved, weights: Buffer) =>
  tfl.loadLayersModel({
    load: async () => ({
      modelTopology,
      weightSpecs: manifest?.weights ?? [],
      weightData: Uint8Array.from(weights).buffer,
    }),
  });

test(
  'the network of @upscalerjs/default-model, which doubles the size of pictures, is trained further on digits',
  async () => {
    const folder = fetchPackage({
      name: '@upscalerjs/default-model',
      version: '1.0.0',
      integrity: 'sha512-D17cokQBpciTBrlFuY5WtS7TH0WE3h5m44PYiPPCSq1jlWjG9BvH5/rnm9AhQPV6TT3Bqbg5GAPV8/qpR47/hQ==',
    });
    const file = (name: string) => readFileSync(join(folder, 'models', name));
    const model = await loaded(JSON.parse(file('model.json').toString()), file('group1-shard1of1.bin'));
    const optimizer = cgfac({ seed: 1 });
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const large = tf.tidy(() => tf.tile(tf.mul(255, pictures(8)), [1, 1, 1, 3]));
    const small = tf.avgPool(large as tf.Tensor4D, 2, 2, 'valid');
    const all = await losses(model, small, large, 6);
    expectAllCovered(optimizer, model);
    expectFalling(all, 0.9);
  },
  2 * MINUTE,
);

test(
  'MobileNetV2 of nsfwjs, all of its layers trainable, is trained further to tell small pictures of digits apart',
  async () => {
    const folder = fetchPackage({
      name: 'nsfwjs',
      version: '4.3.0',
      integrity: 'sha512-WTKDte0vp1X97N1h34P79G/hG+sVT3+TnDz9di1WseIJR93v11E4viNX7Vg9WsO6HYoR772Nzq2iM8jo3XBZ+g==',
    });
    const part = (name: string) => require(join(folder, 'dist/models/mobilenet_v2', name));
    const saved = withSide(part('model.min.js'), 96);
    const model = await loaded(saved, Buffer.from(part('group1-shard1of1.min.js'), 'base64'));
    for (const layer of model.layers) layer.trainable = true;
    const optimizer = cgfac({ seed: 1 });
    model.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const x = tf.tidy(() => tf.tile(tf.image.resizeBilinear(pictures(4), [96, 96]), [1, 1, 1, 3]));
    const y = tf.oneHot(
      tf.tensor1d(
        [...digits.labels.subarray(0, 4)].map((label) => label % 5),
        'int32',
      ),
      5,
    );
    const all = await losses(model, x, tf.cast(y, 'float32'), 4);
    expectAllCovered(optimizer, model);
    expectFalling(all, 0.9);
  },
  2 * MINUTE,
);
