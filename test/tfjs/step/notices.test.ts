import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { cgfac } from 'cgfac/tfjs';
import { normal, useBackend, variable } from '../support/backends';

let told: string[] = [];
beforeEach(() => {
  told = [];
  jest.spyOn(console, 'warn').mockImplementation((...texts: unknown[]) => {
    told.push(texts.join(' '));
  });
});
afterEach(() => jest.restoreAllMocks());
beforeAll(() => useBackend('cpu'));

const said = (text: string) => told.filter((each) => each.includes(text));

test('a learning rate out of habit is told once, one near 1 and one of 0 are not', () => {
  cgfac({ learningRate: 0.001 });
  expect(said('learningRate 0.001 multiplies steps that find their own length, of which 1 is the whole')).toHaveLength(
    1,
  );
  for (const learningRate of [0, 0.5, 1]) cgfac({ learningRate });
  expect(told).toHaveLength(1);
});

test('a learning rate that is set out of habit is told once, one that falls to it bit by bit is not', () => {
  const falling = cgfac();
  for (let rate = 1; rate > 1e-4; rate /= 10) falling.learningRate = rate;
  expect(told).toEqual([]);
  const optimizer = cgfac();
  for (let epoch = 0; epoch < 5; epoch++) optimizer.learningRate = 0.001 * 0.9 ** epoch;
  expect(said('learningRate 0.001 multiplies steps')).toHaveLength(1);
  expect(told).toHaveLength(1);
});

test('steps that are skipped for gradients of 0 are told once, and leave weights that can be evaluated', async () => {
  const [x, w] = [normal([16, 4], 1), variable([4, 3], 2)];
  const y = tf.cast(tf.oneHot(tf.argMax(normal([16, 3], 3), -1) as tf.Tensor1D, 3), 'float32');
  const optimizer = cgfac({ seed: 1 });
  // as the losses of compile() clip them; the probability of a class is 0 or 1
  const f = () => {
    const p = tf.clipByValue(tf.softmax(tf.mul(1e4, tf.matMul(x, w))), 1e-7, 1 - 1e-7);
    return tf.neg(tf.mean(tf.sum(tf.mul(y, tf.log(p)), -1))) as tf.Scalar;
  };
  const before = Array.from(w.dataSync());
  for (let step = 0; step < 25; step++) {
    optimizer.minimize(f, false, [w]);
    expect(said('because all gradients are 0')).toHaveLength(step < 9 ? 0 : 1);
  }
  expect(told).toHaveLength(1);
  expect(await optimizer.withAveragedWeights(() => Array.from(w.dataSync()))).toEqual(before);
  const none = cgfac({ seed: 1, useEma: false });
  none.minimize(f, false, [w]);
  await expect(none.withAveragedWeights(() => 0)).rejects.toThrow('Expected averages for withAveragedWeights');
  optimizer.dispose();
  tf.dispose([x, w, y]);
});

test('steps that a learning rate of 0 holds are none', () => {
  const [x, w] = [normal([16, 4], 1), variable([4, 3], 2)];
  const optimizer = cgfac({ seed: 1, learningRate: 0 });
  for (let step = 0; step < 15; step++)
    optimizer.minimize(() => tf.mean(tf.square(tf.sub(tf.matMul(x, w), 1))) as tf.Scalar, false, [w]);
  expect(told).toEqual([]);
  optimizer.dispose();
  tf.dispose([x, w]);
});

test('ten steps of length 0 are told once, with what to do', () => {
  const [x, w] = [normal([16, 4], 1), variable([4, 3], 2)];
  const y = tf.cast(tf.oneHot(tf.argMax(normal([16, 3], 3), -1) as tf.Tensor1D, 3), 'float32');
  const optimizer = cgfac({ seed: 1, preset: 'safe', lossFloor: 100 });
  const f = () => tf.losses.softmaxCrossEntropy(y, tf.matMul(x, w)) as tf.Scalar;
  for (let step = 0; step < 25; step++) {
    optimizer.minimize(f, false, [w]);
    expect(said('steps of length 0')).toHaveLength(step < 9 ? 0 : 1);
  }
  expect(optimizer.lastStep?.summary).toMatchObject({ stepSize: 0, lossFloor: 100 });
  expect(told.join()).toMatch(/is taken to be at its floor 100; the option lossFloor tells a lower one/);
  optimizer.dispose();
  tf.dispose([x, w, y]);
});

test('a given floor holds in the place of that of the head, and is saved', () => {
  const [x, w] = [normal([16, 4], 1), variable([4, 3], 2)];
  const f = () => tf.mean(tf.squaredDifference(tf.matMul(x, w), 1)) as tf.Scalar;
  const optimizer = cgfac({ seed: 1, lossFloor: -3 });
  optimizer.minimize(f, false, [w]);
  expect(optimizer.lastStep?.summary?.lossFloor).toBe(-3);
  expect(optimizer.getConfig()).toMatchObject({ lossFloor: -3 });
  optimizer.dispose();
  tf.dispose([x, w]);
});

test('variables of another copy of TensorFlow.js are told', () => {
  class Foreign extends tf.Variable {}
  const [x, w] = [normal([16, 4], 1), variable([4, 3], 2)];
  Object.setPrototypeOf(w, Foreign.prototype);
  const optimizer = cgfac({ seed: 1 });
  for (let step = 0; step < 2; step++)
    optimizer.minimize(() => tf.mean(tf.square(tf.matMul(x, w))) as tf.Scalar, false, [w]);
  expect(said('belong to another copy of @tensorflow/tfjs-core')).toHaveLength(1);
  optimizer.dispose();
  tf.dispose([x, w]);
});

test.each([
  [
    'curvature',
    (y: tf.Tensor, z: tf.Tensor) => tf.losses.huberLoss(y, z),
    'its own second derivative there, and that of a parabola as far as it bends down',
  ],
  ['slope', (y: tf.Tensor, z: tf.Tensor) => tf.losses.absoluteDifference(y, z), 'a parabola with its value and slope'],
  ['fisher', (y: tf.Tensor, z: tf.Tensor) => tf.losses.meanSquaredError(y, z), undefined],
] as const)('what the metric is is told once where the loss has no known distribution: %s', (metric, loss, text) => {
  const info = jest.spyOn(console, 'info').mockImplementation(() => undefined);
  const [x, y, w] = [normal([16, 4], 1), normal([16, 3], 2), variable([4, 3], 3)];
  const optimizer = cgfac({ seed: 1 });
  for (let step = 0; step < 3; step++) optimizer.minimize(() => loss(y, tf.matMul(x, w)) as tf.Scalar, false, [w]);
  const distribution = text === undefined ? 'gaussian' : undefined;
  expect(optimizer.lastStep?.heads).toEqual([{ distribution, shape: [16, 3], metric }]);
  expect(info.mock.calls).toEqual(text === undefined ? [] : [[expect.stringContaining(text)]]);
  if (text !== undefined) expect(String(info.mock.calls[0])).toContain('enters it (shape 16 × 3)');
  optimizer.dispose();
  tf.dispose([x, y, w]);
});
