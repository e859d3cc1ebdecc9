import * as tf from '@tensorflow/tfjs-core';
import { layers, loadLayersModel, type Sequential, sequential } from '@tensorflow/tfjs-layers';
import { CgfacOptimizer, cgfac, installKernels, type RecipeOptions } from '../../../lib/tfjs';
import { errorOf, normal, quietWarnings, useBackend } from '../support/backends';
import { autoencoder, classes, classifier, pixels, saved, train, weightsOf } from '../support/models';

const recipe = (options: RecipeOptions = {}) => cgfac({ seed: 4, ...options });

quietWarnings();

it.each(['stock', 'native'])(
  'with %s kernels on wasm it goes on with the same bits, though a layer is checked when it is first met',
  async (which) => {
    await useBackend('wasm');
    const kernels = which === 'native' ? installKernels(tf) : undefined;
    const x = normal([24, 96], 1);
    const y = tf.oneHot(tf.range(0, 24, 1, 'int32'), 24);
    // products of which the native kernels take some forms and leave others to the backend
    const net = sequential({
      layers: [
        layers.dense({ units: 8, activation: 'tanh', inputShape: [96] }),
        layers.dense({ units: 96, activation: 'tanh' }),
        layers.dense({ units: 24 }),
      ],
    });
    const variables = net.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const bits = () => variables.map((each) => Array.from(each.dataSync()));
    const take = (optimizer: CgfacOptimizer, steps: number) => {
      const loss = () => tf.losses.softmaxCrossEntropy(y, net.apply(x) as tf.Tensor) as tf.Scalar;
      for (let step = 0; step < steps; step++) optimizer.minimize(loss, false, variables);
    };
    const first = recipe();
    take(first, 2);
    const [weights, before] = [await first.getWeights(), variables.map((each) => each.clone())];
    take(first, 2);
    const expected = bits();
    for (const [index, each] of variables.entries()) each.assign(before[index] ?? each);
    const second = CgfacOptimizer.fromConfig(CgfacOptimizer, first.getConfig()) as CgfacOptimizer;
    await second.setWeights(weights);
    take(second, 2);
    expect(bits()).toEqual(expected);
    tf.dispose([x, y, before, weights.map(({ tensor }) => tensor)]);
    for (const each of [first, second, net]) each.dispose();
    kernels?.uninstall();
  },
);

describe('the recipe', () => {
  beforeAll(() => useBackend('cpu'));

  it.each([{}, { preset: 'safe' }, { preset: 'safe', factorHistory: 'dense' }] as const)(
    'resumed from its weights and configuration %j it goes on with the same bits',
    async (options) => {
      const [x, y] = [pixels(20, 1), classes(20, 2)];
      const first = recipe(options);
      const net = classifier(first);
      await train(net, x, y, 7);
      const weights = await first.getWeights();
      const kept = tf.tidy(() => net.getWeights().map((weight) => weight.clone()));

      const second = CgfacOptimizer.fromConfig(CgfacOptimizer, first.getConfig()) as CgfacOptimizer;
      await second.setWeights(weights.map(({ tensor }, index) => ({ name: String(index), tensor })));
      const other = classifier(second);
      other.setWeights(kept);
      await train(net, x, y, 6);
      await train(other, x, y, 6);
      expect(weightsOf(other)).toEqual(weightsOf(net));
      expect(await second.withAveragedWeights(() => weightsOf(other))).toEqual(
        await first.withAveragedWeights(() => weightsOf(net)),
      );
      tf.dispose([x, y, kept, weights.map(({ tensor }) => tensor)]);
      for (const each of [first, second]) each.dispose();
      for (const each of [net, other]) each.dispose();
    },
  );

  it('is saved and loaded with the model', async () => {
    const x = pixels(20, 1);
    const net = autoencoder(recipe());
    await train(net, x, x, 5);
    const loaded = (await loadLayersModel(tf.io.fromMemory(await saved(net)))) as Sequential;
    expect(loaded.optimizer).toBeInstanceOf(CgfacOptimizer);
    await train(net, x, x, 3);
    await train(loaded, x, x, 3);
    expect(weightsOf(loaded)).toEqual(weightsOf(net));
    net.dispose();
    loaded.dispose();
    x.dispose();
  });

  it('weights that are none of its own are refused', async () => {
    const optimizer = recipe();
    const own = [
      { name: 'iter', tensor: tf.scalar(3, 'int32') },
      { name: 'seed', tensor: tf.tensor1d([1, 0], 'int32') },
    ];
    for (const wrong of [tf.tensor1d([1, 2, 3]), tf.tensor1d([123, 34, 125], 'int32')]) {
      const error = await errorOf(() => optimizer.setWeights([...own, { name: 'x', tensor: wrong }]));
      expect(error.code).toBe('ERR_CGFAC_INVALID_ARG_VALUE');
      expect(optimizer.iterations).toBe(0);
    }
  });
});
