/** Kernels that copy numbers to other places, which the wasm backend does one by one, or in JavaScript. */
import { backend_util, slice_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { type CopiedAxis, MOST_COPIED_AXES, stridedCopy } from '../../adapter-kit';
import { computeAllOnHeap, computeOnHeap, size } from './heap';
import { input, isNumbers, type KernelCall, type NativeKernel, type NumbersInfo } from './kernel';

type Shape = readonly number[];

/** How far apart the numbers of each axis lie. */
export function stepsOf(shape: Shape): number[] {
  const steps = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    steps[axis] = step;
    step *= shape[axis] ?? 1;
  }
  return steps;
}

/** The axes of a copy of a block of a shape from or to the arrays of two others. */
export function axesOf(block: Shape, from: Shape, to: Shape): CopiedAxis[] {
  const [fromSteps, toSteps] = [stepsOf(from), stepsOf(to)];
  return block.map((extent, axis) => [extent, fromSteps[axis] ?? 1, toSteps[axis] ?? 1]);
}

/** Where the number at an index lies. */
export function placeOf(index: Shape, shape: Shape): number {
  return stepsOf(shape).reduce((place, step, axis) => place + step * (index[axis] ?? 0), 0);
}

/** Whether so many numbers are worth a native call. */
const isWorth = ({ thresholds }: KernelCall, count: number) => count > 0 && count >= thresholds.moved;

/** The input of a kernel of one tensor, where it is of numbers of four bytes each and has few enough axes. */
function numbersOf(call: KernelCall, name: string): NumbersInfo | undefined {
  const x = input(call, name);
  return isNumbers(x) && x.shape.length <= MOST_COPIED_AXES ? x : undefined;
}

/** Copies of all numbers of a tensor along axes that begin at its first number. */
function whole({ backend }: KernelCall, x: NumbersInfo, shape: Shape, axes: CopiedAxis[]): TensorInfo | undefined {
  if (axes.length > MOST_COPIED_AXES) return undefined;
  return computeOnHeap(backend, [x], shape, x.dtype, ({ floats }, out) => stridedCopy(axes, floats(x), floats(out)));
}

/** `tf.tile`: each axis becomes two, the first of which repeats the second. */
function tile(call: KernelCall): TensorInfo | undefined {
  const x = numbersOf(call, 'x');
  if (!x) return undefined;
  const reps = call.attrs.reps as Shape;
  const shape = x.shape.map((extent, axis) => extent * (reps[axis] ?? 1));
  if (!isWorth(call, size(shape))) return undefined;
  const steps = stepsOf(shape);
  const axes = axesOf(x.shape, x.shape, shape).flatMap((own, axis): CopiedAxis[] => [
    [reps[axis] ?? 1, 0, own[0] * (steps[axis] ?? 1)],
    own,
  ]);
  return whole(
    call,
    x,
    shape,
    axes.filter(([extent]) => extent !== 1),
  );
}

/** `tf.transpose`; one that moves nothing is left to the stock kernel. */
function transpose(call: KernelCall): TensorInfo | undefined {
  const x = numbersOf(call, 'x');
  if (!x || !isWorth(call, size(x.shape))) return undefined;
  const perm = call.attrs.perm as Shape;
  const moved = perm.filter((axis) => x.shape[axis] !== 1);
  if (moved.every((axis, at) => at === 0 || axis > (moved[at - 1] ?? 0))) return undefined;
  const shape = perm.map((axis) => x.shape[axis] ?? 1);
  const [from, to] = [stepsOf(x.shape), stepsOf(shape)];
  return whole(
    call,
    x,
    shape,
    perm.map((axis, at) => [shape[at] ?? 1, from[axis] ?? 1, to[at] ?? 1]),
  );
}

/** Copies of blocks of a tensor, each of a shape from an index on. */
function blocks(call: KernelCall, x: NumbersInfo, begins: readonly Shape[], shapes: readonly Shape[]): TensorInfo[] {
  return computeAllOnHeap(call.backend, [x], shapes, x.dtype, ({ floats }, outs) => {
    const from = floats(x);
    outs.forEach((out, at) => {
      stridedCopy(axesOf(out.shape, x.shape, out.shape), from, floats(out), placeOf(begins[at] ?? [], x.shape));
    });
  });
}

/** `tf.slice`. */
function slice(call: KernelCall): TensorInfo | undefined {
  const x = numbersOf(call, 'x');
  if (!x) return undefined;
  const [begin = [], shape = []] = slice_util.parseSliceParams(
    x,
    call.attrs.begin as number[],
    call.attrs.size as number[],
  );
  return isWorth(call, size(shape)) ? blocks(call, x, [begin], [shape])[0] : undefined;
}

/** A shape with another extent of an axis. */
const withExtent = (shape: Shape, axis: number, extent: number): number[] =>
  shape.map((own, at) => (at === axis ? extent : own));

