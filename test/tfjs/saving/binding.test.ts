/** To which variables a saved state and averages belong: those of their own model, whatever else is in the process. */
import * as tf from '@tensorflow/tfjs-core';
import { initializers, layers, loadLayersModel, type Sequential, sequential } from '@tensorflow/tfjs-layers';
import { CgfacOptimizer, cgfac, type RecipeOptions } from '../../../lib/tfjs';
import { errorOf, normal, quietScopes, variable } from '../support/backends';
import { autoencoder, classes, pixels, saved, train } from '../support/models';

quietScopes();

const SEED = 4;
const kernel = (seed: number) => ({ kernelInitializer: initializers.glorotUniform({ seed }) });

/** The numbers of each weight, layer by layer: those of a model have another order where some are frozen. */
const weightsOf = (net: Sequential) =>
  net.layers.flatMap((layer) => layer.getWeights()).map((weight) => Array.from(weight.dataSync()));

/** A classifier whose layers have names. */
function named(optimizer: tf.Optimizer, seed = 1, units = 7): Sequential {
  const net = sequential({
    layers: [
      layers.dense({ name: 'enc', units, activation: 'tanh', inputShape: [12], ...kernel(seed) }),
      layers.dense({ name: 'head', units: 3, activation: 'softmax', ...kernel(seed + 1) }),
    ],
  });
  net.compile({ optimizer, loss: 'categoricalCrossentropy' });
  return net;
}

async function loaded(artifacts: tf.io.ModelArtifacts) {
  const net = (await loadLayersModel(tf.io.fromMemory(artifacts))) as Sequential;
  return { net, optimizer: net.optimizer as CgfacOptimizer };
}

async function trained(options: RecipeOptions = {}, steps = 6) {
  const optimizer = cgfac({ seed: SEED, ...options });
  const net = named(optimizer);
  const [x, y] = [pixels(20, 1), classes(20, 2)];
  await train(net, x, y, steps);
  return { optimizer, net, x, y };
}

it.each([7, 5])('a state waits for its model where another one (%i units) trains before it', async (units) => {
  const ran = async (reload: boolean) => {
    const optimizer = cgfac({ seed: SEED });
    const [first, second] = [named(optimizer), named(optimizer, 9, units)];
    const [x, y] = [pixels(20, 1), classes(20, 2)];
    await train(first, x, y, 6);
    if (reload) await optimizer.setWeights(await optimizer.getWeights());
    await train(second, x, y, 2);
    await train(first, x, y, 2);
    const both = () => [first, second].map(weightsOf);
    return [both(), await optimizer.withAveragedWeights(both)];
  };
  expect(await ran(true)).toEqual(await ran(false));
});

describe('averages that were loaded', () => {
  it('stand in for the weights of their own model, beside the one that was saved and another copy', async () => {
    const { optimizer, net, x, y } = await trained();
    const averaged = await optimizer.withAveragedWeights(() => weightsOf(net));
    const artifacts = await saved(net);
    const copies = [await loaded(artifacts), await loaded(artifacts)];
    const models = [net, ...copies.map((copy) => copy.net)];
    for (const [index, copy] of copies.entries()) {
      const expected = models.map((model) => (model === copy.net ? averaged : weightsOf(model)));
      await copy.optimizer.withAveragedWeights(() => expect(models.map(weightsOf)).toEqual(expected));
      if (index === 0) await train(net, x, y, 1);
    }
  });

  it('are of no other model of the same shape, nor of one whose weights have changed', async () => {
    const { optimizer, net } = await trained();
    const weights = await optimizer.getWeights();
    net.dispose();
    optimizer.dispose();
    const second = cgfac({ seed: SEED });
    const other = named(cgfac({ seed: SEED }), 5);
    const before = weightsOf(other);
    await second.setWeights(weights);
    for (const call of [() => second.withAveragedWeights(() => 0), () => second.finalizeVariableValues()])
      expect((await errorOf(call)).code).toBe('ERR_CGFAC_INVALID_ARG_VALUE');
    expect(weightsOf(other)).toEqual(before);
  });

  it('are refused where a copy without an optimizer cannot be told from the model', async () => {
    const { optimizer, net } = await trained();
    const artifacts = await saved(net);
    net.dispose();
    optimizer.dispose();
    const first = await loaded(artifacts);
    const copy = named(cgfac());
    copy.setWeights(first.net.getWeights());
    const state = await first.optimizer.getWeights();
    first.optimizer.dispose();
    const third = cgfac({ seed: SEED });
    await third.setWeights(state);
    expect((await errorOf(() => third.withAveragedWeights(() => 0))).code).toBe('ERR_CGFAC_INVALID_ARG_VALUE');
  });

  it('stand in for no weights that are frozen, before a step or after, and begin again afterwards', async () => {
    const { optimizer, net, x, y } = await trained();
    const averaged = await optimizer.withAveragedWeights(() => weightsOf(net));
    const copy = await loaded(await saved(net));
    const [frozen] = copy.net.layers;
    if (!frozen) throw new Error('no layer');
    frozen.trainable = false;
    const weights = weightsOf(copy.net);
    const mixed = [...weights.slice(0, 2), ...averaged.slice(2)];
    expect(await copy.optimizer.withAveragedWeights(() => weightsOf(copy.net))).toEqual(mixed);
    await train(copy.net, x, y, 3);
    const [inside] = await copy.optimizer.withAveragedWeights(() => weightsOf(copy.net));
    expect(inside).toEqual(weights[0]);
    frozen.trainable = true;
    await train(copy.net, x, y, 1);
    // an average that is new is the weights
    const now = weightsOf(copy.net);
    const [kernelAverage, biasAverage, headAverage] = await copy.optimizer.withAveragedWeights(() =>
      weightsOf(copy.net),
    );
    expect([kernelAverage, biasAverage]).toEqual(now.slice(0, 2));
    expect(headAverage).not.toEqual(now[2]);
  });
});

