import * as tf from '@tensorflow/tfjs-core';
import { sampledErrors, uniforms } from '../../../lib/adapter-kit';
import { type CgfacOptimizer, type CgOptimizerOptions, cgfac } from '../../../lib/tfjs';
import { normal, variable } from './backends';
import type { Rows } from './reference';

/** The seed of the sampled targets of {@link oneLayer}. */
export const SEED = 9;

/** An optimizer with the paper's algorithm. */
export const cg = (options: Partial<CgOptimizerOptions> = {}) => cgfac({ ...options, method: 'cg' });

/** A tensor as rows of its last axis. */
export function rowsOf(tensor: tf.Tensor): number[][] {
  const width = tensor.shape.at(-1) ?? 1;
  const values = Array.from(tensor.dataSync());
  return Array.from({ length: values.length / width }, (_, row) => values.slice(row * width, (row + 1) * width));
}

/** Rows with the homogeneous 1 of a bias. */
export const withOne = (rows: Rows): number[][] => rows.map((row) => [...row, 1]);

/** One dense layer under a softmax, as plain ops: kernel (4 × 3), bias (3). */
export function oneLayer() {
  const [w, b] = [variable([4, 3], 1), variable([3], 2)];
  const logits = (x: tf.Tensor) => tf.add(tf.matMul(x, w), b);
  const loss = (x: tf.Tensor, y: tf.Tensor) => () => tf.losses.softmaxCrossEntropy(y, logits(x)) as tf.Scalar;
  /**
   * The output gradients of sampled targets at the step `step`, and the gradient of the loss with the bias as its last
   * row.
   */
  const rows = (x: tf.Tensor, y: tf.Tensor, step: number) =>
    tf.tidy(() => {
      const { shape } = y;
      const p = tf.softmax(tf.reshape(logits(tf.reshape(x, [-1, 4])), shape));
      const samples = shape[0] ?? 1;
      const positions = p.size / samples / 3;
      const factors = new Float64Array(samples).fill(Math.sqrt(1 / positions));
      const errors = sampledErrors('categorical', p.dataSync(), 3, factors, uniforms(SEED, step));
      const lossGrads = tf.div(tf.sub(p, y), samples * positions);
      const { grads, value } = tf.variableGrads(loss(tf.reshape(x, [-1, 4]), tf.reshape(y, [-1, 3])), [w, b]);
      value.dispose();
      const v = [...rowsOf(grads[w.name] as tf.Tensor), ...rowsOf(grads[b.name] as tf.Tensor)];
      return { sampledGrads: rowsOf(tf.tensor(errors, shape)), lossGrads: rowsOf(lossGrads), v };
    });
  return { w, b, logits, loss, rows, dispose: () => tf.dispose([w, b]) };
}

/** One-hot targets of three classes, always the same for the same seed. */
export const oneHot = (samples: number, seed: number) =>
  tf.tidy(() => tf.cast(tf.oneHot(tf.argMax(normal([samples, 3], seed), 1), 3), 'float32'));

/** What a step changed, kernel first. */
export function change(optimizer: CgfacOptimizer, loss: () => tf.Scalar, variables: readonly tf.Variable[]): number[] {
  const before = variables.map((v) => v.dataSync().slice());
  optimizer.minimize(loss, false, [...variables]);
  return variables.flatMap((v, index) => Array.from(v.dataSync(), (value, at) => value - (before[index]?.[at] ?? 0)));
}
