// Layers that come and go, that have rows of their own number, or nothing to do, under the optimizer of TensorFlow.js.
import * as tf from '@tensorflow/tfjs-core';
import { CgfacOptimizer, cgfac } from '../../../lib/tfjs';
import { errorOf, normal, quietScopes, variable } from '../support/backends';
import { cg, oneHot, oneLayer, SEED } from '../support/one-layer';

quietScopes();

const B = 12;
const values = (variables: readonly tf.Variable[]) => variables.map((each) => Array.from(each.dataSync()));
const onehot = (classes: number, count = B) =>
  tf.cast(
    tf.oneHot(
      tf.tensor1d(
        Array.from({ length: count }, (_, i) => i % classes),
        'int32',
      ),
      classes,
    ),
    'float32',
  );

/** Two layers 5×5 under a softmax over five classes. */
function twoLayers() {
  const [w1, w2] = [variable([5, 5], 1), variable([5, 5], 2)];
  const x = normal([B, 5], 3);
  const y = onehot(5);
  const loss = () => tf.losses.softmaxCrossEntropy(y, tf.matMul(tf.tanh(tf.matMul(x, w1)), w2)) as tf.Scalar;
  return { w1, w2, loss };
}

it('a resumed run has the bits of an uninterrupted one though the last layer was trained first', async () => {
  const { w1, w2, loss } = twoLayers();
  const begin = (optimizer: CgfacOptimizer) => {
    for (let step = 0; step < 4; step++) optimizer.minimize(loss, false, [w2]);
    for (let step = 0; step < 3; step++) optimizer.minimize(loss, false, [w1, w2]);
  };
  const first = cgfac({ seed: 1 });
  begin(first);
  const weights = [w1, w2].map((each) => each.clone());
  const saved = await first.getWeights();
  for (let step = 0; step < 3; step++) first.minimize(loss, false, [w1, w2]);
  const expected = values([w1, w2]);

  [w1, w2].forEach((each, index) => {
    each.assign(weights[index] as tf.Tensor);
  });
  const second = CgfacOptimizer.fromConfig(CgfacOptimizer, first.getConfig()) as CgfacOptimizer;
  await second.setWeights(saved);
  for (let step = 0; step < 3; step++) second.minimize(loss, false, [w1, w2]);
  expect(values([w1, w2])).toEqual(expected);
  const averaged = await second.withAveragedWeights(() => values([w1, w2]));
  expect(averaged).toEqual(await first.withAveragedWeights(() => values([w1, w2])));
});

it('a variable may be that of a layer in one loss, and alone in another, also when it is resumed', async () => {
  const { w1, w2, loss } = twoLayers();
  const alone = () => tf.mean(tf.square(tf.sub(tf.abs(w1), 0.5))) as tf.Scalar;
  const first = cgfac({ seed: 1 });
  const go = (optimizer: CgfacOptimizer) => {
    for (const made of [loss, alone, loss, alone]) optimizer.minimize(made, false, [w1, w2]);
  };
  go(first);
  const names = [w1.name, w2.name, `${w1.name}#2`];
  expect(first.report()?.layers.map(({ name }) => name)).toEqual(names);
  const weights = [w1, w2].map((each) => each.clone());
  const saved = await first.getWeights();
  go(first);
  const expected = values([w1, w2]);

  for (const [index, each] of [w1, w2].entries()) each.assign(weights[index] as tf.Tensor);
  const second = CgfacOptimizer.fromConfig(CgfacOptimizer, first.getConfig()) as CgfacOptimizer;
  await second.setWeights(saved);
  go(second);
  expect(values([w1, w2])).toEqual(expected);

  // other gradients of a variable that is both go by the factors of the layer, once
  const { grads } = tf.variableGrads(loss, [w1, w2]);
  first.applyGradients(grads);
  expect(first.lastStep?.summary?.layers.map(({ name }) => name)).toEqual([w1.name, w2.name]);
});

