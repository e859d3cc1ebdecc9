import * as tf from '@tensorflow/tfjs-core';
import { initializers, type LayersModel, layers, loadLayersModel, model, sequential } from '@tensorflow/tfjs-layers';
import { sampledErrors, uniforms } from '../../lib/adapter-kit';
import { CgfacOptimizer, type CgOptimizerOptions, cgfac } from '../../lib/tfjs';
import { normal, relativeError, useBackend, variable } from './support/backends';
import { type Rows, referenceDirection } from './support/reference';

const SEED = 9;

/** The paper's algorithm. */
const cg = (options: Partial<CgOptimizerOptions> = {}) => cgfac({ ...options, method: 'cg' });

let warn: jest.SpyInstance;
beforeEach(() => {
  warn = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
});
afterEach(() => warn.mockRestore());

/** A tensor as rows of its last axis. */
function rowsOf(tensor: tf.Tensor): number[][] {
  const width = tensor.shape.at(-1) ?? 1;
  const values = Array.from(tensor.dataSync());
  return Array.from({ length: values.length / width }, (_, row) => values.slice(row * width, (row + 1) * width));
}

const withOne = (rows: Rows): number[][] => rows.map((row) => [...row, 1]);

/** One dense layer under a softmax, as plain ops: kernel (4 × 3), bias (3). */
function oneLayer() {
  const [w, b] = [variable([4, 3], 1), variable([3], 2)];
  const logits = (x: tf.Tensor) => tf.add(tf.matMul(x, w), b);
  const loss = (x: tf.Tensor, y: tf.Tensor) => () => tf.losses.softmaxCrossEntropy(y, logits(x)) as tf.Scalar;
  /**
   * The output gradients of sampled targets at the step `step`, and the gradient of the loss with the bias as its last
   * row.
   */
  const rows = (x: tf.Tensor, y: tf.Tensor, step: number) =>
    tf.tidy(() => {
      const { shape } = y;
      const p = tf.softmax(tf.reshape(logits(tf.reshape(x, [-1, 4])), shape));
      const samples = shape[0] ?? 1;
      const positions = p.size / samples / 3;
      const factors = new Float64Array(samples).fill(Math.sqrt(1 / positions));
      const errors = sampledErrors('categorical', p.dataSync(), 3, factors, uniforms(SEED, step));
      const lossGrads = tf.div(tf.sub(p, y), samples * positions);
      const { grads, value } = tf.variableGrads(loss(tf.reshape(x, [-1, 4]), tf.reshape(y, [-1, 3])), [w, b]);
      value.dispose();
      const v = [...rowsOf(grads[w.name] as tf.Tensor), ...rowsOf(grads[b.name] as tf.Tensor)];
      return { sampledGrads: rowsOf(tf.tensor(errors, shape)), lossGrads: rowsOf(lossGrads), v };
    });
  return { w, b, logits, loss, rows, dispose: () => tf.dispose([w, b]) };
}

const oneHot = (samples: number, seed: number) =>
  tf.tidy(() => tf.cast(tf.oneHot(tf.argMax(normal([samples, 3], seed), 1), 3), 'float32'));

/** What a step changed, kernel first. */
function change(optimizer: CgfacOptimizer, loss: () => tf.Scalar, variables: readonly tf.Variable[]): number[] {
  const before = variables.map((v) => v.dataSync().slice());
  optimizer.minimize(loss, false, [...variables]);
  return variables.flatMap((v, index) => Array.from(v.dataSync(), (value, at) => value - (before[index]?.[at] ?? 0)));
}

// The blocks here have 15 weights; 200 iterations and no tolerance leave the float32 floor of the solver, ‖r‖ ≤
// 2⁻¹¹‖v‖, which the damping of 0.1 against eigenvalues of order 1 turns into at most 10 times that.
const exact = { damping: 0.1, tolerance: 0, maxIterations: 200, warmStart: 'none', seed: SEED } as const;
const SOLVED = 5e-3;

