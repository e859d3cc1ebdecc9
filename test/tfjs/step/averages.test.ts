import * as tf from '@tensorflow/tfjs-core';
import { layers, type Sequential, sequential } from '@tensorflow/tfjs-layers';
import { CgfacOptimizer, cgfac, type RecipeOptions } from '../../../lib/tfjs';
import { errorOf, normal, quietScopes, relativeError, variable } from '../support/backends';
import { autoencoder, classes, pixels, train, weightsOf } from '../support/models';

const SEED = 4;
const recipe = (options: RecipeOptions = {}) => cgfac({ seed: SEED, ...options });

quietScopes();

/** A classifier with a normalisation, whose scale and shift are lone variables. */
function normalised(optimizer: tf.Optimizer): Sequential {
  const net = sequential({
    layers: [
      layers.dense({ units: 7, inputShape: [12] }),
      layers.batchNormalization({ name: `norm${tf.engine().state.numTensors}` }),
      layers.dense({ units: 3, activation: 'softmax' }),
    ],
  });
  net.compile({ optimizer, loss: 'categoricalCrossentropy' });
  return net;
}

const trainable = (net: Sequential) => net.trainableWeights.map((weight) => Array.from(weight.read().dataSync()));

const all = (net: Sequential) => net.getWeights().map((weight) => Array.from(weight.dataSync()));

describe('lone variables', () => {
  it('are averaged like the others', async () => {
    const optimizer = cgfac({ seed: SEED, emaMomentum: 0.9 });
    const net = normalised(optimizer);
    const [x, y] = [pixels(20, 1), classes(20, 2)];
    let expected: number[] = [];
    for (let step = 0; step < 5; step++) {
      await train(net, x, y, 1);
      const now = trainable(net).flat();
      const decay = Math.min(0.9, (1 + step) / (10 + step));
      expected = step === 0 ? now : expected.map((mean, at) => decay * mean + (1 - decay) * (now[at] ?? 0));
    }
    expect(relativeError((await optimizer.withAveragedWeights(() => trainable(net))).flat(), expected)).toBeLessThan(
      1e-6,
    );
    expect(optimizer.memoryUsage()?.averages).toBe(4 * (expected.length + 2 * 7));
  });

  it('and so they are in a run that goes on from saved weights', async () => {
    const first = cgfac({ seed: SEED });
    const net = normalised(first);
    const [x, y] = [pixels(20, 1), classes(20, 2)];
    await train(net, x, y, 5);
    const second = CgfacOptimizer.fromConfig(CgfacOptimizer, first.getConfig()) as CgfacOptimizer;
    await second.setWeights(await first.getWeights());
    const copy = normalised(second);
    copy.setWeights(net.getWeights());
    for (const each of [net, copy]) await train(each, x, y, 2);
    expect(await second.withAveragedWeights(() => all(copy))).toEqual(await first.withAveragedWeights(() => all(net)));
  });
});

