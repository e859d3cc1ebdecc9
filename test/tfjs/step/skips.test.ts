import * as tf from '@tensorflow/tfjs-core';
import { type CgfacOptimizer, cgfac } from '../../../lib/tfjs';
import { errorOf, normal, useBackend, variable } from '../support/backends';
import { autoencoder, pixels, train, weightsOf } from '../support/models';

const B = 6;

beforeAll(() => useBackend('cpu'));
beforeEach(() => tf.engine().startScope());
afterEach(() => {
  tf.engine().endScope();
  tf.disposeVariables();
});

/** A dense layer under a softmax; `spoilt` adds a penalty of 0 whose gradient is NaN. */
function network() {
  const [w, b] = [variable([4, 3], 1), variable([3], 2)];
  const x = normal([B, 4], 3);
  const y = tf.cast(tf.oneHot(tf.tensor1d([0, 1, 2, 0, 1, 2], 'int32'), 3), 'float32');
  const crossEntropy = () => tf.losses.softmaxCrossEntropy(y, tf.add(tf.matMul(x, w), b)) as tf.Scalar;
  const spoilt = () => tf.add(crossEntropy(), tf.sqrt(tf.mul(0, tf.sum(tf.square(w))))) as tf.Scalar;
  const penalised = () => tf.add(crossEntropy(), tf.mul(1e-3, tf.sum(tf.square(w)))) as tf.Scalar;
  return { w, b, crossEntropy, spoilt, penalised, variables: [w, b] };
}

const numbers = (variables: readonly tf.Variable[]) => variables.map((v) => Array.from(v.dataSync()));
const state = async (optimizer: CgfacOptimizer) =>
  (await optimizer.getWeights()).slice(3).map(({ tensor }) => Array.from(tensor.dataSync()));

const notFinite = { 'penalised before': true, 'never penalised': false };

const cases = (['exact', 'cg', 'kfac'] as const).flatMap((method) =>
  Object.entries(notFinite).map(([name, penalised]) => [method, name, penalised] as const),
);

describe.each(cases)('%s: a gradient that is not finite under a loss that is, %s', (method, _, penalised) => {
  it('skips the step, leaves weights, momentum and averages alone, and is named', async () => {
    const { w, variables, ...losses } = network();
    const good = penalised ? losses.penalised : losses.crossEntropy;
    // a warm start may be dropped with the step
    const optimizer = method === 'cg' ? cgfac({ seed: 1, method, warmStart: 'none' }) : cgfac({ seed: 1, method });
    for (let step = 0; step < 3; step++) optimizer.minimize(good, false, variables);
    const before = [numbers(variables), await state(optimizer)];
    optimizer.minimize(losses.spoilt, false, variables);
    expect(optimizer.lastStep?.summary).toMatchObject({
      step: 3,
      skipped: `the gradient of ${w.name} is not finite`,
      skippedSteps: { total: 1, inARow: 1 },
    });
    expect([numbers(variables), await state(optimizer)]).toEqual(before);
    optimizer.minimize(good, false, variables);
    expect(optimizer.lastStep?.summary).toMatchObject({
      skippedSteps: { total: 1, inARow: 0 },
      layers: [{ inputRows: B }],
    });
    for (let step = 0; step < 2; step++) optimizer.minimize(losses.spoilt, false, variables);
    const error = await errorOf(() => optimizer.minimize(losses.spoilt, false, variables));
    expect(error.code).toBe('ERR_CGFAC_DIVERGED');
    expect(error.message).toContain(`the gradient of ${w.name} is not finite`);
  });
});

