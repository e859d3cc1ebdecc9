import * as tf from '@tensorflow/tfjs-core';
import { normal, variable } from './backends';

/** A model written with plain ops: its trainable variables, and its loss. */
export interface Network {
  readonly variables: readonly tf.Variable[];
  readonly loss: () => tf.Scalar;
  readonly dispose: () => void;
}

/** Samples of every network here. */
export const SAMPLES = 6;

/**
 * Makes a network from its parameters (shapes) and its logits, under softmax cross-entropy with fixed one-hot targets.
 */
function softmaxNetwork(
  shapes: readonly number[][],
  logits: (parameters: tf.Variable[], x: tf.Tensor) => tf.Tensor,
  input = [SAMPLES, 4],
): Network {
  const x = normal(input, 11);
  const variables = shapes.map((shape, index) => variable(shape, 21 + index));
  const loss = () => {
    const z = logits(variables, x);
    const classes = z.shape.at(-1) ?? 1;
    const labels = Array.from({ length: z.size / classes }, (_, row) => (row * 7) % classes);
    const y = tf.reshape(tf.cast(tf.oneHot(tf.tensor1d(labels, 'int32'), classes), 'float32'), z.shape);
    return tf.neg(tf.mean(tf.sum(tf.mul(y, tf.logSoftmax(z)), -1))) as tf.Scalar;
  };
  return { variables, loss, dispose: () => tf.dispose([x, ...variables]) };
}

const at = (parameters: readonly tf.Variable[], index: number): tf.Variable => {
  const variable = parameters[index];
  if (!variable) throw new Error(`parameter ${index} is missing`);
  return variable;
};

/** A matrix as a stack of one for each sample. */
const forEach = (kernel: tf.Tensor) => tf.tile(tf.expandDims(kernel, 0), [SAMPLES, 1, 1]);

/** The networks whose samples have five positions. */
export const sequences: ReadonlySet<string> = new Set([
  'data of rank 3',
  'kernel repeated for each sample',
  'kernel on the left, repeated for each sample',
]);

/** Networks whose every variable is part of a dense layer, by the way in which they are written. */
export const denseNetworks: Readonly<Record<string, () => Network>> = {
  'matMul and add': () => softmaxNetwork([[4, 3], [3]], (p, x) => tf.add(tf.matMul(x, at(p, 0)), at(p, 1))),
  'bias on the left of add': () => softmaxNetwork([[4, 3], [3]], (p, x) => tf.add(at(p, 1), tf.matMul(x, at(p, 0)))),
  'bias as a row': () =>
    softmaxNetwork(
      [
        [4, 3],
        [1, 3],
      ],
      (p, x) => tf.add(tf.matMul(x, at(p, 0)), at(p, 1)),
    ),
  'matMul without bias': () => softmaxNetwork([[4, 3]], (p, x) => tf.matMul(x, at(p, 0))),
  'fused with bias': () =>
    softmaxNetwork([[4, 3], [3]], (p, x) =>
      tf.fused.matMul({ a: x as tf.Tensor2D, b: at(p, 0) as tf.Tensor as tf.Tensor2D, bias: at(p, 1) }),
    ),
  'fused without bias': () =>
    softmaxNetwork([[4, 3]], (p, x) =>
      tf.fused.matMul({ a: x as tf.Tensor2D, b: at(p, 0) as tf.Tensor as tf.Tensor2D }),
    ),
  'kernel transposed by flag': () =>
    softmaxNetwork([[3, 4], [3]], (p, x) => tf.add(tf.matMul(x, at(p, 0), false, true), at(p, 1))),
  'kernel transposed by op': () =>
    softmaxNetwork([[3, 4], [3]], (p, x) => tf.add(tf.matMul(x, tf.transpose(at(p, 0))), at(p, 1))),
  'kernel transposed twice': () =>
    softmaxNetwork([[4, 3], [3]], (p, x) => tf.add(tf.matMul(x, tf.transpose(at(p, 0)), false, true), at(p, 1))),
  'data transposed by flag': () =>
    softmaxNetwork([[4, 3], [3]], (p, x) => tf.add(tf.matMul(x, at(p, 0), true), at(p, 1)), [4, SAMPLES]),
  'both transposed by flag': () =>
    softmaxNetwork([[3, 4], [3]], (p, x) => tf.add(tf.matMul(x, at(p, 0), true, true), at(p, 1)), [4, SAMPLES]),
  'fused, both transposed': () =>
    softmaxNetwork(
      [[3, 4], [3]],
      (p, x) =>
        tf.fused.matMul({
          a: x as tf.Tensor2D,
          b: at(p, 0) as tf.Tensor as tf.Tensor2D,
          transposeA: true,
          transposeB: true,
          bias: at(p, 1),
        }),
      [4, SAMPLES],
    ),
  'kernel on the left': () => softmaxNetwork([[3, 4]], (p, x) => tf.transpose(tf.matMul(at(p, 0), x)), [4, SAMPLES]),
  'kernel on the left, both transposed': () =>
    softmaxNetwork([[4, 3]], (p, x) => tf.transpose(tf.matMul(at(p, 0), x, true, true))),
  'kernel of rank 3': () =>
    softmaxNetwork([[1, 4, 3], [3]], (p, x) => tf.add(tf.matMul(x, tf.reshape(at(p, 0), [4, 3])), at(p, 1))),
  'data of rank 3': () =>
    softmaxNetwork(
      [[4, 3], [3]],
      (p, x) => tf.add(tf.reshape(tf.matMul(tf.reshape(x, [-1, 4]), at(p, 0)), [SAMPLES, 5, 3]), at(p, 1)),
      [SAMPLES, 5, 4],
    ),
  'kernel repeated for each sample': () =>
    softmaxNetwork(
      [[4, 3], [3]],
      (p, x) =>
        tf.add(tf.matMul(x, forEach(at(p, 0))), tf.tile(tf.expandDims(tf.expandDims(at(p, 1))), [SAMPLES, 5, 1])),
      [SAMPLES, 5, 4],
    ),
  'kernel on the left, repeated for each sample': () =>
    softmaxNetwork([[3, 4]], (p, x) => tf.transpose(tf.matMul(forEach(at(p, 0)), x), [0, 2, 1]), [SAMPLES, 4, 5]),
  'two layers': () =>
    softmaxNetwork([[4, 5], [5], [5, 3], [3]], (p, x) =>
      tf.add(tf.matMul(tf.tanh(tf.add(tf.matMul(x, at(p, 0)), at(p, 1))), at(p, 2)), at(p, 3)),
    ),
  'shared layer': () =>
    softmaxNetwork([[4, 4], [4], [4, 3]], (p, x) => {
      const once = tf.tanh(tf.add(tf.matMul(x, at(p, 0)), at(p, 1)));
      return tf.matMul(tf.tanh(tf.add(tf.matMul(once, at(p, 0)), at(p, 1))), at(p, 2));
    }),
};
