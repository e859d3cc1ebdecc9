import * as tf from '@tensorflow/tfjs-core';
import { sampledErrors, uniforms } from '../../../lib/adapter-kit';
import type { Head } from '../../../lib/tfjs/heads/head';
import { saysLittle, targetErrors } from '../../../lib/tfjs/heads/target-errors';
import { cgfac } from '../../../lib/tfjs/optimizer';
import { Room } from '../../../lib/tfjs/tape/room';
import { normal, useBackend, variable } from '../support/backends';

const B = 8;
const C = 3;

beforeAll(() => useBackend('cpu'));

/**
 * A softmax head whose logits are so many times a standard normal's, with its own targets; the loss is u·Σ_b s_b ℓ_b.
 */
function softmaxHead(size: number, u: number, weights: readonly number[], right = false) {
  const logits = tf.mul(normal([B, C], 1), size);
  const probabilities = tf.softmax(logits).dataSync<'float32'>().slice();
  const best = tf.argMax(logits, 1).dataSync();
  const targets = Array.from({ length: B }, (_, b) => ((best[b] ?? 0) + (right ? 0 : 1)) % C);
  const errors = probabilities.map((p, at) => p - (targets[Math.floor(at / C)] === at % C ? 1 : 0));
  const losses = tf.logSoftmax(logits).dataSync();
  const loss = targets.reduce((sum, target, b) => sum - u * (weights[b] ?? 0) * (losses[b * C + target] ?? 0), 0);
  const factors = Float64Array.from(weights, (s) => Math.sqrt(B * u * s));
  const gradient = errors.map((error, at) => error * u * (weights[Math.floor(at / C)] ?? 0));
  const head = { distribution: 'categorical', logits, probabilities, gradient, factors } as unknown as Head;
  return { head, errors, loss, factors };
}

const ones = new Array<number>(B).fill(1);
const drawn = (head: Head, loss: number, share = 1) => targetErrors(head, loss, share, uniforms(1, 1), new Room());

