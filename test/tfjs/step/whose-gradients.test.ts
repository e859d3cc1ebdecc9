/** Gradients that are all of them times one number on their way to the step. */
import * as tf from '@tensorflow/tfjs-core';
import { type CgfacOptions, cgfac } from '../../../lib/tfjs';
import { normal, quietScopes, relativeError, variable } from '../support/backends';
import { oneHot } from '../support/one-layer';

quietScopes();

type Gradients = tf.NamedTensorMap;
type Change = (gradients: Gradients) => Gradients;

const times =
  (factor: number): Change =>
  (gradients) =>
    Object.fromEntries(Object.entries(gradients).map(([name, each]) => [name, tf.mul(each, factor)]));

/** All of them times what makes their norm 1/100. */
const clipped: Change = (gradients) => {
  const norm = tf.sqrt(tf.addN(Object.values(gradients).map((each) => tf.sum(tf.square(each)))));
  return Object.fromEntries(Object.entries(gradients).map(([name, each]) => [name, tf.div(tf.mul(each, 0.01), norm)]));
};

/** What three steps on a network of two layers change, of gradients that are changed on their way. */
function changes(change: Change, options: CgfacOptions = {}, own: 'kept' | 'gone' = 'kept'): number[] {
  const variables = [variable([4, 5], 1), variable([5], 2), variable([5, 3], 3)];
  const [w, b, u] = variables as [tf.Variable, tf.Variable, tf.Variable];
  const [x, y] = [normal([16, 4], 3), oneHot(16, 4)];
  const loss = () => tf.losses.softmaxCrossEntropy(y, tf.matMul(tf.tanh(tf.add(tf.matMul(x, w), b)), u)) as tf.Scalar;
  const start = variables.map((each) => each.dataSync().slice());
  const optimizer = cgfac({ seed: 1, ...options });
  for (let step = 0; step < 3; step++) {
    const { value, grads } = optimizer.computeGradients(loss);
    const changed = change(grads);
    if (own === 'gone') tf.dispose(grads);
    optimizer.applyGradients(changed);
    tf.dispose([value, grads, changed]);
  }
  const moved = variables.flatMap((each, index) =>
    Array.from(each.dataSync(), (value, at) => value - (start[index]?.[at] ?? 0)),
  );
  optimizer.dispose();
  tf.dispose([variables, x, y]);
  return moved;
}

const asTheyAre: Change = (gradients) => ({ ...gradients });

it.each([
  ['clipped by their norm', clipped],
  ['a thousandth', times(1e-3)],
  ['a thousand times as much', times(1e3)],
])('%s: the step is that of the gradients themselves', (_, change) => {
  expect(changes(change)).toEqual(changes(asTheyAre));
});

it('the step is that of minimize', () => {
  const variables = [variable([4, 3], 1)];
  const [w] = variables as [tf.Variable];
  const [x, y] = [normal([16, 4], 3), oneHot(16, 4)];
  const loss = () => tf.losses.softmaxCrossEntropy(y, tf.matMul(x, w)) as tf.Scalar;
  const start = w.dataSync().slice();
  const moved = [true, false].map((minimizes) => {
    w.assign(tf.tensor(start, w.shape));
    const optimizer = cgfac({ seed: 1 });
    if (minimizes) optimizer.minimize(loss);
    else optimizer.applyGradients(optimizer.computeGradients(loss).grads);
    return Array.from(w.dataSync());
  });
  expect(moved[1]).toEqual(moved[0]);
  expect(moved[0]).not.toEqual(Array.from(start));
});

it('with a step of a length that the loss does not say, a number is a factor', () => {
  const fixed = { stepRule: 'fixed', learningRate: 0.01, momentum: 0, preset: 'safe' } as const;
  const [whole, half] = [changes(asTheyAre, fixed), changes(times(0.5), fixed)];
  // three steps of half the length, with gradients that have hardly changed on the way
  expect(
    relativeError(
      half.map((value) => 2 * value),
      whole,
    ),
  ).toBeLessThan(0.05);
});

it.each<[string, Change, 'kept' | 'gone']>([
  [
    'of which one alone is clipped',
    (all) => ({ ...all, ...times(0.5)(Object.fromEntries([Object.entries(all)[0] ?? []])) }),
    'kept',
  ],
  ['that point the other way', times(-1), 'kept'],
  ['whose own were disposed of', times(0.5), 'gone'],
])('gradients %s are taken as they are', (_, change, own) => {
  const [found, plain] = [changes(change, {}, own), changes(asTheyAre)];
  expect(found.every(Number.isFinite)).toBe(true);
  expect(relativeError(found, plain)).toBeGreaterThan(1e-3);
});

it.each([
  ['a number', () => [variable([1], 9)]],
  ['what Adam makes', () => [tf.train.adam() as unknown as tf.Variable]],
  ['one as large as all others', () => [variable([4, 3], 9)]],
])('a variable that has no part in the loss changes no step of minimize: %s', (_, others) => {
  const w = variable([4, 3], 1);
  const [x, y] = [normal([16, 4], 3), oneHot(16, 4)];
  const loss = () => tf.losses.softmaxCrossEntropy(y, tf.matMul(x, w)) as tf.Scalar;
  const trained = (beside: () => { dispose(): void }[]) => {
    const start = w.dataSync().slice();
    const made = beside();
    const optimizer = cgfac({ seed: 1 });
    for (let step = 0; step < 12; step++) optimizer.minimize(loss);
    const moved = Array.from(w.dataSync());
    w.assign(tf.tensor(start, w.shape));
    optimizer.dispose();
    for (const each of made) each.dispose();
    return moved;
  };
  expect(trained(others)).toEqual(trained(() => []));
  tf.dispose([w, x, y]);
});
