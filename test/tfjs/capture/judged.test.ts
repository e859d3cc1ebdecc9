/** Which networks are judged by others that a step does not train. */
import * as tf from '@tensorflow/tfjs-core';
import { layers, model, input as placeholder, type SymbolicTensor, sequential } from '@tensorflow/tfjs-layers';
import { cgfac } from '../../../lib/tfjs';
import { normal, useBackend, variable } from '../support/backends';
import { capturedRows } from '../support/capture';
import { SAMPLES } from '../support/networks';

const WIDTH = 4;

beforeAll(() => useBackend('cpu'));

type Kernels = Readonly<Record<'first' | 'last' | 'frozen' | 'other', tf.Variable>>;

const x = () => normal([SAMPLES, WIDTH], 3);
const product = (a: tf.Tensor, kernel: tf.Tensor) => tf.matMul(a as tf.Tensor2D, kernel as tf.Tensor2D);
const output = ({ first, last }: Kernels) => product(tf.tanh(product(x(), first)), last);
const mean = (z: tf.Tensor) => tf.mean(z) as tf.Scalar;

const losses: Readonly<Record<string, readonly [boolean, (kernels: Kernels) => tf.Scalar]>> = {
  'the mean of what a critic makes of it': [
    true,
    (w) => tf.neg(mean(product(tf.relu(product(output(w), w.frozen)), w.other))),
  ],
  'a squared error of it': [true, (w) => mean(tf.squaredDifference(product(output(w), w.frozen), 1))],
  'frozen features beside an error of its own': [
    true,
    (w) => tf.add(mean(tf.square(output(w))), mean(tf.square(product(output(w), tf.transpose(w.frozen))))),
  ],
  'an error of its own': [false, (w) => mean(tf.squaredDifference(output(w), product(x(), w.frozen)))],
  'frozen layers before and within': [
    false,
    (w) =>
      mean(tf.square(product(tf.tanh(product(product(tf.tanh(product(x(), w.other)), w.first), w.frozen)), w.last))),
  ],
};

it.each(Object.entries(losses))('%s', (_, [judged, loss]) => {
  const names = ['first', 'last', 'frozen', 'other'] as const;
  const kernels = Object.fromEntries(names.map((name, i) => [name, variable([WIDTH, WIDTH], 31 + i)])) as Kernels;
  const { taken, grads } = capturedRows(() => loss(kernels), [kernels.first, kernels.last]);
  expect(taken.layers.map((layer) => layer.judged)).toEqual([judged, judged]);
  if (judged) expect(taken.layers.map((layer) => layer.output)).toEqual([false, false]);
  tf.dispose([grads, ...Object.values(kernels)]);
});

it('a generator under a discriminator that is left out of the step moves a tenth as far at the most', async () => {
  const critic = sequential({
    layers: [layers.dense({ units: 6, activation: 'tanh', inputShape: [2] }), layers.dense({ units: 1 })],
  });
  critic.trainable = false;
  const kernelInitializer = 'glorotUniform';
  const generator = sequential({
    layers: [
      layers.dense({ units: 5, activation: 'tanh', inputShape: [3], kernelInitializer }),
      layers.dense({ units: 2, kernelInitializer }),
    ],
  });
  const noise = placeholder({ shape: [3] });
  const both = model({ inputs: noise, outputs: critic.apply(generator.apply(noise)) as SymbolicTensor });
  both.compile({ optimizer: cgfac({ seed: 1 }), loss: (_, score) => tf.neg(tf.mean(score)) });
  const weights = () => generator.getWeights().map((weight) => weight.dataSync().slice() as Float32Array);
  const z = normal([16, 3], 5);
  for (let step = 0; step < 5; step++) {
    const before = weights();
    await both.trainOnBatch(z, tf.ones([16, 1]));
    const after = weights();
    for (const layer of [0, 2]) {
      const change = Math.hypot(...(after[layer] ?? []).map((value, i) => value - (before[layer]?.[i] ?? 0)));
      // of a layer's weights with its bias, and no less than Glorot's norm
      const norm = Math.hypot(...(before[layer] ?? []), ...(before[layer + 1] ?? []));
      const glorot = Math.sqrt((2 * (before[layer]?.length ?? 0)) / (layer === 0 ? 9 : 8)) * 1.2;
      expect(change).toBeGreaterThan(0);
      expect(change).toBeLessThanOrEqual(0.1 * Math.max(norm, glorot) + 1e-6);
    }
  }
});
