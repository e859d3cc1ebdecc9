/** Which layers stand behind each other, and which beside each other. */
import * as tf from '@tensorflow/tfjs-core';
import { normal, useBackend, variable } from '../support/backends';
import { capturedRows } from '../support/capture';
import { SAMPLES } from '../support/networks';

const WIDTH = 4;

beforeAll(() => useBackend('cpu'));

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
  return Object.fromEntries(found) as Record<string, number>;
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

it('a layer that is used twice is where its last use is', () => {
  expect(depths(['one', 'two'], (of) => of('one', of('two', of('one', x()))))).toEqual({ one: 2, two: 1 });
});
