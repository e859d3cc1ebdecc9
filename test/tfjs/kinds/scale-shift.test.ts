/** Scales and shifts that are written out: the rows of a product and a sum. */
import * as tf from '@tensorflow/tfjs-core';
import { concatenated } from '../../../lib/adapter-kit';
import { normal, relativeError, useBackend, variable } from '../support/backends';
import { capturedRows, FLOAT32_SUM } from '../support/capture';
import { SAMPLES } from '../support/networks';

const [POSITIONS, CHANNELS] = [5, 4];

type Write = (x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) => tf.Tensor;

const forms: Readonly<Record<string, Write>> = {
  'the scale on the right': (x, scale, shift) => tf.add(tf.mul(x, scale), shift),
  'the scale on the left, the shift too': (x, scale, shift) => tf.add(shift, tf.mul(scale, x)),
  'vectors of the rank of the data': (x, scale, shift) => {
    const wide = (vector: tf.Tensor) => tf.reshape(vector, [1, 1, CHANNELS]);
    return tf.add(tf.mul(x, wide(scale)), wide(shift));
  },
};

describe.each(['cpu', 'wasm'] as const)('on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  it.each(Object.entries(forms))('%s', (_, write) => {
    const variables = [variable([4, CHANNELS], 1), variable([CHANNELS], 2), variable([CHANNELS], 3)];
    const [kernel, scale, shift] = variables as [tf.Variable, tf.Variable, tf.Variable];
    const x = normal([SAMPLES * POSITIONS, 4], 4);
    const loss = () => {
      const z = tf.reshape(tf.matMul(x, kernel), [SAMPLES, POSITIONS, CHANNELS]);
      const { mean, variance } = tf.moments(z, -1, true);
      const normalised = tf.div(tf.sub(z, mean), tf.sqrt(tf.add(variance, 1e-3)));
      return tf.mean(tf.square(tf.tanh(write(normalised, scale, shift)))) as tf.Scalar;
    };
    const { taken, grads } = capturedRows(loss, variables);
    expect(taken.lone).toEqual([]);
    const layer = taken.layers.find((each) => each.kernel.variable === scale);
    expect(layer).toMatchObject({ bias: { variable: shift }, samples: SAMPLES });
    expect(layer?.inputs).toHaveLength(SAMPLES * POSITIONS * CHANNELS);
    const outputGrads = concatenated(layer?.lossGrads.flatMap((each) => each ?? []) ?? []);
    const sums = [new Float64Array(CHANNELS), new Float64Array(CHANNELS)] as const;
    outputGrads.forEach((g, at) => {
      const channel = at % CHANNELS;
      sums[0][channel] = (sums[0][channel] ?? 0) + g * (layer?.inputs[at] ?? Number.NaN);
      sums[1][channel] = (sums[1][channel] ?? 0) + g;
    });
    for (const [index, each] of [scale, shift].entries())
      expect(relativeError(sums[index] ?? [], grads[each.name]?.dataSync() ?? [])).toBeLessThan(FLOAT32_SUM);
    tf.dispose([grads, variables, x]);
  });
});
