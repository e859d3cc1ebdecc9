// What two threads, which train together as ranks, make of it when one of them fares otherwise, and of what is kept
// between steps; prints it as JSON.
const { isMainThread } = require('node:worker_threads');
const tf = require('@tensorflow/tfjs-core');
require('@tensorflow/tfjs-layers'); // registers the gradients of all ops
require('@tensorflow/tfjs-backend-cpu');
const { cgfac } = require('cgfac/tfjs');
const { answer, startThreads } = require('../../../native/programs/thread-ranks.cjs');

const [SIZE, SAMPLES, FEATURES] = [2, 16, 6];
// training gradients, which are the same ones however they are shared out, and all rows with the owner
const settings = { seed: 3, fisher: 'empirical', stepRule: 'polyak' };

/** The samples of a step: the half of a rank, or all of them. */
function batchAt(step, communicator) {
  const share = SAMPLES / SIZE;
  const all = tf.randomNormal([SAMPLES, FEATURES], 0, 1, 'float32', 100 + step);
  return communicator ? tf.slice(all, [communicator.rank * share, 0], [share, FEATURES]) : all;
}

const optimizerOf = (communicator, options) =>
  cgfac({ ...settings, ...options, ...(communicator ? { communicator, ownerRows: 'all' } : {}) });

/** A kernel, a second one, and an optimizer of them. */
function begun(communicator, options) {
  const kernel = tf.variable(tf.randomNormal([FEATURES, 3], 0, 0.3, 'float32', 5), true, 'kernel');
  const other = tf.variable(tf.randomNormal([3, 3], 0, 0.3, 'float32', 6), true, 'other');
  return { kernel, other, optimizer: optimizerOf(communicator, options), communicator };
}

/** The loss of a step, of the first kernel alone where the second is gone. */
const lossAt = ({ kernel, other, communicator }, step) => {
  const x = batchAt(step, communicator);
  const hidden = tf.tanh(tf.matMul(x, kernel));
  const found = other.isDisposed ? hidden : tf.matMul(hidden, other);
  return tf.losses.meanSquaredError(tf.slice(x, [0, 0], [-1, 3]), found);
};

/** Takes a step; the words of its error where it has one. */
function taken(run, step, apply = (make) => run.optimizer.minimize(make)) {
  try {
    tf.tidy(() => {
      apply(() => lossAt(run, step));
    });
    return 'taken';
  } catch (error) {
    return `${error.code ?? error.name}: ${error.message}`;
  }
}

/** The numbers of the variables that there are, and the variables let go of. */
function ended({ kernel, other, optimizer }, outcomes) {
  const alive = [kernel, other].filter((variable) => !variable.isDisposed);
  const weights = alive.flatMap((variable) => Array.from(variable.dataSync()));
  tf.dispose(alive);
  const { iterations: steps } = optimizer;
  optimizer.dispose();
  return { outcomes, weights, steps };
}

/** Steps of which one is applied in another way. */
function odd(communicator, options, apply) {
  const run = begun(communicator, options);
  const outcomes = [0, 1, 2, 3].map((step) => taken(run, step, step === 2 ? (make) => apply(run, make) : undefined));
  return ended(run, outcomes);
}

/** Gradients of a variable that no step has met, on rank 1. */
const unknown = (communicator) =>
  odd(communicator, {}, ({ optimizer }, make) => {
    const { grads } = optimizer.computeGradients(make);
    optimizer.applyGradients(communicator.rank === 1 ? { ...grads, stranger: tf.scalar(1) } : grads);
  });

/** Gradients of another shape, on rank 1. */
const shape = (communicator) =>
  odd(communicator, {}, ({ optimizer, other }, make) => {
    const { grads } = optimizer.computeGradients(make);
    const turned = { ...grads, [other.name]: tf.reshape(grads[other.name], [9]) };
    optimizer.applyGradients(communicator.rank === 1 ? turned : grads);
  });

/** Variables that are none, on rank 1. */
const list = (communicator) =>
  odd(communicator, {}, ({ optimizer, kernel, other }, make) => {
    optimizer.minimize(make, false, communicator.rank === 1 ? [kernel, null] : [kernel, other]);
  });

/** A schedule that throws once, on rank 1. */
function schedule(communicator) {
  let thrown = false;
  const weightDecay = (step) => {
    if (step !== 2 || communicator.rank !== 1 || thrown) return 0.01;
    thrown = true;
    throw new RangeError('no decay');
  };
  return odd(communicator, { weightDecay }, ({ optimizer }, make) => optimizer.minimize(make));
}

