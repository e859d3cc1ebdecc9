/** The state of a preconditioner as tensors and back: what an optimizer's weights can be, which are told apart by their order alone. */
import { isFloat32Array, isFloat64Array } from 'node:util/types';
import { type Tensor, tensor1d } from '@tensorflow/tfjs-core';
import type { StoredLayer, StoredVector } from '../preconditioner';
import { valueError } from '../validate';
import type { NamedTensor } from './gradients';

/** The average of a variable. */
export interface SavedAverage {
  /** Its place among the variables with averages, in the order in which they were created. */
  readonly created: number;
  readonly values: Float32Array;
}

/** One layer's part of a {@link SavedState}. */
export interface SavedLayer {
  readonly name: string;
  readonly state: StoredLayer;
  /** Of the kernel and of the bias. */
  readonly averages: readonly [SavedAverage | undefined, SavedAverage | undefined];
}

/** The average of a variable that takes plain gradient steps. */
export interface SavedPlain {
  readonly name: string;
  readonly average: SavedAverage;
}

/** What is saved of the recipe. */
export interface SavedState {
  readonly steps: number;
  readonly skippedSteps: { readonly total: number; readonly inARow: number };
  /** Steps that entered the averages. */
  readonly averaged: number;
  /** Whether the preset was that of soft targets. */
  readonly soft: boolean;
  readonly layers: readonly SavedLayer[];
  readonly plain: readonly SavedPlain[];
}

type Numbers = Float32Array | Float64Array;

/** Where a typed array stood: its place among the tensors. */
interface Placeholder {
  readonly array: 'float32' | 'float64';
  readonly place: number;
}

/** Whatever realm they come from. */
function isNumbers(value: unknown): value is Numbers {
  return isFloat32Array(value) || isFloat64Array(value);
}

function isPlaceholder(value: unknown): value is Placeholder {
  return typeof value === 'object' && value !== null && 'array' in value && 'place' in value;
}

/** The state as a table of contents, text in an int32 tensor, and its arrays, a float64 number as two int32. */
export function stateTensors(state: SavedState): NamedTensor[] {
  const arrays: Numbers[] = [];
  const contents = JSON.stringify(state, (_, value: unknown) => {
    if (!isNumbers(value)) return value;
    arrays.push(value);
    return { array: isFloat32Array(value) ? 'float32' : 'float64', place: arrays.length - 1 } satisfies Placeholder;
  });
  const text = Int32Array.from(new TextEncoder().encode(contents));
  return [
    { name: 'contents', tensor: tensor1d(text, 'int32') },
    ...arrays.map((array, place) => ({
      name: `state/${place}`,
      tensor: isFloat32Array(array) ? tensor1d(array.slice()) : tensor1d(new Int32Array(array.slice().buffer), 'int32'),
    })),
  ];
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isNumbers(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isMissingOr<T>(value: unknown, check: (value: unknown) => value is T): value is T | undefined {
  return value === undefined || check(value);
}

function isAverage(value: unknown): value is SavedAverage {
  return isObject(value) && isCount(value.created) && isFloat32Array(value.values);
}

function isVector(value: unknown): value is StoredVector {
  return isObject(value) && isFloat32Array(value.kernel) && isMissingOr(value.bias, isFloat32Array);
}

/** Of the factors and of a solver's state the native half knows the form. */
function isStoredLayer(value: unknown): value is StoredLayer {
  return (
    isObject(value) &&
    typeof value.started === 'boolean' &&
    isMissingOr(value.momentum, isVector) &&
    (value.rows === undefined || (isObject(value.rows) && isCount(value.rows.input) && isCount(value.rows.output))) &&
    isMissingOr(value.factors, isObject) &&
    isMissingOr(value.solver, isObject)
  );
}

function isLayer(value: unknown): value is SavedLayer {
  if (!isObject(value) || typeof value.name !== 'string' || !isStoredLayer(value.state) || !Array.isArray(value.averages)) return false;
  return value.averages.length === 2 && value.averages.every((average) => isMissingOr(average, isAverage));
}

function isPlain(value: unknown): value is SavedPlain {
  return isObject(value) && typeof value.name === 'string' && isAverage(value.average);
}

function isState(value: unknown): value is SavedState {
  if (!isObject(value) || !isObject(value.skippedSteps)) return false;
  const { steps, skippedSteps, averaged, soft, layers, plain } = value;
  if (![steps, skippedSteps.total, skippedSteps.inARow, averaged].every(isCount) || typeof soft !== 'boolean') return false;
  return Array.isArray(layers) && layers.every(isLayer) && Array.isArray(plain) && plain.every(isPlain);
}

/** The numbers of a tensor; `undefined` where it is not one of those that {@link stateTensors} makes. */
async function numbersOf(found: Tensor | undefined, type: Placeholder['array']): Promise<Numbers | undefined> {
  if (found === undefined || found.dtype !== (type === 'float32' ? 'float32' : 'int32')) return undefined;
  const data = await found.data();
  if (type === 'float32') return Float32Array.from(data);
  return data.length % 2 === 0 ? new Float64Array(Int32Array.from(data).buffer) : undefined;
}

/** Reads what {@link stateTensors} made. @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_VALUE` for anything else. */
export async function readState(weights: readonly NamedTensor[]): Promise<SavedState> {
  const [contents, ...tensors] = weights.map(({ tensor: each }) => each);
  const bad = () => valueError('the weights of an optimizer of the same method', 'the optimizer weights', weights);
  if (contents === undefined) throw bad();
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(Uint8Array.from(await contents.data())));
  } catch {
    throw bad();
  }
  const arrays: Numbers[] = [];
  const places: Placeholder[] = [];
  JSON.stringify(parsed, (_, value: unknown) => {
    if (isPlaceholder(value)) places.push(value);
    return value;
  });
  for (const { array, place } of places) {
    const numbers = isCount(place) ? await numbersOf(tensors[place], array) : undefined;
    if (numbers === undefined) throw bad();
    arrays[place] = numbers;
  }
  const revived = (value: unknown): unknown => {
    if (isPlaceholder(value)) return arrays[value.place];
    if (Array.isArray(value)) return value.map((each) => (each === null ? undefined : revived(each)));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, revived(each)]));
  };
  const state = revived(parsed);
  if (!isState(state)) throw bad();
  return state;
}
