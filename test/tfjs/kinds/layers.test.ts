// Layers that come and go, that have rows of their own number, or nothing to do, under the optimizer of TensorFlow.js.
import * as tf from '@tensorflow/tfjs-core';
import { CgfacOptimizer, cgfac } from '../../../lib/tfjs';
import { errorOf, normal, quietScopes, variable } from '../support/backends';

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

it.each([{}, { method: 'cg' }] as const)(
  'layers with nothing to do do not hold up the other variables: %j',
  (options) => {
    const w1 = variable([5, 5], 1);
    const w2 = tf.variable(tf.zeros([5, 5]), true, 'held out');
    const x = normal([B, 5], 3);
    const y = onehot(5);
    const loss = () => tf.losses.softmaxCrossEntropy(y, tf.matMul(tf.tanh(tf.matMul(x, w1)), w2)) as tf.Scalar;
    const optimizer = cgfac({ seed: 1, ...options, skipLayers: ['held out'], gradientLearningRate: 0.1 });
    optimizer.minimize(loss, false, [w1, w2]);
    expect(optimizer.lastStep).toMatchObject({
      plain: [{ name: 'held out' }],
      summary: { skipped: 'Σ⟨v, x⟩ is 0', idle: true },
    });
    expect(Array.from(w2.dataSync()).some((value) => value !== 0)).toBe(true);
    const before = values([w1]);
    optimizer.minimize(loss, false, [w1, w2]);
    expect(optimizer.lastStep?.summary?.skipped).toBeUndefined();
    expect(values([w1])).not.toEqual(before);

    // a step that cannot be taken is one of nothing at all
    const kept = values([w1, w2]);
    optimizer.minimize(() => tf.mul(loss(), Number.NaN) as tf.Scalar, false, [w1, w2]);
    expect(optimizer.lastStep).toMatchObject({ plain: [] });
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
  const optimizer = cgfac({ seed: 1, factorUpdateSteps: 50 });
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
      expect((await errorOf(() => optimizer.minimize(loss, false, [w1, w2]))).message).toBe('no value');
      expect(values([w1, w2])).toEqual(kept);
      failing = false;
    }
    for (let step = 0; step < 2; step++) optimizer.minimize(loss, false, [w1, w2]);
    return [values([w1, w2]), await optimizer.withAveragedWeights(() => values([w1, w2]))];
  };
  expect(await run(true)).toEqual(await run(false));
});
