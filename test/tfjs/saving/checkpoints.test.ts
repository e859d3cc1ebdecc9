import * as tf from '@tensorflow/tfjs-core';
import { initializers, layers, type Sequential, sequential } from '@tensorflow/tfjs-layers';
import { CgfacOptimizer, cgfac, type NamedTensor } from '../../../lib/tfjs';
import { errorOf, normal, quietScopes, variable } from '../support/backends';
import { autoencoder, classes, classifier, pixels, train, weightsOf } from '../support/models';

const SEED = 4;

quietScopes();

const numbers = (weights: readonly NamedTensor[]) => weights.map(({ tensor }) => Array.from(tensor.dataSync()));
/** The state without the table of contents, which names the variables. */
const arrays = (weights: readonly NamedTensor[]) => numbers(weights).slice(3);

/** An optimizer that goes on from the weights of another, and a copy of its model. */
async function resumed(first: CgfacOptimizer, net: Sequential, make: (optimizer: CgfacOptimizer) => Sequential) {
  const second = CgfacOptimizer.fromConfig(CgfacOptimizer, first.getConfig()) as CgfacOptimizer;
  await second.setWeights(await first.getWeights());
  const copy = make(second);
  copy.setWeights(net.getWeights());
  return { second, copy };
}

describe('weights that were loaded', () => {
  const trained = async (steps = 7) => {
    const optimizer = cgfac({ seed: SEED });
    const net = classifier(optimizer);
    const [x, y] = [pixels(20, 1), classes(20, 2)];
    await train(net, x, y, steps);
    return { optimizer, net, x, y };
  };

  it('are all there before a step, after a skipped one, and after gradients that were not applied', async () => {
    const { optimizer, net, x, y } = await trained();
    const saved = await optimizer.getWeights();
    const { second, copy } = await resumed(optimizer, net, classifier);
    expect(numbers(await second.getWeights())).toEqual(numbers(saved));
    const [w] = copy.trainableWeights.map((weight) => weight.read() as tf.Variable);
    second.computeGradients(() => tf.losses.softmaxCrossEntropy(y, copy.apply(x) as tf.Tensor) as tf.Scalar);
    expect(w).toBeDefined();
    expect(arrays(await second.getWeights())).toEqual(arrays(saved));
    await train(copy, tf.mul(x, Number.NaN), y, 1);
    expect(second.lastStep?.summary).toMatchObject({ step: 7, skippedSteps: { total: 1, inARow: 1 } });
    const after = await second.getWeights();
    expect(arrays(after)).toEqual(arrays(saved));

    const third = cgfac({ seed: SEED });
    await third.setWeights(after);
    const other = classifier(third);
    await train(other, tf.mul(x, Number.NaN), y, 1);
    expect(third.lastStep?.summary).toMatchObject({ step: 8, skippedSteps: { total: 2, inARow: 2 } });
  });

  it('give the same steps when a step was skipped before the first', async () => {
    const { optimizer, net, x, y } = await trained();
    const { second, copy } = await resumed(optimizer, net, classifier);
    for (const each of [net, copy]) {
      await train(each, tf.mul(x, Number.NaN), y, 1);
      await train(each, x, y, 6);
    }
    expect(weightsOf(copy)).toEqual(weightsOf(net));
    expect(second.lastStep?.summary?.skippedSteps).toEqual({ total: 1, inARow: 0 });
  });

  it.each([9, 10, 11, 14])('give the same steps to variables that no layer has, after %i', async (steps) => {
    const make = (optimizer: CgfacOptimizer) => {
      const kernel = (seed: number) => ({ kernelInitializer: initializers.glorotUniform({ seed }) });
      const net = sequential({
        layers: [
          layers.dense({ units: 7, inputShape: [12], ...kernel(1) }),
          layers.prelu(),
          layers.dense({ units: 3, activation: 'softmax', ...kernel(2) }),
        ],
      });
      net.compile({ optimizer, loss: 'categoricalCrossentropy' });
      return net;
    };
    const [optimizer, x, y] = [cgfac({ seed: SEED }), pixels(40, 1), classes(40, 2)];
    const net = make(optimizer);
    await train(net, x, y, steps);
    const { second, copy } = await resumed(optimizer, net, make);
    for (const each of [net, copy]) await train(each, x, y, 6);
    expect(second.lastStep?.lone).toHaveLength(1);
    expect(weightsOf(copy)).toEqual(weightsOf(net));
  });

  it('of a run whose first steps were skipped count on', async () => {
    const optimizer = cgfac({ seed: SEED });
    const net = autoencoder(optimizer);
    const x = pixels(20, 1);
    await train(net, tf.mul(x, Number.NaN), tf.mul(x, Number.NaN), 1);
    const { second, copy } = await resumed(optimizer, net, autoencoder);
    await train(copy, tf.mul(x, Number.NaN), tf.mul(x, Number.NaN), 1);
    await train(copy, x, x, 1);
    expect(second.lastStep?.summary).toMatchObject({ step: 2, skippedSteps: { total: 2, inARow: 0 } });
  });

  it('go to the layers as these are met, by order, and those of the others are kept', () => {
    const run = async (interrupted: boolean) => {
      const [w1, w2] = [variable([12, 7], 1), variable([7, 12], 3)];
      const x = pixels(20, 1);
      const one = () =>
        tf.losses.sigmoidCrossEntropy(x, tf.matMul(tf.tanh(tf.matMul(x, w1)), normal([7, 12], 5))) as tf.Scalar;
      const both = () => tf.losses.sigmoidCrossEntropy(x, tf.matMul(tf.tanh(tf.matMul(x, w1)), w2)) as tf.Scalar;
      let optimizer = cgfac({ seed: SEED });
      const next = async () => {
        const weights = await optimizer.getWeights();
        if (!interrupted) return;
        optimizer = CgfacOptimizer.fromConfig(CgfacOptimizer, optimizer.getConfig()) as CgfacOptimizer;
        await optimizer.setWeights(weights);
      };
      for (let step = 0; step < 3; step++) optimizer.minimize(both, false, [w1, w2]);
      await next();
      optimizer.minimize(one, false, [w1]);
      await next();
      for (let step = 0; step < 3; step++) optimizer.minimize(both, false, [w1, w2]);
      return { ends: [w1, w2].map((w) => Array.from(w.dataSync())), state: arrays(await optimizer.getWeights()) };
    };
    return Promise.all([run(false), run(true)]).then(([whole, parts]) => expect(parts).toEqual(whole));
  });

  it('of layers of other shapes are refused at every step, and kept', async () => {
    const { optimizer } = await trained();
    const saved = await optimizer.getWeights();
    const second = cgfac({ seed: SEED });
    await second.setWeights(saved);
    const x = pixels(20, 1);
    const net = autoencoder(second);
    const before = weightsOf(net);
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = await errorOf(() => train(net, x, x, 1));
      expect(error.code).toBe('ERR_CGFAC_SHAPE_MISMATCH');
      expect(error.message).toMatch(/^Expected the layers of the saved state .* but received /);
    }
    expect(weightsOf(net)).toEqual(before);
    expect(arrays(await second.getWeights())).toEqual(arrays(saved));
  });

  it('that are no state are refused, and nothing is taken over', async () => {
    const { optimizer } = await trained();
    const [iter, seed, contents, ...rest] = await optimizer.getWeights();
    if (!iter || !seed || !contents) throw new Error('no weights');
    const text = new TextDecoder().decode(Uint8Array.from(contents.tensor.dataSync()));
    const told = (value: string) => ({
      name: 'contents',
      tensor: tf.tensor1d(Int32Array.from(new TextEncoder().encode(value)), 'int32'),
    });
    const bad: NamedTensor[][] = [
      [told('{}')],
      [told('null')],
      [told('{"array":"float32","place":0}'), ...rest],
      [told(text.replace('"steps":7', '"steps":-1')), ...rest],
      [told(text.replace('"started":true', '"started":1')), ...rest],
      [told(text.replace('"float32"', '"float64"')), ...rest],
      [told(text.replace('"place":0', '"place":0.5')), ...rest],
      [contents, ...rest.slice(1)],
    ];
    const second = cgfac({ seed: SEED });
    for (const each of bad) {
      expect((await errorOf(() => second.setWeights([iter, seed, ...each]))).code).toBe('ERR_CGFAC_INVALID_ARG_VALUE');
      expect(second.iterations).toBe(0);
      expect(await second.getWeights()).toHaveLength(2);
    }
  });

  it('have averages before a step, of the variables with the numbers that were saved with them', async () => {
    const { optimizer, net } = await trained();
    const averaged = await optimizer.withAveragedWeights(() => weightsOf(net));
    const { second, copy } = await resumed(optimizer, net, classifier);
    const weights = weightsOf(net);
    // the model that was saved is there too, and has another optimizer
    await second.withAveragedWeights(() => {
      expect(weightsOf(copy)).toEqual(averaged);
      expect(weightsOf(net)).toEqual(weights);
    });
    expect(weightsOf(copy)).toEqual(weights);
    second.finalizeVariableValues();
    expect(weightsOf(copy)).toEqual(averaged);
    expect(weightsOf(net)).toEqual(weights);
  });
});

it('says which options are not saved', () => {
  const optimizer = cgfac({ seed: SEED, learningRate: (step) => 1 / (1 + step), skipLayers: [/head/], momentum: 0.3 });
  const config = optimizer.getConfig();
  expect(config).toMatchObject({ seed: SEED, momentum: 0.3 });
  expect(Object.keys(config)).not.toContain('learningRate');
  expect(console.warn).toHaveBeenCalledWith(
    expect.stringMatching(/give them again after loading: learningRate, skipLayers$/),
  );
});

it('has no preset for CG-FAC, and no averages before a step', async () => {
  const given = { method: 'cg', preset: 'safe' } as never;
  expect(await errorOf(() => cgfac(given))).toMatchObject({
    code: 'ERR_CGFAC_INVALID_ARG_VALUE',
    message: "Expected no preset with method 'cg' for preset but received 'safe'",
  });
  expect((await errorOf(() => cgfac().withAveragedWeights(() => 0))).message).toMatch(
    /^Expected averages for withAveragedWeights but received none: /,
  );
});