/** `tf.split`. */
function split(call: KernelCall): TensorInfo[] | undefined {
  const x = numbersOf(call, 'x');
  if (!x || !isWorth(call, size(x.shape))) return undefined;
  const [axis = 0] = util.parseAxisParam(call.attrs.axis as number, x.shape);
  const extents = backend_util.prepareSplitSize(x, call.attrs.numOrSizeSplits as number[] | number, axis);
  if (extents.includes(0)) return undefined;
  let begin = 0;
  const begins = extents.map((extent) => {
    begin += extent;
    return withExtent(new Array<number>(x.shape.length).fill(0), axis, begin - extent);
  });
  return blocks(
    call,
    x,
    begins,
    extents.map((extent) => withExtent(x.shape, axis, extent)),
  );
}

/** `tf.unstack`. */
function unpack(call: KernelCall): TensorInfo[] | undefined {
  const x = numbersOf(call, 'value');
  if (!x || !isWorth(call, size(x.shape))) return undefined;
  const [axis = 0] = util.parseAxisParam(call.attrs.axis as number, x.shape);
  const begins = Array.from({ length: x.shape[axis] ?? 0 }, (_, at) =>
    withExtent(new Array<number>(x.shape.length).fill(0), axis, at),
  );
  const shape = withExtent(x.shape, axis, 1);
  const outs = blocks(
    call,
    x,
    begins,
    begins.map(() => shape),
  );
  const rest = x.shape.filter((_, at) => at !== axis);
  return outs.map(({ dataId, dtype }) => ({ dataId, dtype, shape: rest }));
}

/** Tensors one after the other along an axis; undefined where they do not fit, or lie one after the other in memory. */
function joined(call: KernelCall, tensors: readonly TensorInfo[], shapes: readonly Shape[], axis: number, out: Shape) {
  const [{ dtype } = { dtype: 'string' }] = tensors;
  const fits = (tensor: TensorInfo, at: number) =>
    tensor.dtype === dtype &&
    size(tensor.shape) > 0 &&
    shapes[at]?.length === out.length &&
    out.every((extent, which) => which === axis || shapes[at]?.[which] === extent);
  if ((dtype !== 'float32' && dtype !== 'int32') || out.length > MOST_COPIED_AXES || tensors.length < 2)
    return undefined;
  const outer = size(out.slice(0, axis));
  if (outer === 1 || outer * tensors.length < call.thresholds.runs) return undefined;
  if (!isWorth(call, size(out)) || !tensors.every(fits)) return undefined;
  return computeOnHeap(call.backend, tensors, out, dtype, ({ floats }, { dataId }) => {
    const to = floats({ dataId, dtype, shape: [...out] });
    let begin = 0;
    tensors.forEach((tensor, at) => {
      const shape = shapes[at] ?? [];
      stridedCopy(axesOf(shape, shape, out), floats(tensor), to, 0, begin * size(out.slice(axis + 1)));
      begin += shape[axis] ?? 0;
    });
  });
}

const tensorsOf = ({ inputs }: KernelCall) => Object.values(inputs).flatMap((tensor) => tensor ?? []);

/** `tf.concat`. */
function concat(call: KernelCall): TensorInfo | undefined {
  const tensors = tensorsOf(call);
  const shapes = tensors.map(({ shape }) => shape);
  const first = shapes[0] ?? [];
  const [axis = 0] = util.parseAxisParam(call.attrs.axis as number, first);
  const extent = shapes.reduce((sum, shape) => sum + (shape[axis] ?? 0), 0);
  return joined(call, tensors, shapes, axis, withExtent(first, axis, extent));
}

/** `tf.stack`. */
function pack(call: KernelCall): TensorInfo | undefined {
  const tensors = tensorsOf(call);
  const at = Number(call.attrs.axis);
  const axis = at < 0 ? at + (tensors[0]?.shape.length ?? 0) + 1 : at;
  const shapes = tensors.map(({ shape }) => [...shape.slice(0, axis), 1, ...shape.slice(axis)]);
  return joined(call, tensors, shapes, axis, withExtent(shapes[0] ?? [], axis, tensors.length));
}

/** `tf.pad`. */
function pad(call: KernelCall): TensorInfo | undefined {
  const x = numbersOf(call, 'x');
  if (!x || size(x.shape) === 0) return undefined;
  const paddings = call.attrs.paddings as readonly (readonly [number, number])[];
  const shape = x.shape.map((extent, axis) => extent + (paddings[axis]?.[0] ?? 0) + (paddings[axis]?.[1] ?? 0));
  if (!isWorth(call, size(shape))) return undefined;
  const value = Number(call.attrs.constantValue);
  const filling = x.dtype === 'int32' ? new Float32Array(Int32Array.of(value).buffer) : Float32Array.of(value);
  return computeOnHeap(call.backend, [x], shape, x.dtype, ({ floats }, out) => {
    const to = floats(out);
    stridedCopy([[to.length, 0, 1]], filling, to);
    const begin = placeOf(
      paddings.map(([before]) => before),
      shape,
    );
    stridedCopy(axesOf(x.shape, x.shape, shape), floats(x), to, 0, begin);
  });
}

const computations: Readonly<Record<string, NativeKernel['compute']>> = {
  Tile: tile,
  Transpose: transpose,
  Slice: slice,
  SplitV: split,
  Unpack: unpack,
  Concat: concat,
  Pack: pack,
  PadV2: pad,
};

/** The kernels of copies. */
export const copyKernels: readonly NativeKernel[] = Object.entries(computations).map(([kernelName, compute]) => ({
  kernelName,
  stock: true,
  compute,
}));
