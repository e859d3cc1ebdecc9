/** Variables that no layer has: the gradients that make their block, and the programs that have no other variables. */
import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { sampledErrors, uniforms } from '../../../lib/adapter-kit';
import { cgfac } from '../../../lib/tfjs';
import { normal, quietWarnings, relativeError, useBackend, variable } from '../support/backends';
import { capturedStep, captureOptions } from '../support/capture';
import { minimized } from '../support/minimizing';

const B = 16;
const SEED = 7;
const warnings = quietWarnings();

beforeAll(() => useBackend('cpu'));

test.each([1, 0.5])('their sampled gradients are those of the errors at the head, summed up (%d)', (share) => {
  const x = normal([B, 6], 1);
  const y = tf.softmax(normal([B, 4], 2));
  const [w1, w2] = [variable([6, 5], 3), variable([5, 4], 4)] as tf.Tensor[] as [tf.Tensor2D, tf.Tensor2D];
  const [scale, slope] = [variable([5], 5), variable([4], 6)] as tf.Tensor[] as [tf.Tensor, tf.Tensor];
  const logits = (s: tf.Tensor, t: tf.Tensor) =>
    tf.mul(tf.matMul(tf.tanh(tf.mul(tf.matMul(x as tf.Tensor2D, w1), s)), w2), tf.exp(t));
  const { taken, grads } = capturedStep(
    () => tf.losses.softmaxCrossEntropy(y, logits(scale, slope)) as tf.Scalar,
    [w1, w2, scale, slope] as tf.Tensor[] as tf.Variable[],
    { ...captureOptions('true', false, SEED), share: () => share },
  );
  const sampled = share * B;
  const p = tf
    .softmax(logits(scale, slope))
    .dataSync()
    .subarray(0, 4 * sampled) as Float32Array;
  const errors = new Float32Array(4 * B);
  errors.set(sampledErrors('categorical', p, 4, new Float64Array(sampled).fill(1), uniforms(SEED, 0)));
  const expected = tf.grads((s, t) =>
    tf.sum(tf.mul(tf.tensor(errors, [B, 4]), logits(s as tf.Tensor, t as tf.Tensor))),
  )([scale, slope]);
  expect(taken.samples).toBe(B);
  expect(taken.sampled).toBe(sampled);
  expect(taken.lone.map(({ variable: of }) => of)).toEqual([scale, slope]);
  taken.lone.forEach(({ sampledSum, curved, recurrent }, index) => {
    expect([curved, recurrent]).toEqual([true, false]);
    expect(relativeError(sampledSum ?? [], expected[index]?.dataSync() ?? [])).toBeLessThan(2e-6);
  });
  tf.dispose([grads]);
});

test('a recurrent kernel that is refused is known to work on what it made', () => {
  const gru = sequential({
    layers: [
      layers.gru({ units: 3, inputShape: [4, 2], recurrentInitializer: 'glorotUniform' }),
      layers.dense({ units: 1 }),
    ],
  });
  const x = normal([B, 4, 2], 1);
  const variables = gru.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const { taken, grads } = capturedStep(() => tf.mean(tf.square(gru.apply(x) as tf.Tensor)) as tf.Scalar, variables, {
    ...captureOptions('true', false),
    refused: ({ kernel }) => (kernel.range?.from === 0 ? 'refused' : undefined),
  });
  // with one of its slices the whole of it
  expect(taken.lone).toMatchObject([{ reason: 'refused', recurrent: true, curved: true }]);
  expect(taken.layers).toHaveLength(2);
  tf.dispose([grads, x]);
  gru.dispose();
});

/** Steps of a program; the losses before them. */
function losses(f: () => tf.Tensor, variables: tf.Variable[], steps: number): number[] {
  const optimizer = cgfac({ seed: 1 });
  const found = minimized(optimizer, f, variables, steps);
  optimizer.dispose();
  return found;
}

test('a regression on two scalars is trained', () => {
  const [a, b] = [tf.variable(tf.scalar(0)), tf.variable(tf.scalar(0))];
  const x = normal([B], 1);
  const y = tf.add(tf.mul(3, x), 2);
  const found = losses(() => tf.mean(tf.square(tf.sub(tf.add(tf.mul(a, x), b), y))), [a, b], 40);
  expect(found.at(-1)).toBeLessThan(1e-3 * (found[0] ?? 0));
  expect(a.dataSync()[0]).toBeCloseTo(3, 1);
});

test('so is a loss of a variable alone', () => {
  const w = tf.variable(tf.tensor1d([1, -2, 5]));
  const found = losses(() => tf.sum(tf.square(tf.sub(w, tf.tensor1d([3, 3, 3])))), [w], 40);
  expect(found.at(-1)).toBeLessThan(1e-3 * (found[0] ?? 0));
});

test('weights of terms of a loss, past its heads, have the curvature of the loss', () => {
  const w = variable([4, 2], 1);
  const s = tf.variable(tf.scalar(2));
  const x = normal([B, 4], 2);
  const y = normal([B, 2], 3);
  // the negative log-likelihood of a Gaussian whose log-variance is learned (Kendall and Gal 2017)
  const f = () => {
    const error = tf.mean(tf.square(tf.sub(tf.matMul(x as tf.Tensor2D, w as tf.Tensor as tf.Tensor2D), y)));
    return tf.add(tf.mul(error, tf.exp(tf.neg(s))), s);
  };
  const found = losses(f, [w, s] as tf.Variable[], 40);
  const best =
    Math.log(
      tf.mean(tf.square(tf.sub(tf.matMul(x as tf.Tensor2D, w as tf.Tensor as tf.Tensor2D), y))).dataSync()[0] ??
        Number.NaN,
    ) + 1;
  expect(found.at(-1)).toBeLessThan(found[0] ?? 0);
  expect((found.at(-1) ?? 0) - best).toBeLessThan(0.2);
});

test('a variable that only a penalty sees stays as it is, and that is told', () => {
  const w = variable([4, 2], 1);
  const s = variable([3], 2);
  const before = Array.from(s.dataSync());
  const x = normal([B, 4], 2);
  const f = () =>
    tf.add(tf.mean(tf.square(tf.matMul(x as tf.Tensor2D, w as tf.Tensor as tf.Tensor2D))), tf.sum(tf.square(s)));
  losses(f, [w, s], 3);
  expect(Array.from(s.dataSync())).toEqual(before);
  expect(warnings.calls).toHaveLength(1);
  expect(warnings.calls[0]?.[0]).toMatch(
    /^cgfac: the loss has no curvature in .* stay as they are: .*only in a penalty/,
  );
});
