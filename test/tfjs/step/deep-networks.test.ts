/** Plain networks of many relu layers, through which a change of each multiplies with those of all others. */
import * as tf from '@tensorflow/tfjs-core';
import { initializers, layers, sequential } from '@tensorflow/tfjs-layers';
import { cgfac } from '../../../lib/tfjs';
import { normal, quietWarnings, useBackend } from '../support/backends';
import { train } from '../support/models';

quietWarnings();
beforeAll(() => useBackend('wasm'));

const softmax = { units: 4, activation: 'softmax', loss: 'categoricalCrossentropy' } as const;
const sigmoid = { units: 1, activation: 'sigmoid', loss: 'binaryCrossentropy' } as const;
const linear = { units: 1, activation: 'linear', loss: 'meanSquaredError' } as const;

test.each([
  [10, softmax],
  [20, softmax],
  [20, sigmoid],
  [20, linear],
] as const)('%i layers under %o train: no step takes the loss where nothing has a gradient', async (depth, head) => {
  const { units, activation, loss } = head;
  const x = normal([128, 12], 1);
  const y = tf.tidy(() => {
    const values = tf.tanh(tf.matMul(x as tf.Tensor2D, normal([12, 4], 2) as tf.Tensor2D));
    if (units === 4) return tf.cast(tf.oneHot(tf.argMax(values, 1), 4), 'float32');
    const sums = tf.sum(values, 1, true);
    return activation === 'sigmoid' ? tf.cast(tf.greater(sums, 0), 'float32') : sums;
  });
  const kernel = (l: number) => ({ kernelInitializer: initializers.heNormal({ seed: 200 + l }) });
  const net = sequential({
    layers: [
      ...Array.from({ length: depth }, (_, l) =>
        layers.dense({ units: 24, activation: 'relu', ...(l === 0 ? { inputShape: [12] } : {}), ...kernel(l) }),
      ),
      layers.dense({ units, activation, ...kernel(depth) }),
    ],
  });
  // of 120 seeds twelve take the squared error past 1.2 times its start on the way, to 1.95; all end below a twentieth
  const optimizer = cgfac({ seed: 1 });
  net.compile({ optimizer, loss });
  const start = await train(net, x, y, 1);
  const losses: number[] = [];
  for (let step = 0; step < 40; step++) losses.push(await train(net, x, y, 1));
  expect(Math.max(...losses)).toBeLessThan(1.2 * start);
  expect(losses.at(-1)).toBeLessThan(0.2 * start);
  optimizer.dispose();
  net.dispose();
  tf.dispose([x, y]);
});
