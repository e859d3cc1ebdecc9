/**
 * What ops make of the gradients of their outputs, in arrays and without a tensor: an op of TensorFlow.js costs some
 * ten microseconds before it computes anything, and the backward pass of a recurrent layer is some thousand of them.
 *
 * Each rule is that of the op's own gradient function; sums go on in double precision inside an op. An op, or a use of
 * it, that no rule knows is left to TensorFlow.js with all of its pass.
 */
import type { Tensor } from '@tensorflow/tfjs-core';
import { matrixProducts } from '../../adapter-kit';
import { size } from '../kernels/heap';
import { ONE_PAIR } from '../kernels/product';
import { copyRules } from './array-copies';
import type { Op, Rule } from './array-rule';
import { numbersOf } from './numbers';
import type { TapeNode } from './tape';

/** dx from dy and a saved tensor, number by number. */
type Loop = (dy: Float32Array, saved: Float32Array, dx: Float32Array, attributes: TapeNode['attributes']) => void;

const NONE = new Float32Array(0);
const isFloat = ({ dtype }: Tensor) => dtype === 'float32';

/** The one output and the one input of an op that has numbers of both alike. */
function alike({ node, wanted }: Op): Tensor | undefined {
  const [output, more] = node.outputs;
  const [[, input] = [], other] = wanted;
  const fits = output && input && !more && !other && isFloat(input) && isFloat(output) && input.size === output.size;
  return fits ? output : undefined;
}

function pointwise(loop: Loop): Rule {
  return (op) => {
    const { node, outer, samples } = op;
    const [saved] = node.saved;
    if (!saved || !isFloat(saved) || alike(op)?.size !== saved.size) return undefined;
    return {
      outers: [outer],
      compute: ([dy = NONE]) => {
        const dx = new Float32Array(dy.length);
        loop(dy, samples.numbersOf(numbersOf(saved), outer), dx, node.attributes);
        return [dx];
      },
    };
  };
}

const SELU_SCALE = 1.0507009873554805;
const SELU_SCALE_ALPHA = 1.7580993408473768;

/** Each op has a loop of its own, which the compiler of JavaScript makes one piece of code of. */
const loops: Readonly<Record<string, Loop>> = {
  Tanh: (dy, y, dx) => {
    for (let i = 0; i < dx.length; i++) dx[i] = (dy[i] ?? 0) * (1 - (y[i] ?? 0) * (y[i] ?? 0));
  },
  Sigmoid: (dy, y, dx) => {
    for (let i = 0; i < dx.length; i++) dx[i] = (dy[i] ?? 0) * (y[i] ?? 0) * (1 - (y[i] ?? 0));
  },
  Relu: (dy, x, dx) => {
    for (let i = 0; i < dx.length; i++) dx[i] = (x[i] ?? 0) > 0 ? (dy[i] ?? 0) : 0;
  },
  Relu6: (dy, x, dx) => {
    for (let i = 0; i < dx.length; i++) dx[i] = (x[i] ?? 0) > 0 && (x[i] ?? 0) <= 6 ? (dy[i] ?? 0) : 0;
  },
  Elu: (dy, y, dx) => {
    for (let i = 0; i < dx.length; i++) dx[i] = (dy[i] ?? 0) * Math.min(1, (y[i] ?? 0) + 1);
  },
  Selu: (dy, x, dx) => {
    for (let i = 0; i < dx.length; i++)
      dx[i] = (dy[i] ?? 0) * ((x[i] ?? 0) > 0 ? SELU_SCALE : SELU_SCALE_ALPHA * Math.exp(x[i] ?? 0));
  },
  Softplus: (dy, x, dx) => {
    for (let i = 0; i < dx.length; i++) dx[i] = (dy[i] ?? 0) / (1 + Math.exp(-(x[i] ?? 0)));
  },
  LeakyRelu: (dy, x, dx, { alpha }) => {
    const slope = Number(alpha);
    for (let i = 0; i < dx.length; i++) dx[i] = (x[i] ?? 0) > 0 ? (dy[i] ?? 0) : slope * (dy[i] ?? 0);
  },
  ClipByValue: (dy, x, dx, { clipValueMin, clipValueMax }) => {
    const [low, high] = [Number(clipValueMin), Number(clipValueMax)];
    for (let i = 0; i < dx.length; i++) dx[i] = (x[i] ?? 0) >= low && (x[i] ?? 0) <= high ? (dy[i] ?? 0) : 0;
  },
  Exp: (dy, y, dx) => {
    for (let i = 0; i < dx.length; i++) dx[i] = (dy[i] ?? 0) * (y[i] ?? 0);
  },
  Square: (dy, x, dx) => {
    for (let i = 0; i < dx.length; i++) dx[i] = 2 * (dy[i] ?? 0) * (x[i] ?? 0);
  },
};

/** The numbers are the same, perhaps in another form. */
const view: Rule = (op) => alike(op) && { outers: [op.outer], compute: ([dy = NONE]) => [dy] };

function negated(dy: Float32Array): Float32Array {
  const dx = new Float32Array(dy.length);
  for (let i = 0; i < dx.length; i++) dx[i] = -(dy[i] ?? 0);
  return dx;
}

const negation: Rule = (op) => alike(op) && { outers: [op.outer], compute: ([dy = NONE]) => [negated(dy)] };