describe.each(['cpu', 'wasm'] as const)('a step on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  it('is −ν(F + λI)⁻¹v with the true Fisher matrix', () => {
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const layer = oneLayer();
    const { sampledGrads, v } = layer.rows(x, y, 0);
    const direction = referenceDirection(
      { inputs: withOne(rowsOf(x)), outputGrads: sampledGrads, samples: 8, damping: 0.1 },
      v,
    );
    const innerProduct = direction.flat().reduce((sum, value, at) => sum + value * (v.flat()[at] ?? 0), 0);
    const nu = Math.min(1, Math.sqrt(1e-2 / innerProduct));
    const optimizer = cg(exact);
    const changed = change(optimizer, layer.loss(x, y), [layer.w, layer.b]);
    expect(
      relativeError(
        changed,
        direction.flat().map((value) => -nu * value),
      ),
    ).toBeLessThan(SOLVED);
    expect(nu).toBeLessThan(1);
    expect(optimizer.lastStep).toMatchObject({
      iteration: 0,
      plain: [],
      summary: { layers: [{ name: layer.w.name, method: 'cg', initialResidual: 1, inputRows: 8, outputRows: 8 }] },
    });
    expect(optimizer.lastStep?.innerProduct).toBeCloseTo(innerProduct, 2);
    expect(optimizer.lastStep?.nu).toBeCloseTo(nu, 2);
    optimizer.dispose();
    layer.dispose();
  });

  it('is shortened by ν for the learning rate too', () => {
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const lengths = [1, 4].map((learningRate) => {
      const layer = oneLayer();
      const changed = change(cg({ ...exact, learningRate }), layer.loss(x, y), [layer.w, layer.b]);
      layer.dispose();
      return Math.hypot(...changed);
    });
    // Both are bound by klClip, so the learning rate does not lengthen the step: equal up to float32.
    expect(lengths[1]).toBeCloseTo(lengths[0] ?? 0, 5);
  });

  it('is −ν(F + λI)⁻¹v with the empirical Fisher matrix', () => {
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const layer = oneLayer();
    const { lossGrads, v } = layer.rows(x, y, 0);
    const outputGrads = lossGrads.map((row) => row.map((value) => 8 * value));
    const direction = referenceDirection({ inputs: withOne(rowsOf(x)), outputGrads, samples: 8, damping: 0.1 }, v);
    const changed = change(cg({ ...exact, fisher: 'empirical', klClip: 1e6 }), layer.loss(x, y), [layer.w, layer.b]);
    expect(
      relativeError(
        changed,
        direction.flat().map((value) => -value),
      ),
    ).toBeLessThan(SOLVED);
    layer.dispose();
  });

  it.each(['true', 'empirical'] as const)(
    'with several positions to a sample, A sums over them and G averages (%s)',
    (fisher) => {
      const [x, y] = [normal([4, 5, 4], 3), tf.reshape(oneHot(20, 4), [4, 5, 3])];
      const layer = oneLayer();
      const { sampledGrads, lossGrads, v } = layer.rows(x, y, 0);
      const outputGrads = fisher === 'true' ? sampledGrads : lossGrads.map((row) => row.map((value) => 4 * value));
      const direction = referenceDirection({ inputs: withOne(rowsOf(x)), outputGrads, samples: 4, damping: 0.1 }, v);
      const loss = () => {
        const z = tf.reshape(layer.logits(tf.reshape(x, [-1, 4])), [4, 5, 3]);
        return tf.neg(tf.mean(tf.sum(tf.mul(y, tf.logSoftmax(z)), -1))) as tf.Scalar;
      };
      const changed = change(cg({ ...exact, fisher, klClip: 1e6 }), loss, [layer.w, layer.b]);
      expect(
        relativeError(
          changed,
          direction.flat().map((value) => -value),
        ),
      ).toBeLessThan(SOLVED);
      layer.dispose();
    },
  );

  it('fills a short batch up with rows of the one before', () => {
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const [shortX, shortY] = [tf.slice(x, [5, 0], [3, 4]), tf.slice(y, [5, 0], [3, 3])];
    const layer = oneLayer();
    const optimizer = cg({ ...exact, klClip: 1e6 });
    const full = layer.rows(x, y, 0);
    optimizer.minimize(layer.loss(x, y), false, [layer.w, layer.b]);
    const short = layer.rows(shortX, shortY, 1);
    const inputs = withOne([...rowsOf(shortX), ...rowsOf(x).slice(0, 5)]);
    const outputGrads = [...short.sampledGrads, ...full.sampledGrads.slice(0, 5)];
    const direction = referenceDirection({ inputs, outputGrads, samples: 8, damping: 0.1 }, short.v);
    const changed = change(optimizer, layer.loss(shortX, shortY), [layer.w, layer.b]);
    expect(
      relativeError(
        changed,
        direction.flat().map((value) => -value),
      ),
    ).toBeLessThan(SOLVED);
    expect(optimizer.lastStep?.summary?.layers).toMatchObject([{ inputRows: 8, outputRows: 8 }]);
    layer.dispose();
  });

  it('calls f once, returns the loss when asked to, and keeps no tensors but the averages', () => {
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const layer = oneLayer();
    const optimizer = cg({ seed: SEED });
    const f = jest.fn(layer.loss(x, y));
    const before = tf.memory().numTensors + 2; // averages
    const cost = optimizer.minimize(f, true, [layer.w, layer.b]);
    expect(f).toHaveBeenCalledTimes(1);
    expect(cost?.dataSync()[0]).toBeGreaterThan(0);
    cost?.dispose();
    for (let step = 0; step < 5; step++) expect(optimizer.minimize(f, false, [layer.w, layer.b])).toBeNull();
    expect(f).toHaveBeenCalledTimes(6);
    expect(tf.memory().numTensors).toBe(before);
    expect(optimizer.iterations).toBe(6);
    layer.dispose();
  });

  it('without a list of variables changes every trainable one that the loss depends on', () => {
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const layer = oneLayer();
    const [bystander, frozen] = [variable([2], 5), tf.variable(tf.ones([3]), false)];
    cg({ seed: SEED }).minimize(() => tf.losses.softmaxCrossEntropy(y, tf.mul(frozen, layer.logits(x))) as tf.Scalar);
    expect(Array.from(frozen.dataSync())).toEqual([1, 1, 1]);
    expect(Array.from(bystander.dataSync())).toEqual(Array.from(normal([2], 5).dataSync()));
    expect(Array.from(layer.w.dataSync())).not.toEqual(Array.from(normal([4, 3], 1).dataSync()));
    tf.dispose([bystander, frozen]);
    layer.dispose();
  });
});

