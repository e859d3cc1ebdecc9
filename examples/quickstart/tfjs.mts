// A model of TensorFlow.js trained with cgfac(): the first program of the README.
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-wasm';
import { cgfac } from 'cgfac/tfjs';

await tf.setBackend('wasm');
const model = tfl.sequential({ layers: [tfl.layers.dense({ units: 3, activation: 'sigmoid', inputShape: [5] })] });
const inputs = tf.randomUniform([600, 5]);
const targets = tf.round(tf.randomUniform([600, 3]));

const optimizer = cgfac();
model.compile({ optimizer, loss: 'binaryCrossentropy' });
const { history } = await model.fit(inputs, targets, { batchSize: 256, epochs: 2 });
console.log(history.loss);
