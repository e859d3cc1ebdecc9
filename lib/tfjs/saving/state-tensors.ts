/** The state of an optimizer as tensors and back: its weights, which are told apart by their order alone. */
import { isFloat32Array, isFloat64Array } from 'node:util/types';
import { Tensor } from '@tensorflow/tfjs-core';
import { CgfacError, describe, typeError, valueError } from '../../adapter-kit';
import type { NamedTensor } from '../tape/named-tensor';
import { digestOf } from './digest';
import { HostTensor } from './host-tensor';
import { type SavedState, VERSION } from './saved-state';
import { isCount, isState } from './state-checks';

type Numbers = Float32Array | Float64Array;

/** Where a typed array stood: its place among the tensors, and, of a state with a version, what they hold there. */
interface Placeholder {
  readonly array: 'float32' | 'float64';
  readonly place: number;
  readonly digest?: number;
}

/** What an optimizer's weights are. */
export interface OptimizerWeights {
  /** Steps of the optimizer. */
  readonly iterations: number;
  readonly seed: number;
  /** The state of the recipe; `undefined` before the first step. */
  readonly state: SavedState | undefined;
}

const UINT32 = 2 ** 32;
const ARGUMENT = 'the optimizer weights';

/** Whatever realm they come from. */
function isNumbers(value: unknown): value is Numbers {
  return isFloat32Array(value) || isFloat64Array(value);
}

function isPlaceholder(value: unknown): value is Placeholder {
  return typeof value === 'object' && value !== null && 'array' in value && 'place' in value;
}

/** A copy of an array, of this realm, as a tensor holds it: a float64 number as two int32. */
function held(array: Numbers): Float32Array | Int32Array {
  return isFloat32Array(array) ? Float32Array.from(array) : new Int32Array(Float64Array.from(array).buffer);
}

/** The state as a table of contents, text in an int32 tensor, and its arrays. */
function stateTensors(state: object): NamedTensor[] {
  const arrays: (Float32Array | Int32Array)[] = [];
  const contents = JSON.stringify(state, (_, value: unknown) => {
    if (!isNumbers(value)) return value;
    const array = held(value);
    const place = arrays.push(array) - 1;
    const digest = digestOf(array);
    return { array: isFloat32Array(value) ? 'float32' : 'float64', place, digest } satisfies Placeholder;
  });
  const text = Int32Array.from(new TextEncoder().encode(contents));
  return [
    { name: 'contents', tensor: new HostTensor(text) },
    ...arrays.map((array, place) => ({ name: `state/${place}`, tensor: new HostTensor(array) })),
  ];
}

/** The weights of an optimizer: the numbers of its steps, its seed (the low and the high word), and its state. */
export function weightTensors({ iterations, seed, state }: OptimizerWeights): NamedTensor[] {
  return [
    { name: 'iter', tensor: new HostTensor(Int32Array.of(iterations), []) },
    { name: 'seed', tensor: new HostTensor(Int32Array.of(seed | 0, Math.floor(seed / UINT32))) },
    ...(state ? stateTensors({ ...state, version: VERSION, iterations, seed }) : []),
  ];
}

const bad = (weights: unknown) => valueError('the weights of an optimizer of the same method', ARGUMENT, weights);

/** The numbers of the tensor of a weight; `undefined` of anything else. */
function readOne(weight: NamedTensor | null | undefined): Float32Array | Int32Array | undefined {
  try {
    const tensor = weight?.tensor;
    if (!(tensor instanceof Tensor) || tensor.isDisposed) return undefined;
    return tensor.dtype === 'float32' || tensor.dtype === 'int32' ? tensor.dataSync<'float32' | 'int32'>() : undefined;
  } catch {
    return undefined; // a hostile object, or a tensor whose backend is gone
  }
}

/** The numbers of the tensors that are given; whatever is none of them is refused. */
function readAll(weights: unknown): (Float32Array | Int32Array)[] {
  if (!Array.isArray(weights)) throw typeError('an array of tensors with their names', ARGUMENT, weights);
  return Array.from(weights, (weight: NamedTensor | null | undefined, place) => {
    const numbers = readOne(weight);
    if (numbers === undefined) throw valueError('tensors of float32 and int32', `${ARGUMENT}[${place}]`, typeof weight);
    return numbers;
  });
}

