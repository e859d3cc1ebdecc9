import * as tf from '@tensorflow/tfjs-core';
import { initializers, layers, type Sequential, sequential } from '@tensorflow/tfjs-layers';
import { cgfac } from '../../../lib/tfjs';
import { relativeError, useBackend, variable } from '../support/backends';
import { install, normal, numbers, TOLERANCE, uninstalledAfterEach } from '../support/kernels';

uninstalledAfterEach();

describe('training', () => {
  const batch = 8;
  const widths = [784, 1000, 500, 250, 30, 250, 500, 1000, 784];

  /** The gradients of the deep autoencoder. */
  const gradients = () => {
    const kernels = widths
      .slice(1)
      .map((m, at) =>
        tf.tidy(() => tf.variable(tf.mul(normal([widths[at] ?? 0, m], at), Math.sqrt(2 / (m + (widths[at] ?? 0)))))),
      );
    const biases = widths.slice(1).map((m, at) => variable([m], 50 + at));
    const x = tf.tidy(() => tf.sigmoid(normal([batch, 784], 99)));
    const loss = () => {
      const z = kernels.reduce<tf.Tensor>((input, kernel, at) => {
        const sum = tf.add(tf.matMul(input, kernel), biases[at] as tf.Variable);
        return at === kernels.length - 1 ? sum : tf.tanh(sum);
      }, x);
      return tf.losses.sigmoidCrossEntropy(x, z) as tf.Scalar;
    };
    const variables = [...kernels, ...biases];
    const { value, grads } = tf.variableGrads(loss, variables);
    const arrays = variables.map(({ name }) => numbers(grads[name] as tf.Tensor));
    tf.dispose([value, x, ...variables]);
    return arrays;
  };

  it('gradients of the deep autoencoder equal those of the cpu backend, variable by variable', async () => {
    await useBackend('cpu');
    const expected = gradients();
    await useBackend('wasm');
    const kernels = install();
    const before = tf.memory().numTensors;
    gradients().forEach((gradient, which) => {
      expect(relativeError(gradient, expected[which] ?? [])).toBeLessThanOrEqual(TOLERANCE);
    });
    expect(kernels.nativeProducts).toBe(3 * 8 - 1); // nobody asks for the gradient of x
    expect(tf.memory().numTensors).toBe(before);
  });

  const model = (): Sequential => {
    const dense = (units: number, seed: number, given: object) =>
      layers.dense({ units, kernelInitializer: initializers.glorotNormal({ seed }), ...given });
    return sequential({
      layers: [
        dense(100, 1, { activation: 'tanh', inputShape: [80] }),
        dense(70, 2, { activation: 'relu' }),
        dense(60, 3, { activation: 'sigmoid' }),
        dense(10, 4, { activation: 'softmax' }),
      ],
    });
  };
  const train = async (optimizer: tf.Optimizer) => {
    const net = model();
    net.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const x = normal([128, 80], 5);
    const y = tf.tidy(() =>
      tf.cast(
        tf.oneHot(
          tf.tensor1d(
            Array.from({ length: 128 }, (_, at) => (at * 7) % 10),
            'int32',
          ),
          10,
        ),
        'float32',
      ),
    );
    const { history } = await net.fit(x, y, { batchSize: 64, epochs: 3, shuffle: false, verbose: 0 });
    const weights = net.getWeights().map((weight) => Float32Array.from(weight.dataSync()));
    net.dispose();
    tf.dispose([x, y]);
    return { weights, losses: history.loss as number[] };
  };

  it('model.fit by gradient descent gives the weights that the cpu backend gives', async () => {
    await useBackend('cpu');
    const expected = await train(tf.train.sgd(0.1));
    await useBackend('wasm');
    const kernels = install();
    const { weights } = await train(tf.train.sgd(0.1));
    weights.forEach((weight, which) => {
      expect(relativeError(weight, expected.weights[which] ?? [])).toBeLessThanOrEqual(TOLERANCE);
    });
    expect(kernels.nativeProducts).toBeGreaterThan(0);
  });

  const optimizers: Readonly<Record<string, () => tf.Optimizer>> = {
    momentum: () => tf.train.momentum(0.05, 0.9),
    adagrad: () => tf.train.adagrad(0.05),
    adadelta: () => tf.train.adadelta(1),
    adam: () => tf.train.adam(0.01),
    adamax: () => tf.train.adamax(0.01),
    rmsprop: () => tf.train.rmsprop(0.005),
    cgfac: () => cgfac({ seed: 1 }),
  };
  it.each(Object.entries(optimizers))(
    'model.fit with %s follows the losses that the stock kernels give',
    async (_, optimizer) => {
      await useBackend('wasm');
      const stock = await train(optimizer());
      const kernels = install();
      const { losses } = await train(optimizer());
      // a first-order step may divide a gradient by its own size: rounding shows in weights, hardly in the loss
      expect(relativeError(losses, stock.losses)).toBeLessThanOrEqual(1e-3);
      expect(kernels.nativeProducts).toBeGreaterThan(0);
    },
  );
});

