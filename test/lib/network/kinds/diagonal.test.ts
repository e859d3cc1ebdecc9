/** Weights with a diagonal block, against the definition in float64. */
import { Preconditioner, type PreconditionerOptions } from 'cgfac';
import { randomNumbers } from '../../../support/layers';
import { closeTo } from '../../../support/steps';

const D = 6;
const B = 4;
const rho = 0.5;
const own = { stepRule: 'fixed', momentum: 0, useEma: false, damping: { relative: rho } } as const;

const make = (options: Partial<PreconditionerOptions> = {}, columns?: number) => {
  const preconditioner = new Preconditioner({ lossReduction: 'sum', ...own, ...options } as PreconditionerOptions);
  preconditioner.registerDiagonal('w', { features: D, ...(columns === undefined ? {} : { columns }) });
  return preconditioner;
};

const rows = (count: number, seed: number) => randomNumbers(count * D, seed);
const sums = (array: Float32Array) =>
  Float64Array.from({ length: D }, (_, j) => array.reduce((sum, value, at) => (at % D === j ? sum + value : sum), 0));
const squares = (array: ArrayLike<number>, count: number) =>
  Float64Array.from({ length: D }, (_, j) => {
    let sum = 0;
    for (let at = j; at < array.length; at += D) sum += (array[at] ?? 0) ** 2;
    return sum / count;
  });
const mean = (values: Float64Array) => values.reduce((sum, each) => sum + each, 0) / values.length;
const solved = (v: ArrayLike<number>, diagonal: Float64Array, gamma = rho * mean(diagonal)) =>
  Float64Array.from(v, (value, j) => value / ((diagonal[j] ?? 0) + gamma));

const update = (preconditioner: Preconditioner) =>
  preconditioner.naturalGradientsSync().updates.w as Float32Array | undefined;

it.each([
  [{}],
  [{ method: 'cg' }],
  [{ method: 'kfac' }],
  [{ method: 'exact', dampingMode: 'tikhonov' }],
  [{ factorHistory: 'none' }],
] as const)('x = v/(D + ρ·mean D), D the mean of squares of sampled rows: %j', (options) => {
  const [lossGrads, outputGrads] = [rows(B, 1), rows(3, 2)];
  const preconditioner = make(options);
  preconditioner.record('w', { lossGrads, batch: B });
  preconditioner.recordFisher('w', { outputGrads, batch: 3 });
  const v = sums(lossGrads).map((sum) => sum / B);
  closeTo(update(preconditioner) ?? [], solved(v, squares(outputGrads, 3)));
});

it('with an absolute damping λ it is v/(D + λ)', () => {
  const lossGrads = rows(B, 1);
  const preconditioner = make({ damping: 0.03 });
  preconditioner.record('w', { lossGrads, batch: B });
  const v = sums(lossGrads).map((sum) => sum / B);
  closeTo(update(preconditioner) ?? [], solved(v, squares(lossGrads, B), 0.03));
});

it.each(['sum', 'mean'] as const)(
  'one row is the sum over the samples, whose square is over their number (%s)',
  (r) => {
    const [g, s] = [rows(1, 3), rows(1, 4)];
    const preconditioner = make({ lossReduction: r });
    preconditioner.record('w', { lossGrads: g, batch: B });
    preconditioner.recordFisher('w', { outputGrads: s, batch: 3 });
    // with 'mean' the rows carry 1/B of their own batch
    const v = r === 'mean' ? g : g.map((value) => value / B);
    const diagonal = squares(s, r === 'mean' ? 1 / 3 : 3);
    closeTo(update(preconditioner) ?? [], solved(v, diagonal));
  },
);

it('without sampled rows D is that of the gradients themselves', () => {
  const g = rows(1, 5);
  const preconditioner = make({ lossReduction: 'mean' });
  preconditioner.record('w', { lossGrads: g, batch: B });
  closeTo(update(preconditioner) ?? [], solved(g, squares(g, 1 / B)));
});

it('rows of positions are summed up for each sample', () => {
  const [wide, narrow] = [rows(2 * B, 6), new Float32Array(B * D)];
  wide.forEach((value, at) => {
    const place = Math.floor(at / (2 * D)) * D + (at % D);
    narrow[place] = (narrow[place] ?? 0) + value;
  });
  const [first, second] = [make(), make()];
  first.record('w', { lossGrads: wide, batch: B });
  second.record('w', { lossGrads: narrow, batch: B });
  expect(update(first)).toEqual(update(second));
});