it('takes the options of every method: averages, skipped layers, step rules, schedules', async () => {
  await useBackend('cpu');
  const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
  const [layer, hidden] = [oneLayer(), variable([4, 4], 6)];
  const optimizer = cg({
    learningRate: (step) => 1 / (1 + step),
    damping: () => ({ relative: 3 }),
    skipLayers: [hidden.name],
    stepRule: 'polyak',
    totalSteps: 9,
    learningRateSchedule: 'linear',
    momentum: 0.5,
    seed: SEED,
  });
  const loss = () => layer.loss(tf.tanh(tf.matMul(x, hidden)), y)();
  for (let step = 0; step < 3; step++) optimizer.minimize(loss, false, [hidden, layer.w, layer.b]);
  expect(optimizer.report()).toMatchObject({
    layers: [{ name: layer.w.name, averaged: true }],
    skipped: [{ name: hidden.name }],
  });
  expect(optimizer.memoryUsage()).toMatchObject({ momentum: 4 * 15, averages: 4 * 31 });
  const weights = Array.from(layer.w.dataSync());
  expect(await optimizer.withAveragedWeights(() => Array.from(layer.w.dataSync()))).not.toEqual(weights);
  optimizer.dispose();
  hidden.dispose();
  layer.dispose();
});

describe('the seed', () => {
  beforeAll(() => useBackend('cpu'));

  const trained = (options: Partial<CgOptimizerOptions>, steps: number) => {
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const layer = oneLayer();
    const optimizer = cg(options);
    for (let step = 0; step < steps; step++) optimizer.minimize(layer.loss(x, y), false, [layer.w, layer.b]);
    const weights = [layer.w, layer.b].flatMap((v) => Array.from(v.dataSync()));
    layer.dispose();
    return weights;
  };

  it('makes a run reproducible, bit for bit', () => {
    expect(trained({ seed: 1 }, 4)).toEqual(trained({ seed: 1 }, 4));
    expect(trained({ seed: 1 }, 4)).not.toEqual(trained({ seed: 2 }, 4));
  });

  it('is drawn when it is left out, and told by the configuration', () => {
    const optimizer = cg();
    expect(optimizer.getConfig()).not.toEqual(cg().getConfig());
    expect(CgfacOptimizer.fromConfig(CgfacOptimizer, optimizer.getConfig()).getConfig()).toEqual(optimizer.getConfig());
  });

  it('the number of steps and the state are the weights of the optimizer, by order, and a resumed run has the same bits', async () => {
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const seed = 2 ** 53 - 12345;
    const [one, other] = [oneLayer(), oneLayer()];
    const options = { momentum: 0.5 } as const;
    const first = cg({ ...options, seed });
    for (let step = 0; step < 3; step++) first.minimize(one.loss(x, y), false, [one.w, one.b]);
    other.w.assign(one.w);
    other.b.assign(one.b);
    const weights = await first.getWeights();
    expect(weights.map(({ name }) => name).slice(0, 2)).toEqual(['iter', 'seed']);
    const second = cg({ ...options, seed: 1 });
    await second.setWeights(weights.map(({ tensor }, index) => ({ name: `renamed_${index}`, tensor })));
    tf.dispose(weights.map(({ tensor }) => tensor));
    expect(second.iterations).toBe(3);
    expect(second.getConfig()).toMatchObject({ seed });
    expect(change(second, other.loss(x, y), [other.w, other.b])).toEqual(change(first, one.loss(x, y), [one.w, one.b]));
    one.dispose();
    other.dispose();
  });
});

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
      expect(optimizer.lastStep?.plain).toEqual([]);
      expect(optimizer.lastStep?.summary?.layers).toHaveLength(blocks);
      expect(optimizer.lastStep?.summary?.layers[0]?.inputRows).toBe(rows);
      expect(losses?.at(-1)).toBeLessThan(first[0] ?? 0);
      expect(optimizer.iterations).toBe(9);
      expect(warn).not.toHaveBeenCalled();
      net.dispose();
    },
  );

  it('takes plain gradient steps for what it does not precondition, and says so once', async () => {
    const net = sequential({
      layers: [
        dense(6, 1, { inputShape: [4] }),
        layers.batchNormalization({ name: 'norm' }),
        dense(3, 2, { activation: 'softmax' }),
      ],
    });
    const optimizer = cg({ seed: SEED, gradientLearningRate: 0.25 });
    net.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const [x, y] = [normal([12, 4], 3), oneHot(12, 4)];
    const beta = () => net.getLayer('norm').getWeights()[1]?.dataSync().slice() ?? [];
    const before = beta();
    const plain: number[][] = [];
    optimizer.applyGradients = function (this: CgfacOptimizer, gradients) {
      plain.push(Array.from((gradients as tf.NamedTensorMap)['norm/beta']?.dataSync() ?? []));
      CgfacOptimizer.prototype.applyGradients.call(this, gradients);
    };
    await net.trainOnBatch(x, y);
    await net.trainOnBatch(x, y);
    const after = beta();
    const expected = Array.from(
      before,
      (value, at) => value - 0.25 * ((plain[0]?.[at] ?? Number.NaN) + (plain[1]?.[at] ?? Number.NaN)),
    );
    expect(relativeError(after, expected)).toBeLessThan(1e-6);
    expect(optimizer.lastStep?.plain.map(({ name }) => name)).toEqual(['norm/gamma', 'norm/beta']);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0]?.[0]).toMatch(
      /^cgfac: plain gradient steps, with learning rate 0.25, .*norm\/gamma \(\w+\), norm\/beta \(\w+\)$/,
    );
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
    let artifacts: tf.io.ModelArtifacts = {};
    const handler = tf.io.withSaveHandler((saved) => {
      artifacts = saved;
      return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } });
    });
    await net.save(handler, { includeOptimizer: true });
    const loaded = await loadLayersModel(tf.io.fromMemory(artifacts));
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