/** Sums: the gradient is that of each term, but of one that is repeated, which would be a sum of it. */
const sum: Rule = ({ node, wanted, outer }) => {
  const [output] = node.outputs;
  if (!wanted.every(([, input]) => isFloat(input) && input.size === output?.size)) return undefined;
  const subtracted = (name: string) => node.kernel === 'Sub' && name === 'b';
  return {
    outers: wanted.map(() => outer),
    compute: ([dy = NONE]) => wanted.map(([name]) => (subtracted(name) ? negated(dy) : dy)),
  };
};

/** How a factor's numbers come along those of a product: `length` of them, each `repeated` times, again and again. */
interface Repetition {
  readonly length: number;
  readonly repeated: number;
}

/** How a factor broadcasts; `undefined` where an axis that it lacks stands between two that it has. */
function repetitionOf(factor: readonly number[], shape: readonly number[]): Repetition | undefined {
  const own = [...shape.slice(factor.length).fill(1), ...factor];
  const proper = own.map((extent) => extent !== 1);
  const [first, end] = [proper.indexOf(true), proper.lastIndexOf(true) + 1];
  if (first < 0) return { length: 1, repeated: size(shape) };
  if (own.slice(first, end).some((extent, axis) => extent !== shape[first + axis])) return undefined;
  return { length: size(own), repeated: size(shape.slice(end)) };
}

function times(dy: Float32Array, factor: Float32Array, { length, repeated }: Repetition): Float32Array {
  const dx = new Float32Array(dy.length);
  if (length >= dx.length && repeated === 1) {
    for (let i = 0; i < dx.length; i++) dx[i] = (dy[i] ?? 0) * (factor[i] ?? 0);
    return dx;
  }
  for (let i = 0; i < dx.length; ) {
    for (let at = 0; at < length && i < dx.length; at++) {
      const by = factor[at] ?? 0;
      const end = Math.min(dx.length, i + repeated);
      for (; i < end; i++) dx[i] = (dy[i] ?? 0) * by;
    }
  }
  return dx;
}

/** Whether a factor comes along those numbers that the pass has in the way in which it comes along all. */
function fits({ outer, samples }: Op, { length, repeated }: Repetition, numbers: number): boolean {
  return length === 1 || outer === 1 || samples.innerOf(numbers, outer) % (length * repeated) === 0;
}

const product: Rule = (op) => {
  const { node, wanted, outer, samples } = op;
  const [output] = node.outputs;
  if (!output) return undefined;
  const factors = wanted.map(([name, input]) => {
    const factor = node.saved[name === 'a' ? 1 : 0];
    if (!factor || !isFloat(factor) || !isFloat(input) || input.size !== output.size) return undefined;
    const repetition = repetitionOf(factor.shape, output.shape);
    const whole = factor.size === output.size;
    return repetition && (whole || fits(op, repetition, output.size)) ? { factor, repetition, whole } : undefined;
  });
  if (factors.includes(undefined)) return undefined;
  return {
    outers: wanted.map(() => outer),
    compute: ([dy = NONE]) =>
      factors.flatMap((each) => {
        if (!each) return [];
        const numbers = numbersOf(each.factor);
        return [times(dy, each.whole ? samples.numbersOf(numbers, outer) : numbers, each.repetition)];
      }),
  };
};

/** z = x·W for one matrix W, transposed or not: dx = dz·Wᵀ, row by row. */
const matrixProduct: Rule = (op) => {
  const { node, wanted, outer, samples } = op;
  const [[name, input] = [], other] = wanted;
  const [, kernel] = node.saved;
  const { transposeA, transposeB, activation = 'linear' } = node.attributes;
  const [output] = node.outputs;
  if ((name !== 'a' && name !== '0') || other || !input || !output || !kernel) return undefined;
  if (transposeA === true || activation !== 'linear' || size(kernel.shape.slice(0, -2)) !== 1) return undefined;
  const cols = output.shape.at(-1) ?? 0;
  const inner = input.shape.at(-1) ?? 0;
  if (cols === 0 || inner === 0 || !isFloat(kernel) || kernel.size !== inner * cols) return undefined;
  // rows are those of samples
  if (samples.innerOf(output.size, outer) % cols !== 0) return undefined;
  return {
    outers: [outer],
    compute: ([dy = NONE]) => {
      const rows = dy.length / cols;
      const out = new Float32Array(rows * inner);
      const [sizes, nothing] = [
        { rows, cols: inner, inner: cols },
        { bias: undefined, slope: 0, slopes: undefined },
      ];
      const form = { pairs: ONE_PAIR, countA: 1, countB: 1, transposeA: false, transposeB: transposeB !== true };
      matrixProducts({ a: dy, b: numbersOf(kernel), out, ...sizes, ...form, ...nothing, activation: 'linear' });
      return [out];
    },
  };
};

/** The rules, by kernel. */
export const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ...Object.entries(loops).map(([kernel, loop]) => [kernel, pointwise(loop)] as const),
  ...['Identity', 'Reshape', 'Cast', 'ExpandDims'].map((kernel) => [kernel, view] as const),
  ...['Add', 'AddN', 'Sub'].map((kernel) => [kernel, sum] as const),
  ['Neg', negation],
  ['Multiply', product],
  ['BatchMatMul', matrixProduct],
  ['_FusedMatMul', matrixProduct],
  ...copyRules,
]);
