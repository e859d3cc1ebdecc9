/** Functions of two arrays, place by place. */
import { backend_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { type BinaryFunction, binaryFunction } from '../../adapter-kit';
import { computeOnHeap, type HeapType, size } from './heap';
import { input, type KernelCall, type NativeKernel, type Thresholds } from './kernel';

/** What the wasm backend computes several numbers at a time, and number by number where it broadcasts. */
const arithmetic: Readonly<Record<string, BinaryFunction>> = {
  Add: 'add',
  Sub: 'subtract',
  Multiply: 'multiply',
  RealDiv: 'divide',
  SquaredDifference: 'squaredDifference',
};
/** What it computes number by number, and without NaN where b is NaN. */
const extremes: Readonly<Record<string, BinaryFunction>> = { Maximum: 'maximum', Minimum: 'minimum' };
/** What it computes number by number. */
const relations: Readonly<Record<string, BinaryFunction>> = {
  Equal: 'equal',
  NotEqual: 'notEqual',
  Less: 'less',
  LessEqual: 'lessEqual',
  Greater: 'greater',
  GreaterEqual: 'greaterEqual',
};
/** What it computes byte by byte. */
const logical: Readonly<Record<string, BinaryFunction>> = { LogicalAnd: 'and', LogicalOr: 'or' };

const isOne = ({ shape }: TensorInfo): boolean => size(shape) === 1;

/** The extents of two shapes, one behind the other: of a single axis where that says the same. */
function shapesOf(a: TensorInfo, b: TensorInfo): Uint32Array {
  if (isOne(a) || isOne(b) || util.arraysEqual(a.shape, b.shape)) return Uint32Array.of(size(a.shape), size(b.shape));
  const rank = Math.max(a.shape.length, b.shape.length);
  const shapes = new Uint32Array(2 * rank).fill(1);
  shapes.set(a.shape, rank - a.shape.length);
  shapes.set(b.shape, 2 * rank - b.shape.length);
  return shapes;
}

/** A kernel of a function of two tensors of a type; `least` says from how many numbers on it is native. */
function kernel(
  kernelName: string,
  name: BinaryFunction,
  [from, to]: readonly [HeapType, HeapType],
  least: (thresholds: Thresholds, broadcasts: boolean) => number,
): NativeKernel {
  const compute = (call: KernelCall) => {
    const [a, b] = [input(call, 'a'), input(call, 'b')];
    if (a.dtype !== from || b.dtype !== from) return undefined;
    const shape = backend_util.assertAndGetBroadcastShape(a.shape, b.shape);
    const count = size(shape);
    const broadcasts = size(a.shape) !== count || size(b.shape) !== count;
    if (count === 0 || count < least(call.thresholds, broadcasts && !isOne(a) && !isOne(b))) return undefined;
    return computeOnHeap(call.backend, [a, b], shape, to, ({ floats, bytes }, out) => {
      const [numbers, results] = [from === 'bool' ? bytes : floats, to === 'bool' ? bytes : floats];
      binaryFunction(name, shapesOf(a, b), numbers(a), numbers(b), results(out));
    });
  };
  return { kernelName, stock: true, compute };
}

/** The kernels of functions of two arrays. */
export const binaryKernels: readonly NativeKernel[] = [
  ...Object.entries(arithmetic).map(([kernelName, name]) =>
    kernel(kernelName, name, ['float32', 'float32'], ({ arithmetic: plain, vectorised }, broadcasts) =>
      broadcasts ? vectorised : plain,
    ),
  ),
  // in any size, for a NaN must not depend on it
  ...Object.entries(extremes).map(([kernelName, name]) => kernel(kernelName, name, ['float32', 'float32'], () => 0)),
  ...Object.entries(relations).map(([kernelName, name]) =>
    kernel(kernelName, name, ['float32', 'bool'], ({ scalar }) => scalar),
  ),
  ...Object.entries(logical).map(([kernelName, name]) =>
    kernel(kernelName, name, ['bool', 'bool'], ({ scalar }) => scalar),
  ),
];

/** A function of two arrays, and what they are. */
type Applied = readonly [name: BinaryFunction, a: Float32Array | Uint8Array, b: Float32Array | Uint8Array];

/** A kernel of a function of one tensor that is one of two, of which the other is a number, or the tensor again. */
function ofOne(
  kernelName: string,
  type: 'float32' | 'bool',
  least: keyof Thresholds,
  applied: (x: Float32Array | Uint8Array, attrs: KernelCall['attrs']) => Applied,
): NativeKernel {
  const compute = (call: KernelCall) => {
    const x = input(call, 'x');
    const count = size(x.shape);
    if (x.dtype !== type || count === 0 || count < call.thresholds[least]) return undefined;
    return computeOnHeap(call.backend, [x], x.shape, type, ({ floats, bytes }, out) => {
      const numbers = type === 'bool' ? bytes : floats;
      const [name, a, b] = applied(numbers(x), call.attrs);
      binaryFunction(name, Uint32Array.of(a.length, b.length), a, b, numbers(out));
    });
  };
  return { kernelName, stock: true, compute };
}

/** The kernels of functions of one array that are functions of two. */
export const unaryKernels: readonly NativeKernel[] = [
  ofOne('Square', 'float32', 'arithmetic', (x) => ['multiply', x, x]),
  ofOne('Reciprocal', 'float32', 'simple', (x) => ['divide', Float32Array.of(1), x]),
  ofOne('LeakyRelu', 'float32', 'vectorised', (x, { alpha }) => ['leakyRelu', x, Float32Array.of(Number(alpha))]),
  ofOne('LogicalNot', 'bool', 'simple', (x) => ['xor', x, Uint8Array.of(1)]),
];
