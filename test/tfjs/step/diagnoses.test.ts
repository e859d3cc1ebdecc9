// What diagnoses tell of programs as people write them: nothing of healthy ones, and what is true of broken ones.
import * as tf from '@tensorflow/tfjs-core';
import { initializers, type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import { cgfac } from '../../../lib/tfjs';
import { normal, quietScopes } from '../support/backends';

quietScopes();

const N = 32;
const FEATURES = 13;
type Activation = 'relu' | 'sigmoid' | 'tanh';

/** A model 32-16 under an output of one number or three classes. */
function model(activation: Activation, output: 'linear' | 'sigmoid' | 'softmax', features: number): LayersModel {
  const kernelInitializer = (seed: number) => initializers.glorotUniform({ seed });
  return sequential({
    layers: [
      layers.dense({ units: 32, activation, inputShape: [features], kernelInitializer: kernelInitializer(1) }),
      layers.dense({ units: 16, activation, kernelInitializer: kernelInitializer(2) }),
      layers.dense({
        units: output === 'softmax' ? 3 : 1,
        activation: output,
        kernelInitializer: kernelInitializer(3),
      }),
    ],
  });
}

const table = (features = FEATURES) => normal([N, features], 5);
const scores = (x: tf.Tensor, count: number) => tf.matMul(x, normal([x.shape[1] ?? 1, count], 9));
const price = (x: tf.Tensor) => tf.add(22, tf.mul(3, scores(x, 1)));
const labels = (x: tf.Tensor) => tf.cast(tf.oneHot(tf.argMax(scores(x, 3), 1) as tf.Tensor1D, 3), 'float32');

/** The diagnoses of some steps, each of which it tells once, with the names of layers as their places. */
async function diagnosesOf(net: LayersModel, x: tf.Tensor, y: tf.Tensor, batch = N, steps = 6): Promise<string[]> {
  const optimizer = cgfac({ seed: 1 });
  const loss = { 1: 'meanSquaredError', 3: 'categoricalCrossentropy' }[y.shape[1] ?? 1] ?? 'binaryCrossentropy';
  const bounded = net.layers.at(-1)?.getConfig().activation === 'sigmoid';
  net.compile({ optimizer, loss: bounded ? 'binaryCrossentropy' : loss });
  const kernels = net.layers.map((layer) => layer.weights[0]?.name ?? '');
  const told = new Set<string>();
  for (let step = 0; step < steps; step++) {
    const start = (step * batch) % N;
    const [inputs, targets] = [tf.slice(x, [start, 0], [batch, -1]), tf.slice(y, [start, 0], [batch, -1])];
    await net.trainOnBatch(inputs, targets);
    for (const text of optimizer.lastStep?.summary?.diagnoses ?? [])
      told.add(kernels.reduce((named, kernel, index) => named.replace(kernel, String(index)), text));
  }
  optimizer.dispose();
  return [...told];
}

const spread = [1, 0.1, 5, 0.01, 100, 3, 20, 1, 9, 180, 2, 90, 7];
const means = [3, 11, 11, 0.07, 0.5, 6.3, 68, 3.8, 9.5, 408, 18, 356, 12];
const everySecond = () =>
  tf.tensor2d(
    Array.from({ length: N }, (_, row) => row % 2),
    [N, 1],
  );
const words = () => tf.cast(tf.floor(tf.mul(tf.randomUniform([N], 0, 1, 'float32', 3), 20)), 'int32') as tf.Tensor1D;

describe('nothing is told of', () => {
  const healthy: Readonly<Record<string, () => tf.Tensor>> = {
    'a table': () => table(),
    'a table that is not centred': () => tf.add(tf.mul(table(), spread), means),
    'inputs that are all positive': () => tf.add(5, tf.mul(0.5, table())),
    'inputs that are small': () => tf.mul(0.01, table()),
    'a constant column': () => tf.concat([table(12), tf.ones([N, 1])], 1),
    'columns of zeros': () =>
      tf.pad(table(5) as tf.Tensor2D, [
        [0, 0],
        [0, 30],
      ]),
    'one-hot inputs': () => tf.cast(tf.oneHot(words(), 20), 'float32'),
    'rows of padding': () => tf.mul(table(), everySecond()),
  };
  const cases = Object.keys(healthy).flatMap((name) =>
    (['relu', 'sigmoid', 'tanh'] as const).map((activation) => [name, activation] as const),
  );
  it.each(cases)('%s under %s, neither as a regression nor as classes', async (name, activation) => {
    const x = (healthy[name] as () => tf.Tensor)();
    expect(await diagnosesOf(model(activation, 'linear', x.shape[1] ?? 0), x, price(x))).toEqual([]);
    expect(await diagnosesOf(model(activation, 'softmax', x.shape[1] ?? 0), x, labels(x))).toEqual([]);
  });

  it('a batch of one, and one whose targets are met', async () => {
    expect(await diagnosesOf(model('relu', 'softmax', FEATURES), table(), labels(table()), 1, 30)).toEqual([]);
    expect(await diagnosesOf(model('tanh', 'softmax', FEATURES), table(), labels(table()), N, 60)).toEqual([]);
  });
});

const same = (place: number) =>
  `all ${N} rows of inputs of layer ${place} are the same: look at the data where it is the first, and else at the ` +
  'layers before it, all of whose units are dead or saturated';
const zero = (place: number) =>
  `all inputs of layer ${place} are zero: look at the data where it is the first, and else at the layer before it, ` +
  'all of whose units are dead';
const cutOff = (place: number) =>
  `all output gradients of layer ${place} are zero, or next to it: weights of zero, or dead or saturated units, ` +
  'stand between it and the loss; where that lasts, start from smaller weights, or take another activation';
const nothingToDo =
  'the gradients of all layers are zero, or those that curvature is made of: the outputs are saturated, or the loss ' +
  'is at its least; where it is not, scale the inputs down, or start from smaller weights';

/** Replaces a layer's kernel and bias. */
const reset = (net: LayersModel, place: number, kernel: (kernel: tf.Tensor) => tf.Tensor, bias: number) => {
  const layer = net.layers[place];
  const [before, other] = layer?.getWeights() ?? [];
  if (layer && before && other) layer.setWeights([kernel(before), tf.fill(other.shape, bias)]);
  return net;
};

describe('what is true is told of', () => {
  const labelled = () => labels(table());
  const relu = () => model('relu', 'softmax', FEATURES);
  const asIs = (kernel: tf.Tensor) => kernel;

  it('a dead layer: of those before it, and of those after', async () => {
    expect(await diagnosesOf(reset(relu(), 1, asIs, -1e3), table(), labelled())).toEqual([
      cutOff(0),
      cutOff(1),
      zero(2),
    ]);
  });

  it('saturated units', async () => {
    const net = reset(model('sigmoid', 'softmax', FEATURES), 0, tf.abs, 0);
    expect(await diagnosesOf(net, tf.add(100, table()), labelled())).toEqual([cutOff(0), same(1), same(2)]);
  });

  it('data that is the same in every row', async () => {
    const x = tf.tile(normal([1, FEATURES], 4), [N, 1]);
    expect(await diagnosesOf(relu(), x, labelled(), N, 1)).toEqual([same(0), same(1), same(2)]);
  });

  it('data of zeros', async () => {
    const told = await diagnosesOf(relu(), tf.zeros([N, FEATURES]), labelled());
    expect(told).toEqual([zero(0), cutOff(0), zero(1), cutOff(1), zero(2)]);
  });

  it('outputs that are saturated', async () => {
    const net = reset(model('tanh', 'sigmoid', FEATURES), 2, asIs, 40);
    const told = await diagnosesOf(net, table(), tf.cast(tf.greater(price(table()), 22), 'float32'), N, 1);
    expect(told).toEqual(['step 0 was skipped: Σ⟨v, x⟩ is 0', nothingToDo]);
  });
});
