import * as tf from '@tensorflow/tfjs-core';
import { combined, numbersOf } from '../../../lib/tfjs/tape/numbers';
import { quietScopes, useBackend } from '../support/backends';

quietScopes();

test('on wasm the sum is a new tensor, computed where the others lie', async () => {
  await useBackend('wasm');
  tf.tidy(() => {
    const [x, y] = [tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]), tf.tensor2d([6, 5, 4, 3, 2, 1], [2, 3])];
    const before = tf.memory().numTensors;
    const sum = combined(0.5, x, -2, y);
    expect(sum?.shape).toEqual([2, 3]);
    expect(sum?.dataSync()).toEqual(Float32Array.of(-11.5, -9, -6.5, -4, -1.5, 1));
    expect(combined(1, x, -1, Float32Array.of(1, 2, 3, 4, 5, 6))?.dataSync()).toEqual(new Float32Array(6));
    expect(x.dataSync()).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
    expect(tf.memory().numTensors).toBe(before + 2);
    expect(numbersOf(x)).toEqual(x.dataSync());
    expect(numbersOf(x)).not.toBe(x.dataSync());
  });
});

test('elsewhere, and of nothing, there is none', async () => {
  await useBackend('wasm');
  tf.tidy(() => {
    expect(combined(1, tf.zeros([0]), 1, new Float32Array())).toBeUndefined();
  });
  await useBackend('cpu');
  tf.tidy(() => {
    const x = tf.tensor1d([1, 2]);
    expect(combined(1, x, 1, x)).toBeUndefined();
    expect(numbersOf(x)).toEqual(Float32Array.of(1, 2));
  });
});
