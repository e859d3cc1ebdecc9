import * as tf from '@tensorflow/tfjs-core';
import { metrics } from '@tensorflow/tfjs-layers';
import { findLayers } from '../../../lib/tfjs/capture/sites';
import { findMetric, type Metric } from '../../../lib/tfjs/heads/find';
import type { Head } from '../../../lib/tfjs/heads/head';
import { KINDS } from '../../../lib/tfjs/kinds/kinds';
import { outputsOf } from '../../../lib/tfjs/kinds/layer-kind';
import { variableGradients, withoutRecording } from '../../../lib/tfjs/tape/tape';
import { normal, relativeError, useBackend, variable } from '../support/backends';

const B = 8;
const D = 5;

type Loss = (z: tf.Tensor, y: tf.Tensor) => tf.Tensor;

/** What is found for a linear layer of D outputs under `loss`, with `y` as targets. */
function metricOf(loss: Loss, y: tf.Tensor, width = D): Metric {
  const w = variable([4, width], 1);
  const x = normal([B, 4], 2);
  let metric: Metric = { heads: [], other: undefined };
  try {
    const { value, grads } = variableGradients(
      () => loss(tf.matMul(x, w), y) as tf.Scalar,
      [w],
      KINDS,
      (tape, result) => {
        withoutRecording(() =>
          tf.tidy(() => {
            const { layers } = findLayers(tape, [w], result);
            const outputs = outputsOf(layers.flatMap(({ sites }) => sites));
            metric = findMetric(tape, result, outputs, (tensor) => tensor.dataSync<'float32'>());
          }),
        );
      },
    );
    tf.dispose([value, grads]);
  } finally {
    tf.dispose([w, x]);
  }
  return metric;
}

/** The heads, where they are all that enters the loss. */
function headsOf(loss: Loss, y: tf.Tensor): readonly Head[] {
  const { heads, other } = metricOf(loss, y);
  expect(other).toBe(undefined);
  return heads;
}

const oneHot = () => tf.cast(tf.oneHot(tf.tensor1d([0, 1, 2, 3, 4, 0, 2, 2], 'int32'), D), 'float32');
const soft = () => tf.softmax(normal([B, D], 3));
const bits = () => tf.cast(tf.greater(normal([B, D], 4), 0), 'float32');
const shares = () => tf.sigmoid(normal([B, D], 5));
const mean = (loss: tf.Tensor) => tf.mean(loss);
const logistic: Loss = (z, y) => tf.sub(tf.softplus(z), tf.mul(z, y));

/**
 * What is recognised: the loss, its targets, the distribution, and the weight of one distribution in the per-sample
 * loss.
 */
