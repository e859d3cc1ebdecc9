/** The share of each rank of the data that all of them have. */
import { dispose, slice, Tensor, type TensorContainer } from '@tensorflow/tfjs-core';
import { CgfacError, type Communicator, elementsOf, reading, typeError, valueError } from '../../adapter-kit';
import { formOf } from '../tape/tape';
import { requireCommunicator } from './ranks';

/** What reads the elements of a dataset. */
export interface ElementReader<T> {
  /** Reads the next element; `done` at the end. */
  next(): Promise<IteratorResult<T>>;
}

/** What is used of a `tf.data.Dataset`, and all that `model.fitDataset` needs. */
export interface ShardableDataset<T> {
  /** Begins to read it. */
  iterator(): Promise<ElementReader<T>>;
}

type Place = Pick<Communicator, 'rank' | 'size'>;

/** The rows of a rank. */
function rowsOf<T extends Tensor>(data: T, { rank, size }: Place, name: string): T {
  const [samples] = data.shape;
  if (samples === undefined) throw valueError('a tensor of samples', name, 'a scalar');
  if (samples === 0 || samples % size !== 0)
    throw valueError(`samples that ${size} ranks can share out equally`, name, samples);
  const share = samples / size;
  return slice(data as Tensor, [rank * share], [share]) as T;
}

/** Every so many-th element of a dataset. */
function everyOther<T>(data: ShardableDataset<T>, { rank, size }: Place): ShardableDataset<T> {
  const iterator = async () => {
    const elements = await data.iterator();
    const next = async (): Promise<IteratorResult<T>> => {
      const round: T[] = [];
      // to the end of the round, so that all ranks find out alike that it is not a whole one
      while (round.length < size) {
        const element = await elements.next();
        if (element.done) {
          dispose(round as TensorContainer[]);
          if (round.length === 0) return element;
          const ranks = `${size} ranks can share out equally`;
          throw new CgfacError(
            'ERR_CGFAC_INVALID_ARG_VALUE',
            `Expected elements of the dataset that ${ranks} but received ${round.length} in the last round`,
          );
        }
        round.push(element.value);
      }
      dispose(round.filter((_, of) => of !== rank) as TensorContainer[]);
      return { done: false, value: round[rank] as T };
    };
    return { next };
  };
  return { iterator };
}

/**
 * The share of this rank of data that all ranks have: of a tensor as many rows as every other rank gets, the first to
 * rank 0; of several tensors the same rows of each; of a dataset every `size`-th element (a batch, where it has
 * batches), which each rank reads all of and keeps its own.
 *
 * @param data - A tensor, an array of tensors, or a dataset of tf.data; it stays the caller's.
 * @param communicator - The ranks that train together.
 * @returns New tensors, which the caller disposes of, or a dataset for `model.fitDataset`, which throws at its end
 * where the elements cannot be shared out equally.
 * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE` for anything else, `ERR_CGFAC_INVALID_ARG_VALUE` for samples
 * that cannot be shared out equally, or tensors of other numbers of samples, `ERR_CGFAC_DISPOSED` for a tensor that was
 * disposed of.
 */
export function shard<T extends Tensor>(data: T, communicator: Communicator): T;
export function shard<T extends readonly Tensor[]>(
  data: T,
  communicator: Communicator,
): { -readonly [K in keyof T]: T[K] };
export function shard<T>(data: ShardableDataset<T>, communicator: Communicator): ShardableDataset<T>;
export function shard(
  data: Tensor | readonly Tensor[] | ShardableDataset<unknown>,
  communicator: Communicator,
): Tensor | Tensor[] | ShardableDataset<unknown> {
  const ranks = requireCommunicator(communicator, 'shard');
  const place = reading('a communicator', 'communicator', () => ({ rank: ranks.rank, size: ranks.size }));
  const what = 'a tensor, an array of tensors or a dataset';
  if (reading(what, 'data', () => data instanceof Tensor)) return rowsOf(requireTensor(data, 'data'), place, 'data');
  const elements = elementsOf(data, 'data');
  if (elements !== undefined) return sharesOf(elements, place);
  const dataset = data as Partial<ShardableDataset<unknown>> | null | undefined;
  if (!reading(what, 'data', () => typeof dataset?.iterator === 'function')) throw typeError(what, 'data', data);
  return everyOther(dataset as ShardableDataset<unknown>, place);
}

/** Checks that a value is a tensor that is there. */
function requireTensor(value: unknown, name: string): Tensor {
  const form = reading('a tensor', name, () => formOf(value));
  if (form === undefined) throw typeError('a tensor', name, value);
  if (!form.isDisposed) return value as Tensor;
  throw new CgfacError('ERR_CGFAC_DISPOSED', `Expected a tensor for ${name} but received one that was disposed of`);
}

/** The same rows of several tensors. */
function sharesOf(data: readonly unknown[], place: Place): Tensor[] {
  const tensors = data.map((each, index) => requireTensor(each, `data[${index}]`));
  const samples = tensors[0]?.shape[0];
  const other = tensors.findIndex(({ shape }) => shape[0] !== samples);
  if (other >= 0) throw valueError(`${samples} samples, as data[0] has,`, `data[${other}]`, tensors[other]?.shape[0]);
  return tensors.map((each, index) => rowsOf(each, place, `data[${index}]`));
}
