import * as tf from '@tensorflow/tfjs-core';
import { input, layers, model, type SymbolicTensor, sequential } from '@tensorflow/tfjs-layers';
import { CgfacOptimizer, cgfac, type RecipeOptions } from '../../../lib/tfjs';
import { errorOf, normal, quietWarnings, relativeError, useBackend, variable } from '../support/backends';
import { autoencoder, classes, classifier, pixels, train } from '../support/models';

const SEED = 4;
const recipe = (options: RecipeOptions = {}) => cgfac({ seed: SEED, ...options });

quietWarnings();

describe.each(['cpu', 'wasm'] as const)('the recipe on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  it('trains soft targets and hard ones, and says what it does', async () => {
    const [x, y] = [pixels(20, 1), classes(20, 2)];
    const [soft, hard] = [recipe(), recipe()];
    const [coder, labeller] = [autoencoder(soft), classifier(hard)];
    const [first, second] = [await train(coder, x, x, 1), await train(labeller, x, y, 1)];
    expect(soft.report()).toMatchObject({
      preset: 'adaptive',
      layers: [{ shape: '7×12 + bias' }, { shape: '12×7 + bias' }],
    });
    expect(hard.report()).toMatchObject({ preset: 'adaptive' });
    const [lastSoft, lastHard] = [await train(coder, x, x, 15), await train(labeller, x, y, 15)];
    const floor = soft.lastStep?.summary?.lossFloor ?? Number.NaN;
    expect(lastSoft - floor).toBeLessThan(0.5 * (first - floor));
    expect(lastHard).toBeLessThan(0.3 * second);
    expect(hard.lastStep?.summary?.lossFloor).toBe(0);
    for (const optimizer of [soft, hard]) {
      expect(optimizer.lastStep).toMatchObject({ iteration: 15, lone: [], summary: { step: 15 } });
      expect(optimizer.lastStep?.summary?.innerProduct).toBeGreaterThan(0);
      optimizer.dispose();
    }
    tf.dispose([x, y]);
    coder.dispose();
    labeller.dispose();
  });

  it('samples unknown losses whole, soft targets at first, half of them later, or what an option says', async () => {
    const [x, y] = [pixels(40, 1), classes(40, 2)];
    const rowsOf = async (net: typeof autoencoder, targets: tf.Tensor, options: RecipeOptions) => {
      const optimizer = recipe({ factorUpdateSteps: 1, ...options });
      const model = net(optimizer);
      const rows: (number | undefined)[] = [];
      for (let step = 0; step < 12; step++) {
        await train(model, x, targets, 1);
        rows.push(optimizer.lastStep?.summary?.layers[0]?.outputRows);
      }
      optimizer.dispose();
      model.dispose();
      return rows;
    };
    const none: RecipeOptions = { factorHistory: 'none', window: 1 };
    expect(await rowsOf(autoencoder, x, none)).toEqual([...Array(10).fill(40), 20, 20]);
    expect(await rowsOf(classifier, y, none)).toEqual(Array(12).fill(20));
    expect(await rowsOf(autoencoder, x, { ...none, fisherFraction: 0.5 })).toEqual(Array(12).fill(20));
    const absolute = (optimizer: tf.Optimizer) => {
      const net = sequential({ layers: [layers.dense({ units: 12, inputShape: [12] })] });
      net.compile({ optimizer, loss: 'meanAbsoluteError' });
      return net;
    };
    expect(await rowsOf(absolute, x, none)).toEqual(Array(12).fill(40));
    expect(await rowsOf(absolute, x, { ...none, fisherFraction: 0.25 })).toEqual(Array(12).fill(10));
    expect(await rowsOf(absolute, x, { ...none, preset: 'safe' })).toEqual(Array(12).fill(20));
    // beside a head that is known, what is not is sampled as that is
    const beside = (optimizer: tf.Optimizer) => {
      const [first, second] = [layers.dense({ units: 12 }), layers.dense({ units: 12 })];
      const data = input({ shape: [12] });
      const net = model({ inputs: data, outputs: [first, second].map((each) => each.apply(data) as SymbolicTensor) });
      net.compile({ optimizer, loss: ['meanSquaredError', 'meanAbsoluteError'] });
      return net;
    };
    const optimizer = recipe({ factorUpdateSteps: 1, ...none });
    const net = beside(optimizer);
    await net.trainOnBatch(x, [x, x]);
    expect(optimizer.lastStep?.summary?.layers.map(({ outputRows }) => outputRows)).toEqual([20, 20]);
    optimizer.dispose();
    net.dispose();
    tf.dispose([x, y]);
  });

  it('L_min is the entropy of the targets, as the loss weighs them', async () => {
    const x = pixels(9, 3);
    const optimizer = recipe();
    const net = autoencoder(optimizer);
    await train(net, x, x, 1);
    const y = Array.from(x.dataSync());
    const entropy = y.reduce((sum, p) => sum - p * Math.log(p) - (1 - p) * Math.log(1 - p), 0) / y.length;
    expect(optimizer.lastStep?.summary?.lossFloor).toBeCloseTo(entropy, 5);
    optimizer.dispose();
    net.dispose();
    x.dispose();
  });

  it('steps alike whether the framework computed the gradients of the kernels or left them out', () => {
    const ends = [true, false].map((minimised) => {
      const [w1, b1, w2] = [variable([12, 7], 1), variable([7], 2), variable([7, 12], 3)];
      const x = pixels(20, 1);
      const f = () =>
        tf.tidy(
          () => tf.losses.sigmoidCrossEntropy(x, tf.matMul(tf.tanh(tf.add(tf.matMul(x, w1), b1)), w2)) as tf.Scalar,
        );
      const optimizer = recipe({ preset: 'reconstruction' });
      for (let step = 0; step < 4; step++) {
        if (minimised) {
          optimizer.minimize(f, false, [w1, b1, w2]);
        } else {
          const { value, grads } = optimizer.computeGradients(f, [w1, b1, w2]);
          optimizer.applyGradients(grads);
          tf.dispose([value, grads]);
        }
      }
      const end = [w1, b1, w2].flatMap((v) => Array.from(v.dataSync()));
      optimizer.dispose();
      tf.dispose([w1, b1, w2, x]);
      return end;
    });
    // four steps of float32 solves with condition numbers of about 10: 4 · 10 · 2⁻²⁴ of the weights, with room for the
    // sums' order
    expect(relativeError(ends[0] ?? [], ends[1] ?? [])).toBeLessThan(1e-4);
  });

  it('keeps no tensors but the averages', async () => {
    const x = pixels(20, 1);
    const before = tf.memory().numTensors;
    const optimizer = recipe();
    const net = autoencoder(optimizer);
    await train(net, x, x, 2);
    const during = tf.memory().numTensors;
    await train(net, x, x, 5);
    expect(tf.memory().numTensors).toBe(during);
    net.dispose();
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(before);
    x.dispose();
  });
});

