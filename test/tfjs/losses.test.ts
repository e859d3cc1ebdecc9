/** Programs with unmodified `compile`, models and losses of every kind: none is refused, and all of the losses fall. */
import * as tf from '@tensorflow/tfjs-core';
import { initializers, type LayersModel, layers, metrics, sequential } from '@tensorflow/tfjs-layers';
import { cgfac } from 'cgfac/tfjs';
import { normal, quietWarnings, useBackend, variable } from './support/backends';
import { minimized } from './support/minimizing';

const B = 33;
quietWarnings();
beforeAll(() => useBackend('wasm'));

type Activation = 'linear' | 'sigmoid' | 'softmax' | 'tanh' | 'relu' | 'softplus';
type Loss = string | ((y: tf.Tensor, z: tf.Tensor) => tf.Tensor);

const glorot = (seed: number) => initializers.glorotUniform({ seed });

/** A network of two layers, `outputs` wide. */
function dense(outputs: number, activation: Activation, hidden: Activation = 'tanh'): LayersModel {
  return sequential({
    layers: [
      layers.dense({ units: 12, activation: hidden, inputShape: [6], kernelInitializer: glorot(1) }),
      layers.dense({ units: outputs, activation, kernelInitializer: glorot(2) }),
    ],
  });
}

/** A recurrent one, a head at every step. */
function recurrent(activation: Activation, wrapped: boolean): LayersModel {
  const head = layers.dense({ units: 3, activation, kernelInitializer: glorot(3) });
  return sequential({
    layers: [
      layers.simpleRNN({
        units: 8,
        returnSequences: true,
        inputShape: [4, 6],
        kernelInitializer: glorot(1),
        recurrentInitializer: glorot(2),
      }),
      wrapped ? layers.timeDistributed({ layer: head }) : head,
    ],
  });
}

const data = () => normal([B, 6], 1);
const sequences = () => normal([B, 4, 6], 1);
const real = (width: number) => () => tf.tanh(tf.matMul(data(), normal([6, width], 2)));
const shifted = () => tf.add(real(1)(), 5);
const positive = (width: number) => () => tf.exp(real(width)());
const bits = (width: number) => () => tf.cast(tf.greater(real(width)(), 0), 'float32');
const signs = () => tf.sub(tf.mul(2, bits(1)()), 1);
const classes = () => tf.argMax(tf.matMul(data(), normal([6, 3], 2)), -1) as tf.Tensor1D;
const onehot = () => tf.cast(tf.oneHot(classes(), 3), 'float32');
const smoothed = () => tf.add(tf.mul(0.9, onehot()), 0.1 / 3);
const steps = () =>
  tf.cast(tf.oneHot(tf.argMax(tf.slice(sequences(), [0, 0, 0], [B, 4, 3]), -1) as tf.Tensor2D, 3), 'float32');
const padded = () => tf.mul(steps(), tf.tensor3d([1, 1, 0, 0], [1, 4, 1]));

const weighed: Loss = (y, z) => {
  const logistic = tf.sub(tf.softplus(z), tf.mul(y, z));
  return tf.mean(tf.mul(tf.add(1, tf.mul(4, y)), logistic));
};
const focal: Loss = (y, p) =>
  tf.neg(tf.mean(tf.sum(tf.mul(y, tf.mul(tf.square(tf.sub(1, p)), tf.log(tf.add(p, 1e-7)))), -1)));

