// Models that two threads train as ranks, each with half of every batch, and that one process trains with all of it;
// prints what came of it as JSON.
const { isMainThread } = require('node:worker_threads');
const tf = require('@tensorflow/tfjs-core');
const { initializers, layers, regularizers, sequential } = require('@tensorflow/tfjs-layers');
require('@tensorflow/tfjs-backend-cpu');
const { averageGradients, cgfac } = require('cgfac/tfjs');
const { answer, oneRank, startThreads } = require('../../../native/programs/thread-ranks.cjs');

const [SIZE, STEPS, PIXELS] = [2, 10, 12];
/** Where the share of each rank begins, and where that of the last ends. */
const EVEN = [0, 8, 16];
const UNEVEN = [0, 10, 16];

/** An autoencoder 12-7-12, whose weights on rank 0 are those of one process. */
function autoencoder(rank, regularised) {
  const kernel = (seed) => ({ kernelInitializer: initializers.glorotUniform({ seed: seed + 10 * rank }) });
  const penalty = regularised ? { kernelRegularizer: regularizers.l2({ l2: 0.01 }) } : {};
  return sequential({
    layers: [
      layers.dense({ units: 7, activation: 'tanh', inputShape: [PIXELS], ...kernel(1), ...penalty, name: 'code' }),
      layers.dense({ units: PIXELS, activation: 'sigmoid', ...kernel(2), name: 'image' }),
    ],
  });
}

/** The samples of a step, in another order where one is given: all of them, or the share of a rank. */
const batchAt = (step, rank, shares, order) =>
  tf.tidy(() => {
    const drawn = tf.sigmoid(tf.randomNormal([shares[SIZE], PIXELS], 0, 1, 'float32', 100 + step));
    const all = order ? tf.gather(drawn, order) : drawn;
    const [from, to] = rank === undefined ? [0, shares[SIZE]] : shares.slice(rank, rank + 2);
    return tf.slice(all, [from, 0], [to - from, PIXELS]);
  });

const hexOf = (variables) =>
  variables.map((variable) => Buffer.from(Float32Array.from(variable.dataSync()).buffer).toString('hex')).join('');

/** Trains by trainOnBatch. `spoilt` is a step whose batch on rank 1 is not finite. */
async function trained(communicator, { regularised = false, shares = EVEN, spoilt, changed, order, ...options }) {
  const rank = communicator?.rank ?? 0;
  const model = autoencoder(rank, regularised);
  const ranks = communicator ? { communicator, weightCheckSteps: 4 } : {};
  const optimizer = cgfac({ ...options, ...ranks });
  model.compile({ optimizer, loss: 'binaryCrossentropy' });
  const skipped = [];
  for (let step = 0; step < STEPS; step++) {
    const x = batchAt(step, communicator?.size === SIZE ? rank : undefined, shares, order);
    const given = step === spoilt && rank === 1 ? tf.mul(x, Number.NaN) : x;
    if (step === changed && rank === 1) model.setWeights(model.getWeights().map((each) => tf.mul(each, 2)));
    try {
      await model.trainOnBatch(given, given);
    } catch ({ code, message }) {
      return { error: `${code}: ${message}` };
    }
    skipped.push(optimizer.lastStep.summary?.skipped);
  }
  const { loss } = optimizer.lastStep.summary;
  const weights = hexOf(model.trainableWeights.map((weight) => weight.val));
  return { weights, skipped: skipped.filter(Boolean), loss, config: Object.keys(optimizer.getConfig()) };
}

/** Trains a kernel, and a plain variable that no layer has, by minimize. */
function plain(communicator, { order, ...options }) {
  const rank = communicator?.rank ?? 0;
  const kernel = tf.variable(tf.randomNormal([PIXELS, 3], 0, 0.3, 'float32', 5 + rank), true, 'kernel');
  const scale = tf.variable(tf.ones([3]), true, 'scale');
  const optimizer = cgfac({ ...options, ...(communicator ? { communicator } : {}) });
  const share = communicator?.size === SIZE ? rank : undefined;
  for (let step = 0; step < STEPS; step++)
    tf.tidy(() => {
      const x = batchAt(step, share, UNEVEN, order);
      const y = tf.slice(x, [0, 0], [-1, 3]);
      // a scale of the products, and not of the kernel
      optimizer.minimize(() => tf.losses.meanSquaredError(y, tf.mul(tf.tanh(tf.matMul(x, kernel)), scale)));
    });
  const { layers: met } = optimizer.report();
  const weights = hexOf([kernel, scale]);
  tf.dispose([kernel, scale]);
  return { weights, loss: optimizer.lastStep.summary.loss, layers: met.map(({ name }) => name) };
}

