/** Kernels and biases that are used in parts, and biases behind sums of products. */
import * as tf from '@tensorflow/tfjs-core';
import type { CapturedLayer } from '../../../lib/tfjs/capture/capture';
import { partsOf } from '../../../lib/tfjs/kinds/layer-kind';
import { readPart } from '../../../lib/tfjs/kinds/part';
import { normal, relativeError, useBackend, variable } from '../support/backends';
import { capturedRows, FLOAT32_SUM, gradientsOfRows } from '../support/capture';

const B = 6;
const T = 3;
const U = 4;

type Variables = readonly tf.Tensor2D[];

/** What a program makes of its variables (their shapes) and data (B × U). */
interface Program {
  readonly shapes: readonly number[][];
  readonly output: (variables: Variables, x: tf.Tensor2D) => tf.Tensor;
  /** The layers: variable and range of the kernel, and of the bias; and whether it works on what it made. */
  readonly blocks: readonly string[];
  /** Indices of the variables that no layer has, and why. */
  readonly lone?: Readonly<Record<number, string>>;
}

const at = (variables: Variables, index: number): tf.Tensor2D => {
  const found = variables[index];
  if (!found) throw new Error(`variable ${index} is missing`);
  return found;
};
const gate = (v: tf.Tensor2D, index: number) => tf.slice(v, [0, index * U], [U, U]);
const ofBias = (v: tf.Tensor, index: number) => tf.slice(v, [index * U], [U]);

/** A gated unit over T steps of the same data; `step` makes the next state. */
function over(x: tf.Tensor2D, step: (h: tf.Tensor2D, x: tf.Tensor2D) => tf.Tensor): tf.Tensor {
  let h = tf.zeros([B, U]) as tf.Tensor2D;
  for (let t = 0; t < T; t++) h = step(h, tf.mul(x, t + 1)) as tf.Tensor2D;
  return h;
}

