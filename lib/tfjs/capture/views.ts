/** Where a tape uses variables, seen through ops that show them in another form, or a range of them. */
import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import type { View } from '../kinds/layer-kind';
import { whole } from '../kinds/part';
import type { TapeNode } from '../tape/tape';

/** A use of a variable, or of a range of it, by an op that does more than show it. */
export interface Use {
  readonly node: TapeNode;
  /** The name of the op's input. */
  readonly name: string;
  readonly view: View;
}

/** The uses of variables, and the tensors that are views of them, by tensor id. */
export interface Uses {
  readonly uses: readonly Use[];
  readonly views: ReadonlyMap<number, View>;
}

/** Lengths without those of 1. */
const proper = (lengths: readonly number[]) => lengths.filter((length) => length !== 1).join();

/** The numbers stay, in another form. Of a transposed matrix, or a range, only axes of length 1 may come and go. */
function reshaped(view: View, shape: readonly number[]): View | undefined {
  const free = !view.transposed && view.range === undefined;
  if (view.tiled) return undefined;
  return free || proper(shape) === proper(view.shape) ? { ...view, shape } : undefined;
}

function transposed(view: View, shape: readonly number[], perm: unknown): View | undefined {
  if (!Array.isArray(perm)) return undefined;
  const last = perm.length - 1;
  if (perm.slice(0, -2).some((from, axis) => from !== axis)) return undefined;
  return { ...view, shape, transposed: perm[last] === last ? view.transposed : !view.transposed };
}

/** The view of what is repeated along axes of length 1; the shape stays what it was. */
function tiled(view: View, reps: unknown): View | undefined {
  if (!Array.isArray(reps) || reps.some((times, axis) => times !== 1 && view.shape[axis] !== 1)) return undefined;
  return { ...view, tiled: true };
}

/** Places `from` up to `to` of an axis of a view; of a range of an axis only a range of the same one. */
function sliced(view: View, axis: number, from: number, to: number): View | undefined {
  const { range, transposed: exchanged } = view;
  const shape = view.shape.map((length, at) => (at === axis ? to - from : length));
  const length = view.shape[axis] ?? 0;
  if (from === 0 && to === length) return view;
  const last = shape.length - 1;
  const stored = exchanged
    ? [...view.shape.slice(0, -2), view.shape[last] ?? 1, view.shape[last - 1] ?? 1]
    : view.shape;
  const place = exchanged && axis >= last - 1 ? 2 * last - 1 - axis : axis;
  const inner = stored.slice(place + 1).reduce((product, each) => product * each, 1);
  if (range === undefined) return { ...view, shape, range: { length, inner, from, to } };
  if (inner !== range.inner || length !== range.to - range.from) return undefined;
  return { ...view, shape, range: { ...range, from: range.from + from, to: range.from + to } };
}

/** `begin` of a slice on an axis. */
function beginAt(begin: unknown, axis: number): number {
  const given: unknown = Array.isArray(begin) ? begin[axis] : axis === 0 ? begin : 0;
  return typeof given === 'number' ? given : 0;
}

/** The view of a slice: a range of one axis at the most. */
function ofSlice(view: View, { shape }: Tensor, begin: unknown): View | undefined {
  const cut = shape.flatMap((length, axis) => (length === view.shape[axis] ? [] : [axis]));
  const [axis = 0] = cut;
  const from = beginAt(begin, axis);
  return cut.length > 1 || from < 0 ? undefined : sliced(view, axis, from, from + (shape[axis] ?? 0));
}

const onAxis = (axis: unknown, rank: number) => (typeof axis === 'number' ? (axis < 0 ? axis + rank : axis) : 0);

/** The views of the outputs of a split. */
function ofSplit(view: View, outputs: readonly Tensor[], given: unknown): (View | undefined)[] {
  const axis = onAxis(given, view.shape.length);
  let from = 0;
  return outputs.map(({ shape }) => {
    const to = from + (shape[axis] ?? 0);
    const found = sliced(view, axis, from, to);
    from = to;
    return found;
  });
}

/** The views of what is unstacked along an axis. */
function ofUnstack(view: View, outputs: readonly Tensor[], given: unknown): (View | undefined)[] {
  const axis = onAxis(given, view.shape.length);
  return outputs.map(({ shape }, at) => {
    const found = sliced(view, axis, at, at + 1);
    return found && reshaped(found, shape);
  });
}

/** The views that `node` gives of `view`, one for each of its outputs, or none where it does more than show it. */
function viewsThrough(node: TapeNode, view: View): (View | undefined)[] {
  const [output] = node.outputs;
  if (output?.dtype !== 'float32') return [];
  switch (node.kernel) {
    case 'Identity':
    case 'Cast':
      return [view];
    case 'Reshape':
    case 'ExpandDims':
      return [reshaped(view, output.shape)];
    case 'Transpose':
      return [transposed(view, output.shape, node.attributes.perm)];
    case 'Slice':
      return [ofSlice(view, output, node.attributes.begin)];
    case 'SplitV':
      return ofSplit(view, node.outputs, node.attributes.axis);
    case 'Tile':
      return [tiled(view, node.attributes.reps)];
    case 'Unpack':
      return ofUnstack(view, node.outputs, node.attributes.axis);
    default:
      return [];
  }
}

/** Where `variables` are used on a tape. */
export function usesOf(tape: readonly TapeNode[], variables: readonly Variable[]): Uses {
  const uses: Use[] = [];
  const views = new Map<number, View>(
    variables.map((variable) => [
      variable.id,
      { ...whole(variable), transposed: false, tiled: false, shape: variable.shape },
    ]),
  );
  for (const node of tape) {
    for (const [name, input] of node.inputs) {
      const view = views.get(input.id);
      if (!view) continue;
      const shown = viewsThrough(node, view);
      const known = shown.length > 0 && shown.every((each) => each !== undefined);
      if (!known) uses.push({ node, name, view });
      for (const [index, output] of known ? node.outputs.entries() : []) {
        const found = shown[index];
        if (found) views.set(output.id, found);
      }
    }
  }
  return { uses, views };
}