/** Takes steps of gradients that rank 1 alone has changed; then its loss throws. */
function changedGradients(communicator) {
  const { rank } = communicator;
  const kernel = tf.variable(tf.randomNormal([PIXELS, 3], 0, 0.3, 'float32', 5), true, 'kernel');
  const optimizer = cgfac({ seed: 3, stepRule: 'fixed', learningRate: 0.1, communicator });
  const lossOf = (step) => () => {
    if (step === 3 && rank === 1) throw new RangeError('no more samples');
    const x = batchAt(step, rank, EVEN);
    return tf.losses.meanSquaredError(tf.slice(x, [0, 0], [-1, 3]), tf.matMul(x, kernel));
  };
  try {
    for (let step = 0; step < 4; step++)
      tf.tidy(() => {
        const { grads } = optimizer.computeGradients(lossOf(step));
        optimizer.applyGradients(rank === 1 ? { kernel: tf.mul(grads.kernel, 0.5) } : grads);
      });
    return { weights: hexOf([kernel]) };
  } catch (error) {
    return {
      weights: hexOf([kernel]),
      steps: optimizer.iterations,
      error: `${error.code ?? error.name}: ${error.message}`,
    };
  } finally {
    kernel.dispose();
  }
}

/** Means of gradients over the ranks, of a rank alone, and what becomes of other ones. */
function averaged(communicator) {
  const { rank } = communicator;
  const gradients = { a: tf.tensor2d([[1 + rank, 2]]), b: tf.scalar(4 * rank) };
  const numbers = (all) => Object.entries(all).map(([name, each]) => [name, each.shape, Array.from(each.dataSync())]);
  const errors = [
    { [rank === 0 ? 'a' : 'c']: tf.scalar(1) },
    { a: rank === 0 ? tf.scalar(1) : tf.scalar(1, 'int32') },
  ].map((others) => {
    try {
      return numbers(averageGradients(others, communicator));
    } catch ({ code, message }) {
      return `${code}: ${message}`;
    }
  });
  return {
    all: numbers(averageGradients(gradients, communicator)),
    own: numbers(averageGradients(gradients, oneRank())),
    errors,
  };
}

/** One process whose samples come in other orders: how far float32 sums alone move weights. */
async function reordered(options) {
  const orders = [
    Array.from({ length: 16 }, (_, i) => 15 - i),
    Array.from({ length: 16 }, (_, i) => (i + 5) % 16),
    Array.from({ length: 16 }, (_, i) => (5 * i) % 16),
    Array.from({ length: 16 }, (_, i) => (3 * i + 7) % 16),
  ];
  const rows = [];
  for (const order of orders) rows.push((await trained(undefined, { ...options, order })).weights);
  return { reordered: { rows, plain: orders.map((order) => plain(undefined, { ...options, order }).weights) } };
}

/** What a rank, or one process, makes of each case. */
async function cases(communicator) {
  await tf.setBackend('cpu');
  let told = 0;
  console.info = console.warn = (text) => {
    if (text.startsWith('cgfac: ')) told++;
  };
  // targets are sampled by each rank for itself: training gradients are the same ones however they are shared out
  const alone = { seed: 3, fisher: 'empirical', stepRule: 'polyak' };
  const exact = { ...alone, ownerRows: 'all' };
  const own = communicator?.size === SIZE ? exact : alone;
  const found = {
    rows: await trained(communicator, own),
    uneven: await trained(communicator, { ...own, shares: UNEVEN }),
    penalised: await trained(communicator, { ...own, regularised: true }),
    plain: plain(communicator, own),
  };
  const noticed = told;
  if (communicator === undefined) Object.assign(found, await reordered(own));
  if (communicator?.size !== SIZE) return { ...found, sampled: await trained(communicator, { seed: 3 }) };
  return {
    ...found,
    noticed,
    sampled: await trained(communicator, {}),
    spoilt: await trained(communicator, { ...own, spoilt: 2 }),
    averaged: averaged(communicator),
    thrown: changedGradients(communicator),
    changed: await trained(communicator, { ...own, changed: 8 }),
  };
}

if (isMainThread) {
  (async () => {
    const ranks = await startThreads(__filename, SIZE);
    console.log(JSON.stringify({ ranks, alone: await cases(undefined), local: await cases(oneRank()) }));
  })();
} else {
  answer(cases);
}