it.each([{}, { method: 'cg' }] as const)(
  'layers with nothing to do do not hold up the other variables: %j',
  (options) => {
    const w1 = variable([5, 5], 1);
    const w2 = tf.variable(tf.zeros([5, 5]), true, 'held out');
    const x = normal([B, 5], 3);
    const y = onehot(5);
    const loss = () => tf.losses.softmaxCrossEntropy(y, tf.matMul(tf.tanh(tf.matMul(x, w1)), w2)) as tf.Scalar;
    const optimizer = cgfac({ seed: 1, ...options, skipLayers: ['held out'] });
    optimizer.minimize(loss, false, [w1, w2]);
    expect(optimizer.lastStep).toMatchObject({
      lone: [{ name: 'held out' }],
      summary: { layers: [{ innerProduct: 0 }, { name: 'held out' }] },
    });
    expect(optimizer.lastStep?.summary?.skipped).toBeUndefined();
    expect(Array.from(w2.dataSync()).some((value) => value !== 0)).toBe(true);
    const before = values([w1]);
    optimizer.minimize(loss, false, [w1, w2]);
    expect(optimizer.lastStep?.summary?.skipped).toBeUndefined();
    expect(values([w1])).not.toEqual(before);

    // a step that cannot be taken is one of nothing at all
    const kept = values([w1, w2]);
    optimizer.minimize(() => tf.mul(loss(), Number.NaN) as tf.Scalar, false, [w1, w2]);
    expect(optimizer.lastStep?.summary?.skipped).toBe('the loss is NaN');
    expect(values([w1, w2])).toEqual(kept);
  },
);

it('a layer may have fewer rows than the head', () => {
  const [w1, w2] = [variable([5, 4], 1), variable([4, 3], 2)];
  const x = normal([B / 2, 5], 3);
  const y = onehot(3);
  const loss = () => {
    const h = tf.tanh(tf.matMul(x, w1));
    return tf.losses.softmaxCrossEntropy(y, tf.matMul(tf.concat([h, tf.neg(h)], 0), w2)) as tf.Scalar;
  };
  const optimizer = cgfac({ seed: 1 });
  const before = loss().dataSync()[0] ?? 0;
  for (let step = 0; step < 5; step++) optimizer.minimize(loss, false, [w1, w2]);
  expect(optimizer.lastStep?.summary?.layers.map(({ inputRows }) => inputRows)).toEqual([B / 2, B]);
  expect(loss().dataSync()[0]).toBeLessThan(before);
});

it('a layer that joins between two refreshes is sampled for', () => {
  const { w1, w2, loss } = twoLayers();
  const optimizer = cgfac({ seed: 1, factorUpdateSteps: 50, preset: 'safe' });
  for (let step = 0; step < 12; step++) optimizer.minimize(loss, false, [w2]);
  expect(optimizer.lastStep?.summary?.refreshed).toBe(false);
  optimizer.minimize(loss, false, [w1, w2]);
  const rows = optimizer.lastStep?.summary?.layers.map(({ name, outputRows }) => [name === w1.name, outputRows]);
  expect(rows).toContainEqual([true, B / 2]);
});

it.each(['weightDecay', 'emaMomentum'] as const)('%s that fails leaves the optimizer as it was', async (name) => {
  const run = async (fails: boolean) => {
    const { w1, w2, loss } = twoLayers();
    let failing = false;
    const schedule = () => {
      if (failing) throw new Error('no value');
      return 0.5;
    };
    const optimizer = cgfac({ seed: 1, [name]: schedule });
    for (let step = 0; step < 3; step++) optimizer.minimize(loss, false, [w1, w2]);
    if (fails) {
      failing = true;
      const kept = values([w1, w2]);
      expect((await errorOf(() => optimizer.minimize(loss, false, [w1, w2]))).message).toMatch(
        / but received one that throws: no value$/,
      );
      expect(values([w1, w2])).toEqual(kept);
      failing = false;
    }
    for (let step = 0; step < 2; step++) optimizer.minimize(loss, false, [w1, w2]);
    return [values([w1, w2]), await optimizer.withAveragedWeights(() => values([w1, w2]))];
  };
  expect(await run(true)).toEqual(await run(false));
});

describe('what can happen to a block', () => {
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
    expect(optimizer.lastStep).toMatchObject({ summary: { layers: [{ name: layer.w.name }] }, lone: [] });
    optimizer.minimize(layer.loss(x, y), false, [layer.w, layer.b]);
    expect(optimizer.lastStep).toMatchObject({ summary: { layers: [{ name: `${layer.w.name}#2` }] }, lone: [] });
    layer.dispose();
  });
});
