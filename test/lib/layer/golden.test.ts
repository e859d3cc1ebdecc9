import { ConjugateGradient, FisherOperator, LayerPreconditioner } from 'cgfac';
import { at, GoldenCase, goldenNames, matrixOf, relativeError } from '../../support/golden-case';

// The bounds, and why they are what they are, stand in test/core/solver/golden_test.cpp; here the same numbers
// come through the binding, in each form that a caller can give them.
const cases = goldenNames.flatMap((name) => {
  const golden = new GoldenCase(name);
  return golden.manifest.dampings.map((damping, index) => ({ name, golden, damping, index }));
});

describe.each(cases)('$name, damping $damping', ({ golden, damping, index }) => {
  const operator = new FisherOperator({ ...golden.layer, ...golden.rows, damping });
  const { outFeatures } = golden.manifest;

  test('apply', async () => {
    const expected = golden.float64(`apply@${index}`);
    expect(relativeError(matrixOf(operator.applySync(golden.vector('v')), outFeatures), expected)).toBeLessThan(2e-6);
    expect(relativeError(matrixOf(await operator.apply(golden.vector('v')), outFeatures), expected)).toBeLessThan(2e-6);
  });

  test('the residual history', () => {
    const expected = golden.float64(`residuals@${index}`);
    const solver = new ConjugateGradient({ maxIterations: 5, tolerance: 0, space: 'gram', history: true });
    const { residuals, iterations } = solver.solveSync(operator, golden.vector('v'));
    expect(residuals).toHaveLength(iterations);
    residuals?.forEach((value, k) => {
      // 2⁻¹¹ ‖v‖, the float32 floor, below which the recurrence says nothing
      expect(Math.abs(value - at(expected, k))).toBeLessThan(2 ** -11 * Math.max(1, at(expected, k)));
    });
  });
});

// Below a residual of 1e-3 after five iterations there is nothing left of v to compare an iterate by.
const unfinished = cases.filter(({ golden, index }) => at(golden.float64(`residuals@${index}`), 4) > 1e-3);

describe.each(unfinished)('$name, damping $damping', ({ golden, damping, index }) => {
  const operator = new FisherOperator({ ...golden.layer, ...golden.rows, damping });
  const { outFeatures } = golden.manifest;

  test('five iterations', async () => {
    const expected = golden.float64(`cg_5@${index}`);
    const options = { maxIterations: 5, tolerance: 0 };
    const gram = new ConjugateGradient({ ...options, space: 'gram' });
    expect(relativeError(matrixOf(gram.solveSync(operator, golden.vector('v')).x, outFeatures), expected)).toBeLessThan(
      2e-5,
    );
    expect(
      relativeError(matrixOf((await gram.solve(operator, golden.vector('v'))).x, outFeatures), expected),
    ).toBeLessThan(2e-5);
    const weight = new ConjugateGradient({ ...options, space: 'weight' });
    expect(
      relativeError(matrixOf(weight.solveSync(operator, golden.vector('v')).x, outFeatures), expected),
    ).toBeLessThan(2e-4);

    const warm = gram.solveSync(operator, golden.vector('v'), { x0: golden.vector('x0') });
    expect(relativeError(matrixOf(warm.x, outFeatures), golden.float64(`warm_5@${index}`))).toBeLessThan(1e-4);

    const layer = new LayerPreconditioner({ ...golden.layer, ...options, damping, space: 'gram' });
    layer.record(golden.rows);
    expect(relativeError(matrixOf(layer.preconditionSync(golden.vector('v')).x, outFeatures), expected)).toBeLessThan(
      2e-5,
    );
    layer.dispose();
  });
});
