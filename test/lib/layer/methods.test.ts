import { FisherOperator, LayerPreconditioner } from 'cgfac';
import { at, dot, relativeError } from '../../support/golden-case';
import { randomVector } from '../../support/layers';
import {
  bitsOf,
  close,
  copyOf,
  elementsOf,
  formedGradient,
  largestEigenvalue,
  layerWith,
  methodNames,
  methods,
  outcomeOf,
  randomRows,
  recordable,
  unitRoundoff,
} from '../../support/methods';

const shape = { inFeatures: 30, outFeatures: 20, batch: 12, fisherRows: 12, bias: true };
const wide = { ...shape, batch: 50, fisherRows: 50 }; // more rows than features on both sides
const oneSided = { ...shape, batch: 24, fisherRows: 24 }; // on the output side alone
const shapes = [shape, oneSided, wide];
const base = ({ inFeatures, outFeatures, bias }: typeof shape) =>
  ({ inFeatures, outFeatures, bias, lossReduction: 'sum', damping: 0.5 }) as const;
const layerOf = (name: (typeof methodNames)[number], of = shape, more: object = {}) => layerWith(of, name, more);
// (λ + max E)/λ of the random layers here is below 20: their traces are near 11 and 7, spread over 12 eigenvalues at
// least
const condition = 20;
const exactBound = 4 * unitRoundoff * condition;

