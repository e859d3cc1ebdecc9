/** Which layers stand behind each other, and which beside each other. */
import * as tf from '@tensorflow/tfjs-core';
import type { SymbolicTensor } from '@tensorflow/tfjs-layers';
import * as tfl from '@tensorflow/tfjs-layers';
import { installKernels } from '../../../lib/tfjs';
import { normal, quietScopes, useBackend, variable } from '../support/backends';
import { capturedRows } from '../support/capture';
import { SAMPLES } from '../support/networks';

const WIDTH = 4;

quietScopes();
beforeEach(() => useBackend('cpu'));

/** How many layers each has before it. */
function depths(names: readonly string[], output: (of: (name: string, x: tf.Tensor) => tf.Tensor) => tf.Tensor) {
  const variables = new Map(names.map((name, index) => [name, variable([WIDTH, WIDTH], 41 + index)]));
  const kernel = (name: string) => variables.get(name) as tf.Variable;
  const of = (name: string, x: tf.Tensor) => tf.tanh(tf.matMul(x as tf.Tensor2D, kernel(name) as tf.Tensor2D));
  const { taken, grads } = capturedRows(() => tf.mean(tf.square(output(of))) as tf.Scalar, [...variables.values()]);
  const found = taken.layers.map(({ kernel: { variable: own }, depth }) => [
    names.find((name) => kernel(name) === own),
    depth,
  ]);
  tf.dispose([grads, ...variables.values()]);
  return Object.fromEntries(found) as Record<string, number | undefined>;
}

const x = () => normal([SAMPLES, WIDTH], 3);

it('layers of a chain have those before them', () => {
  const names = ['one', 'two', 'three'];
  expect(depths(names, (of) => names.reduce((data, name) => of(name, data), x()))).toEqual({
    one: 0,
    two: 1,
    three: 2,
  });
});

it('those of branches stand beside each other, and behind what joins them is the longest', () => {
  const names = ['stem', 'left', 'right', 'further', 'joined'];
  const found = depths(names, (of) => {
    const stem = of('stem', x());
    return of('joined', tf.add(of('left', stem), of('further', of('right', stem))));
  });
  expect(found).toEqual({ stem: 0, left: 1, right: 1, further: 2, joined: 3 });
});

it('what goes past a layer does not count it, and data of their own begin anew', () => {
  const names = ['one', 'two', 'other'];
  const found = depths(names, (of) => {
    const one = of('one', x());
    return tf.concat([tf.add(one, of('two', one)), of('other', normal([SAMPLES, WIDTH], 5))], 1);
  });
  expect(found).toEqual({ one: 0, two: 1, other: 0 });
});

it('layers that are used twice have none, and count for no other', () => {
  const found = depths(['one', 'two', 'three'], (of) => of('three', of('one', of('two', of('one', x())))));
  expect(found).toEqual({ one: undefined, two: 0, three: 1 });
});

it('layers whose outputs are multiplied have none, as those of a gated linear unit', () => {
  const gated = depths(['stem', 'value', 'gate', 'other', 'last'], (of) => {
    const stem = of('stem', x());
    return of('last', tf.add(tf.mul(of('value', stem), tf.sigmoid(of('gate', stem))), of('other', stem)));
  });
  expect(gated).toEqual({ stem: 0, value: undefined, gate: undefined, other: 1, last: 2 });
  const two: readonly ((a: tf.Tensor, b: tf.Tensor) => tf.Tensor)[] = [
    (a, b) => tf.div(a, tf.add(2, b)),
    (a, b) => tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, false, true),
    (a, b) => tf.pow(tf.add(2, a), b),
    (a, b) => tf.prelu(a, b),
    (a, b) => tf.mul(tf.transpose(a), tf.transpose(tf.neg(b))),
  ];
  for (const of2 of two)
    expect(depths(['one', 'two'], (of) => of2(of('one', x()), of('two', x())))).toEqual({
      one: undefined,
      two: undefined,
    });
});

it('layers whose outputs are added, joined or compared have', () => {
  const two: readonly ((a: tf.Tensor, b: tf.Tensor) => tf.Tensor)[] = [
    (a, b) => tf.sub(a, b),
    (a, b) => tf.addN([a, b, a]),
    (a, b) => tf.stack([a, b]),
    (a, b) => tf.maximum(a, b),
    (a, b) => tf.squaredDifference(a, b),
    (a, b) => tf.where(tf.greater(x(), 0), a, b),
  ];
  for (const of2 of two)
    expect(depths(['one', 'two'], (of) => of2(of('one', x()), of('two', x())))).toEqual({ one: 0, two: 0 });
});

it('what is multiplied by what was made of it stands behind it', () => {
  const found = depths(['stem', 'squeeze', 'beside'], (of) => {
    const stem = of('stem', x());
    return tf.add(tf.mul(stem, tf.sigmoid(of('squeeze', stem))), of('beside', stem));
  });
  expect(found).toEqual({ stem: 0, squeeze: 1, beside: 1 });
});

it('of a step that trains some layers only these count', () => {
  const [first, second] = [variable([WIDTH, WIDTH], 51), variable([WIDTH, WIDTH], 52)];
  const loss = () =>
    tf.mean(tf.square(tf.matMul(tf.tanh(tf.matMul(x() as tf.Tensor2D, first as tf.Tensor2D)), second as tf.Tensor2D)));
  const { taken: both, grads } = capturedRows(loss as () => tf.Scalar, [first, second]);
  expect(both.layers.map(({ depth }) => depth)).toEqual([0, 1]);
  const { taken: one, grads: more } = capturedRows(loss as () => tf.Scalar, [second]);
  expect(one.layers.map(({ depth }) => depth)).toEqual([undefined]);
  tf.dispose([grads, more, first, second]);
});

it('kernels of all kinds on the wasm backend', async () => {
  await useBackend('wasm');
  const kernels = installKernels(tf);
  const input = tfl.input({ shape: [8, 8, 2] });
  const conv = tfl.layers.conv2d({ filters: 3, kernelSize: 3, padding: 'same' }).apply(input) as SymbolicTensor;
  const normal2 = tfl.layers.batchNormalization().apply(conv) as SymbolicTensor;
  const depthwise = tfl.layers.depthwiseConv2d({ kernelSize: 3, padding: 'same' }).apply(normal2) as SymbolicTensor;
  const transposed = tfl.layers.conv2dTranspose({ filters: 3, kernelSize: 3, padding: 'same' }).apply(normal2);
  const joined = tfl.layers.concatenate().apply([depthwise, transposed as SymbolicTensor]);
  const flat = tfl.layers.flatten().apply(joined) as SymbolicTensor;
  const model = tfl.model({ inputs: input, outputs: tfl.layers.dense({ units: 2 }).apply(flat) as SymbolicTensor });
  const data = normal([SAMPLES, 8, 8, 2], 3);
  const weights = model.trainableWeights.map((each) => each.read() as tf.Variable);
  const loss = () => tf.mean(tf.square(model.apply(data, { training: true }) as tf.Tensor)) as tf.Scalar;
  const { taken, grads } = capturedRows(loss, weights);
  const found = taken.layers.map(({ kernel: { variable: own }, depth }) => [own.shape.join('×'), depth]);
  expect(Object.fromEntries(found)).toEqual({ '3×3×2×3': 0, 3: 1, '3×3×3×1': 2, '3×3×3×3': 2, '384×2': 3 });
  tf.dispose([grads, data]);
  model.dispose();
  kernels.uninstall();
});
