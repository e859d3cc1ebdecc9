/** The preset 'adaptive': its rule by the targets, φ that follows the momentum, bounds of what a step may change. */
import { CgfacError, Preconditioner, type StepOptions, type StepSummary, type WeightVector } from 'cgfac';
import { arraysOf } from '../../../support/layers';
import { copyOf, layers, network, numbersOf, randomWeights, record, rowsOf } from '../../../support/networks';

const adaptive = { preset: 'adaptive', useEma: false } as const;
const lengthOf = (vector: WeightVector | undefined) =>
  Math.hypot(...(vector === undefined ? [] : arraysOf(vector).flatMap((array) => [...array])));

/** Takes steps of the same batch with losses, and returns what was done. */
function steps(preconditioner: Preconditioner, losses: readonly number[], targets: 'hard' | 'soft'): StepSummary[] {
  return losses.map((loss) => {
    record(preconditioner, rowsOf(0));
    return preconditioner.naturalGradientsSync({ loss, targets }).summary;
  });
}

test('hard targets have one length by the loss, soft ones at most as much by the model', () => {
  for (const loss of [1e-3, 1e3]) {
    const [hard] = steps(network(adaptive), [loss], 'hard') as [StepSummary];
    const unbounded = Math.min(1, (0.5 * loss) / hard.innerProduct);
    if (loss < 1) expect(hard.stepSize).toBeCloseTo(unbounded, 9);
    else expect(hard.stepSize).toBeLessThanOrEqual(unbounded);
    const [soft] = steps(network(adaptive), [loss], 'soft') as [StepSummary];
    expect(soft.innerProduct).toBeCloseTo(hard.innerProduct, 9);
    expect(soft.stepSize).toBeGreaterThan(0);
    expect(soft.stepSize * soft.innerProduct).toBeLessThanOrEqual(0.5 * Math.min(loss, soft.innerProduct) * (1 + 1e-9));
  }
});

test('a loss that has no floor does not bound the lengths by the model', () => {
  const [above] = steps(network(adaptive), [1e6], 'soft') as [StepSummary];
  const [below] = steps(network(adaptive), [-5], 'soft') as [StepSummary];
  expect(below.stepSize).toBe(above.stepSize);
  expect(below.skipped).toBeUndefined();
});

const opposite = () =>
  new Map([...rowsOf(0)].map(([name, rows]) => [name, { ...rows, lossGrads: rows.lossGrads.map((g) => -g) }]));

/** φ/`polyakFraction` after each of steps along a gradient, with hard targets and a small loss by default. */
function fractionsOf(
  preconditioner: Preconditioner,
  steps: readonly ('same' | 'opposite')[],
  options: StepOptions = {},
): number[] {
  return steps.map((which) => {
    record(preconditioner, which === 'same' ? rowsOf(0) : opposite());
    preconditioner.naturalGradientsSync({ loss: 1e-3, ...options });
    return preconditioner.stateDict().adaptation?.fraction ?? Number.NaN;
  });
}

test('φ follows the momentum: it shrinks where the gradient has turned against it, and is saved', () => {
  const preconditioner = network(adaptive);
  expect(fractionsOf(preconditioner, ['same'])).toEqual([1]);
  expect(preconditioner.stateDict().adaptation?.momentumProduct).toBeGreaterThan(0);
  record(preconditioner, opposite());
  const { summary } = preconditioner.naturalGradientsSync({ loss: 1e-3 });
  const fraction = preconditioner.stateDict().adaptation?.fraction ?? Number.NaN;
  expect(fraction).toBeCloseTo(Math.exp(-0.1), 6);
  expect(summary.stepSize).toBeCloseTo((fraction * 0.5 * 1e-3) / summary.innerProduct, 9);

  const resumed = network(adaptive);
  resumed.loadStateDict(preconditioner.stateDict());
  for (const each of [preconditioner, resumed]) record(each, rowsOf(1));
  const [first, second] = [preconditioner, resumed].map((each) => each.naturalGradientsSync({ loss: 1e-3 }));
  expect(numbersOf(second?.updates ?? {})).toEqual(numbersOf(first?.updates ?? {}));
});

