/** What version 0.1.0 saved of an optimizer and its model loads, and the step that follows is the one it took. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { initializers, layers, type Sequential, sequential } from '@tensorflow/tfjs-layers';
import { CgfacOptimizer } from '../../../lib/tfjs';
import { quietScopes, relativeError } from '../support/backends';

/** Floats as base64 of their bytes, integers as they are. */
type SavedNumbers = { readonly float32: string } | readonly number[];

interface SavedTensor {
  readonly name: string;
  readonly shape: number[];
  readonly dtype: 'float32' | 'int32';
  readonly values: SavedNumbers;
}

/** An optimizer and its model after some steps, and the loss and the weights of the step after. */
interface Checkpoint {
  readonly config: tf.serialization.ConfigDict;
  readonly state: readonly SavedTensor[];
  readonly weights: readonly SavedNumbers[];
  readonly x: SavedNumbers;
  readonly y: SavedNumbers;
  readonly loss: number;
  readonly weightsAfter: readonly SavedNumbers[];
}

const fixture = join(__dirname, '../../fixtures/states-0.1.0.json');
const { version, tfjs } = JSON.parse(readFileSync(fixture, 'utf8')) as {
  readonly version: string;
  readonly tfjs: Readonly<Record<'default' | 'cg' | 'kfac' | 'dense', Checkpoint>>;
};

/** Float32 on another processor: BLAS sums in another order, and a step's solves multiply that by their condition. */
const TOLERANCE = 1e-5;
const SAMPLES = 20;

function numbersOf(saved: SavedNumbers): Float32Array | Int32Array {
  if (!('float32' in saved)) return Int32Array.from(saved);
  const bytes = Uint8Array.from(Buffer.from(saved.float32, 'base64'));
  return new Float32Array(bytes.buffer);
}

/** The model of the checkpoints: 8-6-3, tanh and softmax, with its saved weights. */
function modelOf(weights: readonly SavedNumbers[], optimizer: CgfacOptimizer): Sequential {
  const kernelInitializer = initializers.zeros();
  const net = sequential({
    layers: [
      layers.dense({ units: 6, inputShape: [8], activation: 'tanh', kernelInitializer }),
      layers.dense({ units: 3, activation: 'softmax', kernelInitializer }),
    ],
  });
  net.compile({ optimizer, loss: 'categoricalCrossentropy' });
  net.setWeights(net.getWeights().map(({ shape }, index) => tf.tensor(numbersOf(weights[index] ?? []), shape)));
  return net;
}

/** Loads a checkpoint, and takes the step that follows as `model.fit` does: one batch of all samples. */
async function nextStep({ config, state, weights, x, y }: Checkpoint) {
  const optimizer = CgfacOptimizer.fromConfig(CgfacOptimizer, config) as CgfacOptimizer;
  await optimizer.setWeights(
    state.map(({ name, shape, dtype, values }) => ({ name, tensor: tf.tensor(numbersOf(values), shape, dtype) })),
  );
  const loaded = optimizer.iterations;
  const net = modelOf(weights, optimizer);
  const [inputs, targets] = [tf.tensor(numbersOf(x), [SAMPLES, 8]), tf.tensor(numbersOf(y), [SAMPLES, 3])];
  const { history } = await net.fit(inputs, targets, { epochs: 1, batchSize: SAMPLES, shuffle: false, verbose: 0 });
  const after = net.getWeights().map((weight) => weight.dataSync<'float32'>());
  return { optimizer, loaded, loss: Number(history.loss?.[0]), after };
}

describe('a checkpoint of version 0.1.0', () => {
  quietScopes();

  it.each(['default', 'cg', 'kfac', 'dense'] as const)('loads (%s), and its loss is as it was', async (name) => {
    const checkpoint = tfjs[name];
    const { optimizer, loaded, loss } = await nextStep(checkpoint);
    expect(version).toBe('0.1.0');
    expect(loaded).toBe(5);
    expect(optimizer.iterations).toBe(6);
    // the step after the first five: the counters of the state were taken over with its factors
    expect(optimizer.lastStep?.summary).toMatchObject({ step: 5, skippedSteps: { total: 0, inARow: 0 } });
    expect(relativeError([loss], [checkpoint.loss])).toBeLessThan(TOLERANCE);
  });

  it.each(['default', 'cg', 'dense'] as const)('is followed by the step that 0.1.0 took (%s)', async (name) => {
    const checkpoint = tfjs[name];
    const { after } = await nextStep(checkpoint);
    expect(after).toHaveLength(checkpoint.weightsAfter.length);
    checkpoint.weightsAfter.forEach((expected, index) => {
      const before = numbersOf(checkpoint.weights[index] ?? []);
      expect(relativeError(after[index] ?? [], numbersOf(expected))).toBeLessThan(TOLERANCE);
      // the step is much longer than the tolerance
      expect(relativeError(before, numbersOf(expected))).toBeGreaterThan(1000 * TOLERANCE);
    });
  });
});
