import { Preconditioner, type PreconditionerOptions, type StepSummary, type WeightVector } from 'cgfac';
import { combined, inner, type Matrix, norm } from '../support/dense-matrices';
import {
  diagonalLayer,
  type KindLayer,
  type KindRows,
  kindLayers,
  kindRows,
  kindVector,
  recordKind,
} from '../support/kind-layers';
import { KindOracle, kindMatrix, type NetworkDamping, oracleNames, outputsOf } from '../support/kind-oracle';
import { elementsOf, unitRoundoff } from '../support/methods';
import { attempt } from '../support/outcomes';

/** Exponents of 2 that are 10^±12 and between. */
const exponents = [-40, -20, 0, 20, 40];
const absolute = Array.from({ length: 7 }, (_, i) => 10 ** (10 * i - 30));
const dampings: readonly NetworkDamping[] = [...absolute, { relative: 1e-3 }, { relative: 0.5 }, { relative: 1e3 }];
const scaled = (numbers: Float32Array, exponent: number) => numbers.map((x) => x * 2 ** exponent);

const layers = [...kindLayers, diagonalLayer].filter(({ name }) => oracleNames.includes(name));

/** A layer's rows, its inputs times 2^p and its gradients times 2^q. */
function rowsAt(layer: KindLayer, p: number, q: number): KindRows {
  const { inputs, lossGrads, outputGrads, batch } = kindRows(layer, 3);
  return {
    batch,
    inputs: inputs instanceof Float32Array ? scaled(inputs, p) : inputs,
    lossGrads: scaled(lossGrads, q),
    outputGrads: scaled(outputGrads, q),
  };
}

/** The direction of the rows' own gradient or of one that is given, and what the step says. */
function stepOf(layer: KindLayer, rows: KindRows, damping: NetworkDamping, given: WeightVector | undefined) {
  const fixed = { stepRule: 'fixed', momentum: 0, useEma: false, dampingMode: 'factored' } as const;
  const options = { lossReduction: 'sum', ...fixed, factorHistory: 'none', damping } as PreconditionerOptions;
  const preconditioner = new Preconditioner(options);
  layer.register(preconditioner);
  recordKind(preconditioner, rows);
  const { updates, summary } = preconditioner.naturalGradientsSync(given ? { gradients: { layer: given } } : {});
  return { x: updates.layer ?? new Float32Array(), summary };
}

const matrixOf = (name: string, x: WeightVector): Matrix => {
  const { kernel, bias } = x instanceof Float32Array ? { kernel: x, bias: undefined } : x;
  return kindMatrix(name, kernel, bias, outputsOf[name] ?? 0);
};

/** What is false of a step that was taken, or of one that was not. */
function falsehoods(
  name: string,
  found: { x: WeightVector; summary: StepSummary },
  v: Matrix,
  oracle: KindOracle,
  damping: NetworkDamping,
  cancellation: number,
): string[] {
  const numbers = elementsOf(found.x);
  if (!numbers.every(Number.isFinite)) return ['a number that is not finite'];
  if (found.summary.skipped !== undefined) return numbers.every((x) => x === 0) ? [] : ['a skipped step that moves'];
  if (!Number.isFinite(found.summary.innerProduct)) return ['⟨v, x⟩ that is not finite'];
  const { x, condition } = oracle.direction(v, damping);
  if (!(condition <= 2 ** 22)) return [];
  const bound = 4 * cancellation * unitRoundoff * condition;
  const size = norm(x);
  // what subnormal numbers round
  const least = 2 ** -149 * Math.sqrt(numbers.length);
  const error = norm(combined(1, matrixOf(name, found.x), -1, x));
  const wrong = error <= bound * size + least ? [] : [`x ${error / size} off, of ${bound}`];
  const product = Math.abs(found.summary.innerProduct - inner(v, x));
  return product <= 2 * bound * size * norm(v) + 1e-40 ? wrong : [...wrong, `⟨v, x⟩ ${product} off`];
}

describe.each(layers.map((layer) => [layer.name, layer] as const))('%s', (name, layer) => {
  test.each(['own', 'given'] as const)(
    'at scales from 10⁻¹² to 10¹² and dampings from 10⁻³⁰ to 10³⁰ a step is right, or an error with a code: %s',
    (entry) => {
      const wrong: string[] = [];
      let right = 0;
      for (const p of name === 'embedding' || name === 'diagonal' ? [0] : exponents) {
        for (const q of exponents) {
          const rows = rowsAt(layer, p, q);
          const oracle = new KindOracle(name, rows);
          for (const r of entry === 'own' ? [0] : [-40, 0, 40]) {
            const vector = kindVector(layer, 8);
            const given =
              vector instanceof Float32Array
                ? scaled(vector, r)
                : { kernel: scaled(vector.kernel, r), bias: scaled(vector.bias, r) };
            const v = entry === 'own' ? oracle.gradient() : matrixOf(name, given);
            const cancellation = entry === 'own' ? Math.max(1, oracle.cancellation()) : 1;
            for (const damping of dampings) {
              const found = attempt(() => stepOf(layer, rows, damping, entry === 'own' ? undefined : given));
              if (found === undefined) continue;
              right++;
              const false_ = falsehoods(name, found, v, oracle, damping, cancellation);
              if (false_.length > 0) wrong.push(`${p} ${q} ${r} ${JSON.stringify(damping)}: ${false_}`);
            }
          }
        }
      }
      expect(wrong).toEqual([]);
      expect(right).toBeGreaterThan(30);
    },
  );
});
