// A few steps of an ordinary TensorFlow.js program with the optimizer of the package; both are arguments here.
module.exports = async function trainModel(tf, layers, { cgfac }) {
  await tf.setBackend('cpu');
  const model = layers.sequential();
  model.add(
    layers.layers.dense({
      units: 6,
      activation: 'tanh',
      inputShape: [4],
      kernelInitializer: layers.initializers.glorotNormal({ seed: 1 }),
    }),
  );
  model.add(
    layers.layers.dense({
      units: 3,
      activation: 'softmax',
      kernelInitializer: layers.initializers.glorotNormal({ seed: 2 }),
    }),
  );
  const optimizer = cgfac({ damping: 1e-2, seed: 3 });
  model.compile({ optimizer, loss: 'categoricalCrossentropy' });
  const labels = Array.from({ length: 24 }, (_, i) => i % 3);
  const xs = tf.tensor2d(labels.map((label, i) => [label === 0 ? 1 : 0, label === 1 ? 1 : 0, Math.sin(i), 1]));
  const ys = tf.oneHot(tf.tensor1d(labels, 'int32'), 3);
  const { history } = await model.fit(xs, ys, { epochs: 8, batchSize: 24, shuffle: false, verbose: 0 });
  return { isOptimizer: optimizer instanceof tf.Optimizer, losses: history.loss };
};