describe('errors of sampled targets', () => {
  it('are those of the model: nothing replaces them where some of it is unsure', () => {
    for (const size of [0.1, 1, 8]) {
      const { head, loss, factors } = softmaxHead(size, 1 / B, ones);
      const expected = new Float32Array(B * C);
      sampledErrors('categorical', head.probabilities, C, factors, uniforms(1, 1), expected);
      expect(drawn(head, loss)).toEqual(expected);
    }
  });

  it('stay nothing where a sure model is right, whatever the loss has besides', () => {
    const { head } = softmaxHead(1e4, 1 / B, ones, true);
    for (const loss of [0, 3, 1e6]) expect(drawn(head, loss).every((error) => error === 0)).toBe(true);
  });

  it.each([
    [20, false],
    [24, true],
  ])('of answers whose logits lead by %d and are wrong: replaced is %p', (lead, replaced) => {
    // for every sample the first class leads; all targets are the second
    const logits = tf.tensor2d(Array.from({ length: B }, () => [lead, 0, -1e3]));
    const probabilities = tf.softmax(logits).dataSync<'float32'>().slice();
    const gradient = probabilities.map((p, at) => (p - (at % C === 1 ? 1 : 0)) / B);
    const factors = new Float64Array(B).fill(1);
    const head = { distribution: 'categorical', logits, probabilities, gradient, factors } as unknown as Head;
    const found = drawn(head, lead);
    expect(Math.max(...found.map(Math.abs))).toBeGreaterThan(replaced ? 0.1 : 0);
    if (!replaced) expect(Math.max(...found.map(Math.abs))).toBeLessThan(1e-6);
  });

  it('of bits, of rows of sequences and of a loss below 0 are replaced, too, and finite', () => {
    const shapes: readonly (readonly [Head['distribution'], number[]])[] = [
      ['bernoulli', [B, 4]],
      ['categorical', [B, 5, C]],
      ['bernoulli', [B]],
    ];
    for (const [distribution, shape] of shapes) {
      const logits = tf.mul(normal(shape, 1), 1e6);
      const width = distribution === 'categorical' ? C : 1;
      const p = (distribution === 'categorical' ? tf.softmax(logits) : tf.sigmoid(logits))
        .dataSync<'float32'>()
        .slice();
      const rows = p.length / width / B;
      const wrong = p.map((value, at) =>
        distribution === 'bernoulli' ? 2 * value - 1 : value - (p[at - (at % width) + ((at + 1) % width)] ?? 0),
      );
      const gradient = wrong.map((value) => value / (B * rows));
      const factors = new Float64Array(B).fill(Math.sqrt(1 / rows));
      const head = { distribution, logits, probabilities: p, gradient, factors } as unknown as Head;
      const scaleOf = (loss: number) => Math.max(...drawn(head, loss).map(Math.abs)) * Math.sqrt(rows) * Math.sqrt(2);
      // ℓ of a row is the mean loss of all rows; of bits in one row it is their sum
      const together = distribution === 'bernoulli' ? rows : 1;
      expect(scaleOf(400)).toBeCloseTo(1 / Math.sqrt(400 * together), 5);
      expect(scaleOf(-400)).toBeCloseTo(1 / Math.sqrt(400 * together), 5);
      expect(scaleOf(1e-30)).toBeCloseTo(1, 5);
      expect(scaleOf(0)).toBeCloseTo(1, 5);
      expect(scaleOf(Number.NaN)).toBeCloseTo(1, 5);
    }
  });

  it.each([
    ['a mean', 1 / B],
    ['a sum', 1],
    ['a tiny loss', 1e-6 / B],
  ])('of a model that is sure of wrong answers: its own, with the curvature of a parabola, of %s', (_, u) => {
    const weights = [1, 2, 0, 1, 1, 4, 1, 1];
    const { head, errors, loss, factors } = softmaxHead(1e4, u, weights);
    const mean = factors.reduce((sum, factor) => sum + factor * factor, 0) / B;
    const found = drawn(head, loss);
    errors.forEach((error, at) => {
      const expected = ((factors[Math.floor(at / C)] ?? 0) * error) / Math.sqrt((2 * loss) / mean);
      expect(Math.abs((found[at] ?? Number.NaN) - expected)).toBeLessThanOrEqual(1e-6 * Math.abs(expected));
    });
  });

  it.each([
    ['a mean', 1 / B],
    ['a sum', 1],
  ])('promise all of the loss along its own errors, of %s', (_, u) => {
    const { head, errors, loss } = softmaxHead(1e4, u, ones);
    const found = drawn(head, loss);
    const along = (values: ArrayLike<number>, b: number) =>
      [0, 1, 2].reduce((sum, c) => sum + (values[b * C + c] ?? 0) * (errors[b * C + c] ?? 0), 0);
    let [slope, curvature] = [0, 0];
    for (let b = 0; b < B; b++) {
      slope += along(head.gradient, b);
      curvature += along(found, b) ** 2 / B;
    }
    expect(slope ** 2 / (2 * curvature) / loss).toBeCloseTo(1, 5);
  });

  it('are those of the first samples, and zero behind them', () => {
    const { head, loss } = softmaxHead(1e4, 1 / B, ones);
    const found = drawn(head, loss, 0.5);
    expect(found.subarray(0, (B / 2) * C).some((error) => error !== 0)).toBe(true);
    expect(found.subarray((B / 2) * C).every((error) => error === 0)).toBe(true);
  });

  it('of a first half that has less than a quarter of the weight say too little of the others', () => {
    const of = (weights: readonly number[]) => saysLittle(softmaxHead(1, 1 / B, weights).head);
    expect(of(ones)).toBe(false);
    expect(of([0, 0, 0, 0, 1, 1, 1, 1])).toBe(true);
    expect(of([1, 1, 1, 1, 0, 0, 0, 0])).toBe(false);
    expect(of([0, 0, 1, 1, 1, 1, 1, 1])).toBe(false);
    expect(of([0, 0, 0, 1, 1, 1, 1, 1])).toBe(true);
    expect(of(new Array<number>(B).fill(0))).toBe(false);
  });

  it('of a first half that a sure model is right about say too little of one that it is wrong about', () => {
    const { head: wrong } = softmaxHead(1e4, 1 / B, ones);
    const { head: right } = softmaxHead(1e4, 1 / B, ones, true);
    const joined = (first: Head, second: Head) => {
      const half = first.gradient.length / 2;
      const gradient = Float32Array.from([...first.gradient.subarray(0, half), ...second.gradient.subarray(half)]);
      return saysLittle({ ...first, gradient });
    };
    expect(joined(right, wrong)).toBe(true);
    expect(joined(wrong, right)).toBe(false);
    expect(joined(right, right)).toBe(false);
    expect(joined(wrong, wrong)).toBe(false);
    const { head: unsure } = softmaxHead(3, 1 / B, ones);
    expect(joined(unsure, wrong)).toBe(false);
  });
});

