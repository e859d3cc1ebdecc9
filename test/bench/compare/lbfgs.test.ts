import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers'; // registers the gradients of its ops
import { direction, Lbfgs } from '../../../bench/compare/lbfgs';

const curvatures = [1, 10, 100];

/** ½ Σ cᵢ (wᵢ − 1)². */
function bowl() {
  const w = tf.variable(tf.zeros([curvatures.length]));
  const f = () => tf.tidy(() => tf.mul(0.5, tf.sum(tf.mul(curvatures, tf.square(tf.sub(w, 1))))) as tf.Scalar);
  return { w, f };
}

test('the two-loop recursion with one pair is the update of BFGS by its formula', () => {
  const [s, y, g] = [Float32Array.of(1, 2), Float32Array.of(3, 1), Float32Array.of(0.5, -2)];
  const rho = 1 / 5; // ⟨s, y⟩ = 5
  const scale = 5 / 10; // ⟨s, y⟩/⟨y, y⟩
  // H = (I − ρ s yᵀ) scale (I − ρ y sᵀ) + ρ s sᵀ
  const dot = (a: Float32Array, b: Float32Array) => (a[0] ?? 0) * (b[0] ?? 0) + (a[1] ?? 0) * (b[1] ?? 0);
  const sg = dot(s, g);
  const q = g.map((value, i) => scale * (value - rho * sg * (y[i] ?? 0)));
  const expected = q.map((value, i) => -(value - rho * (s[i] ?? 0) * dot(y, q) + rho * (s[i] ?? 0) * sg));
  const found = direction(g, [{ s, y, rho }]);
  for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 6);
});

test('a bowl is at its bottom after a few steps, where as many of gradient descent are far from it', () => {
  const { w, f } = bowl();
  const optimizer = new Lbfgs({ rate: 1 });
  for (let step = 0; step < 20; step++) optimizer.minimize(f, false, [w]);
  for (const value of w.dataSync()) expect(value).toBeCloseTo(1, 3);
  const { w: other, f: g } = bowl();
  const descent = tf.train.sgd(1 / Math.max(...curvatures));
  for (let step = 0; step < 20; step++) descent.minimize(g, false, [other]);
  expect(Math.abs((other.dataSync()[0] ?? 0) - 1)).toBeGreaterThan(0.5);
});

test('no step makes the loss of its batch larger, and nothing is left behind', () => {
  const { w, f } = bowl();
  const optimizer = new Lbfgs({ rate: 30, memory: 3 });
  const losses: number[] = [];
  const before = tf.memory().numTensors;
  for (let step = 0; step < 8; step++) {
    const cost = optimizer.minimize(f, true, [w]);
    losses.push(cost?.dataSync()[0] ?? Number.NaN);
    cost?.dispose();
  }
  for (const [i, loss] of losses.slice(1).entries()) expect(loss).toBeLessThanOrEqual(losses[i] ?? 0);
  expect(optimizer.bytes).toBeLessThanOrEqual(3 * 2 * 4 * curvatures.length);
  expect(tf.memory().numTensors).toBe(before);
});

test('a loss that is not finite changes no weight', () => {
  const { w } = bowl();
  new Lbfgs({ rate: 1 }).minimize(() => tf.tidy(() => tf.sum(tf.mul(w, Number.NaN)) as tf.Scalar), false, [w]);
  expect([...w.dataSync()]).toEqual([0, 0, 0]);
});

test('optimizers of TensorFlow.js are none', () => {
  expect(tf.train.sgd(0.1) instanceof Lbfgs).toBe(false);
  expect(new Lbfgs({ rate: 1 }) instanceof Lbfgs).toBe(true);
});
