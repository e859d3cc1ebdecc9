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
