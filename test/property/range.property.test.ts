import { ConjugateGradient, FisherOperator, LayerPreconditioner, type LayerSummary, type WeightVector } from 'cgfac';
import { relativeError } from '../support/golden-case';
import { randomNumbers } from '../support/layers';
import { elementsOf, unitRoundoff } from '../support/methods';
import { attempt } from '../support/outcomes';

// Whatever is multiplied by a power of two, the exact answer is multiplied by one too:
//   a·2^p, g·2^q, v·2^r, λ·4^(p+q)   ⇒   x·2^(r−2p−2q)
const shape = { inFeatures: 5, outFeatures: 4 };
const batch = 6;
const rows = {
  inputs: randomNumbers(batch * shape.inFeatures, 1),
  outputGrads: randomNumbers(batch * shape.outFeatures, 2),
  lossGrads: randomNumbers(batch * shape.outFeatures, 3),
};
const v = randomNumbers(shape.inFeatures * shape.outFeatures, 4);
const scaled = (numbers: Float32Array, exponent: number) => numbers.map((x) => x * 2 ** exponent);

/** What is solved, and how: all methods, dampings, blocks and histories that a layer has. */
const forms = {
  'conjugate gradients in Gram space': { method: 'cg', space: 'gram', tolerance: 1e-6 },
  'conjugate gradients in weight space': { method: 'cg', space: 'weight', tolerance: 1e-6 },
  exact: { method: 'exact' },
  'exact, averages': { method: 'exact', factorHistory: 'dense' },
  factored: { method: 'exact', dampingMode: 'factored' },
  'factored, averages': { method: 'exact', dampingMode: 'factored', factorHistory: 'dense' },
  'direct K-FAC': { method: 'kfac' },
  'direct K-FAC, factored': { method: 'kfac', dampingMode: 'factored' },
  'the per-sample block': { method: 'exact', block: 'sample' },
} as const;
const entries = ['given', 'own', 'empirical', 'update'] as const;

interface Scales {
  readonly p: number;
  readonly q: number;
  readonly r: number;
}

/** x of one form and entry at some scales, λ = 4^(p+q)/2 or as it is given. */
function solve(form: keyof typeof forms, entry: (typeof entries)[number], { p, q, r }: Scales, lambda?: number) {
  const damping = lambda ?? 0.5 * 4 ** (p + q);
  const layer = new LayerPreconditioner({ ...shape, lossReduction: 'sum', damping, ...forms[form] });
  const inputs = scaled(rows.inputs, p);
  const outputGrads = scaled(rows.outputGrads, q);
  if (entry === 'given') {
    layer.record({ inputs, outputGrads, batch });
    return layer.preconditionSync(scaled(v, r));
  }
  const lossGrads = entry === 'empirical' ? outputGrads : scaled(rows.lossGrads, r - p);
  const call = { inputs, outputGrads, lossGrads, batch };
  if (entry !== 'update') return layer.naturalGradientSync(call);
  const weights = new Float32Array(v.length);
  const summary = layer.naturalGradientSync({ ...call, applyTo: { weights, learningRate: 1 } });
  return { ...summary, x: weights.map((w) => -w) };
}

const exponents = [-40, -20, 0, 20, 40]; // 10^±12
const grid = exponents.flatMap((p) => exponents.flatMap((q) => exponents.map((r) => ({ p, q, r }))));

/** What the summary of a result says that cannot be so. */
function unsound({ x, ...summary }: LayerSummary & { readonly x?: WeightVector }): string[] {
  const { residual = 0, xx = 0, xFx = 0, vx = 0 } = summary;
  const finite = [residual, xx, xFx, vx].every(Number.isFinite) && Math.min(residual, xx, xFx) >= 0;
  const x2 = elementsOf(x ?? new Float32Array());
  return finite && x2.every(Number.isFinite) ? [] : [JSON.stringify(summary)];
}

