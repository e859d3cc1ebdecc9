// What a summary tells of the layers, and its diagnoses.

import type { PreconditionerOptions } from 'cgfac';
import { randomNumbers } from '../../../support/layers';
import {
  methodNames,
  methods,
  network,
  record,
  rowsOf,
  type TestLayer,
  type TestRows,
} from '../../../support/networks';
import { fixed, one, only, plain } from '../../../support/steps';

describe('diagnoses', () => {
  const one = [{ name: 'only', inFeatures: 6, outFeatures: 4, bias: false, kernelLayout: 'out-in' as const }];
  const diagnosed = (rows: Partial<TestRows>, options: Partial<PreconditionerOptions> = {}) => {
    const preconditioner = network({ ...plain, ...options }, undefined, one);
    const given = rowsOf(1, 32, 32, one);
    record(preconditioner, new Map([['only', { ...(given.get('only') as TestRows), ...rows }]]));
    return preconditioner.naturalGradientsSync().summary;
  };
  test('none where nothing is wrong', () => {
    const { diagnoses, layers: found } = diagnosed({});
    expect(diagnoses).toEqual([]);
    expect(found[0]?.lambdaMaxOverDamping).toBeGreaterThan(1);
    expect(found[0]?.effectiveRank).toMatchObject({ input: expect.any(Number), output: expect.any(Number) });
  });
  test("each layer's own length is told, and of a step that is skipped none", () => {
    const told = (options: Partial<PreconditionerOptions>) =>
      diagnosed({}, options).layers.map(({ stepSize }) => stepSize);
    expect(told({ stepRule: 'fixed', learningRate: 0.25 })).toEqual([0.25]);
    expect(diagnosed({}, { stepRule: 'fixed', learningRate: 0.25 }).stepSize).toBe(0.25);
    expect(told({ stepRule: 'fixed', learningRate: 2 ** 50 })).toEqual([undefined]);
  });
  test.each(['polyak', 'quadratic'] as const)('the part that a step took of the loss is a number: %s', (stepRule) => {
    const fractionOf = (loss: number, momentum: number) => {
      const preconditioner = network({ ...plain, momentum, stepRule }, undefined, one);
      record(preconditioner, rowsOf(1, 32, 32, one));
      const { summary } = preconditioner.naturalGradientsSync({ loss });
      expect(summary.skipped).toBeUndefined();
      return 'fraction' in summary ? [summary.fraction] : [];
    };
    expect(fractionOf(1e-3, 0.9)).toEqual([expect.any(Number)]);
    // (1 − μ)L of these is 0
    for (const loss of [Number.MIN_VALUE, 2 ** -1070]) {
      expect(fractionOf(loss, 1 - 2 ** -30)).toEqual([]);
      for (const fraction of fractionOf(loss, 0)) expect(Number.isFinite(fraction)).toBe(true);
    }
  });
  test.each([
    ['factored', { damping: { relative: 1000 } }],
    ['Tikhonov', { method: 'exact', dampingMode: 'tikhonov', factorHistory: undefined, damping: { relative: 1000 } }],
  ] as const)('damping dominates: %s', (_, options) => {
    const given = Object.fromEntries(
      Object.entries({ ...plain, ...options }).filter(([, value]) => value !== undefined),
    );
    const preconditioner = network(given, undefined, one);
    record(preconditioner, rowsOf(1, 32, 32, one));
    expect(preconditioner.naturalGradientsSync().summary.diagnoses).toEqual([
      'damping dominates in layer only: this is gradient descent; give a smaller damping',
    ]);
  });
  const same = Float32Array.from({ length: 32 * 6 }, (_, i) => 1 + (i % 6));
  const rows32 =
    'all 32 rows of inputs of layer only are the same: look at the data where it is the first, and else at ';
  test('inputs that are the same, as far as products can tell', () => {
    const told = [`${rows32}the layers before it, all of whose units are dead or saturated`];
    expect(diagnosed({ inputs: same }).diagnoses).toEqual(told);
    expect(diagnosed({ inputs: same.map((value, i) => value * (1 + 1e-6 * (i % 5))) }).diagnoses).toEqual(told);
  });
  test.each([
    ['differ by a thousandth', same.map((value, i) => value * (1 + 1e-3 * ((i * 7) % 5)))],
    ['differ in one feature', same.map((value, i) => (i % 6 === 2 ? (i * 7) % 5 : value))],
    ['have a mean that outweighs them', same.map((value, i) => 100 * value + ((i * 7) % 5))],
    ['are multiples of one row', same.map((value, i) => value * (1 + Math.floor(i / 6)))],
    ['are zero but for one row', same.map((value, i) => (i < 31 * 6 ? 0 : value))],
  ])('none of inputs that %s', (_, inputs) => {
    expect(diagnosed({ inputs }).diagnoses).toEqual([]);
  });
  test('none of a batch of one, and of output gradients that are alike, as under a single output they are', () => {
    const preconditioner = network(plain, undefined, one);
    record(preconditioner, rowsOf(1, 1, 1, one));
    expect(preconditioner.naturalGradientsSync().summary.diagnoses).toEqual([]);
    expect(diagnosed({ sampled: Float32Array.from({ length: 32 * 4 }, (_, i) => 1 + (i % 4)) }).diagnoses).toEqual([]);
  });
  const nothing = /^the gradients of all layers are zero, or those that curvature is made of: .*; where it is not, /;
  test('nothing to do', () => {
    for (const rows of [{ inputs: new Float32Array(32 * 6) }, { sampled: new Float32Array(32 * 4) }]) {
      const { diagnoses, skipped, layers: found } = diagnosed(rows);
      expect(skipped).toBe('Σ⟨v, x⟩ is 0');
      expect(found[0]?.reason).toBe('no-curvature');
      expect(diagnoses).toEqual(['step 0 was skipped: Σ⟨v, x⟩ is 0', expect.stringMatching(nothing)]);
    }
  });
  const zeros = {
    inputs:
      'all inputs of layer first are zero: look at the data where it is the first, and else at the layer before it, ' +
      'all of whose units are dead',
    gradients:
      'all output gradients of layer first are zero, or next to it: weights of zero, or dead or saturated units, ' +
      'stand between it and the loss; where that lasts, start from smaller weights, or take another activation',
  };
  test.each([
    ['inputs', false, [zeros.inputs]],
    ['inputs', true, [zeros.inputs]], // the bias has a gradient
    ['gradients', false, [zeros.gradients]],
    ['gradients', true, [zeros.gradients]],
    ['both', true, [zeros.inputs, zeros.gradients]],
  ] as const)('of two layers one whose %s are zero (bias %s)', (what, bias, told) => {
    const [shape] = one;
    const two = ['first', 'second'].map((name) => ({ ...shape, name, bias }) as TestLayer);
    const preconditioner = network(plain, undefined, two);
    const given = rowsOf(1, 32, 32, two);
    const zero = (array: Float32Array) => new Float32Array(array.length);
    const { inputs, sampled, ...rest } = given.get('first') as TestRows;
    const [noInputs, noGradients] = [what !== 'gradients', what !== 'inputs'];
    given.set('first', {
      ...rest,
      inputs: noInputs ? zero(inputs) : inputs,
      sampled: sampled && (noGradients ? zero(sampled) : sampled),
    } as TestRows);
    record(preconditioner, given);
    expect(preconditioner.naturalGradientsSync().summary.diagnoses).toEqual(told);
    record(preconditioner, rowsOf(2, 32, 32, two));
    expect(preconditioner.naturalGradientsSync().summary.diagnoses).toEqual([]); // of its own rows alone
  });
});

