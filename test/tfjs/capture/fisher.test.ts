import * as tf from '@tensorflow/tfjs-core';
import { metrics } from '@tensorflow/tfjs-layers';
import { type Distribution, sampledErrors, uniforms } from '../../../lib/adapter-kit';
import { normal, relativeError, useBackend, variable } from '../support/backends';
import { capturedStep, captureOptions } from '../support/capture';

const B = 16;
const SEED = 7;

/** The end of a network. What is added to the pre-activations of a layer has the layer's g for its gradient. */
interface Case {
  readonly distribution: Distribution;
  /** The weight of one distribution in the per-sample loss. */
  readonly weight: number;
  readonly loss: (z: tf.Tensor, y: tf.Tensor) => tf.Tensor;
}

const D = 4;
const cases: Readonly<Record<string, Case>> = {
  'softmax, categorical cross-entropy': {
    distribution: 'categorical',
    weight: 1,
    loss: (z, y) => tf.mean(metrics.categoricalCrossentropy(tf.softmax(y), tf.softmax(z))),
  },
  'softmax cross-entropy of logits': {
    distribution: 'categorical',
    weight: 1,
    loss: (z, y) => tf.losses.softmaxCrossEntropy(tf.softmax(y), z),
  },
  'sigmoid, binary cross-entropy': {
    distribution: 'bernoulli',
    weight: 1 / D,
    loss: (z, y) => tf.mean(metrics.binaryCrossentropy(tf.sigmoid(y), tf.sigmoid(z))),
  },
  'sigmoid cross-entropy of logits': {
    distribution: 'bernoulli',
    weight: 1 / D,
    loss: (z, y) => tf.losses.sigmoidCrossEntropy(tf.sigmoid(y), z),
  },
};

describe.each(['cpu', 'wasm'] as const)('sampled output gradients on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  it.each(Object.entries(cases))('%s: those of an independent backward pass', (_, { distribution, weight, loss }) => {
    const [x, y] = [normal([B, 6], 1), normal([B, D], 2)];
    const w = [
      [6, 5],
      [7, 5],
      [7, 5],
      [3, 5],
      [3, D],
    ].map((shape, index) => variable(shape, 3 + index)) as tf.Tensor[] as tf.Tensor2D[];
    const b = [[5], [3], [D]].map((shape, index) => variable(shape, 8 + index)) as tf.Tensor[];
    const [w1, w2, w3, w4, w5] = w as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
    const [b1, b4, b5] = b as [tf.Tensor, tf.Tensor, tf.Tensor];
    const variables = [...w, ...b] as tf.Tensor[] as tf.Variable[];
    // Every way that the tape knows a product: fused or not, biased or not, either operand transposed.
    const logits = (o1: tf.Tensor, o2: tf.Tensor, o3: tf.Tensor, o4: tf.Tensor, o5: tf.Tensor) => {
      const h1 = tf.tanh(tf.add(tf.fused.matMul({ a: x as tf.Tensor2D, b: w1, bias: b1 }), o1));
      const h2 = tf.relu(tf.add(tf.matMul(h1, w2, false, true), o2));
      const h3 = tf.tanh(tf.add(tf.matMul(tf.transpose(h2), w3, true), o3));
      const h4 = tf.tanh(
        tf.add(
          tf.fused.matMul({ a: tf.transpose(h3) as tf.Tensor2D, b: w4, transposeA: true, transposeB: true, bias: b4 }),
          o4,
        ),
      );
      return tf.add(tf.add(tf.matMul(h4, w5), b5), o5);
    };
    const zeros = [5, 7, 5, 3, D].map((width) => tf.zeros([B, width])) as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
    ];

    const { taken, grads } = capturedStep(
      () => loss(logits(...zeros), y) as tf.Scalar,
      variables,
      captureOptions('true', false, SEED),
    );

    const p = tf.tidy(() =>
      distribution === 'categorical' ? tf.softmax(logits(...zeros)) : tf.sigmoid(logits(...zeros)),
    );
    const factors = new Float64Array(B).fill(Math.sqrt(weight));
    const errors = tf.tensor(sampledErrors(distribution, p.dataSync(), D, factors, uniforms(SEED, 0)), [B, D]);
    // ∂/∂o of Σ (constant errors)·z is what the errors become on their way back.
    const expected = tf.grads((o1, o2, o3, o4, o5) =>
      tf.sum(
        tf.mul(errors, logits(o1 as tf.Tensor, o2 as tf.Tensor, o3 as tf.Tensor, o4 as tf.Tensor, o5 as tf.Tensor)),
      ),
    )(zeros);
    expect(taken.layers.map(({ kernel }) => kernel.variable)).toEqual(w);
    for (const [index, layer] of taken.layers.entries()) {
      // Float32 on both sides, through at most four products of 7 terms; p itself may differ in its last bit.
      expect(relativeError(layer.sampledGrads ?? [], expected[index]?.dataSync() ?? [])).toBeLessThan(2e-6);
    }
    tf.dispose([x, y, variables, zeros, grads, p, errors, expected]);
  });
});

