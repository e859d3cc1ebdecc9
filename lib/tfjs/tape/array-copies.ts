/** Rules of ops that bring numbers to other places: their gradients go back there, or to several places. */
import type { Tensor } from '@tensorflow/tfjs-core';
import { MOST_COPIED_AXES, stridedCopy } from '../../adapter-kit';
import { axesOf, placeOf, stepsOf } from '../kernels/copies';
import { size } from '../kernels/heap';
import type { Op, OpGradients, Rule } from './array-rule';
import type { Room } from './room';

type Shape = readonly number[];

const NONE = new Float32Array(0);
const isPlain = ({ dtype, rank }: Tensor) => dtype === 'float32' && rank <= MOST_COPIED_AXES;
const onAxis = (axis: unknown, rank: number) => (Number(axis) < 0 ? Number(axis) + rank : Number(axis));

/** The index of the first number of a block that begins at a place of an axis. */
const beginOn = (shape: Shape, axis: number, place: number): number[] =>
  shape.map((_, at) => (at === axis ? place : 0));

/** Copies a block, whose form is that of `from`, to where it begins in another array. */
function paste(from: Float32Array, block: Shape, to: Float32Array, shape: Shape, begin: Shape): void {
  stridedCopy(axesOf(block, block, shape), from, to, 0, placeOf(begin, shape));
}

/** A block of an array as one of its own. */
function cut(room: Room, from: Float32Array, shape: Shape, begin: Shape, block: Shape): Float32Array {
  const to = room.take(size(block));
  stridedCopy(axesOf(block, shape, block), from, to, placeOf(begin, shape));
  return to;
}

/** `tf.split`: what was split is joined. */
const split: Rule = ({ node, wanted, outer, pass: { samples, room } }) => {
  const [[, input] = []] = wanted;
  if (!input || !isPlain(input)) return undefined;
  const axis = onAxis(node.attributes.axis, input.rank);
  const own = samples.axisOf(input.shape, outer);
  if (own === undefined || (own >= 0 && axis <= own)) return undefined;
  const shape = samples.shapeOf(input.shape, own);
  const blocks = node.outputs.map((output) => samples.shapeOf(output.shape, own));
  return {
    outers: [outer],
    compute: (dys) => {
      const dx = dys.includes(undefined) ? room.zeros(size(shape)) : room.take(size(shape));
      let place = 0;
      for (const [index, block] of blocks.entries()) {
        const dy = dys[index];
        if (dy) paste(dy, block, dx, shape, beginOn(shape, axis, place));
        place += block[axis] ?? 0;
      }
      return [dx];
    },
  };
};

/** `tf.concat`: what was joined is split. */
const concat: Rule = ({ node, wanted, outer, pass: { samples, room } }) => {
  const [output] = node.outputs;
  if (!output || !isPlain(output)) return undefined;
  const axis = onAxis(node.attributes.axis, output.rank);
  const own = samples.axisOf(output.shape, outer);
  if (own === undefined || (own >= 0 && axis <= own)) return undefined;
  const shape = samples.shapeOf(output.shape, own);
  const begins = new Map<string, number>();
  let place = 0;
  for (const [name, input] of node.inputs) {
    begins.set(name, place);
    place += input.shape[axis] ?? 0;
  }
  return {
    outers: wanted.map(() => outer),
    compute: ([dy = NONE]) =>
      wanted.map(([name, input]) =>
        cut(room, dy, shape, beginOn(shape, axis, begins.get(name) ?? 0), samples.shapeOf(input.shape, own)),
      ),
  };
};

/** `tf.unstack`: what was taken apart along an axis is put together. */
const unpack: Rule = ({ node, wanted, outer, pass: { samples, room } }) => {
  const [[, input] = []] = wanted;
  const [output] = node.outputs;
  if (!input || !output || !isPlain(input)) return undefined;
  const axis = onAxis(node.attributes.axis, input.rank);
  const after = samples.axisOf(output.shape, outer);
  if (after === undefined) return undefined;
  const own = after >= 0 && axis <= after ? after + 1 : after;
  const shape = samples.shapeOf(input.shape, own);
  const block = shape.map((extent, at) => (at === axis ? 1 : extent));
  return {
    outers: [samples.outerOf(input.shape, own)],
    compute: (dys) => {
      const dx = dys.includes(undefined) ? room.zeros(size(shape)) : room.take(size(shape));
      for (const [place, dy] of dys.entries()) if (dy) paste(dy, block, dx, shape, beginOn(shape, axis, place));
      return [dx];
    },
  };
};