describe('running statistics of batches', () => {
  const MOMENTUM = 0.99;
  const statistics = (net: Sequential) => all(net).slice(-2);

  /** Mean and variance of what the first layer makes of a batch. */
  const momentsOf = (net: Sequential, x: tf.Tensor) =>
    tf.tidy(() => {
      const { mean, variance } = tf.moments(net.layers[0]?.apply(x) as tf.Tensor, 0);
      return [mean, variance].map((each) => Array.from(each.dataSync()));
    });

  it('are averaged without the mean of 0 and the variance of 1 that they are made with', async () => {
    const optimizer = recipe();
    const net = normalised(optimizer);
    const y = classes(20, 2);
    const seen: number[][][] = [];
    for (let step = 0; step < 4; step++) {
      const x = pixels(20, 10 + step);
      seen.push(momentsOf(net, x));
      await train(net, x, y, 1);
    }
    const share = (1 - MOMENTUM) / (1 - MOMENTUM ** seen.length);
    const expected = [0, 1].map((place) =>
      Array.from({ length: 7 }, (_, i) =>
        seen.reduce(
          (sum, moments, step) => sum + share * MOMENTUM ** (seen.length - 1 - step) * (moments[place]?.[i] ?? 0),
          0,
        ),
      ),
    );
    const own = statistics(net);
    const found = await optimizer.withAveragedWeights(() => statistics(net));
    expect(relativeError(found[0] ?? [], expected[0] ?? [])).toBeLessThan(1e-5);
    expect(relativeError(found[1] ?? [], expected[1] ?? [])).toBeLessThan(1e-5);
    // the layer's own are what it made of them, most of which is what it began with
    expect(statistics(net)).toEqual(own);
    expect(relativeError(own[1] ?? [], expected[1] ?? [])).toBeGreaterThan(0.5);
    optimizer.finalizeVariableValues();
    expect(statistics(net)).toEqual(found);
  });

  it('that began as something else stay as they are', async () => {
    const optimizer = recipe();
    const net = normalised(optimizer);
    const variance = net.getWeights().at(-1) as tf.Tensor;
    net.setWeights([...net.getWeights().slice(0, -1), tf.mul(variance, 0.3)]);
    await train(net, pixels(20, 1), classes(20, 2), 3);
    const [own, ownVariance] = statistics(net);
    const [found, foundVariance] = await optimizer.withAveragedWeights(() => statistics(net));
    expect(foundVariance).toEqual(ownVariance);
    expect(found).not.toEqual(own);
  });

  it('take in each pass of a loss, and no pass of others', async () => {
    const optimizer = recipe();
    const net = normalised(optimizer);
    const halves = [pixels(20, 1), pixels(20, 2)];
    const y = classes(20, 3);
    const moments = halves.map((x) => momentsOf(net, x));
    optimizer.minimize(() => {
      const losses = halves.map((x) => tf.losses.softmaxCrossEntropy(y, net.apply(x, { training: true }) as tf.Tensor));
      return tf.addN(losses) as tf.Scalar;
    });
    tf.dispose(net.apply(pixels(20, 4), { training: true }) as tf.Tensor);
    const [first = 0, second = 0] = [MOMENTUM, 1].map((weight) => weight / (1 + MOMENTUM));
    const expected = (moments[0]?.[1] ?? []).map((value, i) => first * value + second * (moments[1]?.[1]?.[i] ?? 0));
    const [, variance = []] = await optimizer.withAveragedWeights(() => statistics(net));
    expect(relativeError(variance, expected)).toBeLessThan(1e-5);
  });
});

describe('a variable that steps depend on and do not train', () => {
  it('has the weights that it is frozen at, where its model was compiled again', async () => {
    const optimizer = cgfac({ seed: SEED });
    const net = normalised(optimizer);
    const [x, y] = [pixels(20, 1), classes(20, 2)];
    await train(net, x, y, 6);
    const [first] = net.layers;
    if (first) first.trainable = false;
    net.compile({ optimizer, loss: 'categoricalCrossentropy' });
    const weights = () => (first?.getWeights() ?? []).map((weight) => Array.from(weight.dataSync()));
    const others = () => trainable(net).flat();
    const frozen = weights();
    for (const steps of [1, 9]) {
      await train(net, x, y, steps);
      expect(weights()).toEqual(frozen);
      const now = others();
      expect(await optimizer.withAveragedWeights(weights)).toEqual(frozen);
      expect(await optimizer.withAveragedWeights(others)).not.toEqual(now);
    }
    optimizer.finalizeVariableValues();
    expect(weights()).toEqual(frozen);
  });

  it('keeps its average where it has its turn again', async () => {
    const optimizer = cgfac({ seed: SEED, emaMomentum: 0.9 });
    const [u, w] = [variable([4, 3], 1), variable([3, 2], 2)];
    const [x, y] = [normal([12, 4], 3), normal([12, 2], 4)];
    const f = () => tf.losses.meanSquaredError(y, tf.matMul(tf.tanh(tf.matMul(x, u as tf.Tensor)), w as tf.Tensor));
    let expected: number[] = [];
    for (let step = 0; step < 8; step++) {
      optimizer.minimize(f as () => tf.Scalar, false, [w]);
      optimizer.minimize(f as () => tf.Scalar, false, [u]);
      const now = Array.from(u.dataSync());
      const decay = Math.min(0.9, (1 + step) / (10 + step));
      expected = step === 0 ? now : expected.map((mean, at) => decay * mean + (1 - decay) * (now[at] ?? 0));
      const found = await optimizer.withAveragedWeights(() => [u, w].map((each) => Array.from(each.dataSync())));
      expect(relativeError(found[0] ?? [], expected)).toBeLessThan(1e-6);
      expect(found[1]).toEqual(Array.from(w.dataSync()));
    }
  });
});

describe('report()', () => {
  it('tells what is averaged, and what is not preconditioned and why', async () => {
    const [x, y] = [pixels(20, 1), classes(20, 2)];
    for (const useEma of [true, false]) {
      const optimizer = cgfac({ seed: SEED, useEma, skipLayers: [/Dense\d*[02468]\/kernel/] });
      const net = normalised(optimizer);
      await train(net, x, y, 1);
      const report = optimizer.report();
      const { layers = [], skipped = [] } = report ?? {};
      expect([...layers, ...skipped].map(({ averaged }) => averaged)).toEqual(Array(4).fill(useEma));
      expect(layers.map(({ reason }) => reason)).toEqual([undefined, undefined]);
      expect(skipped.map(({ name, reason }) => ({ name, reason }))).toEqual(optimizer.lastStep?.lone);
      optimizer.dispose();
      net.dispose();
    }
  });
});