/** What is trained, on what, and whether it is a cross-entropy of hard targets. */
const programs: Readonly<Record<string, [() => LayersModel, () => tf.Tensor, Loss, (() => tf.Tensor)?]>> = {
  'softmax, categorical': [() => dense(3, 'softmax'), onehot, 'categoricalCrossentropy'],
  'softmax, smoothed targets': [() => dense(3, 'softmax'), smoothed, 'categoricalCrossentropy'],
  'softmax, sparse targets': [
    () => dense(3, 'softmax'),
    () => tf.cast(classes(), 'float32'),
    'sparseCategoricalCrossentropy',
  ],
  'softmax, Kullback-Leibler': [() => dense(3, 'softmax'), smoothed, 'kullbackLeiblerDivergence'],
  'softmax, squared error': [() => dense(3, 'softmax'), onehot, 'meanSquaredError'],
  'softmax, focal': [() => dense(3, 'softmax'), onehot, focal],
  'softmax from logits': [() => dense(3, 'linear'), onehot, (y, z) => tf.losses.softmaxCrossEntropy(y, z)],
  'softmax twice': [() => dense(3, 'softmax'), onehot, (y, z) => tf.losses.softmaxCrossEntropy(y, z)],
  'softmax under a sigmoid loss': [() => dense(3, 'softmax'), onehot, (y, z) => tf.losses.sigmoidCrossEntropy(y, z)],
  'sigmoid, one output': [() => dense(1, 'sigmoid'), bits(1), 'binaryCrossentropy'],
  'sigmoid, several outputs': [() => dense(5, 'sigmoid'), bits(5), 'binaryCrossentropy'],
  'sigmoid, squared error': [() => dense(2, 'sigmoid'), bits(2), 'meanSquaredError'],
  'sigmoid from logits, weights of classes': [() => dense(5, 'linear'), bits(5), weighed],
  'linear, squared error': [() => dense(2, 'linear'), real(2), 'meanSquaredError'],
  'linear, uncentred': [() => dense(1, 'linear', 'relu'), shifted, 'meanSquaredError'],
  'linear, absolute error': [() => dense(2, 'linear'), real(2), 'meanAbsoluteError'],
  'linear, absolute percentage error': [() => dense(1, 'linear'), shifted, 'meanAbsolutePercentageError'],
  'linear, Huber': [() => dense(2, 'linear'), real(2), (y, z) => tf.losses.huberLoss(y, z)],
  'linear, log-cosh': [
    () => dense(2, 'linear'),
    real(2),
    (y, z) => tf.mean(tf.log(tf.mul(0.5, tf.add(tf.exp(tf.sub(z, y)), tf.exp(tf.sub(y, z)))))),
  ],
  'linear, log-cosh by softplus': [
    () => dense(2, 'linear'),
    real(2),
    (y, z) => tf.mean(tf.sub(tf.add(tf.sub(z, y), tf.softplus(tf.mul(-2, tf.sub(z, y)))), Math.log(2))),
  ],
  'linear, hinge': [() => dense(1, 'linear'), signs, 'hinge'],
  'linear, squared hinge': [() => dense(1, 'linear'), signs, 'squaredHinge'],
  'softplus, Poisson': [() => dense(2, 'softplus'), positive(2), (y, z) => tf.mean(tf.sub(z, tf.mul(y, tf.log(z))))],
  'softplus, squared logarithmic error': [() => dense(2, 'softplus'), positive(2), 'meanSquaredLogarithmicError'],
  'linear, cosine': [() => dense(3, 'linear'), real(3), (y, z) => tf.add(1, tf.mean(metrics.cosineProximity(y, z)))],
  'tanh, absolute error': [() => dense(2, 'tanh'), real(2), 'meanAbsoluteError'],
  'a head at every step': [() => recurrent('softmax', false), steps, 'categoricalCrossentropy', sequences],
  'a wrapped head at every step': [() => recurrent('softmax', true), steps, 'categoricalCrossentropy', sequences],
  'padded targets': [() => recurrent('softmax', false), padded, 'categoricalCrossentropy', sequences],
  'padded targets, a wrapped head': [() => recurrent('softmax', true), padded, 'categoricalCrossentropy', sequences],
  'absolute error at every step': [
    () => recurrent('linear', true),
    () => tf.slice(sequences(), [0, 0, 0], [B, 4, 3]),
    'meanAbsoluteError',
    sequences,
  ],
};

/** The programs whose loss belongs to a known distribution, by it, and those of others, by what the metric is there. */
const heads = {
  categorical: [
    ...['softmax, categorical', 'softmax, smoothed targets', 'softmax, sparse targets', 'softmax, Kullback-Leibler'],
    ...['softmax from logits', 'softmax twice', 'a head at every step', 'a wrapped head at every step'],
    ...['padded targets', 'padded targets, a wrapped head'],
  ],
  bernoulli: [
    ...['softmax under a sigmoid loss', 'sigmoid, one output', 'sigmoid, several outputs'],
    ...['sigmoid from logits, weights of classes'],
  ],
  gaussian: [
    ...['softmax, squared error', 'sigmoid, squared error', 'linear, squared error', 'linear, uncentred'],
    ...['linear, squared hinge', 'softplus, squared logarithmic error'],
  ],
  curvature: [
    ...['softmax, focal', 'linear, Huber', 'linear, log-cosh', 'linear, log-cosh by softplus', 'softplus, Poisson'],
    ...['linear, cosine'],
  ],
  slope: [
    ...['linear, absolute error', 'linear, absolute percentage error', 'linear, hinge', 'tanh, absolute error'],
    ...['absolute error at every step'],
  ],
};
const headOf = (name: string) => Object.entries(heads).find(([, names]) => names.includes(name))?.[0];