/** `tf.stack`: what was put together along an axis is taken apart. */
const pack: Rule = ({ node, wanted, outer, pass: { samples, room } }) => {
  const [output] = node.outputs;
  if (!output || !isPlain(output)) return undefined;
  const axis = onAxis(node.attributes.axis, output.rank);
  const after = samples.axisOf(output.shape, outer);
  if (after === undefined || after === axis) return undefined;
  const own = axis < after ? after - 1 : after;
  const shape = samples.shapeOf(output.shape, after);
  const block = shape.map((extent, at) => (at === axis ? 1 : extent));
  const names = [...node.inputs.keys()];
  return {
    outers: wanted.map(([, input]) => samples.outerOf(input.shape, own)),
    compute: ([dy = NONE]) =>
      wanted.map(([name]) => cut(room, dy, shape, beginOn(shape, axis, names.indexOf(name)), block)),
  };
};

/** `tf.transpose`. */
const transpose: Rule = ({ node, wanted, outer, pass: { samples, room } }) => {
  const [[, input] = []] = wanted;
  const [output] = node.outputs;
  const { perm } = node.attributes;
  if (!input || !output || !isPlain(input) || !Array.isArray(perm)) return undefined;
  const order = perm.map(Number);
  const after = samples.axisOf(output.shape, outer);
  if (after === undefined) return undefined;
  const own = after < 0 ? -1 : (order[after] ?? -1);
  const [from, to] = [samples.shapeOf(output.shape, after), samples.shapeOf(input.shape, own)];
  const steps = stepsOf(to);
  const axes = stepsOf(from).map((step, axis) => [from[axis] ?? 1, step, steps[order[axis] ?? 0] ?? 1] as const);
  return {
    outers: [samples.outerOf(input.shape, own)],
    compute: ([dy = NONE]) => {
      const dx = room.take(dy.length);
      stridedCopy(axes, dy, dx);
      return [dx];
    },
  };
};

/** `tf.slice`: zeros where nothing was taken from. */
const slice: Rule = ({ node, wanted, outer, pass: { samples, room } }) => {
  const [[, input] = []] = wanted;
  const [output] = node.outputs;
  const { begin } = node.attributes;
  if (!input || !output || !isPlain(input) || !Array.isArray(begin)) return undefined;
  const own = samples.axisOf(output.shape, outer);
  if (own === undefined) return undefined;
  const cutBefore = output.shape.slice(0, Math.max(0, own + 1)).some((extent, axis) => extent !== input.shape[axis]);
  if (cutBefore) return undefined;
  const [block, shape] = [samples.shapeOf(output.shape, own), samples.shapeOf(input.shape, own)];
  const first = shape.map((_, axis) => Number(begin[axis] ?? 0));
  if (first.some((place) => !(place >= 0))) return undefined;
  return {
    outers: [outer],
    compute: ([dy = NONE]) => {
      const dx = room.zeros(size(shape));
      paste(dy, block, dx, shape, first);
      return [dx];
    },
  };
};

/** Sums and means over axes: the gradient comes to each of the terms. */
function reduction({ node, wanted, outer, pass: { samples, room } }: Op): OpGradients | undefined {
  const [[, input] = []] = wanted;
  const [output] = node.outputs;
  if (!input || !output || !isPlain(input)) return undefined;
  const { axis, keepDims } = node.attributes;
  const given = Array.isArray(axis)
    ? axis
    : axis === undefined || axis === null
      ? input.shape.map((_, at) => at)
      : [axis];
  const reduced = new Set(given.map((each) => onAxis(each, input.rank)));
  const kept = input.shape.flatMap((_, at) => (keepDims === true || !reduced.has(at) ? [at] : []));
  const after = samples.axisOf(output.shape, outer);
  if (after === undefined) return undefined;
  const own = after < 0 ? -1 : (kept[after] ?? -1);
  if (reduced.has(own)) return undefined;
  const shape = samples.shapeOf(input.shape, own);
  const terms = size(shape.filter((_, at) => reduced.has(at)));
  const [steps, sums] = [stepsOf(shape), stepsOf(shape.map((extent, at) => (reduced.has(at) ? 1 : extent)))];
  const axes = shape.map((extent, at) => [extent, reduced.has(at) ? 0 : (sums[at] ?? 0), steps[at] ?? 1] as const);
  return {
    outers: [samples.outerOf(input.shape, own)],
    compute: ([dy = NONE]) => {
      const dx = room.take(size(shape));
      stridedCopy(axes, node.kernel === 'Mean' ? dy.map((value) => value / terms) : dy, dx);
      return [dx];
    },
  };
}

/** The rules, by kernel. */
export const copyRules: readonly (readonly [kernel: string, rule: Rule])[] = [
  ['SplitV', split],
  ['Concat', concat],
  ['Unpack', unpack],
  ['Pack', pack],
  ['Transpose', transpose],
  ['Slice', slice],
  ['Sum', reduction],
  ['Mean', reduction],
];