const recognised: Readonly<Record<string, [Loss, () => tf.Tensor, Head['distribution'], number]>> = {
  'softmax, Keras categorical': [
    (z, y) => mean(metrics.categoricalCrossentropy(y, tf.softmax(z))),
    oneHot,
    'categorical',
    1,
  ],
  'softmax, Keras categorical, soft targets': [
    (z, y) => mean(metrics.categoricalCrossentropy(y, tf.softmax(z))),
    soft,
    'categorical',
    1,
  ],
  'softmax, Keras Kullback-Leibler by ops': [
    (z, y) => mean(tf.sum(tf.mul(y, tf.log(tf.div(y, tf.softmax(z)))), -1)),
    soft,
    'categorical',
    1,
  ],
  'log-softmax by ops': [(z, y) => tf.neg(mean(tf.sum(tf.mul(y, tf.logSoftmax(z)), -1))), oneHot, 'categorical', 1],
  'log-softmax, mean over outputs too': [
    (z, y) => tf.neg(mean(tf.mul(y, tf.logSoftmax(z)))),
    oneHot,
    'categorical',
    1 / D,
  ],
  'log-softmax, sum over samples': [(z, y) => tf.neg(tf.sum(tf.mul(y, tf.logSoftmax(z)))), oneHot, 'categorical', B],
  'tf.losses.softmaxCrossEntropy': [(z, y) => tf.losses.softmaxCrossEntropy(y, z), oneHot, 'categorical', 1],
  'tf.losses.softmaxCrossEntropy, label smoothing': [
    (z, y) => tf.losses.softmaxCrossEntropy(y, z, undefined, 0.1),
    oneHot,
    'categorical',
    1,
  ],
  'sigmoid, Keras binary': [(z, y) => mean(metrics.binaryCrossentropy(y, tf.sigmoid(z))), bits, 'bernoulli', 1 / D],
  'sigmoid, Keras binary, soft targets': [
    (z, y) => mean(metrics.binaryCrossentropy(y, tf.sigmoid(z))),
    shares,
    'bernoulli',
    1 / D,
  ],
  'sigmoid, tf.losses.logLoss': [(z, y) => tf.losses.logLoss(y, tf.sigmoid(z)), bits, 'bernoulli', 1 / D],
  'tf.losses.sigmoidCrossEntropy': [(z, y) => tf.losses.sigmoidCrossEntropy(y, z), bits, 'bernoulli', 1 / D],
  'softplus by ops, sum over outputs': [(z, y) => mean(tf.sum(logistic(z, y), -1)), bits, 'bernoulli', 1],
  'mean squared error': [(z, y) => tf.losses.meanSquaredError(y, z), shares, 'gaussian', 2 / D],
  'Keras mean squared error': [(z, y) => mean(metrics.meanSquaredError(y, z)), shares, 'gaussian', 2 / D],
  'squared error of a sigmoid': [(z, y) => tf.losses.meanSquaredError(y, tf.sigmoid(z)), bits, 'gaussian', 2 / D],
  'squared error of a sigmoid near one half': [
    (z, y) => tf.losses.meanSquaredError(y, tf.sigmoid(tf.mul(0.3, z))),
    bits,
    'gaussian',
    2 / D,
  ],
  'squared error of a softmax': [(z, y) => tf.losses.meanSquaredError(y, tf.softmax(z)), oneHot, 'gaussian', 2 / D],
  'half of a squared error, sum over outputs': [
    (z, y) => tf.mul(0.5, mean(tf.sum(tf.square(tf.sub(y, z)), 1))),
    shares,
    'gaussian',
    1,
  ],
  'mean squared logarithmic error': [
    (z, y) => mean(tf.square(tf.sub(tf.log(tf.add(1, y)), tf.log(tf.add(1, tf.sigmoid(z)))))),
    bits,
    'gaussian',
    2 / D,
  ],
  'squared error of a linear output that a sigmoid gates': [
    (z, y) => tf.losses.meanSquaredError(y, tf.mul(z, tf.sigmoid(z))),
    shares,
    'gaussian',
    2 / D,
  ],
  'a loss times 3': [
    (z, y) => tf.mul(3, mean(metrics.categoricalCrossentropy(y, tf.softmax(z)))),
    oneHot,
    'categorical',
    3,
  ],
};

/** Losses with another gradient than a cross-entropy's: what enters them is a tensor like any other. */
const others: Readonly<Record<string, [Loss, () => tf.Tensor, number?]>> = {
  // d + log(1 + e^(−2d)) − log 2, whose middle term alone is a likelihood
  // |d| + log1p(e^(−2|d|)) − log 2
  'log-cosh by its stable form': [
    (z, y) => {
      const size = tf.abs(tf.sub(z, y));
      return tf.mean(tf.sub(tf.add(size, tf.log1p(tf.exp(tf.neg(tf.abs(tf.mul(2, size)))))), Math.log(2)));
    },
    shares,
  ],
  'log-cosh by softplus': [
    (z, y) => {
      const d = tf.sub(z, y);
      return tf.mean(tf.sub(tf.add(d, tf.softplus(tf.mul(-2, d))), Math.log(2)));
    },
    shares,
  ],
  'a squared error of a sigmoid, multiplied out': [
    (z, y) => {
      const p = tf.sigmoid(tf.mul(0.01, z));
      return tf.mean(tf.sub(tf.square(p), tf.mul(2, tf.mul(y, p))));
    },
    bits,
  ],
  'focal loss': [
    (z, y) => tf.neg(mean(tf.mul(y, tf.mul(tf.square(tf.sub(1, tf.softmax(z))), tf.logSoftmax(z))))),
    oneHot,
  ],
  'Poisson of a sigmoid': [(z, y) => mean(tf.sub(tf.sigmoid(z), tf.mul(y, tf.log(tf.sigmoid(z))))), shares],
  'hinge loss': [(z, y) => tf.losses.hingeLoss(y, z), bits],
  'a cross-entropy with a penalty on the outputs': [
    (z, y) => tf.add(tf.losses.softmaxCrossEntropy(y, z), tf.mean(tf.square(z))),
    oneHot,
  ],
  'absolute error': [(z, y) => tf.losses.absoluteDifference(y, z), shares],
  'cosine proximity': [(z, y) => mean(metrics.cosineProximity(y, z)), shares],
};

