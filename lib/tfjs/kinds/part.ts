/**
 * What layers have of variables: the whole of one, or a range of an axis of it, as the columns of a kernel that is
 * split into gates.
 */
import type { Variable } from '@tensorflow/tfjs-core';

/**
 * A range of an axis of a variable: of the numbers in the order in which they are stored those whose place on the axis,
 * ⌊index/inner⌋ mod length, is at least `from` and less than `to`. For columns of a matrix `inner` is 1, for rows the
 * number of columns.
 */
export interface AxisRange {
  /** Places on the axis. */
  readonly length: number;
  /** Numbers that stand together at a place. */
  readonly inner: number;
  readonly from: number;
  readonly to: number;
}

/** A variable, or a range of one of its axes. */
export interface Part {
  readonly variable: Variable;
  /** `undefined` of the whole. */
  readonly range: AxisRange | undefined;
}

/** All of a variable. */
export function whole(variable: Variable): Part {
  return { variable, range: undefined };
}

/** The name of a part: that of its variable, and behind it the range: `gru/recurrent_kernel@0:10`. */
export function nameOf({ variable, range }: Part): string {
  return range ? `${variable.name}@${range.from}:${range.to}` : variable.name;
}

function isAlongside(one: AxisRange, other: AxisRange): boolean {
  return one.length === other.length && one.inner === other.inner;
}

/** Whether two parts are one. */
export function isSamePart(one: Part | undefined, other: Part | undefined): boolean {
  if (one?.variable !== other?.variable) return false;
  const [a, b] = [one?.range, other?.range];
  if (a === undefined || b === undefined) return a === b;
  return isAlongside(a, b) && a.from === b.from && a.to === b.to;
}

/** The part that two parts make up of which one begins where the other ends; `undefined` where it does not. */
export function joinedPart(one: Part, next: Part): Part | undefined {
  const [a, b] = [one.range, next.range];
  if (one.variable !== next.variable || a === undefined || b === undefined) return undefined;
  if (!isAlongside(a, b) || a.to !== b.from) return undefined;
  return { ...one, range: a.from === 0 && b.to === b.length ? undefined : { ...a, to: b.to } };
}

/** Whether parts in their order make up the whole of a variable, each number of which belongs to one of them. */
export function makeUpWhole([first, ...others]: readonly Part[]): boolean {
  let joined = first;
  for (const next of others) joined = joined && joinedPart(joined, next);
  return joined !== undefined && joined.range === undefined;
}

/** The runs of numbers of a part: where each starts in the variable, and how long it is. */
function runsOf({ length, inner, from, to }: AxisRange, size: number): { readonly starts: number[]; width: number } {
  const stride = length * inner;
  const starts = Array.from({ length: size / stride }, (_, run) => run * stride + from * inner);
  return { starts, width: (to - from) * inner };
}

/** The numbers of a part, from those of its variable: a copy, but for a whole variable, whose array is given back. */
export function readPart({ range }: Part, values: Float32Array): Float32Array {
  if (range === undefined) return values;
  const { starts, width } = runsOf(range, values.length);
  const part = new Float32Array(starts.length * width);
  for (const [run, start] of starts.entries()) part.set(values.subarray(start, start + width), run * width);
  return part;
}

/** Writes the numbers of a part into those of its variable. */
export function writePart({ range }: Part, values: Float32Array, part: Float32Array): void {
  if (range === undefined) {
    values.set(part);
    return;
  }
  const { starts, width } = runsOf(range, values.length);
  for (const [run, start] of starts.entries()) values.set(part.subarray(run * width, (run + 1) * width), start);
}