it('D is an average free of its start', () => {
  const decay = 0.8;
  const preconditioner = make({ factorDecay: decay, factorUpdateSteps: 1 });
  const average = new Float64Array(D);
  let weights = 0;
  for (let step = 0; step < 4; step++) {
    const [lossGrads, outputGrads] = [rows(B, 10 + step), rows(B, 20 + step)];
    preconditioner.record('w', { lossGrads, batch: B });
    preconditioner.recordFisher('w', { outputGrads, batch: B });
    const fresh = squares(outputGrads, B);
    weights = decay * weights + 1;
    for (let j = 0; j < D; j++) average[j] = decay * (average[j] ?? 0) + (fresh[j] ?? 0);
    const v = sums(lossGrads).map((sum) => sum / B);
    const diagonal = average.map((each) => each / weights);
    closeTo(update(preconditioner) ?? [], solved(v, diagonal), 1e-6);
  }
});

it('of a matrix that is used now and then D is the product of its means', () => {
  const columns = 2;
  const [g, s] = [rows(1, 7), rows(1, 8)];
  s.fill(0, 2, 4); // a row that was not used
  const preconditioner = make({ lossReduction: 'mean' }, columns);
  preconditioner.record('w', { lossGrads: g, batch: B });
  preconditioner.recordFisher('w', { outputGrads: s, batch: B });
  const diagonal = squares(s, 1 / B);
  const row = (j: number) => mean(diagonal.slice(columns * j, columns * (j + 1)));
  const column = (j: number) => mean(diagonal.filter((_, at) => at % columns === j));
  const means = diagonal.map((_, at) => (row(Math.floor(at / columns)) * column(at % columns)) / mean(diagonal));
  closeTo(update(preconditioner) ?? [], solved(g, means), 1e-6);
});

it('takes part in the same sum as the layers, with given gradients as well', () => {
  const preconditioner = new Preconditioner({ lossReduction: 'mean', ...own, stepRule: 'polyak' });
  preconditioner.registerDense('dense', { inFeatures: 2, outFeatures: 1, bias: false });
  preconditioner.registerDiagonal('w', { features: D });
  const one = Float32Array.of(0.5, -0.2);
  preconditioner.record('dense', { inputs: Float32Array.of(1, 2, 3, -1), lossGrads: one, batch: 2 });
  preconditioner.record('w', { lossGrads: rows(1, 9), batch: 2 });
  const gradients = { dense: Float32Array.of(0.1, 0.2), w: rows(1, 9) };
  const summary = preconditioner.stepSync(gradients, { loss: 1 });
  expect(summary.layers.map(({ name }) => name)).toEqual(['dense', 'w']);
  expect(summary.innerProduct).toBeCloseTo(summary.layers.reduce((sum, { innerProduct }) => sum + innerProduct, 0));
  const v = rows(1, 9);
  const expected = solved(v, squares(v, 1 / 2)).map((x) => summary.stepSize * x);
  closeTo(gradients.w, expected);
});

it('has no products with samples of rows that are sums, and goes by ⟨v, x⟩ in the quadratic model', () => {
  const preconditioner = make({ lossReduction: 'mean', stepRule: 'quadratic', maxRelativeChange: 1e9 });
  preconditioner.record('w', { lossGrads: rows(1, 3), batch: B });
  preconditioner.recordFisher('w', { outputGrads: rows(1, 4), batch: B });
  const { summary } = preconditioner.naturalGradientsSync({ loss: 1e6 });
  expect(summary.stepSize).toBeCloseTo(1 / 1.1, 6);
});

it.each([
  ['none', {}, 1 / 1.1],
  ['one that is told', { lossFloor: -1.001 }, undefined],
  ['one that stands for it', { assumedFloor: -1.001 }, undefined],
  ['one that is told, and not the one that stands for it', { lossFloor: -1e9, assumedFloor: -1.001 }, 1 / 1.1],
])('a loss below 0 has no bound but by a least below it: %s', (_, floors, whole) => {
  const preconditioner = make({ lossReduction: 'mean', stepRule: 'quadratic', maxRelativeChange: 1e9, momentum: 0 });
  preconditioner.record('w', { lossGrads: rows(1, 3), batch: B });
  preconditioner.recordFisher('w', { outputGrads: rows(1, 4), batch: B });
  const { summary } = preconditioner.naturalGradientsSync({ loss: -1, ...floors });
  expect(summary.innerProduct).toBeGreaterThan(0.1);
  if (whole !== undefined) expect(summary.stepSize).toBeCloseTo(whole, 6);
  // φ(L − L_min) of 1e-3, or of |L|/50 where φ looks for the least
  else expect(summary.stepSize * summary.innerProduct).toBeLessThan(0.0201);
  expect(summary.lossFloor).toBe((floors as { lossFloor?: number }).lossFloor);
});

