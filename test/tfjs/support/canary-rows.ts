/**
 * The rows of canary.test.ts: models of dense and recurrent layers. A row is a line here: a name, what makes the model,
 * its data, and its loss.
 */
import * as tf from '@tensorflow/tfjs-core';
import { type LayersModel, layers, model, type SymbolicTensor } from '@tensorflow/tfjs-layers';
import { normal } from './backends';
import { type Canary, CLASSES, canaryOf, classes, inARow, type Layer, type Loss, SAMPLES, squares } from './canary';

/** Samples, positions of a sample, numbers at a position, classes. */
const [B, T, D, C] = [SAMPLES, 3, 4, CLASSES];

/** A model on numbers, those of sequences unless others are given. */
const canary = (net: LayersModel, loss: Loss, x: tf.Tensor = normal([B, T, D], 3)) => canaryOf(net, loss, x);

/** Numbers, of which the last two positions of every other sample are 0. */
const padded = () =>
  tf.tidy(() => {
    const kept = Array.from({ length: B * T }, (_, at) => (Math.floor(at / T) % 2 === 1 && at % T > 0 ? 0 : 1));
    return tf.mul(normal([B, T, D], 3), tf.tensor(kept, [B, T, 1]));
  });

/** The options of a recurrent layer. */
const cell = (units: number, more: object = {}) => ({
  units,
  recurrentInitializer: 'glorotUniform' as const,
  biasInitializer: 'randomNormal' as const,
  ...more,
});
const first = { inputShape: [T, D] };
const sequences = { returnSequences: true };
const head = () => layers.dense({ units: C });
const normalBias = { biasInitializer: 'randomNormal' as const };

/** Models that write layers to the functional interface. */
function wired(make: (input: SymbolicTensor) => SymbolicTensor, shape: number[] = [T, D]): LayersModel {
  const input = layers.input({ shape });
  return model({ inputs: input, outputs: make(input) });
}

const apply = (layer: Layer, to: SymbolicTensor | SymbolicTensor[]) => layer.apply(to) as SymbolicTensor;

/** Attention over the positions, written with matMul: query, key and value are dense layers. */
function attention(): Canary {
  const dense = (units: number, useBias = true) => layers.dense({ units, useBias, ...normalBias });
  // a bias of the keys changes nothing: a softmax of sums with the same number each
  const [query, key, value, last] = [dense(D), dense(D, false), dense(D), dense(C)];
  const x = normal([B, T, D], 3);
  const of = (layer: ReturnType<typeof layers.dense>, to: tf.Tensor) => layer.apply(to) as tf.Tensor3D;
  const loss = () =>
    tf.tidy(() => {
      const weights = tf.softmax(tf.matMul(of(query, x), of(key, x), false, true));
      return classes(of(last, tf.matMul(weights, of(value, x)))) as tf.Scalar;
    });
  loss().dispose(); // builds the layers
  const all = [query, key, value, last];
  return {
    variables: all.flatMap((layer) => layer.trainableWeights.map((weight) => weight.read() as tf.Variable)),
    loss,
    between: () => undefined,
    dispose: () => {
      for (const layer of all) layer.dispose();
      x.dispose();
    },
  };
}

/** Every kind of cell, in every way of using it. */
const recurrent = (['simpleRNN', 'gru', 'lstm'] as const).flatMap((kind): [string, () => Canary][] => {
  const layer = (units: number, more: object = {}) => layers[kind](cell(units, more));
  const masked = () => inARow(layers.masking({ maskValue: 0, ...first }), layer(5), head());
  return [
    [kind, () => canary(inARow(layer(5, first), head()), classes)],
    [`${kind} without a bias`, () => canary(inARow(layer(5, { ...first, useBias: false }), head()), squares)],
    [
      `${kind} of one step`,
      () => canary(inARow(layer(5, { inputShape: [1, D] }), head()), classes, normal([B, 1, D], 3)),
    ],
    [`${kind} on ${kind}`, () => canary(inARow(layer(5, { ...first, ...sequences }), layer(4), head()), classes)],
    [`${kind}, masked`, () => canary(masked(), classes, padded())],
    [
      `${kind}, stateful`,
      () => canary(inARow(layer(5, { batchInputShape: [B, T, D], stateful: true }), head()), classes),
    ],
    [
      `${kind}, bidirectional`,
      () =>
        canary(
          inARow(layers.bidirectional({ layer: layer(5) as never, mergeMode: 'concat', ...first } as never), head()),
          classes,
        ),
    ],
    [`${kind}, penalised`, () => canary(inARow(layer(5, { ...first, recurrentRegularizer: 'l1l2' }), head()), classes)],
  ];
});

const cells = () =>
  inARow(
    layers.rnn({
      cell: [layers.simpleRNNCell(cell(5)), layers.gruCell(cell(4)), layers.lstmCell(cell(3))] as never,
      ...first,
    }),
    head(),
  );

/** The rows of the table. */
export const canaryRows: Readonly<Record<string, () => Canary>> = {
  dense: () =>
    canary(inARow(layers.dense({ units: 5, activation: 'tanh', inputShape: [D] }), head()), classes, normal([B, D], 3)),
  'dense without a bias': () =>
    canary(inARow(layers.dense({ units: 5, inputShape: [D], useBias: false }), head()), squares, normal([B, D], 3)),
  'dense at each position': () => canary(inARow(layers.dense({ units: 5, ...first }), head()), classes),
  timeDistributed: () =>
    canary(inARow(layers.timeDistributed({ layer: layers.dense({ units: 5 }), ...first } as never), head()), classes),
  'timeDistributed on gru': () =>
    canary(
      inARow(layers.gru(cell(5, { ...first, ...sequences })), layers.timeDistributed({ layer: head() } as never)),
      squares,
    ),
  ...Object.fromEntries(recurrent),
  'gru backwards': () => canary(inARow(layers.gru(cell(5, { ...first, goBackwards: true })), head()), classes),
  'lstm at each position': () => canary(inARow(layers.lstm(cell(5, { ...first, ...sequences })), head()), classes),
  'stacked cells': () => canary(cells(), classes),
  'a shared layer': () =>
    canary(
      wired((input) => {
        const shared = layers.dense({ units: D, activation: 'tanh', ...normalBias });
        return apply(head(), apply(shared, apply(shared, input)));
      }),
      classes,
    ),
  'a shared gru': () =>
    canary(
      wired((input) => {
        const shared = layers.gru(cell(D, sequences));
        return apply(head(), apply(shared, apply(shared, input)));
      }),
      classes,
    ),
  'two branches': () =>
    canary(
      wired((input) => {
        const branches = [layers.lstm(cell(5)), layers.gru(cell(5))].map((layer) => apply(layer, input));
        return apply(head(), apply(layers.add(), branches));
      }),
      classes,
    ),
  'a nested model': () =>
    canary(inARow(inARow(layers.gru(cell(5, first)), layers.dense({ units: 4 })) as never, head()), classes),
  attention,
};
