/**
 * What ops make of the gradients of their outputs, in arrays and without a tensor: an op of TensorFlow.js costs some
 * ten microseconds before it computes anything, and the backward pass of a recurrent layer is some thousand of them.
 *
 * Each rule is that of the op's own gradient function. An op, or a use of it, that no rule knows is left to
 * TensorFlow.js with all of its pass.
 */
import type { Tensor } from '@tensorflow/tfjs-core';
import { binaryFunction, type ElementWiseGradient, elementWiseGradient, matrixProducts } from '../../adapter-kit';
import { size } from '../kernels/heap';
import { ONE_PAIR } from '../kernels/product';
import { copyRules } from './array-copies';
import type { Op, Pass, Rule } from './array-rule';
import type { TapeNode } from './tape';

const NONE = new Float32Array(0);
const isFloat = ({ dtype }: Tensor) => dtype === 'float32';

/** The one output of an op whose one input has as many numbers. */
function alike({ node, wanted }: Op): Tensor | undefined {
  const [output, more] = node.outputs;
  const [[, input] = [], other] = wanted;
  const fits = output && input && !more && !other && isFloat(input) && isFloat(output) && input.size === output.size;
  return fits ? output : undefined;
}

/** A function of each number, whose gradient is made of the tensor that it has saved. */
function pointwise(
  name: ElementWiseGradient,
  boundsOf: (attributes: TapeNode['attributes']) => readonly [number, number] = () => [0, 0],
): Rule {
  return (op) => {
    const { node, outer, pass } = op;
    const [saved] = node.saved;
    if (!saved || !isFloat(saved) || alike(op)?.size !== saved.size) return undefined;
    const bounds = boundsOf(node.attributes);
    return {
      outers: [outer],
      compute: ([dy = NONE]) => {
        const dx = pass.room.take(dy.length);
        elementWiseGradient(name, bounds, dy, pass.samples.numbersOf(pass.read(saved), outer), dx);
        return [dx];
      },
    };
  };
}

const functions: Readonly<Record<string, Rule>> = {
  Tanh: pointwise('tanh'),
  Sigmoid: pointwise('sigmoid'),
  Relu: pointwise('relu'),
  Relu6: pointwise('relu6'),
  Elu: pointwise('elu'),
  Selu: pointwise('selu'),
  Softplus: pointwise('softplus'),
  LeakyRelu: pointwise('leakyRelu', ({ alpha }) => [Number(alpha), 0]),
  ClipByValue: pointwise('clip', ({ clipValueMin, clipValueMax }) => [Number(clipValueMin), Number(clipValueMax)]),
  Exp: pointwise('multiply'),
  Square: pointwise('square'),
};

/** The numbers are the same, perhaps in another form. */
const view: Rule = (op) => alike(op) && { outers: [op.outer], compute: ([dy = NONE]) => [dy] };

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

// Calls are synchronous and the addon keeps no array: this serves all of them.
const extentsOfCall = new Uint32Array(6);

/** dy times a factor that comes again and again. */
function times({ room }: Pass, dy: Float32Array, factor: Float32Array, { length, repeated }: Repetition): Float32Array {
  const dx = room.take(dy.length);
  const inner = Math.min(repeated, dy.length);
  // of a factor for each sample those of the first ones
  const middle = Math.min(length, dy.length / inner);
  extentsOfCall.set([dy.length / (middle * inner), middle, inner, 1, middle, 1]);
  binaryFunction('multiply', extentsOfCall, dy, middle < factor.length ? factor.subarray(0, middle) : factor, dx);
  return dx;
}

const MINUS_ONE = Float32Array.of(-1);
const ONCE: Repetition = { length: 1, repeated: Number.POSITIVE_INFINITY };

const negation: Rule = (op) =>
  alike(op) && { outers: [op.outer], compute: ([dy = NONE]) => [times(op.pass, dy, MINUS_ONE, ONCE)] };

/** Sums: the gradient is that of each term, but of one that is repeated, which would be a sum of it. */
const sum: Rule = ({ node, wanted, outer, pass }) => {
  const [output] = node.outputs;
  if (!wanted.every(([, input]) => isFloat(input) && input.size === output?.size)) return undefined;
  const subtracted = (name: string) => node.kernel === 'Sub' && name === 'b';
  return {
    outers: wanted.map(() => outer),
    compute: ([dy = NONE]) => wanted.map(([name]) => (subtracted(name) ? times(pass, dy, MINUS_ONE, ONCE) : dy)),
  };
};

/** Whether a factor comes along those numbers that the pass has in the way in which it comes along all. */
function fits({ outer, pass }: Op, { length, repeated }: Repetition, numbers: number): boolean {
  return length === 1 || outer === 1 || pass.samples.innerOf(numbers, outer) % (length * repeated) === 0;
}

const product: Rule = (op) => {
  const { node, wanted, outer, pass } = op;
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
        const numbers = pass.read(each.factor);
        if (!each.whole) return [times(pass, dy, numbers, each.repetition)];
        const dx = pass.room.take(dy.length);
        elementWiseGradient('multiply', [0, 0], dy, pass.samples.numbersOf(numbers, outer), dx);
        return [dx];
      }),
  };
};

/** z = x·W for one matrix W, transposed or not: dx = dz·Wᵀ, row by row. */
const matrixProduct: Rule = ({ node, wanted, outer, pass }) => {
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
  if (pass.samples.innerOf(output.size, outer) % cols !== 0) return undefined;
  return {
    outers: [outer],
    compute: ([dy = NONE]) => {
      const rows = dy.length / cols;
      const out = pass.room.take(rows * inner);
      const [sizes, nothing] = [
        { rows, cols: inner, inner: cols },
        { bias: undefined, slope: 0, slopes: undefined },
      ];
      const form = { pairs: ONE_PAIR, countA: 1, countB: 1, transposeA: false, transposeB: transposeB !== true };
      matrixProducts({ a: dy, b: pass.read(kernel), out, ...sizes, ...form, ...nothing, activation: 'linear' });
      return [out];
    },
  };
};

/** The rules, by kernel. */
export const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ...Object.entries(functions),
  ...['Identity', 'Reshape', 'Cast', 'ExpandDims'].map((kernel) => [kernel, view] as const),
  ...['Add', 'AddN', 'Sub'].map((kernel) => [kernel, sum] as const),
  ['Neg', negation],
  ['Multiply', product],
  ['BatchMatMul', matrixProduct],
  ['_FusedMatMul', matrixProduct],
  ...copyRules,
]);