describe('the output factor of a share of the samples', () => {
  const [T, F, H] = [3, 4, 5];

  beforeAll(() => useBackend('cpu'));

  /**
   * A layer applied to every position of every sample, whose mean over the positions is classified; its rows, and tr G
   * by them.
   */
  const trace = (order: 'time-major' | 'batch-major', share: number, normalised = false, seed = SEED) => {
    const [w1, w2] = [variable([F, H], 3), variable([H, D], 4)];
    const samples = normal([B, T, F], 1);
    const x = tf.reshape(order === 'time-major' ? tf.transpose(samples, [1, 0, 2]) : samples, [B * T, F]);
    const y = tf.softmax(normal([B, D], 2));
    const loss = () => {
      const h = tf.tanh(tf.reshape(tf.matMul(x, w1), order === 'time-major' ? [T, B, H] : [B, T, H]));
      const pooled = tf.mean(h, order === 'time-major' ? 0 : 1);
      const seen = normalised ? tf.sub(pooled, tf.mul(0.5, tf.mean(pooled, 0))) : pooled;
      return tf.losses.softmaxCrossEntropy(y, tf.matMul(seen, w2)) as tf.Scalar;
    };
    const options = { ...captureOptions('true', false, seed), share: () => share };
    const { taken, grads } = capturedStep(loss, [w1, w2], options);
    const rows = taken.layers[0]?.sampledGrads ?? new Float32Array();
    tf.dispose([w1, w2, samples, x, y, grads]);
    const count = rows.length / H;
    return { count, trace: rows.reduce((sum, g) => sum + g * g, 0) / count };
  };

  it.each([1, 0.5, 0.25])('is the same for rows in either order (%d)', (share) => {
    const [time, batch] = [trace('time-major', share), trace('batch-major', share)];
    expect(time.count).toBe(share * B * T);
    expect(batch.count).toBe(share * B * T);
    // the same numbers, in float32 sums of another order
    expect(Math.abs(time.trace / batch.trace - 1)).toBeLessThan(1e-5);
  });

  it('keeps all rows where samples see each other, and their mean', () => {
    const found = [1, 0.5].map((share) =>
      Array.from({ length: 20 }, (_, seed) => trace('batch-major', share, true, seed)),
    );
    const [whole = 0, half = 0] = found.map((traces) =>
      traces.reduce((sum, { trace: one }) => sum + one / traces.length, 0),
    );
    expect(found[1]?.map(({ count }) => count)).toEqual(new Array(20).fill(B * T));
    // the halves of the batch are not alike, by a tenth or so; without the scale they would differ twofold
    expect(Math.abs(half / whole - 1)).toBeLessThan(0.25);
  });
});

describe('sampled errors', () => {
  const rows = 20_000;

  it('of a categorical have mean zero and the covariance diag(p) − ppᵀ', () => {
    const p = [0.5, 0.3, 0.2, 0];
    const errors = sampledErrors(
      'categorical',
      Float32Array.from({ length: 4 * rows }, (_, at) => p[at % 4] ?? 0),
      4,
      new Float64Array(rows).fill(1),
      uniforms(1, 0),
    );
    for (let i = 0; i < 4; i++) {
      for (let j = 0; j < 4; j++) {
        let [sum, products] = [0, 0];
        for (let row = 0; row < rows; row++) {
          sum += errors[4 * row + i] ?? Number.NaN;
          products += (errors[4 * row + i] ?? Number.NaN) * (errors[4 * row + j] ?? Number.NaN);
        }
        const covariance = (i === j ? (p[i] ?? 0) : 0) - (p[i] ?? 0) * (p[j] ?? 0);
        // Four standard deviations of a mean of 20,000 numbers within [−1, 1] are 0.028; the seed is fixed.
        expect(Math.abs(sum / rows)).toBeLessThan(0.028);
        expect(Math.abs(products / rows - covariance)).toBeLessThan(0.028);
      }
    }
  });

  it('of a Bernoulli have the variance p(1 − p), number by number', () => {
    const p = [0, 0.1, 0.5, 1];
    const errors = sampledErrors(
      'bernoulli',
      Float32Array.from({ length: 4 * rows }, (_, at) => p[at % 4] ?? 0),
      4,
      new Float64Array(rows).fill(1),
      uniforms(2, 0),
    );
    for (const [index, probability] of p.entries()) {
      let squares = 0;
      for (let row = 0; row < rows; row++) squares += (errors[4 * row + index] ?? Number.NaN) ** 2;
      expect(Math.abs(squares / rows - probability * (1 - probability))).toBeLessThan(0.028);
    }
  });

  it('are scaled sample by sample', () => {
    const p = new Float32Array(12).fill(0.25);
    const plain = sampledErrors('bernoulli', p, 2, Float64Array.of(1, 1, 1), uniforms(3, 5));
    const scaled = sampledErrors('bernoulli', p, 2, Float64Array.of(1, 0, 3), uniforms(3, 5));
    // Three samples of two rows of two.
    expect(Array.from(scaled)).toEqual(Array.from(plain, (error, at) => error * ([1, 0, 3][Math.floor(at / 4)] ?? 0)));
  });
});

describe('uniform numbers', () => {
  const draw = (seed: number, step: number, count: number) => Array.from({ length: count }, uniforms(seed, step));

  it('are a function of the seed and the step, and of nothing else', () => {
    expect(draw(1, 2, 5)).toEqual(draw(1, 2, 5));
    const first = [draw(0, 0, 1), draw(1, 0, 1), draw(0, 1, 1), draw(2 ** 32, 0, 1), draw(2 ** 53 - 1, 0, 1)].flat();
    expect(new Set(first).size).toBe(5);
  });

  it('fill [0, 1) evenly', () => {
    const values = draw(42, 0, 100_000);
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    for (let tenth = 0; tenth < 10; tenth++) {
      const share = values.filter((value) => Math.floor(10 * value) === tenth).length / values.length;
      // Four standard deviations of a share of one tenth of 100,000 are 0.0038; the seed is fixed.
      expect(Math.abs(share - 0.1)).toBeLessThan(0.0038);
    }
  });
});
