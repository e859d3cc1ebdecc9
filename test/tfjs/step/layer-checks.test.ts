import * as tf from '@tensorflow/tfjs-core';
import { normal, quietWarnings, relativeError, useBackend, variable } from '../support/backends';
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

  it('goes by the gradient functions that TensorFlow.js has, where one of them was replaced', () => {
    const original = tf.getGradient('Tanh');
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const trained = (gradFunc: typeof original.gradFunc) => {
      tf.registerGradient({ ...original, gradFunc });
      const [u, v] = [variable([4, 6], 1), variable([6, 3], 2)] as tf.Tensor[] as [tf.Tensor2D, tf.Tensor2D];
      const loss = () => {
        const h = tf.tanh(tf.matMul(x as tf.Tensor2D, u)) as tf.Tensor2D;
        return tf.losses.softmaxCrossEntropy(y, tf.matMul(h, v)) as tf.Scalar;
      };
      const optimizer = cg({ seed: SEED });
      for (let step = 0; step < 3; step++) optimizer.minimize(loss, false, [u, v] as tf.Tensor[] as tf.Variable[]);
      const result = [...u.dataSync(), ...v.dataSync()];
      expect(optimizer.lastStep?.lone).toEqual([]);
      tf.dispose([u, v]);
      return result;
    };
    try {
      const own = trained(original.gradFunc);
      // straight through, as for what is quantised; and the same function, which is another one
      const straight = trained((dy) => ({ x: () => dy as tf.Tensor }));
      expect(
        relativeError(
          trained((...given) => original.gradFunc(...given)),
          own,
        ),
      ).toBeLessThan(1e-5);
      expect(relativeError(straight, own)).toBeGreaterThan(1e-3);
    } finally {
      tf.registerGradient(original);
    }
    expect(warnings.calls).toHaveLength(0);
    tf.dispose([x, y]);
  });

  it('leaves the normal backward pass out of the steps to come, where rows say all that is wanted of it', () => {
    const [x, y] = [normal([8, 4], 3), oneHot(8, 4)];
    const layer = oneLayer();
    const optimizer = cg({ seed: SEED });
    const weights = [layer.w, layer.b];
    const gradients = jest.spyOn(tf.engine(), 'runKernel');
    const backward = () => {
      gradients.mockClear();
      optimizer.minimize(layer.loss(x, y), false, weights);
      // the product of the forward pass, and where the normal pass went the gradient of the kernel
      return gradients.mock.calls.filter(([kernel]) => kernel === 'BatchMatMul').length;
    };
    const [first, second] = [backward(), backward()];
    gradients.mockRestore();
    expect(second).toBe(first - 1);
    const { value, grads } = optimizer.computeGradients(layer.loss(x, y), weights);
    const expected = tf.variableGrads(layer.loss(x, y), weights);
    for (const [name, gradient] of Object.entries(expected.grads))
      expect(relativeError(grads[name]?.dataSync() ?? [], gradient.dataSync())).toBeLessThan(1e-6);
    tf.dispose([value, grads, expected.value, expected.grads, x, y]);
    layer.dispose();
  });
});