const programs: Readonly<Record<string, Program>> = {
  'gates that share data are one block, the candidate is one of its own': {
    shapes: [
      [U, 3 * U],
      [U, 3 * U],
    ],
    output: (v, x) =>
      over(x, (h, now) => {
        const [z, r] = [0, 1].map((index) =>
          tf.sigmoid(tf.add(tf.matMul(now, gate(at(v, 0), index)), tf.matMul(h, gate(at(v, 1), index)))),
        ) as [tf.Tensor, tf.Tensor];
        const own = tf.matMul(tf.mul(r, h) as tf.Tensor2D, gate(at(v, 1), 2));
        const next = tf.tanh(tf.add(tf.matMul(now, gate(at(v, 0), 2)), own));
        return tf.add(tf.mul(z, h), tf.mul(tf.sub(1, z), next));
      }),
    // the last state does not depend on r of a state that is 0, but the steps after the first do
    blocks: ['0', `1@0:${2 * U} recurrent`, `1@${2 * U}:${3 * U} recurrent`],
  },
  'with the candidate after the product (reset after) all gates share data': {
    shapes: [[U, 3 * U], [U, 3 * U], [3 * U], [3 * U]],
    output: (v, x) =>
      over(x, (h, now) => {
        const [xz, xr, xh] = tf.split(tf.add(tf.matMul(now, at(v, 0)), at(v, 2)), 3, 1) as [
          tf.Tensor,
          tf.Tensor,
          tf.Tensor,
        ];
        const [hz, hr, hh] = [0, 1, 2].map((index) =>
          tf.add(tf.matMul(h, gate(at(v, 1), index)), ofBias(at(v, 3), index)),
        ) as [tf.Tensor, tf.Tensor, tf.Tensor];
        const [z, r] = [tf.sigmoid(tf.add(xz, hz)), tf.sigmoid(tf.add(xr, hr))];
        return tf.add(tf.mul(z, h), tf.mul(tf.sub(1, z), tf.tanh(tf.add(xh, tf.mul(r, hh)))));
      }),
    blocks: ['0 + 2', '1 + 3 recurrent'],
  },
  'slices with biases of their own are blocks of their own': {
    shapes: [[U, 2 * U], [U], [U]],
    output: (v, x) =>
      tf.mul(tf.add(tf.matMul(x, gate(at(v, 0), 0)), at(v, 1)), tf.add(tf.matMul(x, gate(at(v, 0), 1)), at(v, 2))),
    blocks: [`0@0:${U} + 1`, `0@${U}:${2 * U} + 2`],
  },
  'a bias in parts for a kernel in parts': {
    shapes: [[U, 2 * U], [2 * U]],
    output: (v, x) => {
      const [w, b] = [tf.split(at(v, 0), 2, 1), tf.split(at(v, 1) as tf.Tensor, 2)];
      const h = tf.tanh(tf.add(tf.matMul(x, w[0] as tf.Tensor2D), b[0] as tf.Tensor)) as tf.Tensor2D;
      return tf.add(tf.matMul(h, w[1] as tf.Tensor2D), b[1] as tf.Tensor);
    },
    blocks: [`0@0:${U} + 1@0:${U}`, `0@${U}:${2 * U} + 1@${U}:${2 * U}`],
  },
  'a kernel of the attention, projected once for each of query, key and value': {
    shapes: [
      [U, 3 * U],
      [U, 2],
    ],
    output: (v, x) => {
      const [q, k, a] = [0, 1, 2].map((index) => tf.matMul(x, gate(at(v, 0), index))) as [
        tf.Tensor2D,
        tf.Tensor2D,
        tf.Tensor2D,
      ];
      return tf.matMul(tf.matMul(tf.softmax(tf.matMul(q, k, false, true)), a), at(v, 1));
    },
    blocks: ['0', '1'],
  },
  'rows of a kernel, for parts of what was put together': {
    shapes: [[2 * U, 3]],
    output: (v, x) => {
      const [above, below] = tf.split(at(v, 0), 2, 0) as [tf.Tensor2D, tf.Tensor2D];
      return tf.add(tf.matMul(x, above), tf.matMul(tf.square(x), below));
    },
    blocks: [`0@0:${U}`, `0@${U}:${2 * U}`],
  },
  'rows of a transposed kernel are outputs': {
    shapes: [[2 * U, U]],
    output: (v, x) => {
      const [one, other] = tf.split(tf.transpose(at(v, 0)), 2, -1) as [tf.Tensor2D, tf.Tensor2D];
      return tf.mul(tf.matMul(x, one), tf.matMul(x, other));
    },
    blocks: ['0'],
  },
  'a stack of kernels': {
    shapes: [[2, U, U]],
    output: (v, x) => {
      const [one, other] = tf.unstack(at(v, 0) as tf.Tensor, 0) as [tf.Tensor2D, tf.Tensor2D];
      return tf.matMul(tf.tanh(tf.matMul(x, one)), other);
    },
    blocks: ['0@0:1', '0@1:2'],
  },
  'a slice of a slice': {
    shapes: [[U, 4 * U]],
    output: (v, x) => {
      const half = (index: number) => tf.slice(at(v, 0), [0, 2 * index * U], [U, 2 * U]);
      const h = tf.tanh(tf.matMul(x, gate(half(0), 1))) as tf.Tensor2D;
      return tf.add(
        tf.matMul(x, gate(half(0), 0)),
        tf.add(tf.matMul(h, gate(half(1), 0)), tf.matMul(h, gate(half(1), 1))),
      );
    },
    blocks: [`0@0:${2 * U}`, `0@${2 * U}:${4 * U}`],
  },
  'a kernel of which a part is used is alone': {
    shapes: [[U, 3 * U]],
    output: (v, x) => tf.mul(tf.matMul(x, gate(at(v, 0), 0)), tf.matMul(x, gate(at(v, 0), 2))),
    blocks: [],
    lone: { 0: 'used in part' },
  },
  'so is one of which parts overlap, or a part is used otherwise': {
    shapes: [
      [U, 2 * U],
      [U, 2 * U],
    ],
    output: (v, x) => {
      const halves = [0, 1].map((index) => tf.matMul(x, gate(at(v, 1), index)));
      const overlapping = tf.add(tf.matMul(x, gate(at(v, 0), 0)), tf.matMul(x, tf.slice(at(v, 0), [0, 1], [U, U])));
      return tf.add(overlapping, tf.add(tf.addN(halves), tf.sum(tf.mul(normal([U, U], 9), gate(at(v, 1), 1)))));
    },
    blocks: [],
    lone: { 0: 'used in two forms', 1: 'Multiply' },
  },
  'a corner of a kernel is no part of it': {
    shapes: [[2 * U, 2 * U]],
    output: (v, x) => tf.matMul(x, tf.slice(at(v, 0), [U, 0], [U, U])),
    blocks: [],
    lone: { 0: 'Slice' },
  },
  'a bias behind the sum belongs to the product that does not work on what it made': {
    shapes: [[U, U], [U, U], [U]],
    output: (v, x) =>
      over(x, (h, now) => tf.tanh(tf.add(tf.add(tf.matMul(h, at(v, 0)), tf.matMul(now, at(v, 1))), at(v, 2)))),
    blocks: ['0 recurrent', '1 + 2'],
  },
  'to the first of two that do not': {
    shapes: [[U, U], [U, U], [U]],
    output: (v, x) => tf.add(at(v, 2), tf.addN([tf.matMul(x, at(v, 0)), tf.matMul(tf.square(x), at(v, 1))])),
    blocks: ['0 + 2', '1'],
  },
  'to the one that has none yet': {
    shapes: [[U, U], [U, U], [U], [U]],
    output: (v, x) => {
      const first = tf.add(tf.matMul(x, at(v, 0)), at(v, 2));
      return tf.add(tf.add(first, tf.matMul(tf.square(x), at(v, 1))), at(v, 3));
    },
    blocks: ['0 + 2', '1 + 3'],
  },
  'and to one that data are added to': {
    shapes: [[U, U], [U]],
    output: (v, x) => tf.add(tf.add(x, tf.matMul(x, at(v, 0))), at(v, 1)),
    blocks: ['0 + 1'],
  },
  'but not to products of a sum that is used twice, or of another shape': {
    shapes: [[U, U], [U], [U, U], [U]],
    output: (v, x) => {
      const sum = tf.add(x, tf.matMul(x, at(v, 0)));
      const one = tf.matMul(tf.slice(x, 0, 1), at(v, 2));
      return tf.mul(tf.mul(sum, tf.add(sum, at(v, 1))), tf.add(tf.add(x, one), at(v, 3)));
    },
    blocks: ['0', '2'],
    lone: { 1: 'Add', 3: 'Add' },
  },
};