it('goes on from a saved state with the same bits, and is back where it was after a skipped step', () => {
  const [first, second] = [make(), make()];
  const step = (preconditioner: Preconditioner, seed: number, loss = 1) => {
    preconditioner.record('w', { lossGrads: rows(B, seed), batch: B });
    return preconditioner.naturalGradientsSync({ loss }).updates.w;
  };
  step(first, 1);
  second.loadStateDict(structuredClone(first.stateDict()));
  const kept = first.stateDict();
  step(first, 2, Number.NaN);
  expect(first.stateDict().layers).toEqual(kept.layers);
  expect(step(first, 3)).toEqual(step(second, 3));
});

it('moves and averages registered weights', () => {
  const weights = rows(1, 1);
  const preconditioner = new Preconditioner({ lossReduction: 'sum', ...own, useEma: true });
  preconditioner.registerDiagonal('w', { features: D, weights });
  const [before, lossGrads] = [weights.slice(), rows(B, 2)];
  preconditioner.record('w', { lossGrads, batch: B });
  preconditioner.naturalGradientsSync();
  const x = solved(
    sums(lossGrads).map((sum) => sum / B),
    squares(lossGrads, B),
  );
  closeTo(
    weights,
    before.map((value, j) => value - (x[j] ?? 0)),
  );
  expect(preconditioner.report().layers).toEqual([
    {
      name: 'w',
      kind: 'diagonal',
      shape: '6, diagonal',
      input: { dimension: 1, form: 'one', rows: B },
      output: { dimension: D, form: 'diagonal', rows: B },
      weights: D,
      method: 'diagonal',
      averaged: true,
    },
  ]);
});

it.each([
  [{}, 'ERR_CGFAC_MISSING_OPTION', /features/],
  [{ features: 0 }, 'ERR_CGFAC_INVALID_ARG_VALUE', /features but received 0/],
  [{ features: 6, columns: 4 }, 'ERR_CGFAC_INVALID_ARG_VALUE', /a divisor of features 6 for columns but received 4/],
  [{ features: 6, bias: true }, 'ERR_CGFAC_UNKNOWN_OPTION', /bias/],
  [{ features: 6, weights: new Float32Array(5) }, 'ERR_CGFAC_SHAPE_MISMATCH', /weights/],
] as const)('%j are refused', (options, code, message) => {
  const preconditioner = new Preconditioner({ lossReduction: 'sum' });
  const call = () => preconditioner.registerDiagonal('w', options as { features: number });
  expect(call).toThrow(message);
  expect(call).toThrow(expect.objectContaining({ code }));
  expect(preconditioner.report().layers).toEqual([]);
});

it.each([
  [{ batch: B }, 'ERR_CGFAC_MISSING_OPTION', /lossGrads/],
  [{ lossGrads: new Float32Array(D), batch: B, inputs: new Float32Array(B) }, 'ERR_CGFAC_INVALID_ARG_VALUE', /inputs/],
  [{ lossGrads: new Float32Array(D + 1), batch: B }, 'ERR_CGFAC_SHAPE_MISMATCH', /lossGrads/],
  [{ lossGrads: new Float32Array(3 * D), batch: B }, 'ERR_CGFAC_SHAPE_MISMATCH', /features 6, or features 6/],
] as const)('rows %# are refused', (given, code, message) => {
  const preconditioner = make();
  const call = () => preconditioner.record('w', given as { lossGrads: Float32Array; batch: number });
  expect(call).toThrow(message);
  expect(call).toThrow(expect.objectContaining({ code }));
});

it('all zero it has nothing to do', () => {
  const preconditioner = make();
  preconditioner.record('w', { lossGrads: new Float32Array(D), batch: B });
  expect(preconditioner.naturalGradientsSync().summary).toMatchObject({ idle: true });
});
