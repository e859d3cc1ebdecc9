// L_min: the entropy of the targets for a cross-entropy, 0 for a divergence, and what a shifted loss has as its least.
import * as tf from '@tensorflow/tfjs-core';
import { initializers, layers, metrics, sequential } from '@tensorflow/tfjs-layers';
import { cgfac } from '../../../lib/tfjs';
import { normal, quietScopes } from '../support/backends';

quietScopes();

type Loss = (y: tf.Tensor, z: tf.Tensor) => tf.Tensor;

const D = 5;
const softmax = (z: tf.Tensor) => tf.softmax(z);
const crossEntropy: Loss = (y, z) => tf.mean(metrics.categoricalCrossentropy(y, softmax(z)));
const divergence: Loss = (y, z) => tf.mean(tf.sum(tf.mul(y, tf.sub(tf.log(y), tf.logSoftmax(z))), -1));
const keras = (y: tf.Tensor, p: tf.Tensor) => {
  const [one, other] = [tf.clipByValue(y, 1e-7, 1), tf.clipByValue(p, 1e-7, 1)];
  return tf.sum(tf.mul(y, tf.log(tf.div(one, other))), -1);
};
const logistic: Loss = (y, z) => tf.sub(tf.softplus(z), tf.mul(y, z));
const surprise = (y: tf.Tensor) => tf.neg(tf.mul(y, tf.log(y)));
const bits = (y: tf.Tensor) => tf.add(surprise(y), surprise(tf.sub(1, y)));
const entropy = (y: tf.Tensor) => tf.mean(tf.sum(surprise(y), -1)).dataSync()[0] ?? Number.NaN;
const onehot = (samples: number) =>
  tf.cast(tf.oneHot(tf.argMax(normal([samples, D], 8), 1) as tf.Tensor1D, D), 'float32');

/** The floor at the first step of a linear layer, and the loss. */
function floorAt(loss: Loss, y: tf.Tensor, scale = 1, penalty = 0) {
  const w = tf.tidy(() => tf.variable(tf.mul(scale, normal([4, D], 1))));
  const x = normal([y.shape[0] ?? 1, 4], 2);
  const optimizer = cgfac({ seed: 1 });
  const f = () => tf.add(loss(y, tf.matMul(x, w)), tf.mul(penalty, tf.sum(tf.square(w)))) as tf.Scalar;
  optimizer.minimize(f, false, [w]);
  const { lossFloor = Number.NaN, loss: value = Number.NaN } = optimizer.lastStep?.summary ?? {};
  optimizer.dispose();
  return { floor: lossFloor, value };
}

const shares = (samples: number) => tf.softmax(tf.mul(0.7, normal([samples, D], 3)));
const targets = {
  'soft targets': () => shares(33),
  'a large batch, whose divergence is estimated': () => shares(4000),
  'soft targets with rows of padding': () =>
    tf.mul(
      shares(32),
      tf.tensor2d(
        Array.from({ length: 32 }, (_, row) => row % 2),
        [32, 1],
      ),
    ),
} as const;

describe.each(Object.entries(targets))('of %s', (_, make) => {
  const of = (y: tf.Tensor) => tf.where(tf.greater(y, 0), y, 1e-30);

  it.each([0, 0.1, 1, 4])('a cross-entropy has their entropy, a divergence 0 (weights times %d)', (scale) => {
    const y = make();
    expect(floorAt(crossEntropy, y, scale).floor).toBeCloseTo(entropy(of(y)), 5);
    expect(floorAt((t, z) => tf.mean(keras(t, softmax(z))), y, scale).floor).toBe(0);
  });
});

it('of a divergence is 0 however it is written, weighed and reduced', () => {
  const y = shares(33);
  expect(floorAt(divergence, y).floor).toBe(0);
  expect(floorAt((t, z) => tf.mul(33 * 7, divergence(t, z)), y).floor).toBe(0);
  const weights = tf.abs(normal([33], 6));
  expect(floorAt((t, z) => tf.mean(tf.mul(weights, keras(t, softmax(z)))), y).floor).toBe(0);
  expect(floorAt((t, z) => tf.sub(crossEntropy(t, z), entropy(y)), y).floor).toBe(0);
});

it('of a divergence of bits is 0, of their cross-entropy their entropy', () => {
  const y = tf.sigmoid(normal([33, D], 5));
  const least = tf.mean(bits(y)).dataSync()[0] ?? Number.NaN;
  expect(floorAt((t, z) => tf.mean(logistic(t, z)), y).floor).toBeCloseTo(least, 5);
  expect(floorAt((t, z) => tf.mean(tf.sub(logistic(t, z), bits(t))), y).floor).toBe(0);
});

it.each([
  ['soft targets', () => shares(33)],
  ['hard ones', () => onehot(33)],
] as const)('of a shifted cross-entropy of %s is shifted where it is below', (_, make) => {
  const y = make();
  const own = entropy(tf.where(tf.greater(y, 0), y, 1e-30));
  const { floor, value } = floorAt((t, z) => tf.sub(crossEntropy(t, z), 5), y);
  expect(value).toBeLessThan(0);
  // the weight of the head is measured within 1 %, and so is its divergence of order 1
  expect(Math.abs(floor - (own - 5))).toBeLessThan(0.03);
  expect(floorAt((t, z) => tf.add(crossEntropy(t, z), 5), y).floor).toBeCloseTo(own, 5);
});

it('of a squared error is 0, and shifted with it', () => {
  const y = normal([33, D], 5);
  expect(floorAt((t, z) => tf.losses.meanSquaredError(t, z), y).floor).toBe(0);
  expect(floorAt((t, z) => tf.sub(tf.losses.meanSquaredError(t, z), 9), y).floor).toBeCloseTo(-9, 4);
});

