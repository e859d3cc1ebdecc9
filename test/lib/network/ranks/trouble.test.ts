import type { CgfacError, Communicator, Preconditioner, WeightVector } from 'cgfac';
import { arraysOf } from '../../../support/layers';
import { everyKind, lossOf, networkOf, numbersIn, recordShare } from '../../../support/shared-training';
import { VirtualRanks } from '../../../support/virtual-ranks';

const size = 3;
const layers = everyKind.slice(0, 4);
const shares = { samples: [6, 6, 6], layers };

/** One rank of a run, before a step that is to go wrong. */
interface Rank {
  readonly preconditioner: Preconditioner;
  readonly weights: readonly WeightVector[];
  readonly communicator: Communicator;
  readonly ranks: VirtualRanks;
}

/** Two steps, one that `third` takes, and two more; what the third gave, and the weights at the end. */
async function run(third: (rank: Rank) => Promise<unknown>, options: object = {}) {
  const ranks = new VirtualRanks(size);
  return await ranks.settle(async (communicator, rank) => {
    const { preconditioner, weights } = networkOf({ ...options, communicator }, layers);
    const step = async (number: number) => {
      recordShare(preconditioner, shares, number, rank);
      return await preconditioner.naturalGradients({ loss: lossOf(number, rank) });
    };
    for (const number of [0, 1]) await step(number);
    const before = numbersIn(weights);
    recordShare(preconditioner, shares, 2, rank);
    const outcome = await third({ preconditioner, weights, communicator, ranks }).then(
      (value) => ({ value }),
      (thrown: unknown) => ({ thrown }),
    );
    const unchanged = numbersIn(weights).every((value, at) => value === before[at]);
    preconditioner.discard();
    for (const number of [3, 4]) await step(number);
    return { outcome, unchanged, numbers: numbersIn(weights), steps: preconditioner.steps };
  });
}

/** What became of the third step on each rank; they all went on together. */
async function outcomes(third: (rank: Rank) => Promise<unknown>, options: object = {}) {
  const ends = await run(third, options);
  const all = ends.map((end) => {
    if (end.status === 'rejected') throw end.reason;
    return end.value;
  });
  expect(all.map(({ unchanged }) => unchanged)).toEqual([true, true, true]);
  for (const { numbers, steps } of all) {
    expect(numbers).toEqual(all[0]?.numbers);
    expect(steps).toBe(all[0]?.steps);
  }
  return all.map(({ outcome }) => outcome);
}

const messages = (all: Awaited<ReturnType<typeof outcomes>>) =>
  all.map((outcome) => ('thrown' in outcome ? String((outcome.thrown as Error).message) : 'none'));
const reasons = (all: Awaited<ReturnType<typeof outcomes>>) =>
  all.map((outcome) =>
    'value' in outcome ? (outcome.value as { summary: { skipped?: string } }).summary.skipped : String(outcome.thrown),
  );

test('a loss that is not finite on one rank skips the step of all', async () => {
  const found = await outcomes(({ preconditioner, communicator: { rank } }) =>
    preconditioner.naturalGradients({ loss: rank === 1 ? Number.NaN : 1 }),
  );
  expect(reasons(found)).toEqual(new Array(size).fill('the loss is NaN (rank 1)'));
});

test('rows that are not finite on one rank skip the step of all', async () => {
  const found = await outcomes(async ({ preconditioner, communicator: { rank } }) => {
    const name = layers[0]?.name ?? '';
    if (rank === 2) {
      preconditioner.discard();
      recordShare(preconditioner, { ...shares, layers: layers.slice(1) }, 2, rank);
      const inputs = new Float32Array(6 * 7).fill(Number.POSITIVE_INFINITY);
      preconditioner.record(name, { inputs, lossGrads: new Float32Array(6 * 5), batch: 6 });
      preconditioner.recordFisher(name, { outputGrads: new Float32Array(6 * 5), batch: 6 });
    }
    return await preconditioner.naturalGradients({ loss: 1 });
  });
  for (const reason of reasons(found)) expect(reason).toMatch(/^layer dense 5 × 7: .* \(rank 2\)$/);
});