test.each(['hard', 'soft'] as const)(
  'a momentum that leads uphill leaves half of the descent: %s targets',
  (targets) => {
    const both = [adaptive, { ...adaptive, momentum: 0 }];
    // a long step, and a short one back: the direction is the opposite one
    const [bounded, without] = both.map((options) => {
      const preconditioner = network(options);
      record(preconditioner, rowsOf(0));
      preconditioner.naturalGradientsSync({ loss: 1e-3, targets });
      record(preconditioner, opposite());
      const { updates, summary } = preconditioner.naturalGradientsSync({ loss: 1e-6, targets });
      const descent = summary.layers.reduce((sum, { stepSize = 0, innerProduct }) => sum + stepSize * innerProduct, 0);
      return { numbers: [...numbersOf(updates)], descent, state: preconditioner.stateDict() };
    });
    const size = Math.hypot(...(without?.numbers ?? []));
    // half of the directions' own part, which is 1 − μ of what it is without momentum
    const differences = bounded?.numbers.map((number, i) => number - 0.25 * (without?.numbers[i] ?? Number.NaN)) ?? [];
    expect(size).toBeGreaterThan(0);
    expect(Math.hypot(...differences) / size).toBeLessThan(1e-5);
    expect(bounded?.state.adaptation?.momentumProduct).toBeCloseTo((bounded?.descent ?? Number.NaN) / 2, 9);

    // none of it is lost where it leads downhill
    const [whole, own] = both.map((options) => {
      const preconditioner = network(options);
      return [1e-3, 1e-6].map((loss) => {
        record(preconditioner, rowsOf(0));
        return [...numbersOf(preconditioner.naturalGradientsSync({ loss, targets }).updates)];
      });
    });
    const [first = [], second = []] = whole ?? [];
    const left = second.map(
      (number, i) => number - 0.5 * (first[i] ?? Number.NaN) - 0.5 * (own?.[1]?.[i] ?? Number.NaN),
    );
    expect(Math.hypot(...left) / Math.hypot(...second)).toBeLessThan(1e-5);
  },
);

/** As many as φ takes from 1 to 2. */
const same = Array<'same'>(1 + Math.ceil(Math.log(2) / 0.02)).fill('same');

test('one length for all layers grows to that of a Newton step, and is back by a step that went too far', () => {
  const growing = same.map((_, step) => expect.closeTo(Math.min(2, Math.exp(0.02 * step)), 6));
  const preconditioner = network(adaptive);
  expect(fractionsOf(preconditioner, same)).toEqual(growing);
  record(preconditioner, rowsOf(0));
  const { summary } = preconditioner.naturalGradientsSync({ loss: 1e-3 });
  expect(summary.stepSize).toBeCloseTo((2 * 0.5 * 1e-3) / summary.innerProduct, 9);
  expect(fractionsOf(preconditioner, ['opposite'])).toEqual([1]);
});

test('a loss that has doubled is that of other data: φ is back at 1, in a run that goes on, too', () => {
  const preconditioner = network(adaptive);
  expect(fractionsOf(preconditioner, same).at(-1)).toBe(2);
  expect(fractionsOf(preconditioner, ['same'], { loss: 2e-3 })).toEqual([2]);
  const resumed = network(adaptive);
  resumed.loadStateDict(preconditioner.stateDict());
  for (const each of [preconditioner, resumed]) expect(fractionsOf(each, ['same'], { loss: 4.1e-3 })).toEqual([1]);
});

test('one length for each layer has the quadratic model to tell it: φ stays at 1, and comes back to it', () => {
  expect(fractionsOf(network(adaptive), same, { targets: 'soft' })).toEqual(same.map(() => 1));
  const mixed = network(adaptive);
  expect(fractionsOf(mixed, same).at(-1)).toBe(2);
  expect(fractionsOf(mixed, ['same'], { targets: 'soft' })).toEqual([1]);
});

test.each([
  [{ learningRate: 0.5 }, 1],
  [{ learningRate: 0.75 }, 1.5],
  [{ learningRate: 1.6 }, 1.25],
  [{ learningRate: 3 }, 1],
  [{ polyakFraction: 2 }, 1],
  [{ polyakFraction: 0.25 }, 2],
])('what %o leaves of that', (options, most) => {
  expect(fractionsOf(network({ ...adaptive, ...options }), same).at(-1)).toBeCloseTo(most, 12);
});

test('what a step changes stays within its bound', () => {
  for (const targets of ['hard', 'soft'] as const) {
    const change = 1e-3;
    const preconditioner = network({ ...adaptive, maxRelativeChange: change, damping: { relative: 1e-3 } });
    const norms = Object.fromEntries(layers.map(({ name }, index) => [name, 10 * index]));
    record(preconditioner, rowsOf(0));
    const { updates } = preconditioner.naturalGradientsSync({ loss: 1e6, targets, weightNorms: norms });
    for (const { name, inFeatures, outFeatures } of layers) {
      const glorot = Math.sqrt((2 * inFeatures * outFeatures) / (inFeatures + outFeatures));
      const most = (targets === 'soft' ? 0.3 : 1) * change * Math.max(norms[name] ?? 0, glorot);
      expect(lengthOf(updates[name])).toBeLessThanOrEqual(most * (1 + 1e-4));
      expect(lengthOf(updates[name])).toBeGreaterThan(0);
    }
  }
});

test('a recurrent kernel and what an attention is computed from have a tenth of it, and an output none', () => {
  const made = (more: object) => {
    const preconditioner = new Preconditioner({
      ...{ lossReduction: 'sum', ...adaptive, maxRelativeChange: 1e-3, damping: { relative: 1e-3 } },
    });
    preconditioner.registerDense('only', { inFeatures: 6, outFeatures: 4, bias: false, ...more });
    const numbers = (length: number, factor: number) =>
      Float32Array.from({ length }, (_, i) => factor * Math.sin(1 + i));
    preconditioner.record('only', { inputs: numbers(60, 1), lossGrads: numbers(40, 2), batch: 10 });
    return lengthOf(preconditioner.naturalGradientsSync({ loss: 1e6 }).updates.only);
  };
  const glorot = Math.sqrt(48 / 10);
  expect(made({})).toBeCloseTo(1e-3 * glorot, 6);
  expect(made({ recurrent: true })).toBeCloseTo(1e-4 * Math.sqrt(4), 7);
  expect(made({ attended: true })).toBeCloseTo(1e-4 * glorot, 7);
  expect(made({ output: true })).toBeGreaterThan(1e-2);
});