describe('a frozen layer', () => {
  it('has the weights that it is frozen at, saved and loaded too', async () => {
    const { optimizer, net, x, y } = await trained();
    const [frozen] = net.layers;
    if (!frozen) throw new Error('no layer');
    frozen.trainable = false;
    const at = weightsOf(net).slice(0, 2);
    await train(net, x, y, 4);
    expect((await optimizer.withAveragedWeights(() => weightsOf(net))).slice(0, 2)).toEqual(at);
    const copy = await loaded(await saved(net));
    expect((await copy.optimizer.withAveragedWeights(() => weightsOf(copy.net))).slice(0, 2)).toEqual(at);
    optimizer.finalizeVariableValues();
    expect(weightsOf(net).slice(0, 2)).toEqual(at);
  });

  it('goes on with its own state once it is trained again, though others were loaded before it', async () => {
    const run = async (again: boolean) => {
      const { net, optimizer, x, y } = await trained();
      const used = again ? await loaded(await saved(net)) : { net, optimizer };
      const [first] = used.net.layers;
      if (!first) throw new Error('no layer');
      first.trainable = false;
      await train(used.net, x, y, 2);
      first.trainable = true;
      await train(used.net, x, y, 2);
      return {
        weights: weightsOf(used.net),
        averaged: await used.optimizer.withAveragedWeights(() => weightsOf(used.net)),
      };
    };
    expect(await run(true)).toEqual(await run(false));
  });
});