describe('while averages stand in for the weights', () => {
  it('no step is taken, and no other averages are', async () => {
    const optimizer = cgfac({ seed: SEED });
    const net = autoencoder(optimizer);
    const x = pixels(20, 1);
    await train(net, x, x, 3);
    const weights = weightsOf(net);
    const refused = [
      () => optimizer.minimize(() => tf.scalar(1)),
      () => optimizer.computeGradients(() => tf.scalar(1)),
      () => optimizer.applyGradients({}),
      () => optimizer.finalizeVariableValues(),
      () => optimizer.withAveragedWeights(() => 0),
      () => net.trainOnBatch(x, x),
    ];
    await optimizer.withAveragedWeights(async () => {
      for (const call of refused) expect((await errorOf(call)).code).toBe('ERR_CGFAC_BUSY');
    });
    expect(weightsOf(net)).toEqual(weights);
    await train(net, x, x, 1);
    expect(optimizer.iterations).toBe(4);
  });

  it('a model may be disposed of', async () => {
    const optimizer = cgfac({ seed: SEED });
    const net = autoencoder(optimizer);
    const x = pixels(20, 1);
    await train(net, x, x, 1);
    await optimizer.withAveragedWeights(() => net.dispose());
  });
});

describe('layers whose variables are disposed of', () => {
  it('are let go of, and the others go on', async () => {
    const x = pixels(20, 1);
    const run = async (others: number) => {
      const optimizer = cgfac({ seed: SEED });
      const net = autoencoder(optimizer);
      await train(net, x, x, 2);
      for (let other = 0; other < others; other++) {
        const passing = autoencoder(optimizer);
        await train(passing, x, x, 1);
        passing.dispose();
      }
      return { optimizer, net, ends: weightsOf(net) };
    };
    const [alone, together] = [await run(0), await run(3)];
    expect(together.ends).toEqual(alone.ends);
    expect(together.optimizer.report()?.layers).toHaveLength(2);
    expect(together.optimizer.memoryUsage()?.averages).toBe(alone.optimizer.memoryUsage()?.averages);
    expect(together.optimizer.memoryUsage()?.momentum).toBe(alone.optimizer.memoryUsage()?.momentum);
    const tensors = tf.memory().numTensors;
    await train(together.net, x, x, 2);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(together.optimizer.lastStep?.summary?.layers).toHaveLength(2);
  });
});

describe('the recipe', () => {
  it('averages are those of the weights after each step, and give way to them again', async () => {
    const x = pixels(20, 1);
    const optimizer = recipe({ emaMomentum: 0.9 });
    const net = autoencoder(optimizer);
    let expected: number[] = [];
    for (let step = 0; step < 6; step++) {
      await train(net, x, x, 1);
      const now = weightsOf(net).flat();
      const decay = Math.min(0.9, (1 + step) / (10 + step));
      expected = step === 0 ? now : expected.map((mean, at) => decay * mean + (1 - decay) * (now[at] ?? 0));
    }
    const weights = weightsOf(net);
    const averaged = await optimizer.withAveragedWeights(async () => weightsOf(net));
    expect(relativeError(averaged.flat(), expected)).toBeLessThan(1e-6);
    expect(weightsOf(net)).toEqual(weights);
    await expect(optimizer.withAveragedWeights(() => Promise.reject(new Error('stop')))).rejects.toThrow('stop');
    expect(weightsOf(net)).toEqual(weights);
    optimizer.finalizeVariableValues();
    expect(weightsOf(net)).toEqual(averaged);
    optimizer.dispose();
    net.dispose();
    x.dispose();
  });

  it('has no averages before a step, and without useEma', async () => {
    for (const optimizer of [recipe(), cgfac({ method: 'cg' })]) {
      expect((await errorOf(() => optimizer.withAveragedWeights(() => 0))).code).toBe('ERR_CGFAC_INVALID_ARG_VALUE');
    }
    const x = pixels(8, 1);
    const optimizer = recipe({ useEma: false });
    const net = autoencoder(optimizer);
    await train(net, x, x, 1);
    expect((await errorOf(() => optimizer.finalizeVariableValues())).code).toBe('ERR_CGFAC_INVALID_ARG_VALUE');
    optimizer.dispose();
    net.dispose();
    x.dispose();
  });
});
