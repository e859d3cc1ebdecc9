import type { PreconditionerOptions } from 'cgfac';
import { Preconditioner } from 'cgfac';
import { relativeError } from '../../../support/golden-case';
import { type Trained, trainedAlone, trainedTogether } from '../../../support/shared-training';
import { VirtualRanks } from '../../../support/virtual-ranks';

const steps = 20;

/** Every way to precondition a network. */
const methods = {
  adaptive: { preset: 'adaptive' },
  'no history': { factorHistory: 'none' },
  dense: { factorHistory: 'dense' },
  cg: { method: 'cg', stepRule: 'polyak' },
  kfac: { method: 'kfac', stepRule: 'polyak' },
} as const satisfies Record<string, Partial<PreconditionerOptions>>;

/** Equal shares, and unequal ones. */
const shared: readonly (readonly number[])[] = [[12], [6, 6], [5, 1, 6], [3, 3, 3, 3]];

const bitsOf = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);
const same = (a: Float32Array, b: Float32Array): boolean => bitsOf(a).equals(bitsOf(b));
const taken = ({ summaries }: Trained) =>
  summaries.map(({ skipped, stepSize, innerProduct }) => [skipped, stepSize, innerProduct]);

/** What all ranks end with, which is the same. */
async function together(
  options: Partial<PreconditionerOptions>,
  samples: readonly number[],
  given: boolean,
  count = steps,
): Promise<Trained> {
  const ranks = new VirtualRanks(samples.length);
  const run = { options, shares: { samples }, steps: count, given };
  const all = await ranks.run((communicator) => trainedTogether(communicator, run));
  const first = all[0] as Trained;
  for (const each of all) {
    expect(same(each.numbers, first.numbers)).toBe(true);
    expect(taken(each)).toEqual(taken(first));
  }
  return first;
}

describe.each(Object.entries(methods))('%s', (name, options) => {
  const unequal = trainedAlone({ options, shares: { samples: [5, 1, 6] }, steps });

  test('ranks whose rows go to their owner have the bits of one process', async () => {
    // one method with 1, 2, 3 and 4 ranks, the others with 3 and 4
    for (const samples of name === 'adaptive' ? shared : shared.slice(2)) {
      const alone = samples.length === 3 ? await unequal : await trainedAlone({ options, shares: { samples }, steps });
      const found = await together({ ...options, ownerRows: 'all' }, samples, false);
      expect(taken(found)).toEqual(taken(alone));
      expect(found.summaries.every(({ skipped }) => skipped === undefined)).toBe(true);
      expect(same(found.numbers, alone.numbers)).toBe(true);
    }
  });

  // The sums of products and of gradients are those of the shares before they are those of the whole: rounding of
  // float32, 6e-8, which twenty steps carry on.
  test('the fewest bytes give the weights of one process but for rounding', async () => {
    const found = await together(options, [5, 1, 6], false);
    expect(relativeError(found.numbers, (await unequal).numbers)).toBeLessThan(1e-6);
  });
});

test('gradients that are given are averaged by the samples of each rank, in the order of ranks', async () => {
  for (const samples of shared) {
    const alone = await trainedAlone({ options: {}, shares: { samples }, steps, given: true });
    const found = await together({ ownerRows: 'all' }, samples, true);
    expect(taken(found)).toEqual(taken(alone));
    expect(same(found.numbers, alone.numbers)).toBe(true);
  }
});

test('half factors give the weights of one process but for rounding', async () => {
  for (const method of [{ factorHistory: 'dense' }, { method: 'kfac', stepRule: 'polyak' }] as const) {
    const alone = await trainedAlone({ options: method, shares: { samples: [5, 1, 6] }, steps });
    const found = await together({ ...method, ownerRows: 'factors' }, [5, 1, 6], false);
    expect(relativeError(found.numbers, alone.numbers)).toBeLessThan(1e-6);
  }
});

test('many ranks, each of which sums a piece of all gradients, have the weights of one process', async () => {
  const samples = new Array<number>(16).fill(1);
  const [alone, found] = [
    await trainedAlone({ options: {}, shares: { samples }, steps: 3, given: true }),
    await together({ ownerRows: 'all' }, samples, true, 3),
  ];
  expect(taken(found)).toEqual(taken(alone));
  expect(same(found.numbers, alone.numbers)).toBe(true);
});

test.each(['sampled', 'own'] as const)('%s rows train all ranks alike', async (ownerRows) => {
  const { summaries } = await together({ ownerRows, maxRows: 4 }, [5, 1, 6], false);
  expect(summaries.every(({ skipped }) => skipped === undefined)).toBe(true);
});

