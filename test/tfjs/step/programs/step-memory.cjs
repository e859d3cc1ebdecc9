// node --expose-gc step-memory.cjs LAYERS [OPTIONS]: trains a model of a large layer on small batches, or of small ones
// on a large batch, and prints the most that a step allocated, what stayed of a hundred, the resident memory that they
// added beside JavaScript's heap, and how often the number of tensors changed.
const { getHeapStatistics } = require('node:v8');
const tf = require('@tensorflow/tfjs-core');
const { layers, sequential } = require('@tensorflow/tfjs-layers');
require('@tensorflow/tfjs-backend-wasm');
const { cgfac, installKernels } = require('cgfac/tfjs');

const [, , kind, options = '{}'] = process.argv;
const [STEPS, WARM, UNITS] = [100, 20, 1024];
const BATCH = { batch: 4096, images: 1024 }[kind] ?? 16;
// a collection takes as long as a step: what was allocated is read at every tenth
const OFTEN = 10;

const models = {
  // a kernel of 4 MiB
  dense: () => [
    layers.dense({ units: UNITS, activation: 'tanh', inputShape: [UNITS] }),
    layers.dense({ units: 10, activation: 'softmax' }),
  ],
  // a kernel of 4.5 MiB and one place, whose gradient is the framework's own
  convolution: () => [
    layers.conv2d({ filters: 512, kernelSize: 3, activation: 'relu', inputShape: [3, 3, 256] }),
    layers.globalAveragePooling2d({}),
    layers.dense({ units: 10, activation: 'softmax' }),
  ],
  // rows of 4 MiB, at each of two layers
  batch: () => [
    layers.dense({ units: 256, activation: 'tanh', inputShape: [256] }),
    layers.dense({ units: 256, activation: 'tanh' }),
    layers.dense({ units: 10, activation: 'softmax' }),
  ],
  // images of 4 MiB, whose rows are read where factors are refreshed
  images: () => [
    layers.conv2d({ filters: 4, kernelSize: 3, activation: 'relu', inputShape: [16, 16, 4] }),
    layers.flatten({}),
    layers.dense({ units: 10, activation: 'softmax' }),
  ],
};

async function main() {
  await tf.setBackend('wasm');
  installKernels(tf);
  console.info = console.warn = () => {};
  const model = sequential({ layers: models[kind]() });
  model.compile({ optimizer: cgfac({ seed: 1, ...JSON.parse(options) }), loss: 'categoricalCrossentropy' });
  const classes = Array.from({ length: BATCH }, (_, at) => at % 10);
  const y = tf.oneHot(tf.tensor1d(classes, 'int32'), 10);
  const used = () => {
    const { arrayBuffers, external } = process.memoryUsage();
    return { arrayBuffers, external, heap: getHeapStatistics().used_heap_size };
  };
  // without the pages of JavaScript's heap, whose young generation the engine doubles when it likes
  const outside = () => process.memoryUsage().rss - getHeapStatistics().total_physical_size;
  const most = { arrayBuffers: 0, external: 0, heap: 0 };
  let [first, tensors, resident] = [used(), 0, 0];
  let changed = 0;
  for (let step = 0; step < WARM + STEPS; step++) {
    // new inputs, so that there is something to learn at every step
    const x = tf.randomNormal([BATCH, ...model.inputs[0].shape.slice(1)], 0, 1, 'float32', step + 1);
    const isRead = step % OFTEN === 0;
    if (isRead) global.gc();
    if (step === WARM) [first, tensors, resident] = [used(), tf.memory().numTensors - 1, outside()];
    const before = used();
    await model.trainOnBatch(x, y);
    const after = used();
    x.dispose();
    if (step < WARM) continue;
    for (const each of isRead ? Object.keys(most) : []) most[each] = Math.max(most[each], after[each] - before[each]);
    if (tf.memory().numTensors !== tensors) changed++;
  }
  // arrays that a first collection finds are freed on another thread; the second waits for it
  global.gc();
  global.gc();
  const last = used();
  const stayed = Object.fromEntries(Object.keys(most).map((each) => [each, last[each] - first[each]]));
  console.log(JSON.stringify({ most, stayed, resident: outside() - resident, changed }));
}
main();
