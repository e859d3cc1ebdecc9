/** The steps of one layer of the table by the dense oracle, and the comparison of what was found with them. */
import type { MethodUsed, WeightVector } from 'cgfac';
import { combined, type Matrix, norm, product, transposed } from './dense-matrices';
import {
  type Answer,
  type Averaging,
  type Cut,
  conjugateGradients,
  type Factor,
  factor,
  solveFactored,
  solveSample,
  solveTikhonov,
  weightedRows,
} from './dense-oracle';
import { matrixOf } from './golden-case';
import type { Entry } from './table';
import { batch, dampingOf, rowsOf, type Solving, type TableLayer, type Variant } from './table-cases';

/** What a result says of a direction. */
export interface Said {
  readonly x: WeightVector;
  readonly method: MethodUsed;
  readonly vx: number | undefined;
  readonly xFx: number | undefined;
  readonly damping: unknown;
  readonly residual: number | undefined;
  readonly reason: string;
  readonly iterations: number;
}

/** What is asked of the oracle. */
export interface Question {
  readonly entry: Entry;
  readonly layer: TableLayer;
  readonly variant: Variant;
  readonly solving: Solving;
  readonly averaging: Averaging;
  /** Whether a solve starts from the last one's solution. */
  readonly warm: boolean;
  /** With the reduction 'mean', what makes sampled gradients those of a sample's own loss. */
  readonly fisherSamples: number;
}

/** ‖r‖ ≤ 2⁻¹¹‖v‖ is where conjugate gradients stop at tolerance 0: below it float32 says nothing. */
const FLOOR = 2 ** -11;

/** Answers that several entries have in common. */
const answers = new Map<string, Answer>();

/** A vector of a layer as m × n, the bias its last column. */
function toMatrix(x: WeightVector, { inFeatures, outFeatures, bias, kernelLayout }: TableLayer): Matrix {
  const n = inFeatures + (bias ? 1 : 0);
  const numbers = matrixOf(x, outFeatures, kernelLayout);
  return Array.from({ length: outFeatures }, (_, i) => numbers.slice(i * n, (i + 1) * n));
}

/** Rows of a layer's sides, R with A = RᵀR or G = RᵀR, and the gradient of each kind, of batch `index`. */
function sidesOf({ layer, variant, fisherSamples }: Question, index: number) {
  const { inFeatures, outFeatures, bias } = layer;
  const rows = rowsOf(layer, index, variant);
  const mean = variant.lossReduction === 'mean';
  const inputs = weightedRows(rows.inputs, inFeatures, 1 / Math.sqrt(batch), bias);
  const share = (mean ? fisherSamples : 1) / Math.sqrt(variant.fisherRows);
  return {
    inputs,
    outputs: weightedRows(rows.outputGrads, outFeatures, share),
    given: () => toMatrix(rows.v, layer),
    own: () =>
      product(transposed(weightedRows(rows.lossGrads, outFeatures, (mean ? batch : 1) / Math.sqrt(batch))), inputs),
  };
}

/** Factors that several answers have in common. */
const factors = new Map<string, readonly [Factor, Factor]>();

/** A and G of so many batches. */
function factorsOf(question: Question, batches: number): readonly [Factor, Factor] {
  const { layer, variant, averaging, fisherSamples } = question;
  const key = JSON.stringify([layer.name, variant, averaging, fisherSamples, batches]);
  const made = () => {
    const sides = Array.from({ length: batches }, (_, index) => sidesOf(question, index));
    const of = (rows: readonly Matrix[]) => factor(rows, averaging);
    return [of(sides.map(({ inputs }) => inputs)), of(sides.map(({ outputs }) => outputs))] as const;
  };
  const found = factors.get(key) ?? made();
  factors.set(key, found);
  return found;
}

/** The direction of the last of so many batches: the solution, or an iterate of conjugate gradients. */
export function answerOf(question: Question, batches: number, cut?: Cut): Answer {
  const { entry, variant } = question;
  const v = sidesOf(question, batches - 1)[entry.gradient]();
  const [a, g] = factorsOf(question, batches);
  const damping = dampingOf(entry, variant);
  if (entry.block === 'sample') return solveSample(a, g, damping, v);
  if (entry.dampingMode === 'factored') return solveFactored(a, g, damping, v);
  return cut ? conjugateGradients(a, g, damping, v, cut) : solveTikhonov(a, g, damping, v);
}

/** Takes in batches one after another and compares what was found for each with what it should be. */
export class StepOracle {
  /** Iterations of the solves so far that were cut short. */
  readonly #iterations: number[] = [];
  #batches = 0;
  #previous: Matrix | undefined;

  constructor(readonly question: Question) {}

  /** Compares what was found for the next batch. */
  next(said: Said): void {
    const { entry, layer, variant, averaging, fisherSamples, solving } = this.question;
    const { dampingMode, block, gradient } = entry;
    this.#batches++;
    const cut = said.method === 'cg' && solving.iterations !== undefined;
    if (cut) this.#iterations.push(said.iterations);
    const key = [dampingMode, block, gradient, layer.name, variant, averaging, fisherSamples, this.#batches];
    const asked = JSON.stringify(cut ? [...key, this.question.warm, this.#iterations] : key);
    const start = { iterations: said.iterations, start: this.#previous };
    const answer = answers.get(asked) ?? answerOf(this.question, this.#batches, cut ? start : undefined);
    answers.set(asked, answer);
    if (said.method === 'cg' && this.question.warm) this.#previous = answer.x;
    this.#compare(answer, said, cut);
  }

  // An iteration that has ended leaves its residual, magnified; one that is cut short has rounded in each iteration.
  #compare(answer: Answer, said: Said, cut: boolean): void {
    const { method, residual = Number.NaN, reason, iterations } = said;
    const most = this.question.solving.iterations ?? Number.POSITIVE_INFINITY;
    let bound = answer.rounding;
    if (method === 'cg') {
      expect(reason).toBe(residual <= FLOOR ? 'converged' : 'max-iterations');
      expect(cut ? iterations : residual).toBeLessThanOrEqual(cut ? most : FLOOR);
      bound = cut ? (1 + iterations) * bound : bound + residual * (answer.amplification ?? Number.NaN);
    } else {
      expect({ reason, iterations }).toEqual({ reason: 'solved', iterations: 0 });
    }
    const x = toMatrix(said.x, this.question.layer);
    const error = norm(combined(1, x, -1, answer.x)) / norm(answer.x);
    expect(error).toBeLessThanOrEqual(bound);
    const scale = answer.vNorm * norm(answer.x);
    if (said.vx !== undefined) expect(Math.abs(said.vx - answer.vx) / scale).toBeLessThanOrEqual(2 * bound);
    if (said.xFx !== undefined) expect(Math.abs(said.xFx - answer.xFx) / scale).toBeLessThanOrEqual(4 * bound);
    compareDamping(said.damping, answer);
  }
}

/** λ or γ's are sums of float32 numbers, and of what rounding panels cut off. */
function compareDamping(said: unknown, { damping, rounding }: Answer): void {
  if (damping === undefined) {
    expect(said).toBeUndefined();
    return;
  }
  const numbers = (of: unknown) => (typeof of === 'object' ? Object.entries(of ?? {}) : [['λ', of] as const]);
  const expected = new Map(numbers(damping));
  expect(numbers(said).map(([name]) => name)).toEqual([...expected.keys()]);
  for (const [name, value] of numbers(said))
    expect(Math.abs(Number(value) / Number(expected.get(name)) - 1)).toBeLessThanOrEqual(rounding);
}