/** Gradients of other samples than the last computation's, which the factors that are kept precondition. */
const kept = (communicator) =>
  odd(communicator, {}, ({ optimizer, kernel, other }, make) => {
    const { grads } = tf.variableGrads(make, [kernel, other]);
    optimizer.applyGradients(grads);
  });

/** A loss that is nothing but a penalty, and that no block covers. */
const penalty = (communicator) =>
  odd(communicator, {}, ({ optimizer, kernel }) => {
    optimizer.minimize(() => tf.sum(tf.square(kernel)));
  });

/** A gradient function that is wrong, on rank 1. */
function wrong(communicator) {
  const original = tf.getGradient('BatchMatMul');
  const gradFunc = (dy, saved, attributes) => {
    const { a, b } = original.gradFunc(dy, saved, attributes);
    return { a, b: () => tf.mul(1.1, b()) };
  };
  tf.unregisterGradient('BatchMatMul');
  tf.registerGradient(communicator.rank === 1 ? { ...original, gradFunc } : original);
  const run = begun(communicator);
  const outcomes = [0, 1, 2].map((step) => taken(run, step));
  const lone = run.optimizer.lastStep.lone.map(({ name }) => name);
  tf.unregisterGradient('BatchMatMul');
  tf.registerGradient(original);
  return { ...ended(run, outcomes), lone };
}

/** A variable that is disposed of between steps: on all ranks, or on rank 1 alone. */
function disposed(communicator, everywhere) {
  const run = begun(communicator);
  const outcomes = [0, 1].map((step) => taken(run, step));
  if (everywhere || communicator?.rank === 1) run.other.dispose();
  outcomes.push(...[2, 3].map((step) => taken(run, step)));
  return { ...ended(run, outcomes), layers: run.optimizer.report()?.layers.map(({ name }) => name) };
}

/** A state after two steps; what two more make of it, in one go and resumed by another optimizer. */
async function resumed(communicator, saved) {
  const run = begun(communicator);
  const go = () => [2, 3].map((step) => taken(run, step));
  for (const step of [0, 1]) taken(run, step);
  const state = await run.optimizer.getWeights();
  const variables = [run.kernel, run.other];
  const between = variables.map((variable) => variable.clone());
  const whole = go().concat(variables.map((variable) => Array.from(variable.dataSync())));
  run.optimizer.dispose();
  const again = { ...run, optimizer: optimizerOf(communicator) };
  for (const [at, variable] of variables.entries()) variable.assign(between[at]);
  await again.optimizer.setWeights(saved ? saved(tf) : state);
  const outcomes = [2, 3].map((step) => taken(again, step));
  const numbers = state.map(({ name, tensor }) => ({
    ...{ name, shape: tensor.shape, dtype: tensor.dtype },
    values: Array.from(tensor.dataSync()),
  }));
  tf.dispose(between);
  return { whole: whole.slice(2).flat(), ...ended(again, outcomes), state: numbers };
}

async function cases(communicator) {
  await tf.setBackend('cpu');
  const warned = [];
  console.info = () => undefined;
  console.warn = (text) => warned.push(text);
  const found = {
    ...{ unknown: unknown(communicator), schedule: schedule(communicator), kept: kept(communicator) },
    ...{ shape: shape(communicator), list: list(communicator) },
    ...{ penalty: penalty(communicator), wrong: wrong(communicator) },
    ...{ disposed: disposed(communicator, true), apart: disposed(communicator, false) },
    resumed: await resumed(communicator),
  };
  return { ...found, warned };
}

/** What one process makes of what is the same for it, and of the state that two ranks have saved. */
async function alone(state) {
  await tf.setBackend('cpu');
  console.info = console.warn = () => undefined;
  const saved = ({ tensor }) =>
    state.map(({ name, shape, dtype, values }) => ({ name, tensor: tensor(values, shape, dtype) }));
  return {
    ...{ kept: kept(undefined), penalty: penalty(undefined), disposed: disposed(undefined, true) },
    resumed: await resumed(undefined, saved),
  };
}

if (isMainThread) {
  (async () => {
    const ranks = await startThreads(__filename, SIZE);
    console.log(JSON.stringify({ ranks, alone: await alone(ranks[0].resumed.state) }));
  })();
} else {
  answer(cases);
}
