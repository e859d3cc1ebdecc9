/** Steps of variables that several layers have parts of: what is asked of variables is asked of them as a whole. */
import * as tf from '@tensorflow/tfjs-core';
import { CgfacOptimizer, type CgfacOptions, cgfac } from '../../../lib/tfjs';
import { normal, quietScopes, relativeError, variable } from '../support/backends';
import { oneHot } from '../support/one-layer';

const B = 8;
const U = 4;
const C = 3;

const warnings = quietScopes();

/** Two slices of a kernel, the second on what the first made, with biases in slices, and a head. */
function network() {
  const [kernel, bias, head] = [variable([U, 2 * U], 1), variable([2 * U], 2), variable([U, C], 3)];
  const [x, y] = [normal([B, U], 4), oneHot(B, 5)];
  const loss = () => {
    const [w, b] = [tf.split(kernel as tf.Tensor, 2, 1), tf.split(bias as tf.Tensor, 2)];
    const layer = (index: number, data: tf.Tensor) =>
      tf.tanh(tf.add(tf.matMul(data, w[index] as tf.Tensor), b[index] as tf.Tensor));
    return tf.losses.softmaxCrossEntropy(y, tf.matMul(layer(1, layer(0, x)), head)) as tf.Scalar;
  };
  return { kernel, bias, head, all: [kernel, bias, head], loss };
}

const values = (variables: readonly tf.Variable[]) => variables.map((each) => each.dataSync<'float32'>().slice());

/** What the first step of an optimizer changes, variable by variable. */
function changes(options: CgfacOptions): { readonly before: Float32Array[]; readonly change: Float32Array[] } {
  const { all, loss } = network();
  const before = values(all);
  cgfac({ seed: 1, ...options }).minimize(loss, false, all);
  const change = values(all).map((after, index) => after.map((value, at) => value - (before[index]?.[at] ?? 0)));
  return { before, change };
}

it('each slice is a layer of its own name, and moves its numbers alone', () => {
  const { kernel, head, all, loss } = network();
  const optimizer = cgfac({ seed: 1 });
  optimizer.minimize(loss, false, all);
  const names = [`${kernel.name}@0:${U}`, `${kernel.name}@${U}:${2 * U}`, head.name];
  expect(optimizer.lastStep).toMatchObject({ lone: [], summary: { layers: names.map((name) => ({ name })) } });
  expect(optimizer.report()?.layers.map(({ name, shape, weights }) => [name, shape, weights])).toEqual([
    [names[0], `${U}×${U} + bias`, U * U + U],
    [names[1], `${U}×${U} + bias`, U * U + U],
    [names[2], `${C}×${U}`, U * C],
  ]);
  // every number moved
  for (const each of changes({}).change) expect(each.every((value) => value !== 0)).toBe(true);
});

it('weights decay as those of other layers do', () => {
  const fixed = { stepRule: 'fixed', momentum: 0, learningRate: 0.1, preset: 'safe' } as const;
  const [plain, decayed] = [changes(fixed), changes({ ...fixed, weightDecay: 0.5 })];
  decayed.change.forEach((change, index) => {
    const lost = change.map((value, at) => (plain.change[index]?.[at] ?? 0) - value);
    // differences of numbers of order 1 in float32, of which 1/20 is lost
    expect(
      relativeError(
        lost,
        (plain.before[index] ?? new Float32Array(0)).map((value) => 0.05 * value),
      ),
    ).toBeLessThan(20 * 2 ** -22);
  });
});

it('gradients that were not captured are preconditioned slice by slice', () => {
  const { all, loss } = network();
  const optimizer = cgfac({ seed: 1, stepRule: 'fixed', momentum: 0, learningRate: 0.01, preset: 'safe' });
  optimizer.minimize(loss, false, all);
  const { grads } = tf.variableGrads(loss, all);
  const moved = (factor: number) => {
    const before = values(all);
    optimizer.applyGradients(
      Object.fromEntries(all.map(({ name }) => [name, tf.mul(factor, grads[name] as tf.Tensor)])),
    );
    const change = values(all).map((after, index) => after.map((value, at) => value - (before[index]?.[at] ?? 0)));
    for (const [index, each] of all.entries()) each.assign(tf.tensor(before[index] ?? [], each.shape));
    return change;
  };
  const [once, twice] = [moved(1), moved(2)];
  expect(optimizer.lastStep).toMatchObject({ kept: true, summary: { layers: [{}, {}, {}] } });
  once.forEach((change, index) => {
    expect(change.every((value) => value !== 0)).toBe(true);
    expect(
      relativeError(
        twice[index] ?? [],
        change.map((value) => 2 * value),
      ),
    ).toBeLessThan(1e-3);
  });
});

it('a variable that is skipped is alone as a whole, with the bias that goes with it', () => {
  const { kernel, bias, head, all, loss } = network();
  const optimizer = cgfac({ seed: 1, skipLayers: [kernel.name] });
  optimizer.minimize(loss, false, all);
  const report = optimizer.report();
  expect(report?.layers.map(({ name }) => name)).toEqual([head.name]);
  expect(report?.skipped.map(({ name, reason }) => [name, reason])).toEqual([
    [kernel.name, `skipLayers names it (${kernel.name})`],
    [bias.name, `skipLayers names it (${kernel.name})`],
  ]);
});

it('so is one of which a slice gives another gradient than the framework', () => {
  const { kernel, bias, head, all, loss } = network();
  const original = tf.getGradient('SplitV');
  tf.unregisterGradient('SplitV');
  // the kernel's first slice alone is off
  tf.registerGradient({
    ...original,
    gradFunc: (dy, saved, attributes) => {
      const [first, ...others] = dy as tf.Tensor[];
      const wrong = first && first.rank === 2 ? [tf.mul(1.1, first), ...others] : (dy as tf.Tensor[]);
      return original.gradFunc(wrong, saved, attributes);
    },
  });
  const optimizer = cgfac({ seed: 1 });
  try {
    for (let step = 0; step < 2; step++) optimizer.minimize(loss, false, all);
  } finally {
    tf.unregisterGradient('SplitV');
    tf.registerGradient(original);
  }
  expect(warnings.calls).toHaveLength(1);
  expect(String(warnings.calls[0]?.[0])).toContain(`differs from the framework's for ${kernel.name}@0:${U} by `);
  expect(optimizer.report()?.layers.map(({ name, reason }) => [name, reason])).toEqual([
    [head.name, undefined],
    [kernel.name, 'gradient differs from that of its rows'],
    [bias.name, 'gradient differs from that of its rows'],
  ]);
});

it('averages are loaded before a step, each once', async () => {
  const { all, loss } = network();
  const first = cgfac({ seed: 1 });
  for (let step = 0; step < 3; step++) first.minimize(loss, false, all);
  const averaged = await first.withAveragedWeights(() => values(all));
  const second = CgfacOptimizer.fromConfig(CgfacOptimizer, first.getConfig()) as CgfacOptimizer;
  await second.setWeights(await first.getWeights());
  expect(await second.withAveragedWeights(() => values(all))).toEqual(averaged);
});
