/** Ranks that train one model under TensorFlow.js, each with its share of every batch. */
import { resolve } from 'node:path';
import { run } from '../../support/children';
import { relativeError } from '../support/backends';

/** What a model was trained to. */
interface Trained {
  /** The numbers of all variables, in hexadecimal. */
  readonly weights: string;
  readonly loss: number;
  readonly skipped?: readonly string[];
  readonly error?: string;
  readonly steps?: number;
  readonly config?: readonly string[];
  readonly layers?: readonly string[];
}

type Cases = Readonly<Record<'rows' | 'uneven' | 'penalised' | 'plain' | 'sampled', Trained>>;
type OfRank = Cases &
  Readonly<Record<'spoilt' | 'thrown' | 'changed', Trained>> & {
    readonly noticed: number;
    readonly averaged: Readonly<Record<'all' | 'own' | 'errors', readonly unknown[]>>;
  };

/** What each of two ranks has in the end, and one process without a communicator, and with that of itself alone. */
interface Found {
  readonly ranks: readonly [OfRank, OfRank];
  readonly alone: Cases & { readonly reordered: Readonly<Record<'rows' | 'plain', readonly string[]>> };
  readonly local: Cases;
}

const names = ['rows', 'uneven', 'penalised', 'plain', 'sampled'] as const;
let found: Found;

beforeAll(async () => {
  const { end, stdout, stderr } = await run(resolve(__dirname, 'programs/ranks.cjs'));
  expect({ end, stderr }).toEqual({ end: 0, stderr: '' });
  found = JSON.parse(stdout) as Found;
});

function numbersIn({ weights }: Pick<Trained, 'weights'>): Float32Array {
  const bytes = Uint8Array.from(Buffer.from(weights, 'hex'));
  return new Float32Array(bytes.buffer);
}

test.each(names)('%s: both ranks have the same weights, which those of rank 0 became', (name) => {
  const [first, second] = found.ranks.map((each) => each[name]);
  expect(first?.weights).toMatch(/^[0-9a-f]+$/);
  expect(second?.weights).toBe(first?.weights);
  expect(second?.loss).toBe(first?.loss);
});

test.each(names)('%s: one rank has the bits of a process without a communicator', (name) => {
  expect(found.local[name].weights).toBe(found.alone[name].weights);
});

test.each(['rows', 'plain'] as const)('%s: two ranks have the weights of one process, but for float32 sums', (name) => {
  // The framework sums a batch in one piece or in two, and rounds otherwise: as one process does whose samples come in
  // another order.
  const { ranks, alone } = found;
  const expected = numbersIn(alone[name]);
  const moved = alone.reordered[name].map((weights) => relativeError(numbersIn({ weights }), expected));
  const error = relativeError(numbersIn(ranks[0][name]), expected);
  expect(error).toBeLessThanOrEqual(2 * Math.max(...moved));
});

test.each(['rows', 'uneven', 'penalised'] as const)('%s: the loss after ten steps is that of one process', (name) => {
  const { ranks, alone } = found;
  expect(relativeError([ranks[0][name].loss], [alone[name].loss])).toBeLessThanOrEqual(1e-6);
});

test('a variable that no layer has takes part', () => {
  const { plain } = found.ranks[0];
  expect(plain.layers).toEqual(['kernel', 'scale']);
  for (const scale of numbersIn(plain).slice(-3)) expect(scale).not.toBe(1);
});

test('targets are sampled by each rank for itself, from the seed of rank 0', () => {
  const { ranks, alone } = found;
  expect(ranks[0].sampled.weights).not.toBe(alone.sampled.weights);
  expect(ranks[0].sampled.error).toBeUndefined();
});

test('a step whose loss is not finite on one rank is skipped by all', () => {
  for (const { spoilt } of found.ranks) expect(spoilt.skipped).toEqual(['the loss is NaN (rank 1)']);
  expect(found.ranks[1].spoilt.weights).toBe(found.ranks[0].spoilt.weights);
});

test('gradients that one rank has changed are a step of all, and an error of its loss is told the others', () => {
  const [first, second] = found.ranks.map(({ thrown }) => thrown);
  expect([first?.steps, second?.steps]).toEqual([3, 3]);
  expect(second?.weights).toBe(first?.weights);
  expect(second?.error).toBe('RangeError: no more samples');
  expect(first?.error).toBe(
    'ERR_CGFAC_COMMUNICATION: Expected a step that all ranks can take but received an error of rank 1: ' +
      'RangeError: no more samples',
  );
});

test('weights that one rank changed are an error on all at the next comparison', () => {
  for (const { changed } of found.ranks)
    expect(changed.error).toMatch(
      /^ERR_CGFAC_COMMUNICATION: Expected the same weights on all ranks but .* variable 'code\/kernel_\d+' on rank 1;/,
    );
});

test('rank 0 alone tells what there is to tell, and a configuration has nothing of ranks', () => {
  const [first, second] = found.ranks;
  expect(first.noticed).toBeGreaterThan(0);
  expect(second.noticed).toBe(0);
  expect(first.rows.config).toEqual(found.alone.rows.config);
});

test('averageGradients gives all ranks the mean, and a rank alone its own', () => {
  const mean = [
    ['a', [1, 2], [1.5, 2]],
    ['b', [], [2]],
  ];
  for (const [rank, { averaged }] of found.ranks.entries()) {
    expect(averaged.all).toEqual(mean);
    expect(averaged.own).toEqual([
      ['a', [1, 2], [1 + rank, 2]],
      ['b', [], [4 * rank]],
    ]);
  }
});

test('averageGradients refuses other variables on all ranks, and tells the others what it refuses on one', () => {
  const other = expect.stringMatching(/^ERR_CGFAC_COMMUNICATION: .* same variables on all ranks but received \[\["a"/);
  const refused = 'ERR_CGFAC_INVALID_ARG_TYPE: Expected a float32 tensor for gradients.a';
  const [first, second] = found.ranks.map(({ averaged }) => averaged.errors);
  expect(first).toEqual([other, expect.stringContaining(`an error of rank 1: ${refused}`)]);
  expect(second).toEqual([other, expect.stringMatching(new RegExp(`^${refused}`))]);
});