test('products that leave the range of float32 at one owner skip the step of all', async () => {
  const found = await outcomes(({ preconditioner, communicator: { rank } }) => {
    const gradients = Object.fromEntries(
      layers.map(({ name, kernel, bias = 0 }) => {
        const vector = new Float32Array(kernel).fill(rank === 0 ? 3e38 : 0);
        return [name, bias > 0 ? { kernel: vector, bias: new Float32Array(bias) } : vector];
      }),
    );
    return preconditioner.naturalGradients({ loss: 1, gradients });
  });
  for (const reason of reasons(found)) expect(reason).toMatch(/Expected products within the range of float32|Σ⟨v, x⟩/);
});

test.each([
  [{ loss: 'much' as never }, /^Expected a number for loss/],
  [{ los: 1 } as never, /^Expected one of loss, /],
  [{ loss: 1, signal: 1 as never }, /^Expected an AbortSignal for signal/],
])('arguments that one rank refuses are its own error, and tell the others why: %p', async (bad, expected) => {
  const found = await outcomes(({ preconditioner, communicator: { rank } }) =>
    preconditioner.naturalGradients(rank === 1 ? bad : { loss: 1 }),
  );
  const [first, second, third] = messages(found);
  expect(second).toMatch(expected);
  for (const message of [first, third])
    expect(message).toMatch(
      /^Expected a step that all ranks can take but received an error of rank 1: ERR_CGFAC_[A-Z_]+: Expected /,
    );
});

test('rows that one rank has not recorded are an error of all', async () => {
  const found = await outcomes(async ({ preconditioner, communicator: { rank } }) => {
    if (rank === 1) {
      preconditioner.discard();
      recordShare(preconditioner, { ...shares, layers: layers.slice(1) }, 2, rank);
    }
    return await preconditioner.naturalGradients({ loss: 1 });
  });
  for (const message of messages(found))
    expect(message).toMatch(/^Expected the same rows and gradients by layer on all/);
});

test('another learning rate on one rank is an error of all', async () => {
  const found = await outcomes(async ({ preconditioner, communicator: { rank } }) => {
    if (rank === 2) preconditioner.learningRate = 0.5;
    try {
      return await preconditioner.naturalGradients({ loss: 1 });
    } finally {
      preconditioner.learningRate = 1;
    }
  });
  for (const message of messages(found)) expect(message).toMatch(/^Expected the same hyperparameters .* on rank 2$/);
});

test('weights that are gone on one rank, when the directions are there, keep all ranks from writing', async () => {
  const ranks = new VirtualRanks(size);
  const ends = await ranks.run(async (communicator, rank) => {
    const { preconditioner, weights } = networkOf({ communicator }, layers);
    recordShare(preconditioner, shares, 0, rank);
    const pending = preconditioner.naturalGradients({ loss: 1 });
    const before = numbersIn(weights);
    const [kernel] = weights.flatMap(arraysOf);
    if (rank === 1 && kernel) structuredClone(kernel.buffer, { transfer: [kernel.buffer as ArrayBuffer] });
    const thrown = await pending.then(() => undefined, String);
    return { thrown, unchanged: rank === 1 || numbersIn(weights).every((value, at) => value === before[at]) };
  });
  expect(ends.map(({ unchanged }) => unchanged)).toEqual([true, true, true]);
  expect(ends[1]?.thrown).toMatch(/buffer was detached/);
  for (const rank of [0, 2]) expect(ends[rank]?.thrown).toMatch(/received an error of rank 1: ERR_CGFAC_DETACHED/);
});