describe('a loaded model', () => {
  it.each([['enc/kernel'], ['head/kernel'], [/^enc\/kernel$/]])(
    'skips the layer that %s names, as before',
    async (name) => {
      const { net, x, y } = await trained({ skipLayers: [name] });
      const artifacts = await saved(net);
      const config = { ...(net.optimizer as CgfacOptimizer).getConfig(), skipLayers: [name] };
      const copy = await loaded(artifacts);
      expect(copy.net.trainableWeights[0]?.name).not.toBe('enc/kernel');
      if (name instanceof RegExp) {
        const again = new CgfacOptimizer(config as RecipeOptions);
        await again.setWeights(await copy.optimizer.getWeights());
        copy.optimizer.dispose();
        copy.net.compile({ optimizer: again, loss: 'categoricalCrossentropy' });
      }
      for (const each of [net, copy.net]) await train(each, x, y, 4);
      expect(weightsOf(copy.net)).toEqual(weightsOf(net));
      const report = (copy.net.optimizer as CgfacOptimizer).report();
      expect(report?.layers).toHaveLength(1);
      expect(report?.skipped.map(({ method }) => method)).toEqual(['diagonal', 'diagonal']);
    },
  );

  it('whose layers are met in another order has the state of each', async () => {
    const x = pixels(20, 1);
    const run = async (interrupted: boolean) => {
      // two kernels of one shape, so that only their numbers tell them apart
      const [a, b] = [variable([12, 12], 1), variable([12, 12], 3)];
      const z = new Map([a, b].map((each, index) => [each, pixels(20, 5 + index)]));
      const product = (w: tf.Variable) => tf.matMul(z.get(w) as tf.Tensor2D, w as tf.Tensor as tf.Tensor2D);
      const of = (first: tf.Variable, second: tf.Variable) => () =>
        tf.losses.sigmoidCrossEntropy(x, tf.add(product(first), product(second))) as tf.Scalar;
      let optimizer = cgfac({ seed: SEED });
      for (let step = 0; step < 3; step++) optimizer.minimize(of(a, b), false, [a, b]);
      if (interrupted) {
        const weights = await optimizer.getWeights();
        optimizer = CgfacOptimizer.fromConfig(CgfacOptimizer, optimizer.getConfig()) as CgfacOptimizer;
        await optimizer.setWeights(weights);
      }
      for (let step = 0; step < 3; step++) optimizer.minimize(of(b, a), false, [a, b]);
      return [a, b].map((each) => Array.from(each.dataSync()));
    };
    expect(await run(true)).toEqual(await run(false));
  });

  it('goes on where names decide, for its weights were changed since', async () => {
    const { net, x, y } = await trained();
    const copy = await loaded(await saved(net));
    const changed = net.getWeights().map((weight) => tf.mul(weight, 0.5));
    for (const each of [net, copy.net]) {
      each.setWeights(changed);
      await train(each, x, y, 3);
    }
    expect(weightsOf(copy.net)).toEqual(weightsOf(net));
  });

  it('is saved whole, twice, inside of withAveragedWeights, once finalized, and after dispose', async () => {
    const { net, optimizer, x, y } = await trained();
    const twice = [await saved(net), await saved(net)];
    expect(twice[1]?.weightData).toEqual(twice[0]?.weightData);
    const averaged = await optimizer.withAveragedWeights(async () => ({
      weights: weightsOf(net),
      artifacts: await saved(net),
    }));
    const inside = await loaded(averaged.artifacts);
    expect(weightsOf(inside.net)).toEqual(averaged.weights);
    optimizer.finalizeVariableValues();
    const final = await loaded(await saved(net));
    for (const each of [net, inside.net, final.net]) await train(each, x, y, 2);
    expect(weightsOf(final.net)).toEqual(weightsOf(net));
    expect(weightsOf(inside.net)).toEqual(weightsOf(net));
    optimizer.dispose();
    const bare = await loaded(await saved(net));
    expect(bare.optimizer.iterations).toBe(8);
    for (const each of [net, bare.net]) await train(each, x, y, 2);
    expect(weightsOf(bare.net)).toEqual(weightsOf(net));
  });
});

describe('models that take turns under one optimizer', () => {
  const options = { preset: 'safe', fisher: 'empirical', stepRule: 'fixed', learningRate: 0.01 } as const;

  it('have the steps, and the averages, that each has under one of its own', async () => {
    const [x, y] = [pixels(20, 1), classes(20, 2)];
    const make = (optimizer: tf.Optimizer) => [autoencoder(optimizer), named(optimizer)] as const;
    const take = async (net: Sequential, which: number) => train(net, x, which === 0 ? x : y, 1);
    const end = async (net: Sequential, optimizer: CgfacOptimizer) => ({
      weights: weightsOf(net),
      averaged: await optimizer.withAveragedWeights(() => weightsOf(net)),
    });
    const shared = cgfac({ seed: SEED, ...options, factorUpdateSteps: 4 });
    const together = make(shared);
    const own = [0, 1].map((which) => {
      const optimizer = cgfac({ seed: SEED, ...options, factorUpdateSteps: 4 });
      return { optimizer, net: make(optimizer)[which] };
    });
    for (let step = 0; step < 24; step++) {
      // the second joins late, when the early steps of the first are over
      for (const which of step < 12 ? [0] : [0, 1]) {
        const alone = own[which]?.net;
        if (!together[which] || !alone) throw new Error('no model');
        await take(together[which], which);
        await take(alone, which);
      }
    }
    for (const [which, { optimizer, net }] of own.entries()) {
      if (!net || !together[which]) throw new Error('no model');
      expect(await end(together[which], shared)).toEqual(await end(net, optimizer));
    }
  });

  it('refresh their factors in turn, every second step of each', () => {
    const optimizer = cgfac({ seed: SEED, factorUpdateSteps: 2 });
    const [a, b] = [variable([6, 4], 1), variable([6, 4], 2)];
    const [x, y] = [normal([16, 6], 3), normal([16, 4], 4)];
    const refreshed = [a, b].map((): boolean[] => []);
    for (let step = 0; step < 12; step++) {
      const w = step % 2 === 0 ? a : b;
      optimizer.minimize(() => tf.losses.meanSquaredError(y, tf.matMul(x, w as tf.Tensor2D)) as tf.Scalar, false, [w]);
      refreshed[step % 2]?.push(optimizer.lastStep?.summary?.refreshed === true);
    }
    const expected = [true, true, true, false, true, false];
    expect(refreshed).toEqual([expected, expected]);
  });
});
