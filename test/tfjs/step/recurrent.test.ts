import * as tf from '@tensorflow/tfjs-core';
import { cgfac } from '../../../lib/tfjs/optimizer';
import { normal, useBackend } from '../support/backends';

beforeAll(() => useBackend('cpu'));

/** The loss before and after so many steps. */
function trained(loss: () => tf.Scalar, steps: number): readonly [number, number] {
  const optimizer = cgfac({ seed: 1 });
  const value = () => tf.tidy(() => loss().dataSync()[0] ?? Number.NaN);
  const before = value();
  for (let step = 0; step < steps; step++) optimizer.minimize(loss);
  const after = value();
  optimizer.dispose();
  return [before, after];
}

describe('what is used at every step of a sequence and begins at 0 moves', () => {
  test('two numbers of a filter h ← a·h + b·x', () => {
    const x = tf.unstack(normal([32, 12], 1), 1);
    const filtered = (a: tf.Tensor, b: tf.Tensor) => {
      let h: tf.Tensor = tf.zeros([32]);
      return tf.stack(
        x.map((now) => {
          h = tf.add(tf.mul(a, h), tf.mul(b, now));
          return h;
        }),
        1,
      );
    };
    const wanted = filtered(tf.scalar(0.8), tf.scalar(0.5));
    const [a, b] = [tf.variable(tf.scalar(0)), tf.variable(tf.scalar(0))];
    const [before, after] = trained(() => tf.mean(tf.squaredDifference(filtered(a, b), wanted)) as tf.Scalar, 50);
    expect(after).toBeLessThan(1e-3 * before);
    expect(a.dataSync()[0]).toBeCloseTo(0.8, 1);
  });

  test('the matrix of a linear system x ← x + x A', () => {
    const start = normal([64, 3], 2) as tf.Tensor2D;
    const rolled = (matrix: tf.Tensor2D) => {
      let x = start;
      for (let time = 0; time < 8; time++) x = tf.add(x, tf.matMul(x, matrix));
      return x;
    };
    const wanted = rolled(
      tf.tensor2d([
        [-0.1, 0.3, 0],
        [-0.3, -0.1, 0.1],
        [0, 0.1, -0.2],
      ]),
    );
    const matrix = tf.variable(tf.zeros([3, 3]));
    const loss = () => tf.mean(tf.squaredDifference(rolled(matrix as tf.Tensor as tf.Tensor2D), wanted)) as tf.Scalar;
    const [before, after] = trained(loss, 50);
    expect(after).toBeLessThan(0.1 * before);
  });
});