describe('the recipe', () => {
  beforeAll(() => useBackend('cpu'));

  it('is no other optimizer', () => {
    expect(recipe()).toBeInstanceOf(CgfacOptimizer);
    expect(recipe()).toBeInstanceOf(tf.Optimizer);
    expect(tf.train.adam(1)).not.toBeInstanceOf(CgfacOptimizer);
  });

  it('a penalty is a part of the step', async () => {
    const x = pixels(20, 1);
    const norms = await Promise.all(
      [false, true].map(async (regularised) => {
        const optimizer = recipe();
        const net = autoencoder(optimizer, regularised);
        await train(net, x, x, 12);
        const [kernel] = net.getWeights();
        const norm = tf.tidy(() => tf.norm(kernel as tf.Tensor).dataSync()[0] ?? Number.NaN);
        optimizer.dispose();
        net.dispose();
        return norm;
      }),
    );
    expect(norms[1]).toBeLessThan(0.9 * (norms[0] ?? 0));
    x.dispose();
  });

  it('a squared error is the head of a Gaussian: the steps of a linear model go straight to its solution', async () => {
    const [x, truth] = [normal([40, 6], 1), normal([6, 3], 2)];
    const y = tf.matMul(x, truth) as tf.Tensor2D;
    // next to Newton's direction a Polyak step with φ = 1 is half of the way: what is left of the loss falls by 4 at
    // every step, but for what sampling does to G
    const optimizer = recipe({ preset: 'reconstruction', damping: { relative: 1e-4 }, momentum: 0, polyakFraction: 1 });
    const net = sequential({ layers: [layers.dense({ units: 3, inputShape: [6], useBias: false })] });
    net.compile({ optimizer, loss: 'meanSquaredError' });
    const losses: number[] = [];
    for (let step = 0; step < 8; step++) losses.push(await train(net, x, y, 1));
    expect(optimizer.report()?.preset).toBe('reconstruction');
    expect(losses[7]).toBeLessThan(0.02 * (losses[0] ?? 0));
    optimizer.dispose();
    net.dispose();
    tf.dispose([x, y, truth]);
  });

  it('gives the layers of skipLayers a diagonal', async () => {
    const x = pixels(20, 1);
    const optimizer = recipe({ skipLayers: [/Dense\d+\/kernel$/] });
    const net = autoencoder(optimizer);
    await train(net, x, x, 1);
    expect(optimizer.lastStep?.lone.length).toBe(4);
    expect(optimizer.lastStep?.lone[0]?.reason).toMatch(/^skipLayers names it/);
    expect(optimizer.lastStep?.summary?.layers).toHaveLength(4);
    expect(optimizer.lastStep?.summary?.stepSize).toBeGreaterThan(0);
    optimizer.dispose();
    net.dispose();
    x.dispose();
  });

  it.each(['kernel of a dense layer', 'dense layer', 'expression'])('skipLayers: %s', async (named) => {
    const x = pixels(20, 1);
    const net = autoencoder(recipe());
    const [kernel = ''] = net.layers[1]?.trainableWeights.map(({ originalName }) => originalName) ?? [];
    const name = named === 'dense layer' ? kernel.replace(/\/kernel$/, '') : kernel;
    const own = recipe({ skipLayers: [named === 'expression' ? new RegExp(`^${name}$`) : name] });
    net.compile({ optimizer: own, loss: 'binaryCrossentropy' });
    await train(net, x, x, 1);
    const reason = expect.stringMatching(/^skipLayers names it/) as string;
    const lone = [kernel, kernel.replace('kernel', 'bias')];
    expect(own.lastStep?.lone).toEqual(lone.map((each) => expect.objectContaining({ name: each, reason }) as object));
    own.dispose();
    net.dispose();
    x.dispose();
  });

  it('skipLayers may have expressions that remember where they were', async () => {
    const x = pixels(20, 1);
    const optimizer = recipe({ skipLayers: [/./g] });
    const net = autoencoder(optimizer);
    await train(net, x, x, 2);
    expect(optimizer.lastStep?.lone.length).toBe(4);
    optimizer.dispose();
    net.dispose();
    x.dispose();
  });

  it('with the empirical Fisher matrix has the L_min of the true one, and takes any loss', async () => {
    const x = pixels(20, 1);
    const floors: (number | undefined)[] = [];
    for (const fisher of ['true', 'empirical'] as const) {
      const optimizer = recipe({ fisher, fisherFraction: 1 });
      const net = autoencoder(optimizer);
      await train(net, x, x, 1);
      expect(optimizer.lastStep?.summary?.layers.map(({ outputRows }) => outputRows)).toEqual([20, 20]);
      floors.push(optimizer.lastStep?.summary?.lossFloor);
      optimizer.dispose();
      net.dispose();
    }
    expect(floors[1]).toBeGreaterThan(0.1);
    expect(floors[1]).toBe(floors[0]);

    const w = variable([12, 7], 1);
    const optimizer = recipe({ fisher: 'empirical' });
    optimizer.minimize(() => tf.mean(tf.abs(tf.matMul(x, w))) as tf.Scalar, false, [w]);
    expect(optimizer.lastStep?.summary).toMatchObject({ lossFloor: 0, skippedSteps: { total: 0 } });
    optimizer.dispose();
    tf.dispose([w, x]);
  });

  it('says so when the loss is below its floor, and does not take rounding for it', () => {
    const [x, w] = [pixels(20, 1), variable([12, 12], 1)];
    const f = () => tf.tidy(() => tf.losses.sigmoidCrossEntropy(x, tf.matMul(x, w))) as tf.Scalar;
    const [loss = Number.NaN] = f().dataSync();
    const start = tf.clone(w);
    const length = /^the loss \S+ is below lossFloor \S+: a step of length 0$/;
    const share = /^the loss \S+ is below lossFloor \S+: steps aim at 2 % of the loss; where that lasts, give a lower/;
    for (const [preset, lossFloor, told] of [
      ['reconstruction', loss + 1, [expect.stringMatching(length)]],
      ['reconstruction', loss * (1 + 2e-6), []],
      ['adaptive', loss + 1, [expect.stringMatching(share)]],
      ['adaptive', loss - 0.1, []],
      ['adaptive', undefined, []],
    ] as const) {
      const optimizer = recipe({ preset, ...(lossFloor === undefined ? {} : { lossFloor }) });
      optimizer.minimize(f, false, [w]);
      const { stepSize = Number.NaN, skippedSteps, diagnoses } = optimizer.lastStep?.summary ?? {};
      expect([stepSize > 0, skippedSteps?.total]).toEqual([preset === 'adaptive', 0]);
      expect(diagnoses?.filter((each) => each.includes('lossFloor'))).toEqual(told);
      optimizer.dispose();
      tf.tidy(() => w.assign(start));
    }
    tf.dispose([x, w, start]);
  });

  it('has the preset that its options fit, and says so', async () => {
    const [x, y] = [pixels(20, 1), classes(20, 2)];
    const presetOf = async (options: RecipeOptions, soft: boolean) => {
      const optimizer = recipe(options);
      const net = soft ? autoencoder(optimizer) : classifier(optimizer);
      await train(net, x, soft ? x : y, 1);
      const report = optimizer.report();
      optimizer.dispose();
      net.dispose();
      return [report?.preset, report?.recipe.includes(`preset '${report.preset}' by the options given`)];
    };
    expect(await presetOf({ rank: 16 }, true)).toEqual(['adaptive', false]);
    expect(await presetOf({ factorDecay: 0.9 }, true)).toEqual(['adaptive', false]);
    expect(await presetOf({ window: 128 }, false)).toEqual(['reconstruction', true]);
    expect(await presetOf({ rank: 16, factorHistory: 'panel' }, true)).toEqual(['adaptive', false]);
    expect(await presetOf({ rank: 16, preset: 'safe' }, true)).toEqual(['safe', false]);
    expect(await presetOf({}, true)).toEqual(['adaptive', false]);
    expect((await errorOf(() => recipe({ rank: 16, window: 128 }))).code).toBe('ERR_CGFAC_INVALID_ARG_VALUE');
    tf.dispose([x, y]);
  });

  it('learningRate can be set whatever the other options', async () => {
    const optimizer = recipe({ window: 128 });
    optimizer.learningRate = 0.5;
    expect(optimizer.learningRate).toBe(0.5);
    optimizer.learningRate = (step) => 1 / (1 + step);
    for (const wrong of [-1, Number.NaN, '1']) {
      const error = await errorOf(() => {
        optimizer.learningRate = wrong as number;
      });
      expect(error.code).toMatch(/^ERR_CGFAC_INVALID_ARG_/);
    }
  });
});