describe.each(methodNames)('%s', (name) => {
  const options = { ...fixed, ...methods[name], factorUpdateSteps: 1 };

  test('a layer tells its largest eigenvalue, and whether its rows are alike', () => {
    const preconditioner = network({ ...options, damping: { relative: 2 } }, undefined, one);
    record(preconditioner, rowsOf(1, 32, 32, one));
    const [layer] = preconditioner.naturalGradientsSync().summary.layers;
    // at least the mean eigenvalue, at most the trace, over λ = 2 mean eigenvalues (4 of factored damping)
    expect(layer?.lambdaMaxOverDamping).toBeGreaterThan(0.25);
    expect(layer?.lambdaMaxOverDamping).toBeLessThan(7 * 4);
    expect(layer?.stableRank).toMatchObject({ input: expect.any(Number), output: expect.any(Number) });
    expect(layer?.microseconds).toBeGreaterThan(0);

    const alike = network({ ...options, damping: { relative: 2 } }, undefined, one);
    const row = randomNumbers(6, 9);
    const inputs = Float32Array.from({ length: 32 * 6 }, (_, i) => row[i % 6] ?? 0);
    record(alike, new Map([['only', { ...only(rowsOf(1, 32, 32, one)), inputs }]]));
    expect(alike.naturalGradientsSync().summary.diagnoses).toContainEqual(
      expect.stringMatching(/^all 32 rows of inputs of layer only are the same: /),
    );
  });

  test('damping that dominates is said to', () => {
    const preconditioner = network({ ...options, damping: { relative: 1e4 } }, undefined, one);
    record(preconditioner, rowsOf(1, 32, 32, one));
    expect(preconditioner.naturalGradientsSync().summary.diagnoses).toEqual([
      'damping dominates in layer only: this is gradient descent; give a smaller damping',
    ]);
  });
});

test('inputs that lie in few directions are no matter for a diagnosis', () => {
  const wide: readonly TestLayer[] = [
    { name: 'only', inFeatures: 40, outFeatures: 20, bias: false, kernelLayout: 'out-in' },
  ];
  const directions = [0, 1, 2].map((k) => randomNumbers(40, 50 + k));
  const weights = randomNumbers(64 * 3, 60);
  const inputs = new Float32Array(64 * 40);
  for (let row = 0; row < 64; row++)
    directions.forEach((direction, k) => {
      for (let j = 0; j < 40; j++)
        inputs[row * 40 + j] = (inputs[row * 40 + j] ?? 0) + (weights[row * 3 + k] ?? 0) * (direction[j] ?? 0);
    });
  const preconditioner = network({ ...fixed, factorHistory: 'none', damping: { relative: 0.3 } }, undefined, wide);
  record(preconditioner, new Map([['only', { ...only(rowsOf(1, 64, 64, wide)), inputs }]]));
  expect(preconditioner.naturalGradientsSync().summary.diagnoses).toEqual([]);
});

test('direct K-FAC tells how many directions its damping leaves', () => {
  for (const dampingMode of ['tikhonov', 'factored'] as const) {
    const preconditioner = network({ ...fixed, method: 'kfac', dampingMode, damping: { relative: 1 } }, undefined, one);
    record(preconditioner, rowsOf(1, 64, 64, one));
    const rank = preconditioner.naturalGradientsSync().summary.layers[0]?.effectiveRank;
    // 7 × 4 eigenvalues of order 1 and the damping like them: about half of each
    const both = typeof rank === 'object' ? rank.input * rank.output : (rank ?? Number.NaN);
    expect(both).toBeGreaterThan(dampingMode === 'factored' ? 4 : 7);
    expect(both).toBeLessThan(dampingMode === 'factored' ? 14 : 21);
  }
});