describe('what can happen to a block', () => {
  beforeAll(() => useBackend('cpu'));

  it('a warm start that leads uphill is dropped', () => {
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const layer = oneLayer();
    // The bound on the step is so narrow that the second system is the first one.
    const optimizer = cg({ fisher: 'empirical', damping: 0.1, maxIterations: 1, klClip: 1e-12 });
    optimizer.minimize(layer.loss(x, y), false, [layer.w, layer.b]);
    expect(optimizer.lastStep?.summary?.layers[0]).toMatchObject({ initialResidual: 1 });
    expect(optimizer.lastStep?.summary?.layers[0]).not.toHaveProperty('restarted');
    // From x₀ = αv, and for −v/100, one iteration goes along r ≈ −αFv, where F is larger than along v: it does not get
    // as far as back to 0.
    const { value, grads } = optimizer.computeGradients(layer.loss(x, y), [layer.w, layer.b]);
    optimizer.applyGradients(
      Object.fromEntries(Object.entries(grads).map(([name, gradient]) => [name, tf.mul(-0.01, gradient)])),
    );
    expect(optimizer.lastStep?.summary?.layers).toMatchObject([{ restarted: true, initialResidual: 1 }]);
    expect(optimizer.lastStep?.innerProduct).toBeGreaterThan(0);
    tf.dispose([value, grads]);
    layer.dispose();
  });

  it('a layer without curvature stands still where the damping is relative to it', () => {
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const layer = oneLayer();
    const dead = variable([4, 4], 6);
    const loss = () => {
      const penalty = tf.sum(tf.square(dead));
      return tf.add(penalty, layer.loss(tf.add(x, tf.relu(tf.sub(tf.matMul(x, dead), 1e3))), y)()) as tf.Scalar;
    };
    const before = dead.dataSync().slice();
    const optimizer = cg({ seed: SEED, damping: { relative: 1 } });
    optimizer.minimize(loss, false, [layer.w, layer.b, dead]);
    expect(dead.dataSync()).toEqual(before);
    expect(optimizer.lastStep?.summary?.layers.find(({ name }) => name === dead.name)).toMatchObject({
      reason: 'no-curvature',
      innerProduct: 0,
      iterations: 0,
    });
    dead.dispose();
    layer.dispose();
  });

  it('memory of a batch that the caller fills anew is not read again, nor is it ever written to', () => {
    const buffer = normal([8, 4], 3).dataSync<'float32'>().slice();
    const original = buffer.slice();
    const layer = oneLayer();
    const optimizer = cg({ seed: SEED });
    optimizer.minimize(layer.loss(tf.tensor2d(buffer, [8, 4]), oneHot(8, 4)), false, [layer.w, layer.b]);
    expect(buffer).toEqual(original);
    buffer.fill(Number.NaN);
    // Filled up with rows of the batch before, whose memory is the buffer on this backend.
    optimizer.minimize(layer.loss(normal([3, 4], 5), oneHot(3, 6)), false, [layer.w, layer.b]);
    expect(optimizer.lastStep?.summary?.layers).toMatchObject([{ inputRows: 8 }]);
    layer.dispose();
  });

  it('a bias that is frozen leaves a block of the kernel alone', () => {
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const layer = oneLayer();
    const optimizer = cg({ seed: SEED });
    optimizer.minimize(layer.loss(x, y), false, [layer.w]);
    expect(optimizer.lastStep).toMatchObject({ summary: { layers: [{ name: layer.w.name }] }, plain: [] });
    optimizer.minimize(layer.loss(x, y), false, [layer.w, layer.b]);
    expect(optimizer.lastStep).toMatchObject({ summary: { layers: [{ name: `${layer.w.name}#2` }] }, plain: [] });
    layer.dispose();
  });
});

