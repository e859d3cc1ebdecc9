import { LayerPreconditioner, type WeightVector } from 'cgfac';
import { boundOf, bounds, conditionOf, rowsOf } from '../support/bounds';
import { combined, inner, type Matrix, norm, product, times, transposed } from '../support/dense-matrices';
import { type Damping, factor, fisher, weightedRows } from '../support/dense-oracle';
import { randomNumbers } from '../support/layers';
import { unitRoundoff } from '../support/methods';

/** Numbers in [0, 1), one at a time. */
function seededRandom(seed: number): () => number {
  let chunk = seed;
  let numbers: number[] = [];
  return () => {
    if (numbers.length === 0) numbers = [...randomNumbers(1000, chunk++)];
    return ((numbers.pop() ?? 0) + 1) / 2;
  };
}

/** A random small layer and batch, well scaled, and its factors and gradient in float64. */
function randomCase(random: () => number, samples: boolean) {
  const size = (most: number) => 1 + Math.floor(random() * most);
  const [inFeatures, outFeatures, batch] = [size(7), size(6), size(8)];
  const empirical = random() < 0.4;
  const fisherRows = samples || empirical || random() < 0.5 ? batch : size(8);
  const bias = random() < 0.5;
  const numbers = (length: number, scale: number) =>
    randomNumbers(length, 1 + Math.floor(random() * 1e6)).map((x) => x * scale);
  const inputs = numbers(batch * inFeatures, 10 ** (random() - 0.5));
  const outputGrads = numbers(fisherRows * outFeatures, 10 ** (random() - 0.5));
  const lossGrads = empirical ? outputGrads : numbers(batch * outFeatures, 1);
  const averaging = { factorHistory: 'none', decay: 0, rank: 1 } as const;
  const a = factor([weightedRows(inputs, inFeatures, batch ** -0.5, bias)], averaging);
  const g = factor([weightedRows(outputGrads, outFeatures, fisherRows ** -0.5)], averaging);
  const rows = { inputs, outputGrads, batch, fisherRows };
  const own = product(transposed(weightedRows(lossGrads, outFeatures, 1)), times(batch ** -0.5, a.rows));
  const kernel = numbers(outFeatures * inFeatures, 1);
  const given: WeightVector = bias ? { kernel, bias: numbers(outFeatures, 1) } : kernel;
  return { shape: { inFeatures, outFeatures, bias }, rows, lossGrads, a, g, own, given };
}

type Case = ReturnType<typeof randomCase>;
const difference = (x: Matrix, y: Matrix) => norm(combined(1, x, -1, y));

/** The direction of a given gradient, or of the batch's own, and the gradient as a matrix. */
function solve({ shape, rows, lossGrads, own, given }: Case, options: object, damping: Damping, isGiven: boolean) {
  const layer = new LayerPreconditioner<boolean>({ ...shape, lossReduction: 'sum', damping, ...options });
  if (!isGiven) return { v: own, result: layer.naturalGradientSync({ ...rows, lossGrads }) };
  layer.record(rows);
  return { v: rowsOf(given, shape.outFeatures), result: layer.preconditionSync(given) };
}

describe.each(Object.keys(bounds) as (keyof typeof bounds)[])('%s', (name) => {
  // 400 cases here; 15,000 with CGFAC_CASES=2200
  test('stays within its documented bound, for a given gradient and the own one', () => {
    const { options, oracle } = bounds[name];
    const random = seededRandom(name.length);
    const beyond: string[] = [];
    for (let i = 0; i < Number(process.env.CGFAC_CASES ?? 400); i++) {
      const each = randomCase(random, name === 'the per-sample block');
      const isGiven = random() < 0.4;
      const damping = { relative: 10 ** (4 * random() - 2) };
      const { v, result } = solve(each, options, damping, isGiven);
      const answer = oracle(each.a, each.g, damping, v);
      const x = rowsOf(result.x, each.shape.outFeatures);
      const dimensions = each.shape.inFeatures + each.shape.outFeatures + 1;
      const bound = boundOf(name, dimensions, conditionOf(answer, each.a, each.g), isGiven);
      const ratio = difference(x, answer.x) / norm(answer.x) / bound;
      if (!(ratio <= 1)) beyond.push(`case ${i}: ${ratio} times`);
    }
    expect(beyond).toEqual([]);
  });
});

