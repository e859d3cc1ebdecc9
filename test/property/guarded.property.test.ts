// Calls of the public face with numbers of all kinds, in arrays between guard zones: a result is right within the
// documented bound, or there is a CgfacError, and nothing is written but what a call says that it writes. 400 cases of
// each of five properties here; 10,000 in all with CGFAC_CASES=2000.
import { ConjugateGradient, FisherOperator, LayerPreconditioner, Preconditioner, type WeightVector } from 'cgfac';
import fc from 'fast-check';
import { boundOf, bounds, conditionOf, rowsOf } from '../support/bounds';
import { combined, inner, type Matrix, norm, product, times, transposed } from '../support/dense-matrices';
import { type Damping, type Factor, factor, fisher, weightedRows } from '../support/dense-oracle';
import { dampings, type Filling, filled, fillings, Guards } from '../support/guarded';
import { type KindLayer, kindLayers, recordKind } from '../support/kind-layers';
import { KindOracle, kindMatrix, oracleNames, outputsOf } from '../support/kind-oracle';
import { elementsOf, unitRoundoff } from '../support/methods';
import { refuses } from '../support/outcomes';

// One seed, so that a change does not fail by luck; searches have their own.
const seed = Number(process.env.CGFAC_SEED ?? 1);
const runs = { numRuns: Number(process.env.CGFAC_CASES ?? 400), seed };

/** A result, an error of the package's own, or whatever else was thrown. */
async function outcome<Result>(call: () => Result | Promise<Result>): Promise<Result | undefined> {
  try {
    return await call();
  } catch (error) {
    if (refuses(error)) return undefined;
    throw error;
  }
}

const shapes = fc.record({
  inFeatures: fc.integer({ min: 1, max: 6 }),
  outFeatures: fc.integer({ min: 1, max: 5 }),
  bias: fc.boolean(),
});
const systems = fc.record({
  shape: shapes,
  batch: fc.integer({ min: 1, max: 6 }),
  fisherRows: fc.integer({ min: 1, max: 6 }),
  square: fc.boolean(),
  inputs: fillings,
  outputGrads: fillings,
  lossGrads: fillings,
  v: fillings,
  damping: dampings,
  isAsync: fc.boolean(),
});
type System = typeof systems extends fc.Arbitrary<infer Value> ? Value : never;

/** The arrays of a system, in guards, and its factors in float64. */
function rowsIn(guards: Guards, { shape, ...system }: System, square: boolean) {
  const { inFeatures, outFeatures, bias } = shape;
  const { batch } = system;
  const fisherRows = square || system.square ? batch : system.fisherRows;
  const inputs = guards.input(filled(batch * inFeatures, system.inputs));
  const outputGrads = guards.input(filled(fisherRows * outFeatures, system.outputGrads));
  const lossGrads = guards.input(filled(batch * outFeatures, system.lossGrads));
  const averaging = { factorHistory: 'none', decay: 0, rank: 1 } as const;
  const a = factor([weightedRows(inputs, inFeatures, batch ** -0.5, bias)], averaging);
  const g = factor([weightedRows(outputGrads, outFeatures, fisherRows ** -0.5)], averaging);
  const own = product(transposed(weightedRows(lossGrads, outFeatures, 1)), times(batch ** -0.5, a.rows));
  return { shape, rows: { inputs, outputGrads, batch, fisherRows }, lossGrads, a, g, own };
}

/** A vector of a layer between guard zones: one to be read alone, or one that may change. */
function vectorIn(
  guards: Guards,
  { inFeatures, outFeatures, bias }: System['shape'],
  filling: Filling,
  written: boolean,
) {
  const put = (numbers: Float32Array) => (written ? guards.output(numbers) : guards.input(numbers));
  const numbers = filled(outFeatures * (inFeatures + 1), filling);
  const kernel = put(numbers.slice(0, outFeatures * inFeatures));
  const vector: WeightVector = bias ? { kernel, bias: put(numbers.slice(outFeatures * inFeatures)) } : kernel;
  return vector;
}

const bits = (x: WeightVector) => Array.from(elementsOf(x));
const subnormal = (count: number) => 2 ** -149 * Math.sqrt(count);

