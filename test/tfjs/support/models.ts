import * as tf from '@tensorflow/tfjs-core';
import {
  initializers,
  type LayersModel,
  layers,
  regularizers,
  type Sequential,
  sequential,
} from '@tensorflow/tfjs-layers';
import { normal } from './backends';

/** Pixels between 0 and 1: soft targets. */
export const pixels = (samples: number, seed: number) => tf.tidy(() => tf.sigmoid(normal([samples, 12], seed)));

/** An autoencoder 12-7-12 under a sigmoid cross-entropy. */
export function autoencoder(optimizer: tf.Optimizer, regularised = false): Sequential {
  const kernel = (seed: number) => ({ kernelInitializer: initializers.glorotUniform({ seed }) });
  const kernelRegularizer = regularised ? { kernelRegularizer: regularizers.l2({ l2: 0.1 }) } : {};
  const net = sequential({
    layers: [
      layers.dense({ units: 7, activation: 'tanh', inputShape: [12], ...kernel(1), ...kernelRegularizer }),
      layers.dense({ units: 12, activation: 'sigmoid', ...kernel(2) }),
    ],
  });
  net.compile({ optimizer, loss: 'binaryCrossentropy' });
  return net;
}

/** A classifier 12-7-3 under a softmax cross-entropy with hard targets. */
export function classifier(optimizer: tf.Optimizer): Sequential {
  const net = sequential({
    layers: [
      layers.dense({
        units: 7,
        activation: 'relu',
        inputShape: [12],
        kernelInitializer: initializers.glorotUniform({ seed: 1 }),
      }),
      layers.dense({ units: 3, activation: 'softmax', kernelInitializer: initializers.glorotUniform({ seed: 2 }) }),
    ],
  });
  net.compile({ optimizer, loss: 'categoricalCrossentropy' });
  return net;
}

/** Hard targets of {@link classifier}. */
export const classes = (samples: number, seed: number) =>
  tf.tidy(() => tf.cast(tf.oneHot(tf.argMax(normal([samples, 3], seed), 1), 3), 'float32') as tf.Tensor2D);

/** The numbers of each weight. */
export const weightsOf = (net: Sequential) => net.getWeights().map((weight) => Array.from(weight.dataSync()));

/** So many steps; the last loss. */
export async function train(net: Sequential, x: tf.Tensor, y: tf.Tensor, steps: number): Promise<number> {
  let loss = Number.NaN;
  for (let step = 0; step < steps; step++) loss = (await net.trainOnBatch(x, y)) as number;
  return loss;
}

/** What a model is saved as, its optimizer with it. */
export async function saved(net: LayersModel): Promise<tf.io.ModelArtifacts> {
  let artifacts: tf.io.ModelArtifacts = {};
  const handler = tf.io.withSaveHandler((given) => {
    artifacts = given;
    return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' as const } });
  });
  await net.save(handler, { includeOptimizer: true });
  return artifacts;
}