/** Ten steps of two layers on samples whose targets have weights, or are told by what the layers answer at first. */
function trained(
  scale: number,
  weights: (samples: number) => tf.Tensor1D,
  targets?: (answers: readonly number[]) => readonly number[],
) {
  const samples = 64;
  const x = tf.mul(normal([samples, 6], 1), scale) as tf.Tensor2D;
  const [w1, w2] = [variable([6, 16], 2), variable([16, C], 3)] as [tf.Variable, tf.Variable];
  const logits = () => tf.matMul(tf.relu(tf.matMul(x, w1 as tf.Tensor as tf.Tensor2D)), w2 as tf.Tensor as tf.Tensor2D);
  const answers = Array.from(tf.argMax(targets ? logits() : tf.slice(x, [0, 0], [samples, C]), 1).dataSync());
  const y = tf.oneHot(tf.tensor1d([...(targets?.(answers) ?? answers)], 'int32'), C);
  const optimizer = cgfac({ seed: 1 });
  const loss = () => {
    const z = logits();
    const each = tf.neg(tf.sum(tf.mul(y, tf.logSoftmax(z)), 1));
    return tf.mean(tf.mul(each, weights(samples))) as tf.Scalar;
  };
  const before = loss().dataSync()[0] ?? Number.NaN;
  const skipped: unknown[] = [];
  for (let step = 0; step < 10; step++) {
    optimizer.minimize(loss);
    const { summary } = optimizer.lastStep ?? {};
    skipped.push(summary === undefined ? 'no step' : summary.skipped);
  }
  const after = loss().dataSync()[0] ?? Number.NaN;
  optimizer.dispose();
  return { before, after, skipped };
}

describe('a network', () => {
  it('that is sure of wrong answers learns from its first step on', () => {
    const { before, after, skipped } = trained(1e4, (samples) => tf.ones([samples]));
    expect(skipped.every((reason) => reason === undefined)).toBe(true);
    expect(after).toBeLessThan(0.2 * before);
  });

  it('learns from batches whose first half has no weight', () => {
    const { before, after, skipped } = trained(1, (samples) =>
      tf.concat([tf.zeros([samples / 2]), tf.ones([samples / 2])]),
    );
    expect(skipped.every((reason) => reason === undefined)).toBe(true);
    expect(after).toBeLessThan(0.2 * before);
  });

  it('that is sure of answers that are right in the first half of a batch alone learns, too', () => {
    const { before, after, skipped } = trained(
      1e4,
      (samples) => tf.ones([samples]),
      (answers) => answers.map((answer, b) => (b < answers.length / 2 ? answer : (answer + 1) % C)),
    );
    expect(skipped.every((reason) => reason === undefined)).toBe(true);
    expect(after).toBeLessThan(0.5 * before);
  });
});
