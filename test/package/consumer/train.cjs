require('@tensorflow/tfjs-backend-cpu');
const tf = require('@tensorflow/tfjs-core');
const layers = require('@tensorflow/tfjs-layers');
const adapter = require('cgfac/tfjs');
const trainModel = require('./train-model.cjs');

trainModel(tf, layers, adapter).then((result) => console.log(JSON.stringify(result)));
