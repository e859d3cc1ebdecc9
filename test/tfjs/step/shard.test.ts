/** The share of each rank of tensors and datasets. */
import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { type Communicator, type ShardableDataset, shard } from '../../../lib/tfjs';
import { errorOf, useBackend } from '../support/backends';

beforeAll(() => useBackend('cpu'));

/** A rank that talks to no one: a share needs no collective. */
function rankOf(rank: number, size: number): Communicator {
  const never = () => {
    throw new Error('Expected no collective');
  };
  const collectives = ['allreduce', 'alltoallv', 'allgatherv', 'bcast', 'barrier'];
  const all = [...collectives.flatMap((name) => [name, `${name}Sync`]), 'finalize'];
  return { rank, size, ...Object.fromEntries(all.map((name) => [name, never])) } as unknown as Communicator;
}

test('rows of a tensor are shared out in order, and as many to each', () => {
  const x = tf.tensor2d([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [6, 2]);
  const shares = [0, 1, 2].map((rank) => Array.from(shard(x, rankOf(rank, 3)).dataSync()));
  expect(shares).toEqual([
    [1, 2, 3, 4],
    [5, 6, 7, 8],
    [9, 10, 11, 12],
  ]);
  expect(x.isDisposed).toBe(false);
});

test('several tensors are shared out alike', () => {
  const [x, y] = shard([tf.range(0, 4), tf.oneHot(tf.tensor1d([0, 1, 1, 0], 'int32'), 2)], rankOf(1, 2));
  expect(x && Array.from(x.dataSync())).toEqual([2, 3]);
  expect(y && Array.from(y.dataSync())).toEqual([0, 1, 1, 0]);
});

/** A dataset of so many elements, of one number unless said otherwise. */
function dataset<T = tf.Tensor>(
  elements: number,
  make: (at: number) => T = (at) => tf.scalar(at) as unknown as T,
): ShardableDataset<T> {
  const iterator = () => {
    let at = 0;
    const next = (): IteratorResult<T> =>
      at < elements ? { done: false, value: make(at++) } : { done: true, value: null };
    return { next: () => Promise.resolve(next()) };
  };
  return { iterator: () => Promise.resolve(iterator()) };
}

/** What a rank reads of a dataset. */
async function read(elements: number, rank: number, size: number): Promise<number[]> {
  const iterator = await shard(dataset(elements), rankOf(rank, size)).iterator();
  const found: number[] = [];
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
    found.push(next.value.dataSync()[0] ?? Number.NaN);
    next.value.dispose();
  }
  return found;
}

test('a dataset gives each rank every other element, and no tensor stays of the others', async () => {
  const before = tf.memory().numTensors;
  expect(await read(6, 0, 2)).toEqual([0, 2, 4]);
  expect(await read(6, 1, 2)).toEqual([1, 3, 5]);
  expect(tf.memory().numTensors).toBe(before);
});

test('a dataset whose elements cannot be shared out equally is an error on all ranks, after as many', async () => {
  const before = tf.memory().numTensors;
  for (const rank of [0, 1]) {
    const { code, message } = await errorOf(() => read(5, rank, 2));
    expect(code).toBe('ERR_CGFAC_INVALID_ARG_VALUE');
    expect(message).toMatch(/^Expected elements of the dataset that 2 ranks can share out equally but received 1 in/);
  }
  expect(tf.memory().numTensors).toBe(before);
});

test('model.fitDataset trains on the share of a rank', async () => {
  const model = sequential({ layers: [layers.dense({ units: 1, inputShape: [2] })] });
  model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
  const batches = dataset(6, (at) => ({ xs: tf.fill([3, 2], at), ys: tf.ones([3, 1]) }));
  let steps = 0;
  const onBatchEnd = () => {
    steps++;
  };
  await model.fitDataset(shard(batches, rankOf(1, 2)) as never, { epochs: 2, verbose: 0, callbacks: { onBatchEnd } });
  expect(steps).toBe(6);
});

test.each([
  [() => tf.zeros([5, 2]), 'ERR_CGFAC_INVALID_ARG_VALUE', /samples that 2 ranks .* for data but received 5$/],
  [() => tf.zeros([0, 2]), 'ERR_CGFAC_INVALID_ARG_VALUE', /for data but received 0$/],
  [() => tf.scalar(1), 'ERR_CGFAC_INVALID_ARG_VALUE', /^Expected a tensor of samples for data/],
  [() => [tf.zeros([4]), tf.zeros([6])], 'ERR_CGFAC_INVALID_ARG_VALUE', /^Expected 4 samples, .* for data\[1\] but/],
  [() => [tf.zeros([4]), 5], 'ERR_CGFAC_INVALID_ARG_TYPE', /^Expected a tensor for data\[1\] but received 5$/],
  [() => 'x', 'ERR_CGFAC_INVALID_ARG_TYPE', /^Expected a tensor, an array of tensors or a dataset for data/],
  [() => null, 'ERR_CGFAC_INVALID_ARG_TYPE', /^Expected a tensor, an array of tensors or a dataset for data/],
])('what cannot be shared out is refused (%#)', async (make, expected, words) => {
  const { code, message } = await errorOf(() => shard(make() as never, rankOf(0, 2)));
  expect({ code, message }).toEqual({ code: expected, message: expect.stringMatching(words) });
});

test('ranks are a communicator', async () => {
  const { code } = await errorOf(() => shard(tf.zeros([4]), { rank: 0, size: 2 } as never));
  expect(code).toBe('ERR_CGFAC_INVALID_ARG_TYPE');
});