describe.each(methodNames)('%s', (name) => {
  test('says what x is: ⟨v, x⟩, xᵀFx, ‖x‖²', () => {
    for (const of of shapes) {
      const rows = randomRows(of, 3);
      const v = formedGradient(rows, of);
      const preconditioner = layerOf(name, of);
      preconditioner.record(recordable(rows));
      const operator = new FisherOperator<boolean>({ ...base(of), ...recordable(rows) });
      for (const { x, vx, xFx, xx, damping } of [
        preconditioner.preconditionSync(v),
        layerOf(name, of).naturalGradientSync(rows),
      ]) {
        if (x === undefined) throw new Error('no direction');
        // what cancels in them costs the condition, and once more in ‖x‖²
        close(vx, dot(elementsOf(v), elementsOf(x)), 4 * exactBound);
        if (xx !== undefined) close(xx, dot(elementsOf(x), elementsOf(x)), 4 * exactBound * condition);
        if (xFx === undefined || name === 'exact, per sample') continue;
        const curvature =
          dot(elementsOf(x), elementsOf(operator.applySync(x))) - 0.5 * dot(elementsOf(x), elementsOf(x));
        close(xFx, curvature, 8 * exactBound * condition);
        expect(damping).toEqual(
          name.endsWith('factored') ? { input: expect.any(Number), output: expect.any(Number) } : 0.5,
        );
      }
    }
  });

  test('applyTo takes η·x from the weights', async () => {
    for (const of of shapes) {
      for (const rows of [randomRows(of, 3), randomRows(of, 3, true)]) {
        const { x, ...summary } = layerOf(name, of).naturalGradientSync(rows);
        if (x === undefined) throw new Error('no direction');
        const before = elementsOf(randomVector(of, 9));
        const direction = elementsOf(x);
        const expected = before.map((weight, i) => weight - 0.25 * at(direction, i));
        const weights = randomVector(of, 9);
        const result = layerOf(name, of).naturalGradientSync({ ...rows, applyTo: { weights, learningRate: 0.25 } });
        expect(result).toEqual(summary);
        // a product and a sum more: a few roundings of what is added up
        const error = elementsOf(weights).map((weight, i) => weight - at(expected, i));
        const scale = Math.sqrt(dot(direction, direction)) + Math.sqrt(dot(expected, expected));
        expect(Math.sqrt(dot(error, error))).toBeLessThanOrEqual(2e-6 * scale);
        const later = randomVector(of, 9);
        await layerOf(name, of).naturalGradient({ ...rows, applyTo: { weights: later, learningRate: 0.25 } });
        expect(bitsOf(later)).toBe(bitsOf(weights));
      }
    }
  });

  test('goes to out, which is returned, and may go to v', () => {
    for (const of of shapes) {
      const rows = randomRows(of, 3);
      const out = randomVector(of, 8);
      expect(layerOf(name, of).naturalGradientSync({ ...rows, out }).x).toBe(out);
      expect(outcomeOf(layerOf(name, of).naturalGradientSync({ ...rows, out }))).toEqual(
        outcomeOf(layerOf(name, of).naturalGradientSync(rows)),
      );
      const solve = (v: ReturnType<typeof randomVector>, to?: ReturnType<typeof randomVector>) => {
        const preconditioner = layerOf(name, of);
        preconditioner.record(recordable(rows));
        return elementsOf(preconditioner.preconditionSync(v, to ? { out: to } : {}).x);
      };
      const v = randomVector(of, 8);
      const apart = solve(randomVector(of, 8));
      expect(relativeError(solve(v, v), apart)).toBeLessThanOrEqual(exactBound); // the last sums in another order
    }
  });

  test.each(['inputs', 'outputGrads', 'lossGrads'] as const)(
    'refuses what is not finite in %s, and changes nothing',
    async (array) => {
      for (const of of shapes) {
        for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
          const rows = randomRows(of, 3);
          rows[array][7] = bad;
          const preconditioner = layerOf(name, of);
          const untouched = randomVector(of, 8);
          const out = copyOf(untouched);
          const applyTo = { weights: out, learningRate: 0.25 };
          const refusal = expect.objectContaining({ name: 'CgfacError', code: 'ERR_CGFAC_NOT_FINITE' });
          expect(() => preconditioner.naturalGradientSync({ ...rows, out })).toThrow(refusal);
          expect(() => preconditioner.naturalGradientSync({ ...rows, applyTo })).toThrow(refusal);
          await expect(preconditioner.naturalGradient({ ...rows, out })).rejects.toEqual(refusal);
          await expect(preconditioner.naturalGradient({ ...rows, applyTo })).rejects.toEqual(refusal);
          expect(out).toEqual(untouched);
          // nor is anything left of it in the layer: with 'kfac' it has not entered the averages
          const next = randomRows(of, 30);
          expect(outcomeOf(preconditioner.naturalGradientSync(next))).toEqual(
            outcomeOf(layerOf(name, of).naturalGradientSync(next)),
          );
        }
      }
    },
  );

  test('refuses a step beyond float32, and leaves the weights', () => {
    for (const of of shapes) {
      const rows = randomRows(of, 3);
      for (const learningRate of [3e38, 1e300]) {
        const weights = randomVector(of, 8);
        const lossGrads = rows.lossGrads.map((value) => 1000 * value);
        expect(() =>
          layerOf(name, of).naturalGradientSync({ ...rows, lossGrads, applyTo: { weights, learningRate } }),
        ).toThrow(expect.objectContaining({ code: 'ERR_CGFAC_NOT_FINITE' }));
        expect(weights).toEqual(randomVector(of, 8));
      }
    }
  });

  test('gives finite results for rows of lower rank', () => {
    for (const of of shapes) {
      for (const damping of [0.5, { relative: 1e-3 }]) {
        const rows = randomRows(of, 3);
        for (let row = 1; row < of.batch; row++) rows.inputs.copyWithin(row * of.inFeatures, 0, of.inFeatures);
        rows.outputGrads.fill(0, 0, Math.floor(of.fisherRows / 2) * of.outFeatures);
        const preconditioner = layerOf(name, of, { damping });
        preconditioner.record(recordable(rows));
        const results = [
          preconditioner.preconditionSync(randomVector(of, 8)),
          layerOf(name, of, { damping }).naturalGradientSync(rows),
          layerOf(name, of, { damping }).naturalGradientSync({ ...rows, lossGrads: rows.outputGrads }),
        ];
        const largest =
          largestEigenvalue(rows.inputs, of.batch, of.bias) * largestEigenvalue(rows.outputGrads, of.fisherRows);
        for (const { x, vx, xFx } of results) {
          if (x === undefined) throw new Error('no direction');
          expect(elementsOf(x).every(Number.isFinite)).toBe(true);
          expect(vx).toBeGreaterThan(0);
          // an eigenvalue that is 0 may come out negative by the rounding of the largest
          const rounding = 4 * unitRoundoff * largest * dot(elementsOf(x), elementsOf(x));
          if (!name.startsWith('exact, factored')) expect(xFx).toEqual(expect.any(Number));
          if (xFx !== undefined) expect(xFx).toBeGreaterThanOrEqual(-rounding);
        }
      }
    }
  });

  test('gives 0 for a gradient of 0', () => {
    for (const of of shapes) {
      const rows = randomRows(of, 3);
      rows.lossGrads.fill(0);
      const { x, vx } = layerOf(name, of).naturalGradientSync(rows);
      expect(x && elementsOf(x).every((value) => value === 0)).toBe(true);
      expect(vx).toBe(0);
      const weights = randomVector(of, 8);
      layerOf(name, of).naturalGradientSync({ ...rows, applyTo: { weights, learningRate: 1 } });
      expect(weights).toEqual(randomVector(of, 8));
    }
  });
});

