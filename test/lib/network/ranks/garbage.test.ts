/** A communicator of the program's own gives what its contract does not say: an error that names the collective. */
import { CgfacError, type Communicator, local, Preconditioner } from 'cgfac';
import { hostileValues } from '../../../support/hostile';
import { randomNumbers } from '../../../support/layers';

type Answer = (result: never) => unknown;

const each = (change: (array: Float32Array) => unknown) => (result: Float32Array | Float32Array[]) =>
  Array.isArray(result) ? result.map(change) : change(result);

const typeOf = (array: Float32Array) => array.constructor as Float32ArrayConstructor;

/** What takes the place of a result. */
const answers: Readonly<Record<string, Answer>> = {
  ...Object.fromEntries(Object.entries(hostileValues).map(([name, value]) => [name, value as Answer])),
  'nothing at all': () => undefined,
  'no arrays': () => [],
  'one array too few': (result: unknown[]) => (Array.isArray(result) ? result.slice(1) : []),
  'objects in the place of arrays': () => [{}, {}],
  'arrays that are too short': each((array) => array.slice(0, -1)),
  'arrays that are too long': each((array) => typeOf(array).from([...array, 1, 1, 1])),
  'numbers of another type': each((array) => (array.BYTES_PER_ELEMENT === 8 ? Float32Array : Float64Array).from(array)),
  'no numbers': each((array) => array.map(() => Number.NaN)),
  'only zeros': each((array) => array.map(() => 0)),
  'the largest numbers': each((array) => array.map(() => 3e38)),
  'other numbers': each((array) => typeOf(array).from(randomNumbers(array.length, 3), (x) => 300 * x)),
  'arrays that were moved': each((array) => {
    const moved = array.slice();
    structuredClone(moved, { transfer: [moved.buffer] });
    return moved;
  }),
};

/** Two ranks, the other of which says what this one does; the result of collective `at` is another. */
function spoilt(answer: Answer, at: number) {
  let calls = 0;
  const called: string[] = [];
  const given = <T>(name: string, result: T): T => {
    called.push(name);
    return calls++ === at ? (answer(result as never) as T) : result;
  };
  const both = <T extends { slice(): unknown }>(values: T) => [values.slice() as T, values.slice() as T];
  const communicator: Communicator = {
    ...local(),
    size: 2,
    allgathervSync: (values) => given('allgathervSync', both(values)),
    allgatherv: async (values) => given('allgatherv', both(values)),
    alltoallvSync: (parts) => given('alltoallvSync', both(parts[0] as never)),
    alltoallv: async (parts) => given('alltoallv', both(parts[0] as never)),
    bcastSync: (values) => given('bcastSync', values.slice() as typeof values),
    bcast: async (values) => given('bcast', values.slice() as typeof values),
  };
  return { communicator, called };
}

/** Two steps, and what is saved and loaded; the weights before whatever was refused. */
async function train(communicator: Communicator, sync: boolean) {
  const weights = randomNumbers(6, 1);
  let before = weights.slice();
  const preconditioner = new Preconditioner({ lossReduction: 'sum', communicator });
  preconditioner.registerDense('first', { inFeatures: 3, outFeatures: 2, bias: false, weights });
  preconditioner.registerEmbedding('second', { inputDim: 5, outputDim: 2 });
  let thrown: unknown;
  try {
    for (const seed of [1, 2]) {
      before = weights.slice();
      preconditioner.record('first', { inputs: randomNumbers(12, seed), lossGrads: randomNumbers(8, seed), batch: 4 });
      preconditioner.recordFisher('first', { outputGrads: randomNumbers(8, 9 + seed), batch: 4 });
      preconditioner.record('second', { inputs: Int32Array.of(0, 1, 2, 4), lossGrads: randomNumbers(8, 3), batch: 4 });
      if (sync) preconditioner.naturalGradientsSync({ loss: 1 });
      else await preconditioner.naturalGradients({ loss: 1 });
    }
    before = weights.slice();
    const state = sync ? preconditioner.gatherStateSync() : await preconditioner.gatherState();
    if (sync) preconditioner.scatterStateSync(state);
    else await preconditioner.scatterState(state);
  } catch (error) {
    thrown = error;
  }
  return { thrown, weights, before };
}

describe.each(Object.entries(answers))('%s', (_, answer) => {
  test.each(['…Sync', 'a promise'])('%s', async (how) => {
    for (let at = 0; at < 12; at++) {
      const { thrown, weights, before } = await train(spoilt(answer, at).communicator, how === '…Sync');
      if (thrown !== undefined) {
        expect(thrown).toBeInstanceOf(CgfacError);
        expect((thrown as CgfacError).code).not.toBe('ERR_CGFAC_INTERNAL');
        expect(weights).toEqual(before);
      }
      expect(weights.every(Number.isFinite)).toBe(true);
    }
  });
});

test.each(['nothing at all', 'one array too few', 'numbers of another type', 'a revoked proxy'])(
  '%s is refused with the name of the collective',
  async (what) => {
    for (const sync of [true, false])
      for (let at = 0; at < 10; at++) {
        const { communicator, called } = spoilt(answers[what] as Answer, at);
        const { thrown } = await train(communicator, sync);
        if (called.length <= at) continue;
        expect(thrown).toMatchObject({
          code: 'ERR_CGFAC_COMMUNICATION',
          message: expect.stringContaining(` ${called[at]}() of the communicator but received `),
        });
      }
  },
);

test('the rank and the size of a communicator are those that it had', () => {
  const { communicator } = spoilt((result) => result, -1);
  const changing = communicator as { rank: number; size: number };
  const preconditioner = new Preconditioner({ lossReduction: 'sum', communicator });
  preconditioner.registerDense('first', { inFeatures: 3, outFeatures: 2, bias: false, weights: randomNumbers(6, 1) });
  changing.size = 3;
  changing.rank = 2;
  preconditioner.record('first', { inputs: randomNumbers(12, 1), lossGrads: randomNumbers(8, 1), batch: 4 });
  const { summary } = preconditioner.naturalGradientsSync({ loss: 1 });
  expect(summary.skipped).toBeUndefined();
});