describe.each(['cpu', 'wasm'] as const)('parts of variables on %s', (backend) => {
  beforeAll(() => useBackend(backend));

  it.each(Object.entries(programs))('%s', (_, { shapes, output, blocks, lone = {} }) => {
    const variables = shapes.map((shape, index) => variable(shape, 51 + index));
    const x = normal([B, U], 3) as tf.Tensor2D;
    const of = variables as unknown as Variables;
    const loss = () => tf.mean(tf.square(tf.add(output(of, x), normal([1], 8)))) as tf.Scalar;
    const { taken, grads } = capturedRows(loss, variables);
    const told = ({ kernel, bias, recurrent }: CapturedLayer) => {
      const names = partsOf(bias ? { kernel, bias } : { kernel, bias: undefined }).map(({ variable: of, range }) => {
        return `${variables.indexOf(of)}${range ? `@${range.from}:${range.to}` : ''}`;
      });
      return `${names.join(' + ')}${recurrent ? ' recurrent' : ''}`;
    };
    expect(taken.layers.map(told)).toEqual(blocks);
    expect(Object.fromEntries(taken.lone.map((each) => [variables.indexOf(each.variable), each.reason]))).toEqual(lone);
    for (const layer of taken.layers) {
      const rows = gradientsOfRows(layer);
      for (const [index, part] of partsOf(layer).entries()) {
        const expected = readPart(part, grads[part.variable.name]?.dataSync<'float32'>() ?? new Float32Array(0));
        expect(relativeError(index === 0 ? rows.kernel : rows.bias, expected)).toBeLessThan(FLOAT32_SUM);
      }
    }
    tf.dispose([grads, variables, x]);
  });
});