/** Whether a bound can be said of a system: where its condition is below 2²², as the traces have it. */
function isConditioned(a: Factor, g: Factor, damping: Damping, factored: boolean): boolean {
  if (!(a.trace > 0 && g.trace > 0 && Number.isFinite(a.trace * g.trace))) return false;
  // what averages hold of squares is float32
  if (Math.min(a.trace, g.trace) < 2 ** -110) return false;
  const value = typeof damping === 'number' ? damping : damping.relative;
  const size = typeof damping === 'number' ? a.trace * g.trace : a.dimension * g.dimension;
  const sides = typeof damping === 'number' ? Math.sqrt(a.dimension * g.dimension) : 0;
  const root = Math.sqrt((a.trace * g.trace) / value);
  if (!factored) return 1 + size / value < 2 ** 22;
  const each = typeof damping === 'number' ? sides * root : (a.dimension + g.dimension) / value;
  return (1 + each) ** 2 < 2 ** 22;
}

describe('LayerPreconditioner', () => {
  const ways = fc.constantFrom(...(Object.keys(bounds) as (keyof typeof bounds)[]));

  test('precondition: within its bound or an error, and v and rows are left alone', async () => {
    await fc.assert(
      fc.asyncProperty(systems, ways, fc.boolean(), async (system, way, inPlace) => {
        const guards = new Guards();
        const { shape, rows, a, g } = rowsIn(guards, system, way === 'the per-sample block');
        const { damping, isAsync } = system;
        const layer = new LayerPreconditioner<boolean>({
          ...shape,
          lossReduction: 'sum',
          damping,
          ...bounds[way].options,
        });
        const v = vectorIn(guards, shape, system.v, inPlace);
        const out = inPlace ? v : vectorIn(guards, shape, system.lossGrads, true);
        const [asked, before] = [rowsOf(v, shape.outFeatures), bits(out)];
        const result = await outcome(() => {
          layer.record(rows);
          return isAsync ? layer.precondition(v, { out }) : layer.preconditionSync(v, { out });
        });
        expect(guards.intact()).toBe(true);
        if (result === undefined) {
          expect(bits(out)).toEqual(before);
          return;
        }
        expect(result.x).toBe(out);
        checkDirection(way, rowsOf(out, shape.outFeatures), asked, { a, g, damping, isGiven: true });
        expect([result.vx ?? 0, result.xFx ?? 0, result.xx ?? 0].every(Number.isFinite)).toBe(true);
        expect(Math.min(result.xFx ?? 0, result.xx ?? 0)).toBeGreaterThanOrEqual(0);
      }),
      runs,
    );
  });

  test('naturalGradient: within its bound or an error, in out or in weights', async () => {
    await fc.assert(
      fc.asyncProperty(systems, ways, fc.constantFrom(0, 0.5, 1e-6, 1e6), async (system, way, learningRate) => {
        const guards = new Guards();
        const { shape, rows, lossGrads, a, g, own } = rowsIn(guards, system, way === 'the per-sample block');
        const { damping, isAsync } = system;
        const layer = new LayerPreconditioner<boolean>({
          ...shape,
          lossReduction: 'sum',
          damping,
          ...bounds[way].options,
        });
        const out = vectorIn(guards, shape, { ...system.v, hostile: null }, true);
        const to = learningRate > 0 ? { applyTo: { weights: out, learningRate } } : { out };
        const before = rowsOf(out, shape.outFeatures);
        const call = { ...rows, lossGrads, ...to };
        const result = await outcome(() => (isAsync ? layer.naturalGradient(call) : layer.naturalGradientSync(call)));
        expect(guards.intact()).toBe(true);
        const after = rowsOf(out, shape.outFeatures);
        if (result === undefined) {
          expect(after).toEqual(before);
          return;
        }
        const x = learningRate > 0 ? times(-1 / learningRate, combined(1, after, -1, before)) : after;
        const kept = learningRate > 0 ? (4 * unitRoundoff * norm(before)) / learningRate : 0;
        checkDirection(way, x, own, { a, g, damping, isGiven: false, kept });
      }),
      runs,
    );
  });

  /** Requires of a direction that it is finite, and within its bound where there is one. */
  function checkDirection(
    way: keyof typeof bounds,
    x: Matrix,
    v: Matrix,
    { a, g, damping, isGiven, kept = 0 }: { a: Factor; g: Factor; damping: Damping; isGiven: boolean; kept?: number },
  ): void {
    expect(x.every((values) => values.every(Number.isFinite))).toBe(true);
    const factored = way.includes('factored');
    // the trace of a sum over samples may be the product of both traces for one of them alone
    const share = way === 'the per-sample block' ? a.rows.length : 1;
    const least = typeof damping === 'object' ? { relative: damping.relative / share } : damping;
    if (!isConditioned(a, g, least, factored) || norm(v) === 0) return;
    const answer = bounds[way].oracle(a, g, damping, v);
    const dimensions = a.dimension + g.dimension + 1;
    const bound = boundOf(way, dimensions, conditionOf(answer, a, g), isGiven);
    const error = norm(combined(1, x, -1, answer.x));
    expect(error).toBeLessThanOrEqual(bound * norm(answer.x) + kept + 2 * subnormal(x.length * a.dimension));
  }
});

