import * as tf from '@tensorflow/tfjs-core';
import { type CgfacOptimizer, type CgfacOptions, cgfac } from '../../../lib/tfjs';
import { normal } from './backends';

/** A small network with a variable that no layer has, and an optimizer that trains it. */
export interface SmallRun {
  readonly optimizer: CgfacOptimizer;
  /** A kernel (3 × 4), its bias, a scale that no layer has, and a kernel (4 × 2). */
  readonly variables: readonly [tf.Variable, tf.Variable, tf.Variable, tf.Variable];
  /** The rows (16 × 3) that the loss is of. */
  readonly x: tf.Tensor;
  readonly loss: () => tf.Scalar;
  /** So many steps of `minimize`. */
  readonly train: (steps: number) => void;
  /** All numbers that training has come to, its averages and its state among them. */
  readonly numbers: () => Promise<readonly number[]>;
  readonly dispose: () => void;
}

/**
 * Makes the network of {@link SmallRun}, the same one each time, names of variables and all: one at a time, which is
 * disposed of before the next one is made.
 */
export function smallRun(options: CgfacOptions = {}): SmallRun {
  const [x, y] = [normal([16, 3], 1), normal([16, 2], 2)];
  const named = (name: string, value: tf.Tensor) => tf.variable(value, true, name);
  const [w, b] = [named('w', normal([3, 4], 3)), named('b', normal([4], 5))];
  const [scale, v] = [named('scale', tf.ones([4])), named('v', normal([4, 2], 4))];
  const variables = [w, b, scale, v] as const;
  const loss = () => {
    const hidden = tf.mul(tf.tanh(tf.add(tf.matMul(x, w), b)), scale);
    return tf.mean(tf.squaredDifference(tf.matMul(hidden, v), y)) as tf.Scalar;
  };
  const optimizer = cgfac({ seed: 1, ...options } as CgfacOptions);
  const read = () => variables.flatMap((each) => [...each.dataSync()]);
  return {
    optimizer,
    variables,
    x,
    loss,
    train: (steps) => {
      for (let step = 0; step < steps; step++) optimizer.minimize(loss, false, [...variables]);
    },
    numbers: async () => {
      const averages = await optimizer.withAveragedWeights(read);
      const state = (await optimizer.getWeights()).flatMap(({ tensor }) => [...tensor.dataSync()]);
      return [optimizer.iterations, ...read(), ...averages, ...state];
    },
    dispose: () => {
      optimizer.dispose();
      for (const each of variables) each.dispose();
    },
  };
}
