/** A kernel that is split into gates, as a GRU's is, against independent float64 code. */
import * as tf from '@tensorflow/tfjs-core';
import { cgfac } from '../../../lib/tfjs';
import { relativeError } from '../../support/golden-case';
import { GoldenSlices } from '../../support/golden-slices';
import { quietWarnings, useBackend } from '../support/backends';

const golden = new GoldenSlices('kinds/gru-recurrent');
const { batch, relativeDamping, blocks } = golden.manifest;
const [rows, columns] = golden.size;
const [, positions = 1] = golden.shape('inputs@0');

/** What is asked of directions of every kind. */
const DIRECTION = 1e-5;

quietWarnings();

describe.each(['cpu', 'wasm'] as const)('a kernel in slices on %s', (backend) => {
  beforeAll(() => useBackend(backend));
  afterEach(() => tf.disposeVariables());

  it.each([
    ['blocks', blocks.map(({ from, to }, block) => ({ from, to, block }))],
    // the gates of the first block, which share their data, each by itself
    [
      'gates',
      [
        { from: 0, to: rows, block: 0 },
        { from: rows, to: 2 * rows, block: 0 },
        { from: 2 * rows, to: columns, block: 1 },
      ],
    ],
  ])('%s become the direction of the whole', (_, slices) => {
    const kernel = tf.variable(tf.zeros([rows, columns]), true, 'kernel');
    const given = (block: number, name: 'inputs' | 'fisherGrads') => {
      const values = golden.rows(block)[name];
      return tf.tensor(values, [batch, positions, values.length / (batch * positions)]);
    };
    const data = blocks.map((__, block) => [given(block, 'inputs'), given(block, 'fisherGrads')] as const);
    // the gradient of a loss that is linear in z is what it multiplies z by: what G is made of
    const f = () => {
      const parts = tf.split(
        kernel,
        slices.map(({ from, to }) => to - from),
        1,
      );
      const terms = slices.map(({ from, to, block }, index) => {
        const [x, all] = data[block] as readonly [tf.Tensor, tf.Tensor];
        const grads = tf.slice(all, [0, 0, from - (blocks[block]?.from ?? 0)], [-1, -1, to - from]);
        const z = tf.matMul(tf.reshape(x, [-1, rows]), parts[index] as tf.Tensor2D);
        return tf.div(tf.sum(tf.mul(tf.reshape(z, grads.shape), grads)), batch);
      });
      return tf.addN(terms) as tf.Scalar;
    };
    const optimizer = cgfac({
      method: 'exact',
      fisher: 'empirical',
      factorHistory: 'none',
      damping: { relative: relativeDamping },
      stepRule: 'fixed',
      momentum: 0,
      useEma: false,
    });
    const { value, grads } = optimizer.computeGradients(f, [kernel]);
    optimizer.applyGradients({ kernel: tf.tensor(Float32Array.from(golden.float64('kernelGrad')), [rows, columns]) });
    expect(optimizer.report()?.layers.map(({ name }) => name)).toEqual(
      blocks.map(({ from, to }) => `kernel@${from}:${to}`),
    );
    const moved = kernel.dataSync().map((each) => -each);
    expect(relativeError(moved, golden.float64('expand_kernel'))).toBeLessThan(DIRECTION);
    tf.dispose([value, grads]);
    optimizer.dispose();
  });
});