/** Models that the stock wasm backend cannot train, and the shape of one of their inputs. */
const untrained: Readonly<Record<string, readonly [number[], () => layers.Layer[]]>> = {
  'a convnet': [
    [12, 12, 2],
    () => [
      layers.conv2d({ filters: 6, kernelSize: 3, padding: 'same', activation: 'relu', kernelInitializer: seeded(1) }),
      layers.maxPooling2d({ poolSize: 2 }),
      layers.conv2d({ filters: 8, kernelSize: [2, 3], strides: 2, activation: 'tanh', kernelInitializer: seeded(2) }),
    ],
  ],
  'separable and depthwise convolutions': [
    [9, 8, 3],
    () => [
      layers.separableConv2d({
        filters: 6,
        kernelSize: 3,
        depthwiseInitializer: seeded(1),
        pointwiseInitializer: seeded(2),
      }),
      layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: 'same', depthwiseInitializer: seeded(3) }),
    ],
  ],
  'transposed convolutions': [
    [4, 4, 3],
    () => [
      layers.conv2dTranspose({ filters: 5, kernelSize: 3, strides: 2, padding: 'same', kernelInitializer: seeded(1) }),
      layers.conv2dTranspose({ filters: 4, kernelSize: 2, activation: 'relu', kernelInitializer: seeded(2) }),
    ],
  ],
  'convolutions of sequences': [
    [20, 3],
    () => [
      layers.conv1d({ filters: 8, kernelSize: 3, activation: 'relu', kernelInitializer: seeded(1) }),
      layers.conv1d({ filters: 4, kernelSize: 2, strides: 2, kernelInitializer: seeded(2) }),
    ],
  ],
  'convolutions of volumes': [
    [6, 6, 5, 2],
    () => [
      layers.conv3d({ filters: 5, kernelSize: 3, padding: 'same', activation: 'relu', kernelInitializer: seeded(1) }),
      layers.conv3d({ filters: 4, kernelSize: 2, strides: 2, kernelInitializer: seeded(2) }),
    ],
  ],
  'an embedding': [[7], () => [layers.embedding({ inputDim: 11, outputDim: 6, embeddingsInitializer: seeded(1) })]],
};
const seeded = (seed: number) => initializers.randomNormal({ seed, stddev: 0.3 });

describe('what the stock backend cannot train', () => {
  const batch = 16;
  const setup = ([inputShape, build]: readonly [number[], () => layers.Layer[]]) => {
    const x = tf.tidy(() => {
      const numbers = normal([batch, ...inputShape], 7);
      return inputShape.length === 1 ? tf.clipByValue(tf.floor(tf.abs(tf.mul(numbers, 3.9))), 0, 10) : numbers;
    });
    const y = tf.tidy(() =>
      tf.oneHot(
        tf.tensor1d(
          Array.from({ length: batch }, (_, i) => i % 3),
          'int32',
        ),
        3,
      ),
    ); // prettier-ignore
    const net = sequential({
      layers: [
        layers.inputLayer({ inputShape }),
        ...build(),
        layers.flatten(),
        layers.dense({ units: 3, activation: 'softmax', kernelInitializer: seeded(9) }),
      ],
    });
    return { x, y, net };
  };

  it.each(Object.entries(untrained))('%s: gradients equal those of the cpu backend', async (_, given) => {
    const gradients = () => {
      const { x, y, net } = setup(given);
      const before = tf.memory().numTensors;
      const loss = () => tf.losses.softmaxCrossEntropy(y, net.apply(x, { training: true }) as tf.Tensor) as tf.Scalar;
      const { value, grads } = tf.variableGrads(loss);
      const arrays = Object.values(grads).map((gradient) => numbers(gradient));
      value.dispose();
      expect(tf.memory().numTensors).toBe(before);
      net.dispose();
      tf.dispose([x, y]);
      return arrays;
    };
    await useBackend('cpu');
    const expected = gradients();
    await useBackend('wasm');
    install();
    const own = gradients();
    expect(own).toHaveLength(expected.length);
    own.forEach((gradient, which) => {
      expect(relativeError(gradient, expected[which] ?? [])).toBeLessThanOrEqual(TOLERANCE);
    });
  });

  const optimizers = { adam: () => tf.train.adam(0.01), cgfac: () => cgfac({ seed: 1 }) };
  const cases = Object.entries(untrained).flatMap(([name, given]) =>
    Object.entries(optimizers).map(([called, optimizer]) => [name, called, given, optimizer] as const),
  );
  it.each(cases)('%s with %s: the loss falls, and no tensor is kept', async (_, __, given, optimizer) => {
    await useBackend('wasm');
    install();
    const { x, y, net } = setup(given);
    net.compile({ optimizer: optimizer(), loss: 'categoricalCrossentropy' });
    const step = async () => (await net.trainOnBatch(x, y)) as number;
    const first = await step();
    await step();
    const before = tf.memory().numTensors;
    for (let steps = 0; steps < 18; steps++) await step();
    expect(tf.memory().numTensors).toBe(before);
    expect(await step()).toBeLessThan(0.9 * first);
    net.dispose();
    tf.dispose([x, y]);
  });
});
