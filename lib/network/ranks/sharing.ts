/** What this rank has of each layer for its owner, and what the owner makes of the shares of all ranks. */
import { isFloat32Array, isFloat64Array } from 'node:util/types';
import { arraysOf, concatenated, newVector } from '../../base/vectors';
import type { VectorArrays } from '../../base/weight-vector';
import { callNative, callNativeAsync } from '../../native/call';
import { native } from '../../native/load';
import type { NativeShared, NativeSideShare, NativeWantedSide } from '../../native/shares';
import type { NetworkEntry } from '../registry';
import type { Phases } from '../step/phase';
import { type Field, packed, unpacked } from './messages';
import { type LayerTravel, type RankCounts, type SideTravel, type Travelling, total } from './travel';

/** A layer of a step, and how it travels. */
export interface SharedLayer {
  readonly entry: NetworkEntry;
  readonly layer: Travelling;
  readonly travel: LayerTravel;
  /** The gradient of this rank, where it is given. */
  readonly gradient: VectorArrays | undefined;
}

/** What this rank is among all. */
export interface Place {
  readonly rank: number;
  readonly size: number;
  /** The weight of its gradients in their mean. */
  readonly weight: number;
}

const isShared = ({ way }: SideTravel): boolean => way !== 'none' && way !== 'own';

/** Which rows of a draw over all ranks lie here. */
function wanted(
  { counts, refreshes }: Travelling,
  { form, most }: SideTravel,
  rows: keyof RankCounts,
  rank: number,
): NativeWantedSide {
  const first = total(counts.slice(0, rank), rows);
  return { form, range: Float64Array.of(first, total(counts, rows), most, refreshes) };
}

/** What is asked of the rows of a layer, where its gradient or its factors are made of them here. */
function taskOf({ entry, layer, travel, gradient }: SharedLayer, rank: number) {
  return {
    layer: entry.layer.native,
    gradient: travel.gradient && gradient === undefined ? newVector(entry.shape) : undefined,
    input: isShared(travel.input) ? wanted(layer, travel.input, 'inputRows', rank) : undefined,
    output: isShared(travel.output) ? wanted(layer, travel.output, 'outputRows', rank) : undefined,
  };
}

/** A copy of an array, times a factor. */
function times(array: Float32Array, factor: number): Float32Array {
  const out = new Float32Array(array.length);
  callNative(() => native.combine({ keep: factor, x: array, factor: 0, y: array, out }));
  return out;
}

/** The weight of a layer's own gradient here: its samples are those of its rows. */
function ownWeight({ counts }: Travelling, rank: number): number {
  const all = total(counts, 'samples');
  return all === 0 ? 0 : (counts[rank]?.samples ?? 0) / all;
}

function recordedFields({ entry, travel }: SharedLayer): Field[] {
  const share = callNative(() => native.recordedShare(entry.layer.native));
  const { inputs, lossGrads, outputGrads, numbers } = share;
  return [inputs, travel.lossGrads ? lossGrads : new Float32Array(), outputGrads, numbers];
}

const sideFields = (share: NativeSideShare | undefined): Field[] =>
  share === undefined ? [] : [Float64Array.of(share.form, ...share.meta), share.numbers];

/** What this rank sends. */
export interface Messages {
  /** By the owner that they are for. */
  readonly toOwners: readonly Float32Array[];
  /** All gradients one after the other, where they do not go to their owners at once. */
  readonly flat: Float32Array | undefined;
}

/** The messages of this rank. What has to be computed of the rows is a phase of its own. */
export function* messagesOf(
  layers: readonly SharedLayer[],
  { rank, size, weight }: Place,
  relayed: boolean,
): Phases<Messages> {
  const tasks = layers.map((each) => (each.travel.recorded ? undefined : taskOf(each, rank)));
  const items = tasks.flatMap((task) => (task && (task.gradient || task.input || task.output) ? [task] : []));
  let shared: readonly NativeShared[] = [];
  if (items.length > 0)
    yield {
      now: () => {
        shared = callNative(() => native.shareAllSync(items));
      },
      later: async (signal) => {
        shared = await callNativeAsync(signal, (token) => native.shareAll(items, undefined, token));
      },
    };
  const fields = Array.from({ length: size }, (): Field[] => []);
  const gradients: Float32Array[] = [];
  for (const [index, each] of layers.entries()) {
    const { travel, gradient, layer } = each;
    const task = tasks[index];
    const own = shared[task ? items.indexOf(task) : -1];
    const to = fields[travel.owner];
    if (travel.recorded) to?.push(...recordedFields(each));
    if (travel.gradient) {
      const arrays = gradient ?? task?.gradient;
      const factor = gradient === undefined ? ownWeight(layer, rank) : weight;
      const scaled = arrays ? arraysOf(arrays).map((array) => times(array, factor)) : [];
      (relayed ? gradients : to)?.push(...scaled);
    }
    to?.push(...sideFields(own?.input), ...sideFields(own?.output));
  }
  return { toOwners: fields.map(packed), flat: relayed ? concatenated(gradients) : undefined };
}