it('leaves penalties to be made 0, as far as it is below the loss', () => {
  const y = shares(33);
  expect(floorAt(crossEntropy, y, 1, 1e-2).floor).toBeCloseTo(entropy(y), 5);
  expect(floorAt(divergence, y, 1, 1e-3).floor).toBe(0);
});

it('beside a part of no known distribution is 0 where the entropy would be above the loss', () => {
  const y = tf.softmax(normal([33, D - 1], 3));
  const part = (z: tf.Tensor) => tf.slice(z, [0, 0], [-1, D - 1]);
  const absolute = (z: tf.Tensor) => tf.mul(0.1, tf.mean(tf.abs(tf.sub(tf.slice(z, [0, D - 1]), 1))));
  expect(floorAt((t, z) => tf.add(crossEntropy(t, part(z)), absolute(z)), y).floor).toBeCloseTo(entropy(y), 5);
  expect(floorAt((t, z) => tf.add(divergence(t, part(z)), absolute(z)), y).floor).toBe(0);
});

it('kullbackLeiblerDivergence trains to nothing under model.fit', async () => {
  const x = normal([64, 6], 1);
  const y = tf.softmax(tf.matMul(x, normal([6, D], 2)));
  // at a loss of 1e-9 the rounding of gradients may hide the head of a step: of 150 seeds four end so
  const kernelInitializer = initializers.glorotNormal({ seed: 1 });
  const net = sequential({
    layers: [layers.dense({ units: D, activation: 'softmax', inputShape: [6], kernelInitializer })],
  });
  const optimizer = cgfac({ seed: 1 });
  net.compile({ optimizer, loss: 'kullbackLeiblerDivergence' });
  const { history } = await net.fit(x, y, { batchSize: 64, epochs: 60, shuffle: false, verbose: 0 });
  const [first = Number.NaN, last = Number.NaN] = [history.loss?.[0] as number, history.loss?.[59] as number];
  // but for the rounding of a loss of nothing, which may be below 0
  expect(optimizer.lastStep?.summary?.lossFloor).toBeCloseTo(0, 7);
  expect(last).toBeLessThan(1e-2 * first);
  expect(optimizer.lastStep?.heads).toMatchObject([{ distribution: 'categorical' }]);
});

it('a loss without a known part that is below 0, or with weights of both signs, has none', () => {
  const y = onehot(20);
  const reward: Loss = (t, z) => tf.mean(tf.sum(tf.mul(t, tf.logSoftmax(z)), -1));
  const unknown: Loss = (t, z) => tf.sub(tf.mean(tf.abs(tf.sub(z, t))), 100);
  for (const loss of [reward, unknown]) {
    const { floor, value } = floorAt(loss, y);
    expect(value).toBeLessThan(0);
    expect(floor).toBe(Number.NaN); // none was told
  }
});

describe('of logits with bounds', () => {
  const binary: Loss = (y, z) => tf.losses.sigmoidCrossEntropy(y, z);
  const least = (losses: readonly number[]) => losses.reduce((sum, each) => sum + each, 0) / losses.length;

  it('a softmax under a softmax has the entropy of its best row', () => {
    const { floor } = floorAt((y, z) => tf.losses.softmaxCrossEntropy(y, softmax(z)), onehot(20));
    expect(floor).toBeCloseTo(-Math.log(Math.E / (Math.E + D - 1)), 5);
  });

  it.each([
    ['softmax', softmax, 0, 1],
    ['sigmoid', (z: tf.Tensor) => tf.sigmoid(z), 0, 1],
    ['tanh', (z: tf.Tensor) => tf.tanh(z), -1, 1],
  ] as const)('a %s under a logistic loss has that of the nearest logits', (_, activation, low, high) => {
    const y = tf.concat([onehot(16), tf.mul(0.6, onehot(8)), tf.fill([8, D], 0.999)]);
    const { floor } = floorAt((t, z) => binary(t, activation(z)), y);
    const numbers = Array.from(y.dataSync(), (target) => {
      // by search: 1000 numbers of the range
      const losses = Array.from({ length: 1001 }, (__, at) => {
        const z = low + ((high - low) * at) / 1000;
        return Math.log1p(Math.exp(z)) - target * z;
      });
      return Math.min(...losses);
    });
    expect(floor).toBeCloseTo(least(numbers), 5);
  });

  it('a loss that is below it is another one', () => {
    const shifted: Loss = (y, z) => tf.sub(tf.losses.softmaxCrossEntropy(y, softmax(z)), 1);
    const { floor, value } = floorAt(shifted, onehot(20));
    expect(floor).toBeLessThan(value);
  });
});

it('a policy is trained by advantages of both signs, from a uniform start too', () => {
  const w = tf.variable(tf.zeros([4, 3]));
  const x = normal([64, 4], 2);
  const action = tf.oneHot(
    tf.tensor1d(
      Array.from({ length: 64 }, (_, row) => row % 3),
      'int32',
    ),
    3,
  );
  const advantage = tf.tensor1d(Array.from({ length: 64 }, (_, row) => (row % 2 ? 1 : -1)));
  const f = () =>
    tf.neg(tf.mean(tf.mul(advantage, tf.sum(tf.mul(action, tf.logSoftmax(tf.matMul(x, w))), 1)))) as tf.Scalar;
  const optimizer = cgfac({ seed: 1 });
  for (let step = 0; step < 10; step++) optimizer.minimize(f, false, [w]);
  expect(f().dataSync()[0]).toBeLessThan(-0.5); // Adam(0.01) has -0.05
  optimizer.dispose();
});
