import * as tf from '@tensorflow/tfjs-core';
import { normal, quietWarnings, relativeError, useBackend } from '../support/backends';
import { cg, change, oneHot, oneLayer, SEED } from '../support/one-layer';

const warnings = quietWarnings();

describe('the check of the first step', () => {
  beforeAll(() => useBackend('cpu'));

  it('turns a layer whose gradient is another than that of its rows into plain variables, with one warning', () => {
    const original = tf.getGradient('BatchMatMul');
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const layer = oneLayer();
    const optimizer = cg({ seed: SEED, learningRate: 0.5, gradientLearningRate: 1 });
    tf.unregisterGradient('BatchMatMul');
    tf.registerGradient({
      ...original,
      gradFunc: (dy, saved, attributes) => {
        const { a, b } = original.gradFunc(dy, saved, attributes) as { a: () => tf.Tensor; b: () => tf.Tensor };
        return { a, b: () => tf.mul(1.1, b()) };
      },
    });
    try {
      const { value, grads } = tf.variableGrads(layer.loss(x, y), [layer.w, layer.b]);
      const changed = change(optimizer, layer.loss(x, y), [layer.w, layer.b]);
      const gradient = [...(grads[layer.w.name]?.dataSync() ?? []), ...(grads[layer.b.name]?.dataSync() ?? [])];
      expect(
        relativeError(
          changed,
          gradient.map((number) => -0.5 * number),
        ),
      ).toBeLessThan(1e-6);
      change(optimizer, layer.loss(x, y), [layer.w, layer.b]);
      tf.dispose([value, grads]);
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
    expect(optimizer.lastStep).toMatchObject({ plain: [{ name: layer.w.name }, { name: layer.b.name }] });
    expect(optimizer.lastStep?.summary).toBeUndefined();
    layer.dispose();
  });
});