/** The fields of a message, one after the other. */
class Reader {
  #next = 0;
  readonly #fields: readonly Field[];

  constructor(message: Float32Array) {
    this.#fields = unpacked(message, 'alltoallv');
  }

  get empty(): boolean {
    return this.#fields.length === 0;
  }

  single(): Float32Array {
    const field = this.#fields[this.#next++];
    return isFloat32Array(field) ? field : new Float32Array();
  }

  double(): Float64Array {
    const field = this.#fields[this.#next++];
    return isFloat64Array(field) ? field : new Float64Array();
  }

  side(): NativeSideShare {
    const [form = 0, ...meta] = this.double();
    return { form, meta: Float64Array.from(meta), numbers: this.single() };
  }
}

/** The sum of arrays, in the order of ranks. */
function summed(arrays: readonly Float32Array[]): Float32Array {
  const sum = new Float32Array(arrays[0] ?? []);
  for (const array of arrays.slice(1))
    callNative(() => native.combine({ keep: 1, x: sum, factor: 1, y: array, out: sum }));
  return sum;
}

/** The recorded rows of all ranks become those of the owner, in the order of ranks. */
function takeRecorded({ entry }: SharedLayer, readers: readonly Reader[]): void {
  callNative(() => entry.layer.native.clear());
  for (const reader of readers) {
    const [inputs, lossGrads, outputGrads] = [reader.single(), reader.single(), reader.single()];
    const share = { inputs, lossGrads, outputGrads, numbers: reader.double() };
    callNative(() => native.recordShare(entry.layer.native, share));
  }
}

/** The mean of the gradients of all ranks. */
function takeGradient({ entry }: SharedLayer, readers: readonly Reader[]): VectorArrays {
  const kernel = summed(readers.map((reader) => reader.single()));
  return { kernel, bias: entry.shape.bias ? summed(readers.map((reader) => reader.single())) : undefined };
}

/** Kernel and bias of a gradient whose numbers lie one after the other. */
function partsOf({ entry: { shape } }: SharedLayer, numbers: Float32Array = new Float32Array()): VectorArrays {
  const kernel = shape.inFeatures * shape.outFeatures;
  return { kernel: numbers.subarray(0, kernel), bias: shape.bias ? numbers.subarray(kernel) : undefined };
}

/**
 * The owner takes in what all ranks sent of its layers.
 *
 * @param owned - Its layers, in the order of the messages.
 * @param messages - By rank.
 * @param relayed - The sums of gradients that came another way, in the order of those that have one.
 * @returns The gradients, of layers where they are not made of rows; `undefined` where a rank sent nothing, because
 * something is amiss there.
 */
export function taken(
  owned: readonly SharedLayer[],
  messages: readonly Float32Array[],
  relayed: readonly Float32Array[] | undefined,
): (VectorArrays | undefined)[] | undefined {
  const readers = messages.map((message) => new Reader(message));
  const expected = owned.some(
    ({ travel }) => travel.recorded || (travel.gradient && relayed === undefined) || isShared(travel.input),
  );
  if (expected && readers.some(({ empty }) => empty)) return undefined;
  const sums = relayed?.values();
  return owned.map((each) => {
    const { travel, entry } = each;
    if (travel.recorded) takeRecorded(each, readers);
    const own = () => (sums ? partsOf(each, sums.next().value) : takeGradient(each, readers));
    const gradient = travel.gradient ? own() : undefined;
    if (!travel.recorded && isShared(travel.input)) {
      // both sides of a rank lie one after the other
      const sides = readers.map((reader) => ({ input: reader.side(), output: reader.side() }));
      const [input, output] = [sides.map((side) => side.input), sides.map((side) => side.output)];
      callNative(() => native.takeShares(entry.layer.native, input, output));
    }
    return gradient;
  });
}
