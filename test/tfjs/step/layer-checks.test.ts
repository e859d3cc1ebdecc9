import * as tf from '@tensorflow/tfjs-core';
import { normal, quietWarnings, useBackend } from '../support/backends';
import { cg, change, oneHot, oneLayer, SEED } from '../support/one-layer';

const warnings = quietWarnings();

describe('the check of the first step', () => {
  beforeAll(() => useBackend('cpu'));

  it('turns a layer whose gradient is another than that of its rows into lone variables, with one warning', () => {
    const original = tf.getGradient('BatchMatMul');
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const layer = oneLayer();
    const optimizer = cg({ seed: SEED, learningRate: 0.5 });
    tf.unregisterGradient('BatchMatMul');
    tf.registerGradient({
      ...original,
      gradFunc: (dy, saved, attributes) => {
        const { a, b } = original.gradFunc(dy, saved, attributes) as { a: () => tf.Tensor; b: () => tf.Tensor };
        return { a, b: () => tf.mul(1.1, b()) };
      },
    });
    try {
      // at the first step their targets were sampled for the layer: it waits for the second
      expect(change(optimizer, layer.loss(x, y), [layer.w, layer.b]).every((number) => number === 0)).toBe(true);
      expect(change(optimizer, layer.loss(x, y), [layer.w, layer.b]).every((number) => number !== 0)).toBe(true);
    } finally {
      tf.unregisterGradient('BatchMatMul');
      tf.registerGradient(original);
    }
    expect(warnings.calls).toHaveLength(1);
    // The kernel gradient is 1.1 times that of the rows: 0.1/1.1 of itself off, of which a random vector of signs sees
    // about as much.
    const [, discrepancy] =
      /differs from the framework's for (?:\S+) by (\S+);/.exec(String(warnings.calls[0]?.[0])) ?? [];
    expect(Number(discrepancy)).toBeGreaterThan(0.03);
    expect(Number(discrepancy)).toBeLessThan(0.3);
    const both = [{ name: layer.w.name }, { name: layer.b.name }];
    expect(optimizer.lastStep).toMatchObject({ lone: both, summary: { layers: both } });
    layer.dispose();
  });
});
