import { type CgfacError, LayerPreconditioner } from 'cgfac';
import { factor, solveFactored, weightedRows } from '../support/dense-oracle';
import { relativeError } from '../support/golden-case';
import { randomNumbers } from '../support/layers';
import { elementsOf, unitRoundoff } from '../support/methods';

// Factored damping at whatever scales a·2^p, g·2^q, v·2^r and λ = 2^l: rows of full rank are well conditioned, so that
// each solution can be had unless it is itself beyond float32, or a γ is. (G + γ_G I)⁻¹ v (A + γ_A I)⁻¹ is multiplied by
// 2^(r−2p−2q) where λ is by 4^(p+q).
const [inFeatures, outFeatures, batch] = [5, 4, 8];
const inputs = randomNumbers(batch * inFeatures, 1);
const outputGrads = randomNumbers(batch * outFeatures, 2);
const v = randomNumbers(inFeatures * outFeatures, 4);
const scaled = (numbers: Float32Array, exponent: number) => numbers.map((x) => x * 2 ** exponent);

const exponents = [-40, -20, 0, 20, 40]; // 10^±12
const powers = [-100, -60, -20, 0, 20, 60, 100];
const grid = exponents.flatMap((p) =>
  exponents.flatMap((q) => [-40, 0, 40].flatMap((r) => powers.map((l) => ({ p, q, r, l })))),
);

const [a, g] = [
  { numbers: inputs, features: inFeatures },
  { numbers: outputGrads, features: outFeatures },
].map(({ numbers, features }) =>
  factor([weightedRows(numbers, features, 1 / Math.sqrt(batch))], {
    ...{ factorHistory: 'none', decay: 0, rank: 1, fillsWindow: false },
  }),
);
const matrix = Array.from({ length: outFeatures }, (_, i) =>
  Float64Array.from(v.subarray(i * inFeatures, (i + 1) * inFeatures)),
);

test.each(['none', 'dense', 'panel'] as const)(
  'factorHistory %s: refused is what cannot be had, and everything else is right',
  (factorHistory) => {
    if (a === undefined || g === undefined) throw new Error('Expected the factors of both sides');
    const wrong: string[] = [];
    let right = 0;
    for (const { p, q, r, l } of grid) {
      const layer = new LayerPreconditioner({
        ...{ inFeatures, outFeatures, lossReduction: 'sum', method: 'exact', dampingMode: 'factored' },
        ...{ damping: 2 ** l, factorHistory },
      });
      const exponent = r - 2 * (p + q);
      const { x, damping } = solveFactored(a, g, 2 ** (l - 2 * (p + q)), matrix);
      const expected = Float64Array.from(x.flatMap((values) => [...values]));
      const largest = Math.log2(Math.max(...expected.map(Math.abs))) + exponent;
      if (typeof damping !== 'object') throw new Error('Expected the dampings of both sides');
      const gammas = [Math.log2(damping.input) + 2 * p, Math.log2(damping.output) + 2 * q];
      const canBeHad = largest < 126 && gammas.every((gamma) => Math.abs(gamma) < 126);
      try {
        layer.record({ inputs: scaled(inputs, p), outputGrads: scaled(outputGrads, q), batch });
        const found = layer.preconditionSync(scaled(v, r)).x;
        if (largest < -100) continue; // below float32's full range
        const error = relativeError(
          elementsOf(found).map((element) => element / 2 ** exponent),
          expected,
        );
        if (error <= 256 * unitRoundoff) right++;
        else wrong.push(`${JSON.stringify({ p, q, r, l })}: ${error}`);
      } catch (error) {
        if (canBeHad) wrong.push(`${JSON.stringify({ p, q, r, l })}: ${(error as CgfacError).message}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(right).toBeGreaterThan(grid.length / 2);
  },
);