describe.each(['gram', 'weight'] as const)('conjugate gradients in %s space', (space) => {
  test('say what is true of x, however small the damping: its residual, its norm, whether it converged', () => {
    const random = seededRandom(11);
    const wrong: string[] = [];
    const reasons = new Set<string>();
    for (let i = 0; i < 1500; i++) {
      const each = randomCase(random, false);
      const { a, g } = each;
      const lambda = a.trace * g.trace * 10 ** (-1 - 9 * random());
      const tolerance = [0, 1e-4, 1e-2][i % 3] ?? 0;
      const options = { method: 'cg', space, tolerance, maxIterations: 1000 };
      const { v, result } = solve(each, options, lambda, random() < 0.5);
      const x = rowsOf(result.x, each.shape.outFeatures);
      const residual = norm(combined(1, v, -1, combined(1, fisher(a, g, x), lambda, x))) / norm(v);
      // what rounding x to float32 alone makes of a residual
      const rounding = (4 * unitRoundoff * (a.trace * g.trace * norm(x))) / norm(v) + 4 * unitRoundoff;
      const claimed = result.residual ?? Number.NaN;
      if (!(residual <= 2 * claimed + rounding)) wrong.push(`${i}: ${claimed} where it is ${residual}`);
      const converged = Math.max(tolerance, 2 ** -11);
      if (result.reason === 'converged' && !(residual <= 2 * converged + rounding)) wrong.push(`${i}: not converged`);
      if (result.xx !== undefined && !(Math.abs(result.xx / inner(x, x) - 1) <= 0.05)) wrong.push(`${i}: ${result.xx}`);
      reasons.add(result.reason);
    }
    expect(wrong).toEqual([]);
    expect(reasons).toContain('converged');
    expect(reasons).toContain('stagnated');
  });
});