/** Losses that get their targets in a form of their own: the gradient alone tells them. */
const hidden: Readonly<Record<string, [Loss, number[]]>> = {
  'a softmax for each of two groups, put together again': [
    (z, y) => {
      const parts = tf.split(z, 2, 0).map((part) => tf.softmax(part));
      return mean(metrics.categoricalCrossentropy(y, tf.concat(parts, 0)));
    },
    [1, 1, 1, 1],
  ],
  'targets of which some rows are zero': [
    (z, y) =>
      mean(metrics.categoricalCrossentropy(tf.mul(y, tf.tensor2d([1, 0, 1, 1, 0, 1, 1, 1], [B, 1])), tf.softmax(z))),
    [1, 0, 1, 1, 0, 1, 1, 1],
  ],
  'weights of classes': [
    (z, y) => mean(tf.neg(tf.sum(tf.mul(tf.mul(y, [1, 2, 3, 4, 5]), tf.logSoftmax(z)), -1))),
    [1, 2, 3, 4, 5, 1, 3, 3],
  ],
  'the logarithm of the probability of the target': [
    (z, y) => mean(tf.neg(tf.log(tf.sum(tf.mul(y, tf.softmax(z)), -1)))),
    new Array(B).fill(1),
  ],
};

describe('heads', () => {
  beforeAll(() => useBackend('cpu'));

  it.each(Object.entries(recognised))('recognises %s', (_, [loss, targets, distribution, weight]) => {
    const y = targets();
    const [head, ...others] = headsOf(loss, y);
    expect(others).toEqual([]);
    expect(head?.distribution).toBe(distribution);
    // The weight is measured on a float32 gradient. tf.losses.logLoss adds 1e-7 to probabilities, the least of which is
    // about 1e-3.
    expect(relativeError(head?.factors ?? [], new Array(B).fill(Math.sqrt(weight)))).toBeLessThan(1e-4);
    if (distribution === 'gaussian') {
      expect(head).toMatchObject({ floor: 0, soft: true });
      return;
    }
    const z = tf.matMul(normal([B, 4], 2), normal([4, D], 1));
    const p = distribution === 'categorical' ? tf.softmax(z) : tf.sigmoid(z);
    expect(relativeError(head?.probabilities ?? [], p.dataSync())).toBeLessThan(1e-6);
  });

  it.each(Object.entries(others))('takes %s for a loss of another kind', (_, [loss, targets, width]) => {
    const { heads, other } = metricOf(loss, targets(), width);
    expect(heads).toEqual([]);
    expect(other?.outputs.map(({ shape }) => shape)).toEqual([[B, width ?? D]]);
  });

  it.each(Object.entries(hidden))('recognises %s', (_, [loss, weights]) => {
    const heads = headsOf(loss, oneHot());
    for (const { distribution, factors, floor, soft } of heads) {
      expect({ distribution, floor, soft }).toEqual({ distribution: 'categorical', floor: 0, soft: false });
      const rows = Array.from(factors, (factor) => factor ** 2);
      const wanted = weights.slice(0, heads.length === 1 ? B : B / 2);
      const spread = rows.length === wanted.length ? rows : wanted.map(() => rows[0] ?? Number.NaN);
      // of two groups each is half of the mean
      expect(
        relativeError(
          spread,
          wanted.map((weight) => weight / heads.length),
        ),
      ).toBeLessThan(1e-3);
    }
    expect(heads.length).toBeGreaterThan(0);
  });

  it('weighs the samples as the loss does', () => {
    const weights = [0, 1, 2, 3, 0.5, 1, 1, 4];
    const loss: Loss = (z, y) => mean(tf.mul(tf.tensor1d(weights), metrics.categoricalCrossentropy(y, tf.softmax(z))));
    const [head] = headsOf(loss, oneHot());
    expect(relativeError(head?.factors ?? [], weights.map(Math.sqrt))).toBeLessThan(1e-5);
  });

  it('finds what enters a loss beside a head, and not once more what an activation makes of its logits', () => {
    const loss: Loss = (z, y) => {
      const logits = tf.slice(z, [0, 0], [B, D]);
      const p = tf.sigmoid(logits);
      const on = tf.mul(y, tf.log(tf.add(p, 1e-7)));
      const off = tf.mul(tf.sub(1, y), tf.log(tf.sub(1 + 1e-7, p)));
      const variance = tf.exp(tf.slice(z, [0, D], [B, 1]));
      return tf.add(tf.neg(tf.mean(tf.sum(tf.add(on, off), -1))), tf.mean(variance));
    };
    const { heads, other } = metricOf(loss, shares(), D + 1);
    expect(heads).toMatchObject([{ distribution: 'bernoulli', logits: { shape: [B, D] } }]);
    expect(other?.outputs.map(({ shape }) => shape)).toEqual([[B, 1]]);
  });

  it('takes no single number for a head that the loss uses for something else, too', () => {
    const once = metricOf((z) => tf.square(tf.mean(z)), shares());
    expect(once.heads).toMatchObject([{ distribution: 'gaussian', logits: { shape: [] } }]);
    const twice = metricOf((z) => {
      const all = tf.mean(z);
      return tf.add(tf.square(all), tf.add(3, tf.cos(all)));
    }, shares());
    expect(twice.heads).toEqual([]);
    const copied = metricOf((z) => {
      const all = tf.mean(z);
      return tf.add(tf.square(all), tf.add(3, tf.cos(tf.clone(all))));
    }, shares());
    expect(copied.heads).toEqual([]);
    expect(twice.other?.outputs.map(({ shape }) => shape)).toEqual([[B, D]]);
  });

  it.each<[string, Loss]>([
    ['sigmoidCrossEntropy', (z, y) => tf.losses.sigmoidCrossEntropy(y, z)],
    ['softplus', (z, y) => tf.mean(logistic(z, y))],
  ])('keeps the head of one sample with one logit, which a logistic loss uses again and again: %s', (_, loss) => {
    const one: Loss = (z) => loss(tf.slice(z, [0, 0], [1, 1]), tf.ones([1, 1]));
    expect(metricOf(one, bits()).heads).toMatchObject([{ distribution: 'bernoulli', logits: { size: 1 } }]);
  });

  it('keeps the other head of a loss that has one under a softplus', () => {
    const loss: Loss = (z, y) => {
      const d = tf.sub(tf.slice(z, [0, D], [B, 1]), 0.3);
      const logCosh = tf.mean(tf.add(d, tf.softplus(tf.mul(-2, d))));
      return tf.add(tf.losses.softmaxCrossEntropy(y, tf.slice(z, [0, 0], [B, D])), logCosh);
    };
    const { heads, other } = metricOf(loss, oneHot(), D + 1);
    expect(heads).toMatchObject([{ distribution: 'categorical', logits: { shape: [B, D] } }]);
    expect(other?.outputs.map(({ shape }) => shape)).toEqual([[B, 1]]);
  });

  it('keeps the head of a distillation, whose logits are an output by a temperature that has a loss of its own', () => {
    const loss: Loss = (z, y) =>
      tf.add(
        tf.losses.softmaxCrossEntropy(tf.softmax(tf.div(y, 3)), tf.div(z, 3)),
        tf.losses.softmaxCrossEntropy(y, z),
      );
    const { heads, other } = metricOf(loss, oneHot());
    expect(heads).toMatchObject([{ distribution: 'categorical', logits: { shape: [B, D] } }]);
    expect(other?.outputs).toHaveLength(1);
  });

  it('keeps a head of a slice where the whole output is punished besides', () => {
    const loss: Loss = (z, y) => {
      const logits = tf.slice(z, [0, 0], [B, D]);
      return tf.add(tf.losses.softmaxCrossEntropy(y, logits), tf.mean(tf.abs(z)));
    };
    const { heads, other } = metricOf(loss, oneHot(), D + 1);
    expect(heads).toMatchObject([{ distribution: 'categorical', logits: { shape: [B, D] } }]);
    expect(other?.outputs.map(({ shape }) => shape)).toEqual([[B, D + 1]]);
  });

  it.each<[string, number[]]>([
    ['of both signs', [1, -1, 2, -0.5, 0, 1, -3, 0.25]],
    ['below 0', [-1, -1, -1, -1, -1, -1, -1, -1]],
  ])('takes weights %s, advantages say, by their size, of a loss that has no least', (_, weights) => {
    const s = tf.tensor1d(weights);
    const loss: Loss = (z, y) => tf.neg(tf.mean(tf.mul(s, tf.sum(tf.mul(y, tf.logSoftmax(z)), -1))));
    const [head] = headsOf(loss, oneHot());
    expect(head).toMatchObject({ distribution: 'categorical', bounded: false, soft: true });
    const sizes = weights.map((weight) => Math.sqrt(Math.abs(weight)));
    expect(relativeError(head?.factors ?? [], sizes)).toBeLessThan(1e-5);
  });

  it('finds every head of a model with several', () => {
    const loss: Loss = (z, y) => {
      const [left, right] = tf.split(z, [2, 3], 1) as [tf.Tensor, tf.Tensor];
      const [bit, one] = tf.split(y, [2, 3], 1) as [tf.Tensor, tf.Tensor];
      return tf.add(
        mean(metrics.binaryCrossentropy(bit, tf.sigmoid(left))),
        tf.losses.softmaxCrossEntropy(tf.softmax(one), right),
      );
    };
    const heads = headsOf(loss, bits());
    expect(heads.map(({ distribution }) => distribution).sort()).toEqual(['bernoulli', 'categorical']);
  });
});
