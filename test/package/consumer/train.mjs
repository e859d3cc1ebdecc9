import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import * as adapter from 'cgfac/tfjs';
import trainModel from './train-model.cjs';

console.log(JSON.stringify(await trainModel(tf, layers, adapter)));
