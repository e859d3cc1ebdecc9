import { LayerPreconditioner } from 'cgfac';
import { at, dot, GoldenCase, goldenNames, matrixOf, relativeError } from '../../support/golden-case';
import { transposed } from '../../support/layers';
import {
  bitsOf,
  close,
  formedGradient,
  largestEigenvalue,
  type Rows,
  recordable,
  unitRoundoff,
} from '../../support/methods';

// The bounds, and why they are what they are, stand in test/core/solver/solvers_golden_test.cpp. The file's float32
// lossGrads are those of outputGrads in some cases: the array itself is then given, which is the empirical Fisher.
const cases = (['out-in', 'in-out'] as const).flatMap((kernelLayout) =>
  goldenNames.flatMap((name) => {
    const golden = new GoldenCase(name);
    const { inputs, outputGrads, batch, fisherRows } = golden.rows;
    const { outFeatures, bias } = golden.manifest;
    const ownGrads = golden.float32('lossGrads');
    const lossGrads = bitsOf(ownGrads) === bitsOf(outputGrads) ? outputGrads : ownGrads;
    const rows: Rows = { inputs, outputGrads, lossGrads, batch, fisherRows };
    const given = golden.vector('v');
    const v = kernelLayout === 'out-in' ? given : transposed(given, outFeatures, 'out-in');
    const eigenvalue = largestEigenvalue(inputs, batch, bias) * largestEigenvalue(outputGrads, fisherRows);
    return golden.manifest.dampings.map((damping, index) => {
      const condition = (damping + eigenvalue) / damping;
      const layer = { ...golden.layer, damping, kernelLayout };
      return { kernelLayout, name, golden, rows, v, damping, index, condition, layer };
    });
  }),
);

describe.each(cases)(
  '$name, $kernelLayout, damping $damping',
  ({ golden, rows, v, damping, index, condition, layer, kernelLayout }) => {
    const { outFeatures } = golden.manifest;
    const error = (x: Parameters<typeof matrixOf>[0] | undefined, expected: Float64Array) =>
      x ? relativeError(matrixOf(x, outFeatures, kernelLayout), expected) : Number.NaN;
    const given = (preconditioner: LayerPreconditioner<boolean>, spectrum = false) => {
      preconditioner.record(recordable(rows));
      return preconditioner.preconditionSync(v, { spectrum });
    };

    test('exact', () => {
      const preconditioner = new LayerPreconditioner<boolean>({ ...layer, method: 'exact' });
      const bound = 4 * unitRoundoff * condition;
      const result = given(preconditioner, true);
      expect(error(result.x, golden.float64(`exact@${index}`))).toBeLessThanOrEqual(bound);
      expect(
        error(preconditioner.naturalGradientSync(rows).x, golden.float64(`same_exact@${index}`)),
      ).toBeLessThanOrEqual(bound);

      // ⟨v, x⟩ and xᵀFx lose what cancels, and ‖x‖² loses it twice
      const values = result.spectrum?.at(damping);
      const scalars = golden.float64(`scalars@${index}`);
      for (const { vx, xFx, xx } of [result, { ...values }]) {
        close(vx, at(scalars, 0), 4 * bound);
        close(xFx, at(scalars, 1), 4 * bound);
        close(xx, at(scalars, 2), 4 * bound * condition);
      }
      close(result.lambdaMax, (condition - 1) * damping, 1e-5);
      golden.manifest.dampings.forEach((other, i) => {
        const otherBound = 16 * unitRoundoff * (1 + ((condition - 1) * damping) / other);
        close(result.spectrum?.at(other).vx, at(golden.float64(`scalars@${i}`), 0), otherBound);
        close(result.spectrum?.at(other).xFx, at(golden.float64(`scalars@${i}`), 1), otherBound);
      });
    });

    test('direct K-FAC is exact to float32 eigenvectors', () => {
      const bound = 40 * unitRoundoff * condition;
      const { x, vx, xFx } = given(new LayerPreconditioner<boolean>({ ...layer, method: 'kfac' }));
      expect(error(x, golden.float64(`exact@${index}`))).toBeLessThanOrEqual(bound);
      close(vx, at(golden.float64(`scalars@${index}`), 0), bound);
      // eigenvalues that should be 0 are of the size of the rounding of the largest, and weigh all of ‖x‖² with it
      const [, expected = Number.NaN, xx = Number.NaN] = golden.float64(`scalars@${index}`);
      const rounding = 40 * unitRoundoff * (condition - 1) * damping * xx;
      expect(Math.abs((xFx ?? Number.NaN) - expected)).toBeLessThanOrEqual(2 * bound * expected + rounding);
      const own = new LayerPreconditioner<boolean>({ ...layer, method: 'kfac' }).naturalGradientSync(rows);
      expect(error(own.x, golden.float64(`same_exact@${index}`))).toBeLessThanOrEqual(bound);
    });

    test.each(['exact', 'kfac', 'auto'] as const)('factored damping by %s', (method) => {
      const options = { ...layer, method, dampingMode: 'factored' } as const;
      const expected = golden.float64(`factored@${index}`);
      const { x, vx } = given(new LayerPreconditioner<boolean>(options));
      expect(error(x, expected)).toBeLessThanOrEqual(1e-3);
      close(vx, dot(golden.float32('v'), expected), 1e-3);
      const own = new LayerPreconditioner<boolean>(options).naturalGradientSync(rows);
      const ownExpected = golden.float64(`same_factored@${index}`);
      expect(error(own.x, ownExpected)).toBeLessThanOrEqual(1e-3);
      const shape = { ...golden.manifest, bias: golden.manifest.bias };
      close(own.vx, dot(matrixOf(formedGradient(rows, shape), outFeatures), ownExpected), 1e-3);
    });

    test('the per-sample block', () => {
      if (!golden.has(`block@${index}`)) return expect(rows.batch).not.toBe(rows.fisherRows);
      const options = { ...layer, block: 'sample' } as const;
      const expected = golden.float64(`block@${index}`);
      const { x, vx } = given(new LayerPreconditioner<boolean>(options));
      expect(error(x, expected)).toBeLessThanOrEqual(5e-3);
      close(vx, dot(golden.float32('v'), expected), 5e-3);
      // of the batch's own gradient: the same as if it had been formed and handed over
      const formed = new LayerPreconditioner<boolean>({ ...options, kernelLayout: 'out-in' });
      formed.record(recordable(rows));
      const handed = formed.preconditionSync(formedGradient(rows, golden.manifest)).x;
      const own = new LayerPreconditioner<boolean>(options).naturalGradientSync(rows);
      expect(error(own.x, matrixOf(handed, outFeatures))).toBeLessThanOrEqual(5e-3);
    });

    test('conjugate gradients to the end', () => {
      const bound = 2 ** -11 * condition;
      if (bound > 0.5) return; // truncated by the float32 floor: the iterates of golden.test.ts speak for those
      const options = { method: 'cg', space: 'gram', maxIterations: 400, tolerance: 0, warmStart: 'none' } as const;
      const preconditioner = new LayerPreconditioner<boolean>({ ...layer, ...options });
      expect(error(given(preconditioner).x, golden.float64(`exact@${index}`))).toBeLessThanOrEqual(bound);
      expect(
        error(preconditioner.naturalGradientSync(rows).x, golden.float64(`same_exact@${index}`)),
      ).toBeLessThanOrEqual(bound);
    });
  },
);
