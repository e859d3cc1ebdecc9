/**
 * The rows of canary-kinds.test.ts: models of layers that are no products of matrices. A row is a line here: a name, what
 * makes the model, its data, the kinds of its blocks, and how many of its variables have a diagonal. What is missing is
 * what TensorFlow.js itself cannot train: convolutions with dilations, transposed ones over volumes, and normalisations
 * without a scale or without a shift.
 */
import * as tf from '@tensorflow/tfjs-core';
import { layers, model, type SymbolicTensor } from '@tensorflow/tfjs-layers';
import { normal } from './backends';
import { type Canary, CLASSES, canaryOf, classes, inARow, type Layer, SAMPLES, squares } from './canary';

type Kinds = NonNullable<Canary['kinds']>;

/** Images of two channels. */
const [H, W, C] = [5, 6, 2];
const image = { inputShape: [H, W, C] };
const images = () => normal([SAMPLES, H, W, C], 3);
const apply = (layer: Layer, to: SymbolicTensor) => layer.apply(to) as SymbolicTensor;
const head = () => layers.dense({ units: CLASSES });
const normalBias = { biasInitializer: 'randomNormal' as const };

/** The blocks of variables that no kind covers come last. */
const diagonals = (lone: number): Kinds => new Array<'diagonal'>(lone).fill('diagonal');

/** A classifier of some layers, and a dense one on all that comes out of them. */
const classifier = (kinds: Kinds, stack: () => Layer[], lone = 0, x: () => tf.Tensor = images) => {
  const made = () => inARow(...stack(), layers.flatten(), head());
  return () => canaryOf(made(), classes, x(), { kinds: [...kinds, 'dense', ...diagonals(lone)], lone });
};

/** A classifier of rows of numbers. */
const ofRows = (kinds: Kinds, stack: () => Layer[], lone = 0) => {
  const made = () => inARow(...stack(), head());
  return () =>
    canaryOf(made(), classes, normal([SAMPLES, 4], 3), { kinds: [...kinds, 'dense', ...diagonals(lone)], lone });
};

const sequences = () => normal([SAMPLES, 9, C], 3);
const ids = () => tf.tidy(() => tf.cast(tf.floor(tf.mul(tf.abs(normal([SAMPLES, 5], 3)), 4)), 'int32'));

const kernel = { filters: 3, kernelSize: 3, ...normalBias };
const unbiased = { ...kernel, useBias: false };