describe.each(['gram', 'weight'] as const)('of rows that are alike, conjugate gradients in %s space', (space) => {
  const [inFeatures, outFeatures, batch] = [5, 3, 8];
  const averaging = { factorHistory: 'none', decay: 0, rank: 1 } as const;
  const alike = {
    'the same number': () => new Float32Array(batch * inFeatures).fill(0.7),
    'one row': (seed: number) => {
      const row = randomNumbers(inFeatures, seed);
      return Float32Array.from({ length: batch * inFeatures }, (_, i) => row[i % inFeatures] ?? 0);
    },
    'multiples of a row': (seed: number) => {
      const [row, factors] = [randomNumbers(inFeatures, seed), randomNumbers(batch, seed + 1)];
      return Float32Array.from(
        { length: batch * inFeatures },
        (_, i) => (row[i % inFeatures] ?? 0) * (factors[Math.floor(i / inFeatures)] ?? 0),
      );
    },
  };

  test.each(Object.entries(alike))('say what is true of x, also from a start: %s', (_, inputsOf) => {
    const wrong: string[] = [];
    for (let i = 0; i < 300; i++) {
      const inputs = inputsOf(7 * i + 1);
      const outputGrads = randomNumbers(batch * outFeatures, 7 * i + 3);
      const kernel = randomNumbers(outFeatures * inFeatures, 7 * i + 4);
      const a = factor([weightedRows(inputs, inFeatures, batch ** -0.5)], averaging);
      const g = factor([weightedRows(outputGrads, outFeatures, batch ** -0.5)], averaging);
      const lambda = Math.fround(a.trace * g.trace * 10 ** -(1 + (i % 12)));
      const tolerance = [0.3, 1e-2, 0][i % 3] ?? 0;
      const shape = { inFeatures, outFeatures, lossReduction: 'sum', damping: lambda } as const;
      const layer = new LayerPreconditioner({ ...shape, method: 'cg', maxIterations: 40, tolerance, space });
      layer.record({ inputs, outputGrads, batch });
      const v = rowsOf(kernel, outFeatures);
      for (const run of ['first', 'from a start']) {
        const result = layer.preconditionSync(kernel);
        const x = rowsOf(result.x, outFeatures);
        const residual = norm(combined(1, v, -1, combined(1, fisher(a, g, x), lambda, x))) / norm(v);
        const { residual: claimed = Number.NaN, reason, xFx } = result;
        if (!(Math.abs(claimed - residual) <= 0.1 * residual + 1e-3))
          wrong.push(`${i}, ${run}: ${claimed}, ${residual}`);
        if (reason === 'converged' && !(residual <= 1.1 * Math.max(tolerance, 2 ** -11))) wrong.push(`${i}: ${run}`);
        // by rows, as a sum of squares: what the factors make of x cancels also in float64
        const projected = product(g.rows, product(x, transposed(a.rows)));
        const own = inner(projected, projected);
        if (xFx !== undefined && !(Math.abs(xFx - own) <= 0.05 * own)) wrong.push(`${i}, ${run}: xFx ${xFx}, ${own}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

test('conjugate gradients of a layer that is measured in float32 claim no less than half of their residual', () => {
  const [inFeatures, outFeatures, batch] = [300, 240, 40];
  const averaging = { factorHistory: 'none', decay: 0, rank: 1 } as const;
  const kernel = randomNumbers(outFeatures * inFeatures, 4);
  const v = rowsOf(kernel, outFeatures);
  const outputGrads = randomNumbers(batch * outFeatures, 3);
  const output = factor([weightedRows(outputGrads, outFeatures, batch ** -0.5)], averaging);
  const row = randomNumbers(inFeatures, 1);
  const tables = {
    alike: Float32Array.from({ length: batch * inFeatures }, (_, i) => row[i % inFeatures] ?? 0),
    random: randomNumbers(batch * inFeatures, 2),
  };
  const wrong: string[] = [];
  for (const [name, inputs] of Object.entries(tables))
    for (const space of ['gram', 'weight'] as const)
      for (const power of [-3, -6, -9, -12]) {
        const input = factor([weightedRows(inputs, inFeatures, batch ** -0.5)], averaging);
        const lambda = Math.fround(input.trace * output.trace * 10 ** power);
        const shape = { inFeatures, outFeatures, lossReduction: 'sum', damping: lambda } as const;
        const layer = new LayerPreconditioner({ ...shape, method: 'cg', maxIterations: 20, tolerance: 0.3, space });
        layer.record({ inputs, outputGrads, batch });
        const { residual: claimed = Number.NaN, reason, x: found } = layer.preconditionSync(kernel);
        const x = rowsOf(found, outFeatures);
        const middle = product(output.rows, product(x, transposed(input.rows)));
        const image = product(transposed(output.rows), product(middle, input.rows));
        const residual = norm(combined(1, v, -1, combined(1, image, lambda, x))) / norm(v);
        const told = `${name}, ${space}, 1e${power}: ${reason}, ${claimed} of ${residual}`;
        if (!(claimed >= residual / 2 - 1e-3)) wrong.push(told);
        if (reason === 'converged' && !(residual <= 0.33)) wrong.push(told);
      }
  expect(wrong).toEqual([]);
});

test('what an exact solve says of ‖x‖² is true where it cancels, and no spectrum has a negative one', () => {
  const random = seededRandom(12);
  const wrong: string[] = [];
  for (let i = 0; i < 600; i++) {
    const each = randomCase(random, false);
    const lambda = each.a.trace * each.g.trace * 10 ** (-1 - 5 * random());
    const layer = new LayerPreconditioner<boolean>({
      ...each.shape,
      lossReduction: 'sum',
      damping: lambda,
      method: 'exact',
    });
    layer.record(each.rows);
    const { x, xx = -1, spectrum } = layer.preconditionSync(each.given, { spectrum: true });
    const matrix = rowsOf(x, each.shape.outFeatures);
    if (!(Math.abs(xx / inner(matrix, matrix) - 1) <= 0.05)) wrong.push(`${i}: ${xx} of ${inner(matrix, matrix)}`);
    for (const power of [-6, -3, 0, 3]) {
      const values = spectrum?.at(lambda * 10 ** power);
      if (!((values?.xx ?? -1) >= 0 && (values?.vx ?? -1) >= 0)) wrong.push(`${i}: ${JSON.stringify(values)}`);
    }
  }
  expect(wrong).toEqual([]);
});
