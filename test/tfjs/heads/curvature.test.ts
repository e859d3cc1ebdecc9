import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { uniforms } from '../../../lib/adapter-kit';
import { findLayers } from '../../../lib/tfjs/capture/sites';
import { curvatureSeeds } from '../../../lib/tfjs/heads/curvature';
import { findMetric } from '../../../lib/tfjs/heads/find';
import { KINDS } from '../../../lib/tfjs/kinds/kinds';
import { outputsOf } from '../../../lib/tfjs/kinds/layer-kind';
import { variableGradients, withoutRecording } from '../../../lib/tfjs/tape/tape';
import { normal, useBackend, variable } from '../support/backends';

const B = 6;
const D = 4;
type Loss = (outputs: readonly tf.Tensor[], y: tf.Tensor) => tf.Tensor;

interface Drawn {
  readonly loss: number;
  /** κ/(m + κ) of each tensor that enters the loss. */
  readonly assumed: readonly number[];
  /** The noise squared, and the outputs, of each tensor that enters the loss. */
  readonly variances: readonly Float64Array[];
  readonly outputs: readonly Float32Array[];
  readonly tensors: number;
}

/** What is drawn at the outputs of linear layers, D wide, of the same data under a loss. */
function draw(loss: Loss, count: number, y: tf.Tensor, share = 1): Drawn {
  const weights = Array.from({ length: count }, (_, k) => variable([3, D], 1 + k));
  const x = normal([B, 3], 9);
  const before = tf.memory().numTensors;
  let drawn: Drawn = { loss: Number.NaN, assumed: [], variances: [], outputs: [], tensors: 0 };
  const { value, grads } = variableGradients(
    () =>
      tf.mean(
        loss(
          weights.map((w) => tf.matMul(x, w)),
          y,
        ),
      ) as tf.Scalar,
    weights,
    KINDS,
    (tape, result) =>
      withoutRecording(() =>
        tf.tidy(() => {
          const { layers } = findLayers(tape, weights, result);
          const ids = [...outputsOf(layers.flatMap(({ sites }) => sites))];
          const { other } = findMetric(tape, result, new Set(ids), (tensor) => tensor.dataSync<'float32'>());
          if (other === undefined) throw new Error('a known head');
          const order = (id: number) => ids.indexOf(id);
          const seeds = [...curvatureSeeds(tape, result, other, share, uniforms(1, 0))].sort(
            (a, b) => order(a.output.id) - order(b.output.id),
          );
          const outputs = weights.map((w) => tf.matMul(x, w).dataSync<'float32'>());
          const variances = seeds.map(({ seed }) => Float64Array.from(seed, (each) => each * each));
          const assumed = seeds.map((each) => each.assumed);
          drawn = { loss: result.dataSync()[0] ?? Number.NaN, assumed, variances, outputs, tensors: 0 };
        }),
      ),
  );
  tf.dispose([value, grads]);
  const tensors = tf.memory().numTensors - before;
  tf.dispose([x, weights]);
  return { ...drawn, tensors };
}

const mean = (values: ArrayLike<number>) => Array.from(values).reduce((sum, each) => sum + each, 0) / values.length;

/** h + mean h/10 of the second derivatives of a loss that sums over numbers and is a mean over samples. */
function expected(h: readonly number[]): number[] {
  const positive = h.map((each) => Math.max(0, each));
  return positive.map((each) => each + mean(positive) / 10);
}

function expectNear(actual: ArrayLike<number>, wanted: readonly number[], relative = 1e-3): void {
  const scale = Math.max(...wanted.map(Math.abs));
  expect(actual.length).toBe(wanted.length);
  const errors = wanted.map((each, at) => Math.abs((actual[at] ?? Number.NaN) - each) / scale);
  expect(Math.max(...errors)).toBeLessThan(relative);
}