test('FisherOperator and ConjugateGradient: products and residuals are true, or an error', async () => {
  const solvers = fc.record({
    space: fc.constantFrom('gram' as const, 'weight' as const, 'auto' as const),
    tolerance: fc.constantFrom(0, 1e-4, 1e-2),
    maxIterations: fc.integer({ min: 1, max: 60 }),
  });
  await fc.assert(
    fc.asyncProperty(systems, solvers, async (system, solver) => {
      const guards = new Guards();
      const { shape, rows, a, g } = rowsIn(guards, system, false);
      const v = vectorIn(guards, shape, system.v, false);
      const [applied, solved] = [1, 2].map(() => vectorIn(guards, shape, system.lossGrads, true));
      const asked = rowsOf(v, shape.outFeatures);
      const operator = await outcome(
        () => new FisherOperator<boolean>({ ...shape, ...rows, lossReduction: 'sum', damping: system.damping }),
      );
      if (operator === undefined || applied === undefined || solved === undefined) return;
      const { isAsync } = system;
      const image = await outcome(() =>
        isAsync ? operator.apply(v, { out: applied }) : operator.applySync(v, { out: applied }),
      );
      const gradient = new ConjugateGradient(solver);
      const result = await outcome(() =>
        isAsync ? gradient.solve(operator, v, { out: solved }) : gradient.solveSync(operator, v, { out: solved }),
      );
      expect(guards.intact()).toBe(true);
      const { damping } = system;
      const relative = (of: { relative: number }) => (of.relative * a.trace * g.trace) / (a.dimension * g.dimension);
      const lambda = typeof damping === 'number' ? damping : relative(damping);
      const least = subnormal(asked.length * a.dimension);
      const largest = a.trace * g.trace;
      if (image !== undefined) {
        const found = rowsOf(image, shape.outFeatures);
        const expected = combined(1, fisher(a, g, asked), lambda, asked);
        const error = norm(combined(1, found, -1, expected));
        expect(error).toBeLessThanOrEqual(2e-6 * (largest + lambda) * norm(asked) + 2 * least);
      }
      if (result === undefined || norm(asked) === 0) return;
      const x = rowsOf(result.x, shape.outFeatures);
      expect(elementsOf(result.x).every(Number.isFinite)).toBe(true);
      expect(result.residual).toBeGreaterThanOrEqual(0);
      if (result.reason === 'broken-down' || result.reason === 'indefinite') return;
      const residual = norm(combined(1, asked, -1, combined(1, fisher(a, g, x), lambda, x))) / norm(asked);
      const rounding =
        4 * unitRoundoff * (1 + (largest * norm(x)) / norm(asked)) + (2 * (lambda + largest) * least) / norm(asked);
      expect(residual).toBeLessThanOrEqual(2 * result.residual + rounding);
      const tolerance = result.reason === 'converged' ? Math.max(solver.tolerance, 2 ** -11) : Number.POSITIVE_INFINITY;
      expect(residual).toBeLessThanOrEqual(2 * tolerance + rounding);
    }),
    runs,
  );
});

/** A network of one layer whose step is −x, or as its options have it. */
function network(layer: KindLayer, damping: Damping, more: object, weights?: WeightVector): Preconditioner {
  const fixed = { stepRule: 'fixed', useEma: false, dampingMode: 'factored', factorHistory: 'none' } as const;
  const preconditioner = new Preconditioner({ lossReduction: 'sum', momentum: 0, ...fixed, damping, ...more });
  layer.register(preconditioner, weights ? { weights } : {});
  return preconditioner;
}

const kindSystems = fc.record({
  layer: fc.constantFrom(...kindLayers.filter(({ name }) => oracleNames.includes(name))),
  batch: fc.integer({ min: 1, max: 4 }),
  inputs: fillings,
  outputGrads: fillings,
  lossGrads: fillings,
  weights: fillings,
  damping: dampings,
  isAsync: fc.boolean(),
});
type KindSystem = typeof kindSystems extends fc.Arbitrary<infer Value> ? Value : never;

