import { Preconditioner, type PreconditionerState, type WeightVector } from 'cgfac';
import { arraysOf } from '../../../support/layers';
import { everyKind, lossOf, networkOf, numbersIn, recordShare } from '../../../support/shared-training';
import { VirtualRanks } from '../../../support/virtual-ranks';

/** Weights and the state that goes with them. */
interface Checkpoint {
  readonly state: PreconditionerState | undefined;
  readonly weights: readonly WeightVector[];
}

const copied = (vector: WeightVector): WeightVector =>
  vector instanceof Float32Array ? vector.slice() : { kernel: vector.kernel.slice(), bias: vector.bias.slice() };

/** Twelve samples of a step, however many ranks share them: those of four shares of three. */
function record(preconditioner: Preconditioner, step: number, rank: number, size: number): void {
  const shares = { samples: [3, 3, 3, 3] };
  for (let share = (4 / size) * rank; share < (4 / size) * (rank + 1); share++)
    recordShare(preconditioner, shares, step, share);
}

/** Trains from one step to another on some ranks, and saves. */
async function trained(size: number, from: number, to: number, before: Checkpoint | undefined): Promise<Checkpoint> {
  const ranks = new VirtualRanks(size);
  const ends = await ranks.run(async (communicator, rank) => {
    const { preconditioner, weights } = networkOf({ preset: 'adaptive', stepRule: 'polyak', communicator, ...bits });
    if (before) {
      weights.forEach((vector, index) => {
        const saved = arraysOf(before.weights[index] as WeightVector);
        arraysOf(vector).forEach((array, at) => {
          array.set(saved[at] ?? []);
        });
      });
      // a rank may have the state itself, or have it of rank 0
      if (size === 2) await preconditioner.scatterState(rank === 0 ? before.state : undefined);
      else preconditioner.loadStateDict(before.state as PreconditionerState);
    }
    for (let step = from; step < to; step++) {
      record(preconditioner, step, rank, size);
      await preconditioner.naturalGradients({ loss: lossOf(step, 0) });
    }
    return { state: await preconditioner.gatherState(), weights: weights.map(copied) };
  });
  ends.slice(1).forEach(({ state }) => {
    expect(state).toBeUndefined();
  });
  return ends[0] as Checkpoint;
}

/** With a communicator of one process the option says nothing. */
const bits = { ownerRows: 'all' } as const;

test('a checkpoint of four ranks goes on with two, and with one, bit for bit', async () => {
  const whole = await trained(1, 0, 12, undefined);
  const four = await trained(4, 0, 4, undefined);
  const two = await trained(2, 4, 8, four);
  const one = await trained(1, 8, 12, two);
  expect(numbersIn(one.weights)).toEqual(numbersIn(whole.weights));
  expect(one.state).toEqual(whole.state);
});

test('the state of several ranks is no one rank’s', () => {
  for (const communicator of new VirtualRanks(2).communicators) {
    const { preconditioner } = networkOf({ communicator }, everyKind.slice(0, 1));
    expect(() => preconditioner.stateDict()).toThrow(/^Expected gatherState\(\), which all ranks call,/);
  }
});

test('what rank 0 cannot hand out is an error on all ranks, and changes nothing', async () => {
  for (const given of [undefined, { version: 2 }, { version: 1, layers: {} }]) {
    const ranks = new VirtualRanks(2);
    const ends = await ranks.settle(async (communicator, rank) => {
      const { preconditioner } = networkOf({ communicator }, everyKind.slice(0, 1));
      await preconditioner.scatterState(rank === 0 ? (given as never) : undefined);
    });
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  }
});

test('a process by itself has its state either way', async () => {
  const preconditioner = new Preconditioner({ lossReduction: 'mean' });
  expect(await preconditioner.gatherState()).toEqual(preconditioner.stateDict());
  expect(preconditioner.gatherStateSync()).toEqual(preconditioner.stateDict());
  await preconditioner.scatterState(preconditioner.stateDict());
  preconditioner.scatterStateSync(preconditioner.stateDict());
});
