import * as tf from '@tensorflow/tfjs-core';
import { normal, relativeError, useBackend, variable } from '../support/backends';
import { capturedRows, capturedStep, captureOptions, FLOAT32_SUM, gradientsOfRows } from '../support/capture';
import { pixels } from '../support/models';
import { SAMPLES } from '../support/networks';

describe('a capture', () => {
  beforeAll(() => useBackend('cpu'));

  it('regularisation leaves a kernel a kernel, and is told apart from the gradient of its rows', () => {
    const x = normal([SAMPLES, 4], 3);
    const [w, b] = [variable([4, 3], 41), variable([3], 42)];
    const penalty = () =>
      tf.add(tf.sum(tf.mul(0.1, tf.abs(w))), tf.add(tf.sum(tf.mul(0.2, tf.mul(w, w))), tf.sum(tf.square(b))));
    const loss = () => tf.add(tf.mean(tf.square(tf.add(tf.matMul(x, w), b))), penalty()) as tf.Scalar;
    const { taken, grads } = capturedRows(loss, [w, b]);
    const [layer] = taken.layers;
    if (!layer) throw new Error('the layer was not found');
    expect(layer.bias?.variable).toBe(b);
    const rows = gradientsOfRows(layer);
    for (const [variable, ofRows] of [
      [w, rows.kernel],
      [b, rows.bias],
    ] as const) {
      const penalised = layer.penaltyGrads.get(variable) ?? [];
      expect(
        relativeError(
          ofRows.map((value, at) => value + (penalised[at] ?? 0)),
          grads[variable.name]?.dataSync() ?? [],
        ),
      ).toBeLessThan(FLOAT32_SUM);
    }
    tf.dispose([grads, w, b, x]);
  });

  it('samples targets for a share of the batch, and at the steps that refresh the factors alone', () => {
    const [w1, w2] = [variable([12, 7], 1), variable([7, 12], 3)];
    const x = pixels(20, 1);
    const loss = () => tf.losses.sigmoidCrossEntropy(x, tf.matMul(tf.tanh(tf.matMul(x, w1)), w2)) as tf.Scalar;
    const taken = [1, 0.25, 0].map((share) => {
      const { taken: found, grads } = capturedStep(loss, [w1, w2], {
        ...captureOptions('true', false),
        share: () => share,
      });
      tf.dispose(grads);
      return found;
    });
    const [whole, quarter, none] = taken.map(({ layers: found }) => found.map(({ sampledGrads }) => sampledGrads));
    expect(none).toEqual([undefined, undefined]);
    expect(quarter?.map((rows) => rows?.length)).toEqual([5 * 7, 5 * 12]);
    // the same uniform numbers go to the same samples
    expect(quarter?.[1]).toEqual(whole?.[1]?.subarray(0, 60));
    expect(relativeError(quarter?.[0] ?? [], whole?.[0]?.subarray(0, 35) ?? [])).toBeLessThan(1e-6);
    tf.dispose([w1, w2, x]);
  });
});