test('gradients become the same step on all ranks, by samples that are told where none are recorded', async () => {
  const ranks = new VirtualRanks(2);
  const shape = { inFeatures: 3, outFeatures: 2, bias: true };
  const found = await ranks.run(async (communicator, rank) => {
    const preconditioner = new Preconditioner({ lossReduction: 'mean', communicator, stepRule: 'fixed', momentum: 0 });
    preconditioner.registerDense('layer', shape);
    const inputs = Float32Array.from({ length: 12 }, (_, at) => Math.sin(at + rank));
    const lossGrads = Float32Array.from({ length: 8 }, (_, at) => Math.cos(at + rank));
    preconditioner.record('layer', { inputs, lossGrads, batch: 4 });
    await preconditioner.naturalGradients();
    const rewritten = [];
    for (const samples of [undefined, rank === 0 ? 3 : 1]) {
      const layer = { kernel: new Float32Array(6).fill(1 + 4 * rank), bias: new Float32Array(2).fill(1 + 4 * rank) };
      await preconditioner.step({ layer }, samples === undefined ? {} : { samples });
      rewritten.push(layer.kernel);
    }
    return rewritten;
  });
  expect(found[1]).toEqual(found[0]);
  const [[even, told] = []] = found;
  // the means of 1 and 5 are 3 and, with three samples beside one, 2
  for (const [at, value] of (even ?? []).entries()) expect((told?.[at] ?? 0) / value).toBeCloseTo(2 / 3, 5);
});

test('ranks of which one alone knows what its loss cannot fall below take the same step, and tell none', async () => {
  const ranks = new VirtualRanks(2);
  const found = await ranks.run(async (communicator, rank) => {
    const preconditioner = new Preconditioner({ lossReduction: 'mean', communicator, stepRule: 'polyak', momentum: 0 });
    preconditioner.registerDense('layer', { inFeatures: 3, outFeatures: 2, bias: false });
    const inputs = Float32Array.from({ length: 12 }, (_, at) => Math.sin(at + rank));
    const lossGrads = Float32Array.from({ length: 8 }, (_, at) => Math.cos(at + rank));
    preconditioner.record('layer', { inputs, lossGrads, batch: 4 });
    const floor = rank === 0 ? { lossFloor: 0.5 } : { assumedFloor: 0.1 };
    const { summary } = await preconditioner.naturalGradients({ loss: 1 - 0.4 * rank, ...floor });
    const { skipped, loss, lossFloor, stepSize, fraction, innerProduct } = summary;
    return { skipped, loss, lossFloor, decrease: (stepSize * innerProduct) / (fraction ?? Number.NaN) };
  });
  expect(found[1]).toEqual(found[0]);
  // 0.8 of both, less 0.3
  expect(found[0]).toMatchObject({ skipped: undefined, loss: 0.8, lossFloor: undefined });
  expect(found[0]?.decrease).toBeCloseTo(0.5, 5);
});

test('ranks whose batches tell other shares of the curvature have the mean of them, by their samples', async () => {
  const ranks = new VirtualRanks(2);
  const found = await ranks.run(async (communicator, rank) => {
    const falling = { damping: { relative: 0.5 }, dampingSchedule: 'falling' } as const;
    const preconditioner = new Preconditioner({ lossReduction: 'mean', communicator, stepRule: 'fixed', ...falling });
    preconditioner.registerDense('layer', { inFeatures: 3, outFeatures: 2, bias: false });
    const inputs = Float32Array.from({ length: 12 }, (_, at) => Math.sin(at + rank));
    const lossGrads = Float32Array.from({ length: 8 }, (_, at) => Math.cos(at + rank));
    const dampings = [];
    for (const shares of [[0, 0], [1, 0.2], []]) {
      preconditioner.record('layer', { inputs, lossGrads, batch: 4 });
      const told = shares.length === 0 ? {} : { assumedCurvature: shares[rank] as number };
      const { summary } = await preconditioner.naturalGradients({ samples: rank === 0 ? 3 : 1, ...told });
      dampings.push(summary.layers[0]?.damping as { input: number; output: number });
    }
    return { dampings, state: (await preconditioner.gatherState())?.layers.layer };
  });
  expect(found[1]?.dampings).toEqual(found[0]?.dampings);
  expect(found[0]?.state?.assumedCurvature).toBeCloseTo(0.8, 12);
  const [first, mixed, last] = found[0]?.dampings ?? [];
  // the same rows at each step: 1 + 5·(3·1 + 0.2)/4 times as much
  for (const each of [mixed, last]) {
    expect((each?.input ?? 0) / (first?.input ?? 1)).toBeCloseTo(5, 4);
    expect((each?.output ?? 0) / (first?.output ?? 1)).toBeCloseTo(5, 4);
  }
});

describe('what cannot be', () => {
  const [communicator] = new VirtualRanks(2).communicators;
  const making = (options: object) => () => new Preconditioner({ lossReduction: 'mean', ...options });

  test.each([
    [
      { communicator, ownerRows: 'factors' },
      /^Expected 'dense' with ownerRows 'factors' \(a panel and a batch without/,
    ],
    [{ ownerRows: 'all' }, /^Expected a communicator with the option ownerRows but received none$/],
    [{ weightCheckSteps: 5 }, /^Expected a communicator with the option weightCheckSteps but received none$/],
    [{ communicator: 5 }, /^Expected a communicator for communicator but received 5/],
    [{ communicator: { rank: 0, size: 2 } }, /^Expected a communicator with allreduce\(\) for communicator/],
    [{ communicator: { ...communicator, rank: 2 } }, /^Expected a rank below the size 2 for communicator.rank/],
    [
      { communicator, method: 'exact', dampingMode: 'tikhonov', stepRule: 'fixed', trustRegion: { kl: 1 } },
      /^Expected no communicator with the option trustRegion but received one$/,
    ],
  ])('%j is refused', (options, message) => {
    expect(making(options)).toThrow(message);
  });
});
