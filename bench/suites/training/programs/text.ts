/** Programs of text: short reviews, as ids of words, that mean well or do not. */
import type { LayersModel, layers, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { REVIEW_LENGTH, VOCABULARY, writeReviews } from '../../../../datasets/reviews';
import { type Data, dense, glorot, type Making, type Program, split, usualSteps } from './making';

const [TRAINING, HELD_OUT] = [4096, 1024];
const BATCH = 128;
const FEATURES = 32;

function reviewData(making: Making): Data {
  const { tf, seed } = making;
  const count = TRAINING + HELD_OUT;
  const { ids, labels } = writeReviews(count, seed);
  return split(
    making,
    tf.tensor2d(ids, [count, REVIEW_LENGTH], 'int32'),
    tf.tensor2d(Float32Array.from(labels), [count, 1]),
    BATCH,
    HELD_OUT,
  );
}

/** The vectors of words, the first layer of a model. */
function embedding({ tfl, seed }: Making, more: object = {}) {
  return tfl.layers.embedding({
    inputDim: VOCABULARY.length,
    outputDim: FEATURES,
    inputLength: REVIEW_LENGTH,
    embeddingsInitializer: tfl.initializers.randomUniform({ minval: -0.05, maxval: 0.05, seed: 100 * seed }),
    ...more,
  });
}

const reader = (
  program: Pick<Program, 'name' | 'about' | 'cost'>,
  modelOf: (making: Making) => LayersModel,
): Program => ({
  ...program,
  told: usualSteps,
  make: (making) => ({
    kind: 'compiled',
    model: modelOf(making),
    loss: 'binaryCrossentropy',
    data: reviewData(making),
  }),
});

const mean = reader(
  { name: 'embedding-mean', about: `reviews, the mean of the words' vectors of ${FEATURES}, one sigmoid`, cost: 3 },
  (making) =>
    making.tfl.sequential({
      layers: [embedding(making), making.tfl.layers.globalAveragePooling1d(), dense(making, 1, 'sigmoid', 1)],
    }),
);

const lstm = reader(
  { name: 'embedding-lstm', about: `reviews, vectors of ${FEATURES}, masked, lstm of 32, one sigmoid`, cost: 45 },
  (making) =>
    making.tfl.sequential({
      layers: [
        embedding(making, { maskZero: true }),
        making.tfl.layers.lstm({
          units: 32,
          kernelInitializer: glorot(making, 1),
          recurrentInitializer: glorot(making, 2),
        }),
        dense(making, 1, 'sigmoid', 3),
      ],
    }),
);

/**
 * Each word looks at all of them, with softmax of products of queries and keys. The mean over words is normalised, and
 * not each word: the gradient of that is as many slices as there are words in a batch.
 */
function attentive(making: Making): LayersModel {
  const { layers, model } = making.tfl;
  const apply = (layer: layers.Layer, ...inputs: SymbolicTensor[]) =>
    layer.apply(inputs.length === 1 ? (inputs[0] as SymbolicTensor) : inputs) as SymbolicTensor;
  const linear = (place: number) => dense(making, FEATURES, 'linear', place);
  const input = making.tfl.input({ shape: [REVIEW_LENGTH], dtype: 'int32' });
  const words = apply(embedding(making), input);
  const products = apply(layers.dot({ axes: [2, 2] }), apply(linear(1), words), apply(linear(2), words));
  const shares = apply(layers.activation({ activation: 'softmax' }), products);
  const seen = apply(layers.dot({ axes: [2, 1] }), shares, apply(linear(3), words));
  const joined = apply(layers.add(), words, apply(linear(4), seen));
  const wide = apply(dense(making, 2 * FEATURES, 'relu', 5), joined);
  const mean = apply(layers.layerNormalization(), apply(layers.globalAveragePooling1d(), wide));
  return model({ inputs: input, outputs: apply(dense(making, 1, 'sigmoid', 6), mean) });
}

const attention = reader(
  {
    name: 'attention',
    about: `reviews, vectors of ${FEATURES}, one head of attention, layer normalisation, ${2 * FEATURES} relu`,
    cost: 12,
  },
  attentive,
);

/** All programs of text. */
export const texts: readonly Program[] = [mean, lstm, attention];