describe('the metric of any loss', () => {
  beforeAll(() => useBackend('cpu'));
  const y = () => tf.tidy(() => tf.sigmoid(normal([B, D], 5)));
  const perSample = (loss: tf.Tensor) => tf.sum(loss, -1);

  test('is the diagonal second derivative where the loss sums over numbers', () => {
    const targets = y();
    const losses: Record<string, [Loss, (z: number, y: number) => number]> = {
      'log-cosh': [
        ([z], t) =>
          perSample(tf.log(tf.mul(0.5, tf.add(tf.exp(tf.sub(z as tf.Tensor, t)), tf.exp(tf.sub(t, z as tf.Tensor)))))),
        (z, t) => 1 / Math.cosh(z - t) ** 2,
      ],
      Poisson: [([z], t) => perSample(tf.sub(tf.exp(z as tf.Tensor), tf.mul(t, z as tf.Tensor))), (z) => Math.exp(z)],
      'fourth power': [([z], t) => perSample(tf.pow(tf.sub(z as tf.Tensor, t), 4)), (z, t) => 12 * (z - t) ** 2],
    };
    for (const [loss, second] of Object.values(losses)) {
      const { variances, outputs, tensors } = draw(loss, 1, targets);
      const t = targets.dataSync();
      expectNear(variances[0] ?? [], expected(Array.from(outputs[0] ?? [], (z, at) => second(z, t[at] ?? 0))));
      expect(tensors).toBe(0);
    }
  });

  test('is that of the parabola with the value and the slope of the loss where it has no curvature', () => {
    const targets = y();
    const { variances, loss, outputs } = draw(([z], t) => perSample(tf.abs(tf.sub(z as tf.Tensor, t))), 1, targets);
    // g = ±1 for each number: κ = B·D/(B·D·2L)
    expectNear(variances[0] ?? [], new Array(outputs[0]?.length ?? 0).fill(1 / (2 * loss)));
  });

  test('has κ besides as far as the loss bends down beside what it bends up', () => {
    const targets = y();
    // (1 − 2y)·cos z: cosines of both signs; c of z² besides, so that Σh⁻ is a part of Σh⁺
    for (const c of [-0.5, 0, 0.3, 5]) {
      const bent: Loss = ([z], t) =>
        perSample(
          tf.add(tf.mul(tf.sub(1, tf.mul(2, t)), tf.cos(z as tf.Tensor)), tf.mul(c / 2, tf.square(z as tf.Tensor))),
        );
      const shifted: Loss = (outputs, t) => tf.add(bent(outputs, t), 20);
      const { variances, outputs, loss } = draw(shifted, 1, targets);
      const t = Array.from(targets.dataSync(), (each) => 1 - 2 * each);
      const z = Array.from(outputs[0] ?? []);
      const h = z.map((each, at) => c - (t[at] ?? 0) * Math.cos(each));
      const slopes = z.map((each, at) => c * each - (t[at] ?? 0) * Math.sin(each));
      const kappa = slopes.reduce((sum, g) => sum + g * g, 0) / (z.length * 2 * loss);
      const sum = (values: readonly number[]) => values.reduce((total, each) => total + each, 0);
      const share = sum(h.map((each) => Math.max(0, -each))) / sum(h.map((each) => Math.max(0, each)));
      if (c < 0) expect(share).toBeGreaterThan(1);
      else expect(share).toBeLessThan(1);
      if (c === 5) expect(share).toBe(0);
      else expect(share).toBeGreaterThan(0);
      expectNear(
        variances[0] ?? [],
        expected(h).map((each) => each + Math.min(1, share) * kappa),
      );
    }
  });

  test('is assumed as far as κ outweighs it: wholly where pieces are straight, in part where they bend', () => {
    const targets = y();
    const errors: Loss = ([z], t) => tf.sub(z as tf.Tensor, t);
    const absolute: Loss = (...from) => perSample(tf.abs(errors(...from)));
    const huber: Loss = (outputs, t) => {
      const error = tf.abs(errors(outputs, t));
      const bent = tf.minimum(error, 0.7);
      return perSample(tf.add(tf.mul(0.5, tf.square(bent)), tf.mul(0.7, tf.sub(error, bent))));
    };
    expect(draw(absolute, 1, targets).assumed).toEqual([1]);
    const { assumed, loss, outputs, variances } = draw(huber, 1, targets);
    const t = targets.dataSync();
    const from = Array.from(outputs[0] ?? [], (z, at) => Math.abs(z - (t[at] ?? 0)));
    const m = from.filter((error) => error < 0.7).length / from.length;
    const kappa = from.reduce((sum, error) => sum + Math.min(error, 0.7) ** 2, 0) / (from.length * 2 * loss);
    expect(m).toBeGreaterThan(0);
    expect(m).toBeLessThan(1);
    expect(assumed[0]).toBeCloseTo(kappa / (m + kappa), 4);
    expect(variances.length).toBe(1);
    // Σ‖g‖² is 0 at the targets themselves: nothing is to be assumed
    const none = draw(([z]) => perSample(tf.mul(0, tf.abs(z as tf.Tensor))), 1, targets);
    expect(none.assumed).toEqual([0]);
  });

  test('takes a loss of terms of both signs for a quarter of their sizes at the least', () => {
    const targets = y();
    const signs = tf.tensor(
      Array.from({ length: B }, (_, at) => (at % 2 === 0 ? 1 : -1)),
      [B, 1],
    );
    // linear in z, and a loss next to nothing: samples of 1 and -1 in turns
    const terms: Loss = ([z]) => perSample(tf.mul(signs, tf.add(tf.mul(1e-3, z as tf.Tensor), 1 / D)));
    const { variances, loss } = draw(terms, 1, targets);
    expect(Math.abs(loss)).toBeLessThan(0.01);
    // g = ±1e-3 for each number, Σ|t| = 1 but for 1 %: κ = 1e-6·B·D/(B·D·2/4)
    const values = Array.from(variances[0] ?? []);
    expect(values).toHaveLength(B * D);
    for (const each of values) expect(Math.abs(each / 2e-6 - 1)).toBeLessThan(0.02);
  });

  test('is drawn at every tensor that enters the loss, each by its own derivative', () => {
    const targets = y();
    const loss: Loss = ([m, v], t) =>
      perSample(tf.add(tf.exp(m as tf.Tensor), tf.sub(tf.exp(tf.mul(2, v as tf.Tensor)), tf.mul(t, v as tf.Tensor))));
    const { variances, outputs } = draw(loss, 2, targets);
    expectNear(variances[0] ?? [], expected(Array.from(outputs[0] ?? [], Math.exp)));
    expectNear(variances[1] ?? [], expected(Array.from(outputs[1] ?? [], (v) => 4 * Math.exp(2 * v))));
  });

  test('draws the first samples alone', () => {
    const { variances } = draw(
      ([z], t) => perSample(tf.sub(tf.exp(z as tf.Tensor), tf.mul(t, z as tf.Tensor))),
      1,
      y(),
      0.5,
    );
    const kept = Array.from(variances[0] ?? [], (each) => (each > 0 ? 1 : 0));
    expect(kept).toEqual([...new Array((B / 2) * D).fill(1), ...new Array((B / 2) * D).fill(0)]);
  });

  test('does without second derivatives where an op has none', () => {
    // the gradient of an ELU is an op without a gradient
    const targets = y();
    const { variances, loss } = draw(([z], t) => perSample(tf.elu(tf.sub(z as tf.Tensor, tf.mul(3, t)))), 1, targets);
    const values = variances[0] ?? new Float64Array();
    expect(new Set(values).size).toBe(1);
    expect(loss).not.toBe(0);
    expect(values[0]).toBeGreaterThan(0);
  });
});