test.each(Object.entries(programs))('%s', async (name, [make, targets, loss, inputs = data]) => {
  const [model, x, y] = [make(), tf.tidy(inputs), tf.tidy(targets)];
  const optimizer = cgfac({ seed: 1 });
  model.compile({ optimizer, loss: loss as string });
  const told: { readonly loss: number; readonly heads: readonly (string | undefined)[] }[] = [];
  const onBatchEnd = (_: number, logs?: Record<string, number>) => {
    const heads = optimizer.lastStep?.heads.map(({ distribution, metric }) => distribution ?? metric) ?? [];
    told.push({ loss: logs?.loss ?? Number.NaN, heads });
  };
  const callbacks = { onBatchEnd };
  const { history } = await model.fit(x, y, { batchSize: B, epochs: 30, shuffle: false, verbose: 0, callbacks });
  const [first = Number.NaN, last = Number.NaN] = [history.loss?.[0] as number, history.loss?.[29] as number];
  expect(first).toBeGreaterThan(0);
  expect(last).toBeLessThan(0.9 * first);
  // at a loss of 0 there is nothing to do
  if (last > 0) expect(optimizer.lastStep?.summary?.skippedSteps.total).toBe(0);
  // next to its least the loss has next to no gradient, which fits several distributions
  const least = Math.min(...told.map(({ loss: each }) => each));
  const far = told.filter(({ loss: each }, step) => step === 0 || each - least > 1e-3 * (first - least));
  expect([...new Set(far.flatMap(({ heads: found }) => found))]).toEqual([headOf(name)]);
  optimizer.dispose();
  model.dispose();
  tf.dispose([x, y]);
});

test('outputs without a last axis, and batches of which not all is sampled', () => {
  const [x, w] = [normal([65, 6], 1), variable([6, 1], 2)];
  const y = tf.tanh(tf.sum(x, 1));
  const optimizer = cgfac({ seed: 1 });
  const f = () => tf.losses.meanSquaredError(y, tf.squeeze(tf.matMul(x, w), [1])) as tf.Scalar;
  const [before = 0] = f().dataSync();
  for (let step = 0; step < 10; step++) optimizer.minimize(f, false, [w]);
  expect(f().dataSync()[0]).toBeLessThan(0.5 * before);
  optimizer.dispose();
  tf.dispose([x, w, y]);
});

test('a loss that is 0 and has a slope', () => {
  const [x, w] = [normal([40, 6], 1), variable([6, 1], 2)];
  w.assign(tf.zeros([6, 1]));
  const optimizer = cgfac({ seed: 1 });
  const f = () => tf.neg(tf.mean(tf.matMul(tf.add(x, 1), w))) as tf.Scalar;
  for (let step = 0; step < 5; step++) optimizer.minimize(f, false, [w]);
  expect(f().dataSync()[0]).toBeLessThan(0);
  expect(optimizer.lastStep?.summary?.skippedSteps.total).toBe(0);
  optimizer.dispose();
  tf.dispose([x, w]);
});

test('a layer that is applied to batches of two sizes has the gradient of both', () => {
  const [x, more, w] = [normal([40, 6], 1), normal([10, 6], 3), variable([6, 2], 2)];
  const f = () =>
    tf.add(
      tf.mean(tf.square(tf.sub(tf.matMul(x, w), 1))),
      tf.mean(tf.square(tf.add(tf.matMul(more, w), 1))),
    ) as tf.Scalar;
  const steps = (own: boolean) => {
    w.assign(tf.tidy(() => normal([6, 2], 2)));
    const optimizer = cgfac({ seed: 1 });
    for (let step = 0; step < 3; step++) {
      if (own) optimizer.minimize(f, false, [w]);
      else {
        const { value, grads } = optimizer.computeGradients(f, [w]);
        optimizer.applyGradients(grads);
        tf.dispose([value, grads]);
      }
    }
    optimizer.dispose();
    return w.dataSync().slice();
  };
  const [rows, given] = [steps(true), steps(false)];
  rows.forEach((value, i) => {
    expect(Math.abs(value - (given[i] ?? Number.NaN))).toBeLessThan(1e-4);
  });
  tf.dispose([x, more, w]);
});

