/**
 * The state of a preconditioner as tensors and back: what an optimizer's weights can be, which are told apart by their
 * order alone.
 */
import { isFloat32Array, isFloat64Array } from 'node:util/types';
import { type Tensor, tensor1d } from '@tensorflow/tfjs-core';
import { valueError } from '../../adapter-kit';
import type { NamedTensor } from '../tape/named-tensor';
import { isCount, isState, type SavedState } from './saved-state';

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