describe('an abort on one rank', () => {
  // what each rank would do, rows to owners, directions; the last word is behind them
  test.each([0, 1, 2, 3])('at its collective %s keeps all from the step', async (last) => {
    const found = await outcomes(async ({ preconditioner, communicator, ranks }) => {
      const controller = new AbortController();
      if (communicator.rank !== 1) return await preconditioner.naturalGradients({ loss: 1 });
      let calls = 0;
      ranks.watched = (rank) => {
        if (rank === 1 && ++calls === last) controller.abort();
      };
      if (last === 0) controller.abort();
      try {
        return await preconditioner.naturalGradients({ loss: 1, signal: controller.signal });
      } finally {
        ranks.watched = () => {};
      }
    });
    const [first, second, third] = found.map((outcome) =>
      'thrown' in outcome ? (outcome.thrown as Error) : undefined,
    );
    expect(second?.name).toBe('AbortError');
    for (const error of [first, third]) {
      expect((error as CgfacError).code).toBe('ERR_CGFAC_COMMUNICATION');
      expect(error?.message).toMatch(/received an error of rank 1: AbortError/);
    }
  });
});

test('an abort on one of many ranks, while gradients go by way of all of them, keeps all from the step', async () => {
  const samples = new Array<number>(16).fill(1);
  const ranks = new VirtualRanks(samples.length);
  const controller = new AbortController();
  const calls: string[] = [];
  ranks.watched = (rank, name) => {
    if (rank === 3) calls.push(name);
    if (rank === 3 && calls.length === 1) controller.abort();
  };
  const ends = await ranks.run(async (communicator, rank) => {
    const { preconditioner, weights } = networkOf({ communicator, ownerRows: 'sampled' }, layers);
    const before = numbersIn(weights);
    recordShare(preconditioner, { samples, layers }, 0, rank);
    const signal = rank === 3 ? { signal: controller.signal } : {};
    const thrown = await preconditioner.naturalGradients({ loss: 1, ...signal }).then(() => 'nothing', String);
    return { thrown, unchanged: numbersIn(weights).every((value, at) => value === before[at]) };
  });
  // agreement, pieces, sums, rows, directions, and the words of rank 3
  expect(calls).toEqual(['allgatherv', 'alltoallv', 'alltoallv', 'alltoallv', 'allgatherv', 'allgatherv']);
  expect(ends.every(({ unchanged }) => unchanged)).toBe(true);
  ends.forEach(({ thrown }, rank) => {
    expect(thrown).toMatch(rank === 3 ? /^AbortError/ : /received an error of rank 3: AbortError/);
  });
});

test('three steps in a row that one rank cannot take are an error of all', async () => {
  const ranks = new VirtualRanks(size);
  const ends = await ranks.settle(async (communicator, rank) => {
    const { preconditioner } = networkOf({ communicator }, layers);
    for (let step = 0; step < 3; step++) {
      recordShare(preconditioner, shares, step, rank);
      await preconditioner.naturalGradients({ loss: rank === 0 ? Number.NaN : 1 });
    }
  });
  for (const end of ends)
    expect(end.status === 'rejected' && (end.reason as CgfacError).code).toBe('ERR_CGFAC_DIVERGED');
});

describe('weights that are not the same', () => {
  test.each([0, 4])('at step %s are an error that names rank and layer', async (spoiled) => {
    const ranks = new VirtualRanks(size);
    const ends = await ranks.settle(async (communicator, rank) => {
      const { preconditioner, weights } = networkOf({ communicator, weightCheckSteps: 2 }, layers);
      for (let step = 0; step < 6; step++) {
        const [, second] = weights;
        if (rank === 2 && step === spoiled && second !== undefined) {
          const [kernel] = arraysOf(second);
          kernel?.fill(0.5, 3, 4);
        }
        recordShare(preconditioner, shares, step, rank);
        await preconditioner.naturalGradients({ loss: 1 });
      }
    });
    for (const end of ends) {
      const error = end.status === 'rejected' ? (end.reason as CgfacError) : undefined;
      expect(error?.code).toBe('ERR_CGFAC_COMMUNICATION');
      expect(error?.message).toMatch(/received others of layer 'dense 9 × 230' on rank 2;/);
    }
  });
});