it('cg skips a loss that is not finite, and says what it does', () => {
  const { w, variables, crossEntropy } = network();
  const optimizer = cgfac({
    method: 'cg',
    seed: 1,
    momentum: 0.5,
    weightDecay: 1e-3,
    learningRate: (step) => 1 / (1 + step),
  });
  optimizer.minimize(crossEntropy, false, variables);
  expect(optimizer.report()).toMatchObject({
    recipe: expect.stringMatching(/^cg with tikhonov damping \(10 /),
    layers: [{ name: w.name }],
  });
  const before = numbers(variables);
  optimizer.minimize(() => tf.mul(crossEntropy(), Number.NaN) as tf.Scalar, false, variables);
  expect(optimizer.lastStep?.summary).toMatchObject({
    skipped: 'the loss is NaN',
    skippedSteps: { total: 1, inARow: 1 },
  });
  expect(numbers(variables)).toEqual(before);
  const { momentum, averages, factors } = optimizer.memoryUsage();
  expect([momentum, averages]).toEqual([4 * 15, 4 * 15]);
  expect(factors).toBeGreaterThan(0);
});

it.each([
  { weightDecay: 2.5 },
  { weightDecay: 1e39 },
  { weightDecay: () => 1e30, useEma: false },
  { weightDecay: 3, method: 'cg' },
] as const)('a weight decay that would have weights grow skips the step: %o', (options) => {
  const { variables, crossEntropy } = network();
  const optimizer = cgfac({ seed: 1, stepRule: 'fixed', ...options });
  const before = numbers(variables);
  optimizer.minimize(crossEntropy, false, variables);
  expect(optimizer.lastStep?.summary?.skipped).toMatch(/^weightDecay times the length of the step is .* would grow$/);
  expect(numbers(variables)).toEqual(before);
  const { grads } = optimizer.computeGradients(crossEntropy, variables);
  optimizer.applyGradients(grads);
  expect(numbers(variables)).toEqual(before);
});

describe('at the first step of a layer', () => {
  it('a gradient that is not finite leaves it to be checked at the next', () => {
    const { w, variables, crossEntropy, spoilt } = network();
    const optimizer = cgfac({ seed: 1 });
    optimizer.minimize(spoilt, false, variables);
    expect(optimizer.lastStep?.summary?.skipped).toBe(`the gradient of ${w.name} is not finite`);
    optimizer.minimize(crossEntropy, false, variables);
    expect(optimizer.lastStep).toMatchObject({
      lone: [],
      summary: { skippedSteps: { inARow: 0 }, layers: [{ inputRows: B }] },
    });
  });

  it.each(['true', 'empirical'] as const)('so does one of the head (%s)', (fisher) => {
    const { variables, crossEntropy } = network();
    const spoil = tf.customGrad((loss, save) => {
      (save as tf.GradSaveFunc)([loss as tf.Tensor]);
      return { value: (loss as tf.Tensor).clone(), gradFunc: (dy: tf.Tensor) => tf.mul(dy, Number.NaN) };
    });
    const optimizer = cgfac({ seed: 1, fisher });
    optimizer.minimize(() => spoil(crossEntropy()) as tf.Scalar, false, variables);
    expect(optimizer.lastStep?.summary?.skipped).toMatch(/^the gradient of .* is not finite$/);
    optimizer.minimize(crossEntropy, false, variables);
    expect(optimizer.lastStep?.summary).toMatchObject({
      skippedSteps: { total: 1, inARow: 0 },
      layers: [{ inputRows: B }],
    });
  });
});

describe('what was recorded for a step that failed', () => {
  it('is forgotten', async () => {
    const { w, variables, penalised } = network();
    const optimizer = cgfac({ seed: 1 });
    optimizer.minimize(penalised, false, variables);
    const failed = async (spoil: (grads: tf.NamedTensorMap) => tf.NamedTensorMap) => {
      const { grads } = optimizer.computeGradients(penalised, variables);
      return (await errorOf(() => optimizer.applyGradients(spoil(grads)))).code;
    };
    expect(await failed((grads) => ({ [w.name]: grads[w.name] as tf.Tensor }))).toBe('ERR_CGFAC_TFJS_NO_CAPTURE');
    expect(await failed((grads) => ({ ...grads, [w.name]: tf.ones([2, 3]) }))).toBe('ERR_CGFAC_SHAPE_MISMATCH');
    optimizer.minimize(penalised, false, variables);
    expect(optimizer.lastStep?.summary?.layers).toMatchObject([{ name: w.name, inputRows: B }]);
  });
});

describe('a model without layers', () => {
  it('counts skipped steps in a row by its own steps', () => {
    const warn = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
    const scale = variable([3], 1);
    const optimizer = cgfac({ seed: 1, fisher: 'empirical' });
    const good = () => tf.sum(tf.square(tf.mul(scale, 2))) as tf.Scalar;
    for (let step = 0; step < 4; step++) {
      optimizer.minimize(() => tf.mul(good(), Number.NaN) as tf.Scalar, false, [scale]);
      expect(optimizer.lastStep?.summary?.skippedSteps).toEqual({ total: step + 1, inARow: 1 });
      optimizer.minimize(good, false, [scale]);
    }
    warn.mockRestore();
  });
});

describe('the recipe', () => {
  it('skips a step that is not finite, and gives up at the third in a row', async () => {
    const x = pixels(20, 1);
    const optimizer = cgfac({ seed: 4 });
    const net = autoencoder(optimizer);
    await train(net, x, x, 2);
    const before = weightsOf(net);
    const bad = tf.tidy(() => tf.mul(x, Number.NaN));
    const averages = await optimizer.withAveragedWeights(() => weightsOf(net));
    await train(net, bad, bad, 1);
    expect(optimizer.lastStep?.summary).toMatchObject({
      skipped: 'the loss is NaN',
      skippedSteps: { total: 1, inARow: 1 },
    });
    expect(weightsOf(net)).toEqual(before);
    expect(await optimizer.withAveragedWeights(() => weightsOf(net))).toEqual(averages);
    await train(net, x, x, 1);
    expect(optimizer.lastStep?.summary?.skipped).toBeUndefined();
    expect(weightsOf(net)).not.toEqual(before);
    const kept = weightsOf(net);
    await train(net, bad, bad, 2);
    const error = await errorOf(() => net.trainOnBatch(bad, bad));
    expect(error.code).toBe('ERR_CGFAC_DIVERGED');
    expect(error.message).toContain('the loss is NaN');
    expect(weightsOf(net)).toEqual(kept);
    optimizer.dispose();
    net.dispose();
    tf.dispose([x, bad]);
  });
});
