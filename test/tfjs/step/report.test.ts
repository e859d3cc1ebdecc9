// What report() shows besides the layers: the heads, their metric, and L_min.
import * as tf from '@tensorflow/tfjs-core';
import { cgfac } from '../../../lib/tfjs';
import { headsAfter } from '../../../lib/tfjs/step/report';
import { normal, quietScopes, variable } from '../support/backends';
import { oneHot } from '../support/one-layer';

quietScopes();

const x = () => normal([40, 4], 3);

it('shows the head, its metric and the floor of the loss, also at steps that sample nothing', () => {
  const w = variable([4, 3], 1);
  const y = oneHot(40, 4);
  const smooth = tf.add(tf.mul(0.9, y), 0.1 / 3);
  const optimizer = cgfac({ seed: 1 });
  expect(optimizer.report()).toBeUndefined();
  const hard = () => tf.losses.softmaxCrossEntropy(y, tf.matMul(x(), w)) as tf.Scalar;
  for (let step = 0; step < 12; step++) optimizer.minimize(hard);
  expect(optimizer.lastStep?.heads).toEqual([{ distribution: 'categorical', shape: [40, 3], metric: undefined }]);
  const heads = [{ distribution: 'categorical', shape: [40, 3], metric: 'fisher' }];
  expect(optimizer.report()).toMatchObject({ layers: [{ name: w.name }], heads, lossFloor: 0 });
  optimizer.minimize(() => tf.losses.softmaxCrossEntropy(smooth, tf.matMul(x(), w)) as tf.Scalar);
  expect(optimizer.report()).toMatchObject({ heads, lossFloor: optimizer.lastStep?.summary?.lossFloor });
  expect(optimizer.report()?.lossFloor).toBeGreaterThan(0.2);
  optimizer.minimize(() => tf.mul(hard(), Number.NaN) as tf.Scalar);
  expect(optimizer.report()).toMatchObject({ heads });
  optimizer.dispose();
  expect(optimizer.report()).toBeUndefined();
});

it('shows the given floor, and a loss that is of no known distribution', () => {
  const w = variable([4, 3], 1);
  const optimizer = cgfac({ seed: 1, lossFloor: -2 });
  optimizer.minimize(() => tf.losses.absoluteDifference(normal([40, 3], 5), tf.matMul(x(), w)) as tf.Scalar);
  const heads = [{ distribution: undefined, shape: [40, 3], metric: 'slope' }];
  expect(optimizer.report()).toMatchObject({ heads, lossFloor: -2 });
});

it('has more damping where the curvature of the loss is assumed, and as much at steps that sample nothing', () => {
  const y = normal([40, 3], 5);
  const dampingOf = (loss: (z: tf.Tensor) => tf.Tensor, options = {}, steps = 1) => {
    const w = variable([4, 3], 1);
    const optimizer = cgfac({ seed: 1, ...options });
    const found = [];
    for (let step = 0; step < steps; step++) {
      optimizer.minimize(() => loss(tf.matMul(x(), w)) as tf.Scalar);
      const damping = optimizer.lastStep?.summary?.layers[0]?.damping as { readonly input: number } | undefined;
      found.push(damping?.input ?? Number.NaN);
    }
    optimizer.dispose();
    return found;
  };
  const squared = (z: tf.Tensor) => tf.losses.meanSquaredError(y, z);
  const absolute = (z: tf.Tensor) => tf.losses.absoluteDifference(y, z);
  const quartic = (z: tf.Tensor) => tf.mean(tf.pow(tf.sub(z, y), 4));
  const [known = Number.NaN] = dampingOf(squared);
  expect((dampingOf(absolute)[0] ?? 0) / known).toBeCloseTo(6, 4);
  const [between = Number.NaN] = dampingOf(quartic);
  expect(between / known).toBeGreaterThan(1);
  expect(between / known).toBeLessThan(5.5);
  expect((dampingOf((z) => tf.add(squared(z), absolute(z)))[0] ?? 0) / known).toBeGreaterThan(1);
  for (const options of [{ damping: { relative: 0.5 } }, { fisher: 'empirical' }])
    expect((dampingOf(absolute, options)[0] ?? 0) / known).toBeCloseTo(1, 4);
  // with one length for all layers targets are sampled where factors are refreshed: here at every step up to the tenth
  const steps = dampingOf(absolute, { stepRule: 'polyak' }, 13);
  for (const each of steps) expect(each / known).toBeCloseTo(6, 4);
});

it('damps each of two programs by what is assumed of its own loss, and a run of training gradients by nothing', () => {
  const [one, other] = [variable([4, 3], 1), variable([4, 3], 2)];
  const optimizer = cgfac({ seed: 1 });
  const damping = () =>
    (optimizer.lastStep?.summary?.layers[0]?.damping as { readonly input: number } | undefined)?.input ?? Number.NaN;
  const classes = oneHot(40, 3);
  const y = normal([40, 3], 5);
  const ratios: number[] = [];
  for (let step = 0; step < 14; step++) {
    optimizer.minimize(() => tf.losses.softmaxCrossEntropy(classes, tf.matMul(x(), one)) as tf.Scalar);
    const known = damping();
    optimizer.minimize(() => tf.losses.absoluteDifference(y, tf.matMul(x(), other)) as tf.Scalar);
    ratios.push(damping() / known);
  }
  for (const ratio of ratios) expect(ratio).toBeCloseTo(6, 4);
  optimizer.dispose();
});

it('has the heads of lone variables where there are no layers', () => {
  const scale = variable([3], 1);
  const optimizer = cgfac({ seed: 1 });
  optimizer.minimize(() => tf.sum(tf.square(scale)) as tf.Scalar);
  expect(optimizer.report()).toMatchObject({
    layers: [{ name: scale.name, method: 'diagonal' }],
    heads: [{ distribution: 'gaussian', shape: [3], metric: 'fisher' }],
    lossFloor: 0,
  });
});

it('takes a metric over from the same head alone', () => {
  const head = (shape: number[], metric?: 'fisher') => ({ distribution: 'categorical' as const, shape, metric });
  expect(headsAfter([head([8, 3], 'fisher')], [head([5, 3])])).toEqual([head([5, 3], 'fisher')]);
  expect(headsAfter([head([8, 3], 'fisher')], [head([8, 4])])).toEqual([head([8, 4])]);
  expect(headsAfter([], [head([8, 3])])).toEqual([head([8, 3])]);
});