test.each([
  ['hard', false, 3e-4],
  // of a first step by lengths for each layer M is the share 1 − μ
  ['soft', false, 0.5 * 3e-4],
  ['hard', true, 1e-4],
] as const)('an embedding has three tenths of it, %s targets, attended %s', (targets, attended, share) => {
  const preconditioner = new Preconditioner({
    ...{ lossReduction: 'sum', ...adaptive, maxRelativeChange: 1e-3, damping: { relative: 1e-3 } },
  });
  preconditioner.registerEmbedding('only', { inputDim: 6, outputDim: 4, attended });
  const numbers = Float32Array.from({ length: 40 }, (_, i) => 2 * Math.sin(1 + i));
  preconditioner.record('only', {
    inputs: Int32Array.from({ length: 10 }, (_, i) => i % 6),
    lossGrads: numbers,
    batch: 10,
  });
  preconditioner.recordFisher('only', { outputGrads: numbers, batch: 10 });
  const { updates } = preconditioner.naturalGradientsSync({ loss: 1e6, targets });
  expect(lengthOf(updates.only)).toBeCloseTo(share * Math.sqrt(48 / 10), 7);
});

test('a scale and shift has a tenth of it, relative to scales of 1 where its own are smaller', () => {
  const made = (norm: number) => {
    const preconditioner = new Preconditioner({
      ...{ lossReduction: 'sum', ...adaptive, maxRelativeChange: 1e-3, damping: { relative: 1e-3 } },
    });
    preconditioner.registerScaleShift('only', { features: 9 });
    const numbers = (factor: number) => Float32Array.from({ length: 90 }, (_, i) => factor * Math.sin(1 + i));
    preconditioner.record('only', { inputs: numbers(1), lossGrads: numbers(2), batch: 10 });
    return lengthOf(preconditioner.naturalGradientsSync({ loss: 1e6, weightNorms: { only: norm } }).updates.only);
  };
  expect(made(0)).toBeCloseTo(1e-4 * 3, 8);
  expect(made(50)).toBeCloseTo(1e-4 * 50, 7);
});

test('the learning rate is a factor of all that moves, and may be 0', () => {
  const start = randomWeights(1);
  const moved = [1, 0.25, 0].map((learningRate) => {
    const weights = copyOf(start);
    const preconditioner = network({ ...adaptive, learningRate }, weights);
    record(preconditioner, rowsOf(0));
    preconditioner.naturalGradientsSync({ loss: 1 });
    preconditioner.learningRate = 0;
    record(preconditioner, rowsOf(0));
    const before = numbersOf(weights);
    preconditioner.naturalGradientsSync({ loss: 1 });
    expect(numbersOf(weights)).toEqual(before);
    return Math.hypot(...numbersOf(weights).map((value, i) => value - (numbersOf(start)[i] ?? 0)));
  });
  expect(moved[1]).toBeCloseTo(0.25 * (moved[0] ?? 0), 6);
  expect(moved[2]).toBe(0);
});

test('norms of weights that are none are refused, and change nothing', () => {
  const preconditioner = network(adaptive);
  record(preconditioner, rowsOf(0));
  const taking = (weightNorms: unknown) => () =>
    preconditioner.naturalGradientsSync({ loss: 1, weightNorms: weightNorms as Record<string, number> });
  expect(taking(null)).toThrow('Expected norms by layer for weightNorms but received null');
  expect(taking({ wide: 'x' })).toThrow("Expected a number for weightNorms.wide but received 'x'");
  expect(preconditioner.steps).toBe(0);
  expect(preconditioner.naturalGradientsSync({ loss: 1 }).summary.skipped).toBeUndefined();
});

test('depths that are none are refused, and change nothing', () => {
  const preconditioner = network(adaptive);
  record(preconditioner, rowsOf(0));
  const taking = (depths: unknown) => () =>
    preconditioner.naturalGradientsSync({ loss: 1, depths: depths as Record<string, number> });
  expect(taking(1)).toThrow('Expected depths by layer for depths but received 1');
  expect(taking({ wide: 0.5 })).toThrow('Expected an integer ≥ 0 for depths.wide but received 0.5');
  expect(preconditioner.steps).toBe(0);
  expect(
    preconditioner.naturalGradientsSync({ loss: 1, depths: { wide: 0, none: 7 } }).summary.skipped,
  ).toBeUndefined();
});

test('targets of another kind are refused', () => {
  const preconditioner = network(adaptive);
  record(preconditioner, rowsOf(0));
  const wrong = () => preconditioner.naturalGradientsSync({ loss: 1, targets: 'none' as 'hard' });
  expect(wrong).toThrow(CgfacError);
  expect(wrong).toThrow("Expected 'hard' or 'soft' for targets but received 'none'");
});