/** The numbers of a tensor; `undefined` where it is not the one that a state tells of. */
function numbersOf(found: Float32Array | Int32Array | undefined, { array, digest }: Placeholder): Numbers | undefined {
  const isFloats = isFloat32Array(found);
  if (found === undefined || isFloats !== (array === 'float32')) return undefined;
  if (digest !== undefined && digestOf(found) !== digest) return undefined;
  if (isFloats) return Float32Array.from(found);
  return found.length % 2 === 0 ? new Float64Array(Int32Array.from(found).buffer) : undefined;
}

/** Puts the arrays in their places. */
function revived(value: unknown, arrays: readonly Numbers[]): unknown {
  if (isPlaceholder(value)) return arrays[value.place];
  if (Array.isArray(value)) return value.map((each) => (each === null ? undefined : revived(each, arrays)));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, revived(each, arrays)]));
}

/** The places of the arrays in a table of contents: each tensor has one, and none has two. */
function placesIn(contents: unknown, count: number): Placeholder[] | undefined {
  const places: Placeholder[] = [];
  JSON.stringify(contents, (_, value: unknown) => {
    if (isPlaceholder(value)) places.push(value);
    return value;
  });
  const used = new Set(places.map(({ place }) => place));
  const all = places.every(({ place }) => isCount(place) && place < count);
  return all && used.size === count && places.length === count ? places : undefined;
}

/** What the table of contents of a state with a version says of itself. */
function checkVersion(contents: object, iterations: number, seed: number, weights: unknown): void {
  const told = contents as { readonly version?: unknown; readonly iterations?: unknown; readonly seed?: unknown };
  if (told.version === undefined) return;
  if (told.version !== VERSION)
    throw new CgfacError(
      'ERR_CGFAC_INVALID_ARG_VALUE',
      `Expected a state of version ${VERSION}, the last that this release reads, for ${ARGUMENT} but received one of ` +
        `version ${describe(told.version)}; load it with the release that saved it, or go on without it`,
    );
  if (told.iterations !== iterations || told.seed !== seed)
    throw valueError('iter and seed that were saved with the state', ARGUMENT, weights);
}

function readState(
  [contents, ...tensors]: readonly (Float32Array | Int32Array)[],
  iterations: number,
  seed: number,
  weights: unknown,
): SavedState | undefined {
  if (contents === undefined) return undefined;
  let parsed: unknown;
  let places: Placeholder[] | undefined;
  try {
    parsed = JSON.parse(new TextDecoder().decode(Uint8Array.from(contents)));
    places = placesIn(parsed, tensors.length);
  } catch {
    throw bad(weights); // no text of that form, or one that is nested too deeply
  }
  if (typeof parsed !== 'object' || parsed === null) throw bad(weights);
  checkVersion(parsed, iterations, seed, weights);
  if (places === undefined) throw valueError('all tensors of the state, and no others,', ARGUMENT, weights);
  const arrays: Numbers[] = [];
  for (const placeholder of places) {
    const { place } = placeholder;
    const numbers = numbersOf(tensors[place], placeholder);
    if (numbers === undefined)
      throw valueError('the tensors of one getWeights() as they were, in their order,', ARGUMENT, weights);
    arrays[place] = numbers;
  }
  const state = revived(parsed, arrays);
  if (!isState(state)) throw bad(weights);
  return state;
}

/**
 * Reads what {@link weightTensors} made, in this release or one before.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_INVALID_ARG_TYPE` for anything else.
 */
export function readWeights(weights: unknown): OptimizerWeights {
  const [iter, words, ...rest] = readAll(weights);
  if (iter?.length !== 1 || words?.length !== 2)
    throw valueError('the tensors iter (1 number) and seed (2 numbers)', ARGUMENT, weights);
  const [iterations = Number.NaN] = iter;
  const [low = Number.NaN, high = Number.NaN] = words;
  const seed = high * UINT32 + (low >>> 0);
  if (!isCount(iterations) || !isCount(seed))
    throw valueError('a number of steps and a seed, integers that are not negative,', ARGUMENT, weights);
  return { iterations, seed, state: readState(rest, iterations, seed, weights) };
}
