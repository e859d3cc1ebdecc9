import { lentNaturalGradients } from '../../../../lib/adapter-kit';
import { at } from '../../../support/golden-case';
import { arraysOf } from '../../../support/layers';
import { gradientsOf, network, numbersOf, randomWeights, record, rowsOf } from '../../../support/networks';
import { closeTo, directions, plain, updated } from '../../../support/steps';

describe('momentum, weight decay and averages against float64', () => {
  const steps = 6;
  const xs = directions(steps);
  const eta = 0.3;

  test.each([
    ['constant', 0.6],
    ['a function with zeros', (step: number) => (step % 3 === 1 ? 0 : 0.6)],
  ] as const)('M ← μM + ηx, in both forms: %s', (_, momentum) => {
    const mu = (step: number) => (typeof momentum === 'function' ? momentum(step) : momentum);
    const natural = network({ ...plain, momentum, learningRate: eta });
    const stepped = network({ ...plain, momentum, learningRate: eta });
    let m = new Float64Array(at([xs[0]?.length ?? 0], 0));
    for (let step = 0; step < steps; step++) {
      m = m.map((value, i) => mu(step) * value + eta * at(xs[step] ?? [], i));
      record(natural, rowsOf(step));
      closeTo(numbersOf(natural.naturalGradientsSync().updates), m, updated);
      record(stepped, rowsOf(step));
      const gradients = gradientsOf(rowsOf(step));
      stepped.stepSync(gradients);
      closeTo(numbersOf(gradients), m, 2e-5); // the directions of both forms differ by as much (preconditioner.test.ts)
    }
  });

  test.each([0, 0.6])('W ← W(1 − η·weightDecay) − M in place, momentum %p, and the averages', async (momentum) => {
    const weightDecay = 0.2;
    const emaMomentum = 0.4;
    const weights = randomWeights(3);
    const start = numbersOf(weights);
    const preconditioner = network({ ...plain, momentum, learningRate: eta, weightDecay, emaMomentum }, weights);
    expect(preconditioner.report().layers.every(({ averaged }) => averaged)).toBe(true);

    // before the first step the averages are the weights
    await preconditioner.withAveragedWeights(() => closeTo(numbersOf(weights), start, 1e-12));
    let w = start;
    let mean = start;
    let m = start.map(() => 0);
    for (let step = 0; step < steps; step++) {
      m = m.map((value, i) => momentum * value + eta * at(xs[step] ?? [], i));
      w = w.map((value, i) => value * (1 - eta * weightDecay) - at(m, i));
      const beta = Math.min(emaMomentum, (1 + step) / (10 + step));
      mean = mean.map((value, i) => beta * value + (1 - beta) * at(w, i));
      record(preconditioner, rowsOf(step));
      const { updates } = preconditioner.naturalGradientsSync();
      expect(updates).toEqual({});
      closeTo(numbersOf(weights), w, updated);
      const before = numbersOf(weights);
      const seen = await preconditioner.withAveragedWeights(() => {
        expect(() => preconditioner.stateDict()).toThrow(expect.objectContaining({ code: 'ERR_CGFAC_BUSY' }));
        return Promise.resolve(numbersOf(weights));
      });
      closeTo(seen, mean, updated);
      expect(numbersOf(weights)).toEqual(before);
    }
    await expect(
      preconditioner.withAveragedWeights(() => {
        throw new Error('of the callback');
      }),
    ).rejects.toThrow('of the callback');
    closeTo(numbersOf(weights), w, updated);
    preconditioner.finalizeVariableValues();
    closeTo(numbersOf(weights), mean, updated);
  });

  test(
    'with step() the decay is in the gradient, beside M, and averages see weights that the optimizer has ' + 'updated',
    async () => {
      const weightDecay = 0.2;
      const weights = randomWeights(3);
      const preconditioner = network(
        { ...plain, momentum: 0.6, learningRate: eta, weightDecay, emaMomentum: 0.4 },
        weights,
      );
      let w = numbersOf(weights);
      let mean = w;
      let m = w.map(() => 0);
      for (let step = 0; step < steps; step++) {
        m = m.map((value, i) => 0.6 * value + eta * at(xs[step] ?? [], i));
        w = w.map((value, i) => value * (1 - eta * weightDecay) - at(m, i));
        const beta = Math.min(0.4, (1 + step) / (10 + step));
        mean = mean.map((value, i) => beta * value + (1 - beta) * at(w, i));
        record(preconditioner, rowsOf(step));
        const gradients = gradientsOf(rowsOf(step));
        preconditioner.stepSync(gradients);
        for (const [name, vector] of Object.entries(weights)) {
          const by = arraysOf(gradients[name] ?? vector);
          arraysOf(vector).forEach((array, index) => {
            array.forEach((value, i) => {
              array[i] = value - at(by[index] ?? [], i);
            });
          });
        }
      }
      closeTo(numbersOf(weights), w, 2e-5);
      await preconditioner.withAveragedWeights(() => closeTo(numbersOf(weights), mean, 2e-5));
    },
  );
});

describe('updates of layers without registered weights', () => {
  const steps = 4;
  const options = [{ momentum: 0.6 }, { momentum: 0.6, learningRate: 0.3 }, { momentum: 0 }] as const;
  const spoil = {
    transfer: (array: Float32Array) => structuredClone(array, { transfer: [array.buffer as ArrayBuffer] }),
    overwrite: (array: Float32Array) => array.fill(Number.NaN),
    'leave alone': () => undefined,
  };

  /** The updates of all steps, and the state then. */
  async function run(given: object, sync: boolean, what: keyof typeof spoil) {
    const preconditioner = network({ ...plain, ...given });
    const seen = [];
    for (let step = 0; step < steps; step++) {
      record(preconditioner, rowsOf(step));
      const { updates } = sync ? preconditioner.naturalGradientsSync() : await preconditioner.naturalGradients();
      seen.push(structuredClone(updates));
      for (const vector of Object.values(updates)) arraysOf(vector).forEach(spoil[what]);
    }
    return { seen, state: preconditioner.stateDict() };
  }

  test.each(options)('are copies, whatever becomes of them: %j', async (given) => {
    const expected = await run(given, true, 'leave alone');
    for (const sync of [true, false])
      for (const what of ['transfer', 'overwrite'] as const) expect(await run(given, sync, what)).toEqual(expected);
  });

  test.each(options)('are lent to an adapter, in the same arrays at each step: %j', async (given) => {
    const preconditioner = network({ ...plain, ...given });
    const { seen } = await run(given, true, 'leave alone');
    const lent = seen.map((expected, step) => {
      record(preconditioner, rowsOf(step));
      const { updates } = lentNaturalGradients(preconditioner, {});
      expect(updates).toEqual(expected);
      return Object.values(updates).flatMap(arraysOf);
    });
    for (const arrays of lent.slice(1))
      for (const [index, array] of arrays.entries()) expect(array).toBe(lent[0]?.[index]);
  });
});
