import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as tfl from '@tensorflow/tfjs-layers';
import { type CgfacOptions, cgfac, trainingLine } from 'cgfac/tfjs';

beforeAll(() => tf.setBackend('cpu'));

/** What a training run writes, on a terminal or into a log. */
async function written(isTTY: boolean, options: CgfacOptions = {}) {
  const inputs = tf.randomNormal([16, 4], 0, 1, 'float32', 1);
  const optimizer = cgfac({ seed: 1, ...options });
  // where all layers have the same coefficient none is told
  const kernel = (seed: number) => ({ kernelInitializer: tfl.initializers.glorotUniform({ seed }) });
  const model = tfl.sequential({
    layers: [
      tfl.layers.dense({ units: 3, activation: 'tanh', inputShape: [4], name: 'first', ...kernel(1) }),
      tfl.layers.dense({ units: 1, name: 'second', ...kernel(2) }),
    ],
  });
  model.compile({ optimizer, loss: 'meanSquaredError' });
  const y = tf.sum(inputs, 1, true);
  const texts: string[] = [];
  const stream = { write: (text: string) => texts.push(text), isTTY, columns: 200 };
  const callbacks = trainingLine(optimizer, { stream, interval: 0 });
  await model.fit(inputs, y, { epochs: 2, batchSize: 8, shuffle: false, verbose: 0, callbacks });
  return { text: texts.join(''), summary: optimizer.lastStep?.summary };
}

test('a log has a line for each epoch: loss, η, φ and the coefficients of layers', async () => {
  const { text, summary } = await written(false);
  const lines = text
    .trimEnd()
    .split('\n')
    .filter((line) => line.startsWith('epoch'));
  expect(lines).toHaveLength(2);
  expect(lines[1]).toMatch(/^epoch 2 {2}loss [\d.e-]+ {2}η [\d.e-]+ {2}φ [\d.e-]+ {2}coefficients [\d.e-]+ \(/);
  expect(lines[1]).toContain(`η ${summary?.stepSize.toPrecision(3)}`);
  expect(text).not.toContain('\r');
});

test('a terminal has one line that is written anew, and keeps one for each epoch', async () => {
  const { text } = await written(true);
  const drawn = text.split('\r').slice(1);
  expect(drawn.filter((line) => /^epoch 1 {2}step 1 {2}loss/.test(line))).toHaveLength(1);
  expect(drawn.filter((line) => line.endsWith('\n') && line.startsWith('epoch'))).toHaveLength(2);
  expect(text.endsWith('\n')).toBe(true);
});

test('a diagnosis is said once, and a line that is too long is cut', async () => {
  const { text } = await written(false, { damping: { relative: 1e5 } });
  expect(text.match(/cgfac: damping dominates in layer first/g)).toHaveLength(1);
});

test('beside a callback of TensorFlow.js it is told how many epochs and batches there are', async () => {
  const texts: string[] = [];
  const stream = { write: (text: string) => texts.push(text), isTTY: true };
  const line = trainingLine(cgfac(), { stream, interval: 0 });
  line.setParams({ epochs: 3, samples: 20, batchSize: 8 });
  await line.onEpochBegin(1);
  await line.onBatchEnd(2, { loss: 0.5, size: 8 });
  await line.onTrainEnd();
  expect(texts.join('')).toBe('\repoch 2/3  step 3/3  loss 0.500\n');
});

test('a step that is skipped says why', async () => {
  const optimizer = cgfac();
  const w = tf.variable(tf.ones([2]));
  optimizer.minimize(() => tf.mul(Number.NaN, tf.sum(w)) as tf.Scalar, false, [w]);
  const texts: string[] = [];
  const line = trainingLine(optimizer, { stream: { write: (text: string) => texts.push(text) } });
  await line.onEpochEnd(0, { loss: tf.scalar(0.25) });
  expect(texts.join('')).toMatch(/^epoch 1 {2}loss 0\.250 {2}skipped: the loss is NaN\n$/);
});

test.each([
  [[tf.train.sgd(0.1), {}], 'ERR_CGFAC_INVALID_ARG_TYPE', 'Expected a CgfacOptimizer for optimizer of trainingLine'],
  [[cgfac(), { stream: {} }], 'ERR_CGFAC_INVALID_ARG_TYPE', 'Expected a stream with write() for stream'],
  [[cgfac(), { interval: -1 }], 'ERR_CGFAC_INVALID_ARG_VALUE', 'Expected a number ≥ 0 for interval'],
  [[cgfac(), { every: 2 }], 'ERR_CGFAC_UNKNOWN_OPTION', 'every'],
] as const)('bad input is refused %#', (args, code, message) => {
  const call = () => trainingLine(...(args as unknown as Parameters<typeof trainingLine>));
  expect(call).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
});

test('a stream that throws is an error that says so, with what it threw', async () => {
  const cause = new Error('EPIPE');
  const failing = {
    write: () => {
      throw cause;
    },
  };
  const message =
    'Expected a stream that can be written to for the stream of trainingLine but received one that throws';
  const line = trainingLine(cgfac(), { stream: failing });
  const error = { code: 'ERR_CGFAC_INVALID_ARG_VALUE', message: `${message}: EPIPE`, cause };
  await expect(line.onEpochEnd(0, { loss: 1 })).rejects.toMatchObject(error);
  const unread = Object.defineProperty({ write: () => true }, 'isTTY', { get: failing.write });
  await expect(trainingLine(cgfac(), { stream: unread }).onBatchEnd(0, { loss: 1 })).rejects.toMatchObject(error);
});

test.each([
  ['epoch', (line: ReturnType<typeof trainingLine>) => line.onEpochBegin('1' as never)],
  ['batch', (line: ReturnType<typeof trainingLine>) => line.onBatchEnd('1' as never)],
])('a number of a %s that is none is refused', async (name, call) => {
  await expect(call(trainingLine(cgfac()))).rejects.toMatchObject({
    code: 'ERR_CGFAC_INVALID_ARG_TYPE',
    message: `Expected a number for ${name} but received '1'`,
  });
});
