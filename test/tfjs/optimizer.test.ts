import * as tf from '@tensorflow/tfjs-core';
import { CgfacOptimizer, type CgOptimizerOptions } from '../../lib/tfjs';
import { normal, quietWarnings, relativeError, useBackend, variable } from './support/backends';
import { cg, change, oneHot, oneLayer, rowsOf, SEED, withOne } from './support/one-layer';
import { referenceDirection } from './support/reference';

quietWarnings();

// The blocks here have 15 weights; 200 iterations and no tolerance leave the float32 floor of the solver, ‖r‖ ≤
// 2⁻¹¹‖v‖, which the damping of 0.1 against eigenvalues of order 1 turns into at most 10 times that.
const solved = { damping: 0.1, tolerance: 0, maxIterations: 200, warmStart: 'none', seed: SEED } as const;
const exact = { ...solved, stepRule: 'kl-clip' } as const;
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
      lone: [],
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
    skipped: [{ name: hidden.name, method: 'diagonal', averaged: true }],
  });
  expect(optimizer.memoryUsage()).toMatchObject({ momentum: 4 * 31, averages: 4 * 31 });
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

  it('is a weight of the optimizer, by order, as are steps and state: a resumed run has the same bits', async () => {
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