describe('the check of the first step', () => {
  beforeAll(() => useBackend('cpu'));

  it('turns a layer whose gradient is another than that of its rows into plain variables, with one warning', () => {
    const original = tf.getGradient('BatchMatMul');
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const layer = oneLayer();
    const optimizer = cg({ seed: SEED, learningRate: 0.5, gradientLearningRate: 0.5 });
    tf.unregisterGradient('BatchMatMul');
    tf.registerGradient({
      ...original,
      gradFunc: (dy, saved, attributes) => {
        const { a, b } = original.gradFunc(dy, saved, attributes) as { a: () => tf.Tensor; b: () => tf.Tensor };
        return { a, b: () => tf.mul(1.1, b()) };
      },
    });
    try {
      const { value, grads } = tf.variableGrads(layer.loss(x, y), [layer.w, layer.b]);
      const changed = change(optimizer, layer.loss(x, y), [layer.w, layer.b]);
      const gradient = [...(grads[layer.w.name]?.dataSync() ?? []), ...(grads[layer.b.name]?.dataSync() ?? [])];
      expect(
        relativeError(
          changed,
          gradient.map((number) => -0.5 * number),
        ),
      ).toBeLessThan(1e-6);
      change(optimizer, layer.loss(x, y), [layer.w, layer.b]);
      tf.dispose([value, grads]);
    } finally {
      tf.unregisterGradient('BatchMatMul');
      tf.registerGradient(original);
    }
    expect(warn).toHaveBeenCalledTimes(1);
    // The kernel gradient is 1.1 times that of the rows: 0.1/1.1 of itself off, of which a random vector of signs sees
    // about as much.
    const [, discrepancy] =
      /differs from the framework's for (?:\S+) by (\S+);/.exec(String(warn.mock.calls[0]?.[0])) ?? [];
    expect(Number(discrepancy)).toBeGreaterThan(0.03);
    expect(Number(discrepancy)).toBeLessThan(0.3);
    expect(optimizer.lastStep).toMatchObject({ plain: [{ name: layer.w.name }, { name: layer.b.name }] });
    expect(optimizer.lastStep?.summary).toBeUndefined();
    layer.dispose();
  });
});