const convolutions: Record<string, () => Canary> = {
  conv1d: classifier(['convolution'], () => [layers.conv1d({ ...kernel, inputShape: [9, C] })], 0, sequences),
  'conv1d, same, strides': classifier(
    ['convolution'],
    () => [layers.conv1d({ ...kernel, strides: 2, padding: 'same', activation: 'relu', inputShape: [9, C] })],
    0,
    sequences,
  ),
  'conv2d, valid': classifier(['convolution'], () => [layers.conv2d({ ...kernel, ...image })]),
  'conv2d, same, relu': classifier(['convolution'], () => [
    layers.conv2d({ ...kernel, padding: 'same', activation: 'relu', ...image }),
  ]),
  'conv2d, strides, without a bias': classifier(['convolution'], () => [
    layers.conv2d({ ...unbiased, kernelSize: [2, 3], strides: [2, 1], padding: 'same', ...image }),
  ]),
  'conv2d on conv2d, pooled': classifier(['convolution', 'convolution'], () => [
    layers.conv2d({ ...kernel, padding: 'same', activation: 'relu', ...image }),
    layers.maxPooling2d({ poolSize: 2 }),
    layers.conv2d({ ...kernel, kernelSize: 2 }),
  ]),
  'conv2d as the output': () =>
    canaryOf(inARow(layers.conv2d({ ...kernel, padding: 'same', ...image })), squares, images(), {
      kinds: ['convolution'],
    }),
  'conv2d, shared': () => {
    const shared = layers.conv2d({ ...kernel, filters: C, padding: 'same' });
    const input = layers.input({ shape: image.inputShape });
    const twice = apply(shared, apply(shared, input));
    const net = model({ inputs: input, outputs: apply(head(), apply(layers.flatten(), twice)) });
    return canaryOf(net, classes, images(), { kinds: ['convolution', 'dense'] });
  },
  'conv2d, penalised': classifier(['convolution'], () => [
    layers.conv2d({ ...kernel, kernelRegularizer: 'l1l2', ...image }),
  ]),
  'conv2d, channels first': classifier(
    ['convolution'],
    () => [layers.conv2d({ ...kernel, dataFormat: 'channelsFirst', inputShape: [C, H, W] })],
    0,
    () => normal([SAMPLES, C, H, W], 3),
  ),
  conv3d: classifier(
    ['convolution'],
    () => [layers.conv3d({ ...kernel, kernelSize: 2, inputShape: [3, 4, 3, C] })],
    0,
    () => normal([SAMPLES, 3, 4, 3, C], 3),
  ),
  conv2dTranspose: classifier(
    ['transposedConvolution'],
    () => [layers.conv2dTranspose({ ...kernel, strides: 2, padding: 'same', ...image })],
    1,
  ),
  'conv2dTranspose, valid, without a bias': classifier(['transposedConvolution'], () => [
    layers.conv2dTranspose({ ...unbiased, ...image }),
  ]),
  depthwiseConv2d: classifier(['depthwiseConvolution'], () => [
    layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, activation: 'relu', ...normalBias, ...image }),
  ]),
  separableConv2d: classifier(['depthwiseConvolution', 'convolution'], () => [
    layers.separableConv2d({ ...kernel, depthMultiplier: 2, padding: 'same', ...image }),
  ]),
  'timeDistributed conv2d': classifier(
    ['convolution'],
    () => [layers.timeDistributed({ layer: layers.conv2d(kernel), inputShape: [2, H, W, C] } as never)],
    0,
    () => normal([SAMPLES, 2, H, W, C], 3),
  ),
  convLstm2d: classifier(
    // four gates of two kernels
    new Array<'convolution'>(8).fill('convolution'),
    () => [
      layers.convLstm2d({
        recurrentInitializer: 'glorotUniform',
        filters: 2,
        kernelSize: 3,
        padding: 'same',
        inputShape: [2, 4, 3, C],
      } as never),
    ],
    0,
    () => normal([SAMPLES, 2, 4, 3, C], 3),
  ),
};

const table = { inputDim: 20, outputDim: 4 };

const embeddings: Record<string, () => Canary> = {
  'embedding, mean': () =>
    canaryOf(
      inARow(layers.embedding({ ...table, inputLength: 5 }), layers.globalAveragePooling1d({}), head()),
      classes,
      ids(),
      { kinds: ['embedding', 'dense'] },
    ),
  'embedding, penalised': classifier(
    ['embedding'],
    () => [layers.embedding({ ...table, embeddingsRegularizer: 'l1l2', inputLength: 5 })],
    0,
    ids,
  ),
  'embedding, masked, lstm': () =>
    canaryOf(
      inARow(
        layers.embedding({ ...table, maskZero: true, inputLength: 5 }),
        layers.lstm({ units: 3, recurrentInitializer: 'glorotUniform' }),
        head(),
      ),
      classes,
      ids(),
      { kinds: ['embedding', 'dense', 'dense', 'dense'] },
    ),
};

const units = () => layers.dense({ units: 5, useBias: false, inputShape: [4] });

const normalisations: Record<string, () => Canary> = {
  'batchNormalization after dense': ofRows(['dense', 'scaleShift'], () => [units(), layers.batchNormalization()]),
  'batchNormalization after conv2d': classifier(['convolution', 'scaleShift'], () => [
    layers.conv2d({ ...unbiased, ...image }),
    layers.batchNormalization(),
    layers.activation({ activation: 'relu' }),
  ]),
  'layerNormalization after dense': ofRows(['dense', 'scaleShift'], () => [units(), layers.layerNormalization()]),
  'layerNormalization of sequences': classifier(
    ['dense', 'scaleShift'],
    () => [layers.dense({ units: 5, inputShape: [9, C] }), layers.layerNormalization()],
    0,
    sequences,
  ),
};

/** The rows of the table. */
export const canaryKinds: Readonly<Record<string, () => Canary>> = {
  ...convolutions,
  ...embeddings,
  ...normalisations,
  prelu: ofRows(['dense'], () => [units(), layers.prelu()], 1),
};