describe('the spectrum', () => {
  test('of one solve is that of every damping', () => {
    for (const of of shapes) {
      for (const own of [false, true]) {
        const rows = randomRows(of, 3, own);
        const solve = (damping: number) => {
          const preconditioner = new LayerPreconditioner<boolean>({ ...base(of), method: 'exact', damping });
          preconditioner.record(recordable(rows));
          return own
            ? preconditioner.naturalGradientSync({ ...rows, spectrum: true })
            : preconditioner.preconditionSync(randomVector(of, 8), { spectrum: true });
        };
        const { spectrum } = solve(0.5);
        for (const damping of [0.5, 1, 4, 100]) {
          const { vx, xFx, xx, lambdaMax, effectiveRank } = solve(damping);
          const values = spectrum?.at(damping);
          close(values?.vx, vx ?? Number.NaN, 4 * exactBound);
          close(values?.xFx, xFx ?? Number.NaN, 4 * exactBound);
          close(values?.xx, xx ?? Number.NaN, 4 * exactBound * condition);
          expect(values?.lambdaMax).toBe(lambdaMax);
          close(values?.effectiveRank, effectiveRank ?? Number.NaN, 1e-12); // the same sum of float64 numbers
        }
      }
    }
  });

  test('is given only where it was asked for, and there is one', () => {
    for (const name of methodNames) {
      const preconditioner = layerOf(name);
      preconditioner.record(recordable(randomRows(shape, 3)));
      const v = randomVector(shape, 8);
      expect(preconditioner.preconditionSync(v)).not.toHaveProperty('spectrum');
      const asked = preconditioner.preconditionSync(v, { spectrum: true });
      expect('spectrum' in asked).toBe('effectiveRank' in asked);
      const has = 'spectrum' in methods[name] || (name === 'auto' && asked.method === 'exact');
      expect('spectrum' in asked).toBe(has);
    }
  });

  test('does not change the solution', () => {
    // 'exact' may solve by another decomposition where nobody asks for all eigenvalues
    const large = { inFeatures: 200, outFeatures: 150, batch: 120, fisherRows: 120, bias: true };
    for (const of of [
      ...shapes,
      large,
      { ...large, batch: 300, fisherRows: 100 },
      { ...large, batch: 300, fisherRows: 300 },
    ]) {
      for (const damping of [{ relative: 1e-4 }, { relative: 1 }]) {
        for (const lowRank of [false, true]) {
          const rows = randomRows(of, 3);
          if (lowRank)
            for (let row = 1; row < of.batch; row++) rows.inputs.copyWithin(row * of.inFeatures, 0, of.inFeatures);
          const preconditioner = layerOf('exact', of, { damping });
          preconditioner.record(recordable(rows));
          const v = randomVector(of, 8);
          const without = preconditioner.preconditionSync(v);
          const asked = preconditioner.preconditionSync(v, { spectrum: true });
          const lambda = typeof asked.damping === 'number' ? asked.damping : Number.NaN;
          const itsCondition = (lambda + (asked.lambdaMax ?? Number.NaN)) / lambda;
          const bound = 8 * unitRoundoff * itsCondition; // both are within the half of it
          expect(relativeError(elementsOf(without.x), elementsOf(asked.x))).toBeLessThanOrEqual(bound);
          close(without.vx, asked.vx ?? Number.NaN, 4 * bound);
          const own = preconditioner.naturalGradientSync(rows).x;
          const ownAsked = preconditioner.naturalGradientSync({ ...rows, spectrum: true }).x;
          expect(own && ownAsked && relativeError(elementsOf(own), elementsOf(ownAsked))).toBeLessThanOrEqual(bound);
        }
      }
    }
  });

  test('counts what rounding made negative', () => {
    const rows = randomRows(shape, 3);
    rows.inputs.fill(1 / 3);
    const preconditioner = layerOf('exact');
    preconditioner.record(recordable(rows));
    const { clamped, lambdaMax } = preconditioner.preconditionSync(randomVector(shape, 8), { spectrum: true });
    expect(clamped).toBeGreaterThanOrEqual(0);
    expect(clamped).toBeLessThan(shape.batch + shape.fisherRows);
    close(lambdaMax, (1 + shape.inFeatures / 9) * largestEigenvalue(rows.outputGrads, shape.fisherRows), 1e-5);
  });
});

describe("'auto'", () => {
  test.each([
    { inFeatures: 300, outFeatures: 200, batch: 64, fisherRows: 64, bias: true, maxIterations: 20 },
    { inFeatures: 300, outFeatures: 200, batch: 200, fisherRows: 200, bias: true, maxIterations: 1 },
    { inFeatures: 20, outFeatures: 20, batch: 200, fisherRows: 200, bias: false, maxIterations: 3 },
    { inFeatures: 30, outFeatures: 20, batch: 4, fisherRows: 8, bias: true, maxIterations: 100 },
  ])('is one of the others, bit for bit: $inFeatures × $outFeatures, batch $batch, $maxIterations iterations', (of) => {
    const { maxIterations } = of;
    const rows = randomRows(of, 3);
    const run = (method: 'auto' | 'cg' | 'exact') => {
      const options = method === 'exact' ? { method } : { method, maxIterations };
      const preconditioner = new LayerPreconditioner<boolean>({ ...base(of), ...options });
      preconditioner.record(recordable(rows));
      return [preconditioner.preconditionSync(randomVector(of, 8)), preconditioner.naturalGradientSync(rows)].map(
        outcomeOf,
      );
    };
    const results = run('auto');
    const chosen = results[0]?.method;
    if (chosen !== 'cg' && chosen !== 'exact') throw new Error(`chose ${chosen}`);
    expect(results).toEqual(run(chosen));
  });
});