/** The arrays of a kind of layer, in guards. */
function kindRowsIn(guards: Guards, { layer, batch, ...system }: KindSystem) {
  const ids = () => Float32Array.from(filled(batch * layer.inputs, { ...system.inputs, hostile: null, exponent: 0 }));
  const inputs = guards.input(
    layer.ids === undefined
      ? filled(batch * layer.inputs, system.inputs)
      : ids().map((value) => Math.min(8, Math.floor(Math.abs(value) * 9))),
  );
  return {
    batch,
    inputs: layer.ids === undefined ? inputs : Int32Array.from(inputs),
    lossGrads: guards.input(filled(batch * layer.outputs, system.lossGrads)),
    outputGrads: guards.input(filled(batch * layer.outputs, system.outputGrads)),
  };
}

test('Preconditioner: steps of every kind of layer are right, skipped, or an error; weights are finite', async () => {
  await fc.assert(
    fc.asyncProperty(kindSystems, async (system) => {
      const guards = new Guards();
      const { layer, damping, isAsync } = system;
      const { name, kernel, bias } = layer;
      const rows = kindRowsIn(guards, system);
      const numbers = filled(kernel + (bias ?? 0), { ...system.weights, hostile: null, exponent: 0 });
      const kernels = guards.output(numbers.slice(0, kernel));
      const weights: WeightVector =
        bias === undefined ? kernels : { kernel: kernels, bias: guards.output(numbers.slice(kernel)) };
      const preconditioner = network(layer, damping, {}, weights);
      const result = await outcome(async () => {
        recordKind(preconditioner, rows);
        return isAsync ? await preconditioner.naturalGradients() : preconditioner.naturalGradientsSync();
      });
      expect(guards.intact()).toBe(true);
      const after = elementsOf(weights);
      if (result === undefined || result.summary.skipped !== undefined) {
        expect(after).toEqual(Float64Array.from(numbers));
        return;
      }
      expect(after.every(Number.isFinite)).toBe(true);
      const oracle = new KindOracle(name, rows);
      const v = oracle.gradient();
      if (norm(v) === 0 || oracle.leastTrace < 2 ** -110) return;
      const { x, condition } = oracle.direction(v, damping);
      if (!(condition <= 2 ** 22)) return;
      const m = outputsOf[name] ?? 0;
      const split = (all: Float32Array) =>
        kindMatrix(name, all.subarray(0, kernel), bias === undefined ? undefined : all.subarray(kernel), m);
      const moved = combined(1, split(numbers), -1, split(Float32Array.from(after)));
      const bound = 8 * Math.max(1, oracle.cancellation()) * unitRoundoff * condition;
      const rounding = 4 * unitRoundoff * (norm(split(numbers)) + norm(x));
      expect(norm(combined(1, moved, -1, x))).toBeLessThanOrEqual(bound * norm(x) + rounding);
      expect(Math.abs(result.summary.innerProduct - inner(v, x))).toBeLessThanOrEqual(
        2 * bound * norm(v) * norm(x) + 1e-40,
      );
    }),
    runs,
  );
});

test('Preconditioner: a state between guard zones goes on with the same bits, and stays as it was', async () => {
  await fc.assert(
    fc.asyncProperty(kindSystems, fc.constantFrom('none', 'dense', 'panel'), async (system, factorHistory) => {
      const { layer } = system;
      const more = { factorHistory, momentum: 0.5 };
      const step = (preconditioner: Preconditioner) =>
        outcome(() => {
          recordKind(preconditioner, kindRowsIn(new Guards(), system));
          const { updates, summary } = preconditioner.naturalGradientsSync();
          return { bits: bits(updates.layer ?? new Float32Array()), skipped: summary.skipped };
        });
      const first = network(layer, system.damping, more);
      if ((await step(first)) === undefined) return;
      const state = first.stateDict();
      const guards = new Guards();
      const guarded = (value: unknown): unknown => {
        if (value instanceof Float32Array) return guards.input(value);
        if (Array.isArray(value)) return value.map(guarded);
        if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
        return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, guarded(each)]));
      };
      const second = network(layer, system.damping, more);
      second.loadStateDict(guarded(state) as typeof state);
      expect(second.stateDict()).toEqual(state);
      expect(await step(second)).toEqual(await step(first));
      expect(guards.intact()).toBe(true);
    }),
    runs,
  );
});