describe('a loss that passes through 0 on its way down', () => {
  // a reward of ±1 in units of tanh, whose mean is next to nothing at the start
  const rewarded = (shift: number) => {
    const x = normal([128, 8], 1);
    const side = tf.sub(tf.mul(2, tf.cast(tf.greater(tf.matMul(x, normal([8, 1], 2)), 0), 'float32')), 1);
    const weights = [variable([8, 16], 25), variable([16, 1], 26)] as const;
    const [w, v] = weights;
    const outputs = () => tf.tanh(tf.matMul(tf.tanh(tf.matMul(x, w)), tf.mul(0.1, v)));
    const start = tf.tidy(() => tf.mean(tf.mul(side, outputs())).dataSync()[0] ?? 0);
    // a bias against the side has the loss begin a little above 0
    const loss = () => tf.add(shift, tf.sub(start + 0.02, tf.mean(tf.mul(side, outputs())))) as tf.Scalar;
    const optimizer = cgfac({ seed: 1 });
    const losses = minimized(optimizer, loss, weights, 40).map((each) => each - shift);
    optimizer.dispose();
    tf.dispose([x, side, ...weights]);
    return losses;
  };

  it('falls on as one that does not', () => {
    const [through, above] = [rewarded(0), rewarded(1)];
    expect(through[0]).toBeGreaterThan(0);
    expect(above.at(-1)).toBeLessThan(-0.8);
    expect(through.at(-1)).toBeLessThan(-0.8);
  });
});

it.each([1, 2, 3])('Poisson regression of counts of some dozens never jumps: seed %i', (seed) => {
  const x = normal([128, 6], seed);
  const counts = tf.round(tf.exp(tf.add(3, tf.matMul(x, tf.mul(0.7, normal([6, 1], 10 + seed))))));
  const weights = [variable([6, 12], 20 + seed), variable([12, 1], 30 + seed)] as const;
  const [w, v] = weights;
  const loss = () => {
    const z = tf.matMul(tf.tanh(tf.matMul(x, w)), v);
    return tf.mean(tf.sub(tf.exp(z), tf.mul(counts, z))) as tf.Scalar;
  };
  const least = tf.tidy(
    () => tf.mean(tf.sub(counts, tf.mul(counts, tf.log(tf.maximum(counts, 1))))).dataSync()[0] ?? 0,
  );
  const optimizer = cgfac({ seed });
  const losses = minimized(optimizer, loss, weights, 40);
  const [first = Number.NaN] = losses;
  const height = first - least;
  expect(Math.max(...losses)).toBeLessThan(first + 0.2 * height);
  expect(losses.at(-1)).toBeLessThan(least + 0.25 * height);
  // what is not known is not told
  expect(optimizer.lastStep?.summary?.lossFloor).toBeUndefined();
  optimizer.dispose();
  tf.dispose([x, counts, ...weights]);
});

it.each([1, 2, 3])('differences of a network at points next to each other are trained: seed %i', (seed) => {
  const h = 0.01;
  const x = normal([128, 2], seed);
  const slope = tf.cos(tf.slice(x, [0, 0], [128, 1]));
  const weights = [variable([2, 16], 10 + seed), tf.variable(tf.zeros([16])), variable([16, 1], 20 + seed)] as const;
  const [u, b, w] = weights;
  const f = (at: tf.Tensor) => tf.matMul(tf.tanh(tf.add(tf.matMul(at, u), b)), w);
  const shift = tf.tensor2d([[h, 0]]);
  const loss = () => {
    const slopes = tf.div(tf.sub(f(tf.add(x, shift)), f(tf.sub(x, shift))), 2 * h);
    return tf.losses.meanSquaredError(slope, slopes) as tf.Scalar;
  };
  const optimizer = cgfac({ seed });
  const losses = minimized(optimizer, loss, weights, 25);
  expect(losses.at(-1)).toBeLessThan(0.1 * (losses[0] ?? 0));
  expect(Math.max(...losses)).toBeLessThan(1.2 * (losses[0] ?? 0));
  optimizer.dispose();
  tf.dispose([x, slope, shift, ...weights]);
});

it('a loss that falls to next to nothing goes on falling, and no weight is ever not a number', async () => {
  const model = sequential({
    layers: [
      layers.dense({ units: 8, activation: 'sigmoid', inputShape: [2], kernelInitializer: glorot(1) }),
      layers.dense({ units: 1, activation: 'sigmoid', kernelInitializer: glorot(2) }),
    ],
  });
  const optimizer = cgfac({ seed: 1 });
  model.compile({ optimizer, loss: 'meanSquaredError' });
  const [x, y] = [tf.tensor2d([0, 0, 0, 1, 1, 0, 1, 1], [4, 2]), tf.tensor2d([0, 1, 1, 0], [4, 1])];
  let last = Number.NaN;
  for (let step = 0; step < 400; step++) last = (await model.trainOnBatch(x, y)) as number;
  expect(last).toBeLessThan(1e-10);
  expect(optimizer.lastStep?.summary?.skippedSteps.total).toBe(0);
  optimizer.dispose();
  model.dispose();
  tf.dispose([x, y]);
});