/** Names of inner products that are not 2^power times as large as those of a reference. */
function unlike(summary: LayerSummary, reference: LayerSummary, powers: Readonly<Record<'vx' | 'xFx' | 'xx', number>>) {
  return (['vx', 'xFx', 'xx'] as const).filter((name) => {
    const [value, expected] = [summary[name], reference[name]];
    if (value === undefined || expected === undefined) return false;
    return !(Math.abs(value / 2 ** powers[name] / expected - 1) <= 1e-3);
  });
}

// both are within 8·2⁻²⁴·√(m + n)·(λ + max E)/λ of the truth, the condition being below 10 here
const tolerance = 16 * unitRoundoff * 3 * 10;

describe.each(Object.keys(forms) as (keyof typeof forms)[])('%s', (form) => {
  test.each(entries)('is the same at all scales from 10⁻¹² to 10¹², or an error with a code: %s', (entry) => {
    const reference = solve(form, entry, { p: 0, q: 0, r: 0 });
    const expected = elementsOf(reference.x ?? new Float32Array());
    const wrong: string[] = [];
    let right = 0;
    for (const scales of grid) {
      const { p, q } = scales;
      const r = entry === 'empirical' ? p + q : scales.r;
      const exponent = r - 2 * p - 2 * q;
      const result = attempt(() => solve(form, entry, { p, q, r }));
      if (result === undefined) continue;
      wrong.push(...unsound(result));
      if (exponent < -100) continue; // its elements are near the least of float32
      const x = elementsOf(result.x ?? new Float32Array()).map((element) => element / 2 ** exponent);
      const names = unlike(result, reference, { vx: r + exponent, xFx: r + exponent, xx: 2 * exponent });
      if (names.length > 0 || !(relativeError(x, expected) <= tolerance)) wrong.push(`${p} ${q} ${r}: ${names}`);
      right++;
    }
    expect(wrong).toEqual([]);
    expect(right).toBeGreaterThan(grid.length / 2);
  });

  test('no damping from 10⁻³⁰ to 10³⁰ makes a number that is not finite, or a negative square', () => {
    const wrong: string[] = [];
    for (const entry of entries) {
      for (const scales of grid.filter((_, i) => i % 4 === 0)) {
        for (let power = -30; power <= 30; power += 12) {
          const result = attempt(() => solve(form, entry, scales, 10 ** power));
          if (result !== undefined) wrong.push(...unsound(result));
        }
      }
    }
    expect(wrong).toEqual([]);
  });
});

test('FisherOperator and ConjugateGradient are the same at all scales', () => {
  const operator = ({ p, q }: Scales) => {
    const [inputs, outputGrads] = [scaled(rows.inputs, p), scaled(rows.outputGrads, q)];
    return new FisherOperator({
      ...shape,
      inputs,
      outputGrads,
      batch,
      lossReduction: 'sum',
      damping: 0.5 * 4 ** (p + q),
    });
  };
  const solver = new ConjugateGradient({ tolerance: 1e-6, maxIterations: 40 });
  const none = { p: 0, q: 0, r: 0 };
  const wrong: string[] = [];
  const applied = operator(none).applySync(v);
  const solved = solver.solveSync(operator(none), v).x;
  for (const scales of grid) {
    const exponent = 2 * scales.p + 2 * scales.q;
    const results = [
      { from: applied, exponent: scales.r + exponent, to: () => operator(scales).applySync(scaled(v, scales.r)) },
      {
        from: solved,
        exponent: scales.r - exponent,
        to: () => solver.solveSync(operator(scales), scaled(v, scales.r)).x,
      },
    ];
    for (const { from, exponent: power, to } of results) {
      const result = attempt(to);
      if (result === undefined || power < -100) continue;
      const found = elementsOf(result).map((element) => element / 2 ** power);
      if (!(relativeError(found, elementsOf(from)) <= tolerance)) wrong.push(JSON.stringify({ ...scales, power }));
    }
  }
  expect(wrong).toEqual([]);
});
