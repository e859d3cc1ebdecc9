import * as tf from '@tensorflow/tfjs-core';
import { initializers, type LayersModel, layers, loadLayersModel, model, sequential } from '@tensorflow/tfjs-layers';
import { CgfacOptimizer, cgfac } from '../../lib/tfjs';
import { normal, quietWarnings, relativeError, useBackend } from './support/backends';
import { saved } from './support/models';
import { cg, oneHot, SEED } from './support/one-layer';

const warnings = quietWarnings();

describe('under model.compile and model.fit', () => {
  beforeAll(() => useBackend('wasm'));

  const dense = (units: number, seed: number, more: object = {}) =>
    layers.dense({ units, kernelInitializer: initializers.glorotNormal({ seed }), ...more });

  const models: Readonly<
    Record<string, () => { net: LayersModel; x: tf.Tensor; y: tf.Tensor; loss: string; blocks: number; rows: number }>
  > = {
    'a classifier with rectifiers': () => ({
      net: sequential({
        layers: [dense(6, 1, { inputShape: [4], activation: 'relu' }), dense(3, 2, { activation: 'softmax' })],
      }),
      x: normal([12, 4], 3),
      y: oneHot(12, 4),
      loss: 'categoricalCrossentropy',
      blocks: 2,
      rows: 12,
    }),
    'integer classes, no biases': () => ({
      net: sequential({
        layers: [
          dense(6, 1, { inputShape: [4], activation: 'tanh', useBias: false }),
          dense(3, 2, { activation: 'softmax', useBias: false }),
        ],
      }),
      x: normal([12, 4], 3),
      y: tf.expandDims(tf.cast(tf.argMax(oneHot(12, 4), 1), 'float32'), 1),
      loss: 'sparseCategoricalCrossentropy',
      blocks: 2,
      rows: 12,
    }),
    'an autoencoder with a penalty': () => ({
      net: sequential({
        layers: [
          dense(3, 1, { inputShape: [5], activation: 'tanh', kernelRegularizer: 'l1l2', biasRegularizer: 'l1l2' }),
          dense(5, 2, { activation: 'sigmoid' }),
        ],
      }),
      x: tf.sigmoid(normal([12, 5], 3)),
      y: tf.sigmoid(normal([12, 5], 3)),
      loss: 'binaryCrossentropy',
      blocks: 2,
      rows: 12,
    }),
    'sequences, position by position': () => ({
      net: sequential({
        layers: [dense(6, 1, { inputShape: [5, 4], activation: 'relu' }), dense(3, 2, { activation: 'softmax' })],
      }),
      x: normal([12, 5, 4], 3),
      y: tf.reshape(oneHot(60, 4), [12, 5, 3]),
      loss: 'categoricalCrossentropy',
      blocks: 2,
      rows: 60,
    }),
    'a shared layer': () => {
      const input = layers.input({ shape: [4] });
      const shared = dense(4, 1, { activation: 'tanh' });
      const output = dense(3, 2, { activation: 'softmax' });
      const twice = output.apply(shared.apply(shared.apply(input))) as ReturnType<typeof layers.input>;
      return {
        net: model({ inputs: input, outputs: twice }),
        x: normal([12, 4], 3),
        y: oneHot(12, 4),
        loss: 'categoricalCrossentropy',
        blocks: 2,
        rows: 24,
      };
    },
    'a nested model': () => ({
      net: sequential({
        layers: [
          sequential({
            layers: [dense(6, 1, { inputShape: [4], activation: 'tanh' }), dense(5, 2, { activation: 'relu' })],
          }),
          dense(3, 3, { activation: 'softmax' }),
        ],
      }),
      x: normal([12, 4], 3),
      y: oneHot(12, 4),
      loss: 'categoricalCrossentropy',
      blocks: 3,
      rows: 12,
    }),
  };

  it.each(Object.entries(models))(
    '%s: every weight is preconditioned, the loss falls, no tensor is kept',
    async (_, make) => {
      const { net, x, y, loss, blocks, rows } = make();
      const optimizer = cg({ seed: SEED });
      net.compile({ optimizer, loss, metrics: ['accuracy'] });
      const first = (await net.trainOnBatch(x, y)) as number[];
      const before = tf.memory().numTensors;
      const {
        history: { loss: losses },
      } = await net.fit(x, y, { epochs: 8, batchSize: 12, verbose: 0, shuffle: false });
      expect(tf.memory().numTensors).toBe(before);
      expect(optimizer.lastStep?.lone).toEqual([]);
      expect(optimizer.lastStep?.summary?.layers).toHaveLength(blocks);
      expect(optimizer.lastStep?.summary?.layers[0]?.inputRows).toBe(rows);
      expect(losses?.at(-1)).toBeLessThan(first[0] ?? 0);
      expect(optimizer.iterations).toBe(9);
      expect(warnings.calls).toEqual([]);
      net.dispose();
    },
  );

  it('gives a diagonal block to what no layer has, and says so once', async () => {
    const net = sequential({
      layers: [
        dense(6, 1, { inputShape: [4] }),
        layers.prelu({ name: 'slopes', alphaInitializer: 'ones' }),
        dense(3, 2, { activation: 'softmax' }),
      ],
    });
    const optimizer = cgfac({
      fisher: 'empirical',
      stepRule: 'fixed',
      momentum: 0,
      damping: { relative: 0.5 },
      factorUpdateSteps: 1,
      factorDecay: 0,
    });
    net.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const [x, y] = [normal([12, 4], 3), oneHot(12, 4)];
    const slopes = () => net.getLayer('slopes').getWeights()[0]?.dataSync().slice() ?? [];
    let expected = Array.from(slopes());
    optimizer.applyGradients = function (this: CgfacOptimizer, gradients) {
      const v = Array.from((gradients as tf.NamedTensorMap)['slopes/alpha']?.dataSync() ?? []);
      const squares = v.map((value) => 12 * value ** 2); // of the sum over the samples, over their number
      const gamma = (0.5 * squares.reduce((sum, each) => sum + each, 0)) / v.length;
      expected = expected.map((value, at) => value - (v[at] ?? Number.NaN) / ((squares[at] ?? Number.NaN) + gamma));
      CgfacOptimizer.prototype.applyGradients.call(this, gradients);
    };
    await net.trainOnBatch(x, y);
    await net.trainOnBatch(x, y);
    expect(relativeError(slopes(), expected)).toBeLessThan(1e-6);
    expect(optimizer.lastStep?.lone.map(({ name }) => name)).toEqual(['slopes/alpha']);
    expect(optimizer.lastStep?.summary?.layers).toHaveLength(3);
    expect(optimizer.report()?.layers.filter(({ method }) => method === 'diagonal')).toMatchObject([
      { name: 'slopes/alpha', shape: '6, diagonal', weights: 6, reason: expect.any(String) },
    ]);
    expect(warnings.infos).toHaveLength(1);
    expect(warnings.infos[0]?.[0]).toMatch(/^cgfac: no kind of layer has these variables, .*slopes\/alpha \(\w+\)$/);
    net.dispose();
  });

  it('is saved and loaded with the model, and goes on as it would have', async () => {
    const [x, y] = [normal([12, 4], 3), oneHot(12, 4)];
    const net = sequential({
      layers: [dense(6, 1, { inputShape: [4], activation: 'tanh' }), dense(3, 2, { activation: 'softmax' })],
    });
    const options = {
      seed: 77,
      warmStart: 'previous',
      damping: { relative: 3 },
      fisher: 'true',
      learningRate: 0.5,
      space: 'gram',
    } as const;
    net.compile({ optimizer: cg(options), loss: 'categoricalCrossentropy' });
    await net.trainOnBatch(x, y);
    const loaded = await loadLayersModel(tf.io.fromMemory(await saved(net)));
    const optimizer = loaded.optimizer as CgfacOptimizer;
    expect(optimizer.getConfig()).toMatchObject(options);
    expect(optimizer.iterations).toBe(1);
    expect(await loaded.trainOnBatch(x, y)).toBe(await net.trainOnBatch(x, y));
    for (const [index, weight] of net.getWeights().entries())
      expect(loaded.getWeights()[index]?.dataSync()).toEqual(weight.dataSync());
    net.dispose();
    loaded.dispose();
  });

  it('goes the same way on cpu and wasm', async () => {
    const directions: number[][] = [];
    for (const backend of ['cpu', 'wasm'] as const) {
      await useBackend(backend);
      const net = sequential({
        layers: [dense(6, 1, { inputShape: [4], activation: 'tanh' }), dense(3, 2, { activation: 'softmax' })],
      });
      net.compile({ optimizer: cg({ seed: SEED }), loss: 'categoricalCrossentropy' });
      const before = net.getWeights().map((weight) => weight.dataSync().slice());
      await net.trainOnBatch(normal([12, 4], 3), oneHot(12, 4));
      directions.push(
        net
          .getWeights()
          .flatMap((weight, index) => Array.from(weight.dataSync(), (value, at) => value - (before[index]?.[at] ?? 0))),
      );
      net.dispose();
    }
    // One step, well damped (λ is 10 mean eigenvalues): float32 of two backends, 1e-6 or so, grows no more than
    // tenfold.
    expect(relativeError(directions[1] ?? [], directions[0] ?? [])).toBeLessThan(1e-5);
  });
});
