/** The steps of one layer of the table by the dense oracle, and the comparison of what was found with them. */
import type { WeightVector } from 'cgfac';
import { combined, type Matrix, norm, product, transposed } from './dense-matrices';
import {
  type Answer,
  type Averaging,
  conjugateGradients,
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
  readonly method: 'cg' | 'exact' | 'kfac';
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
    const answer = answers.get(asked) ?? this.#answer(cut);
    answers.set(asked, answer);
    if (said.method === 'cg' && this.question.warm) this.#previous = answer.x;
    this.#compare(answer, said, cut);
  }

  #answer(cut: boolean): Answer {
    const { entry, variant, averaging } = this.question;
    const sides = Array.from({ length: this.#batches }, (_, index) => sidesOf(this.question, index));
    const last = sides[sides.length - 1];
    if (last === undefined) throw new Error('no batch');
    const v = entry.gradient === 'own' ? last.own() : last.given();
    const [inputs, outputs] = [sides.map((side) => side.inputs), sides.map((side) => side.outputs)];
    const [a, g] = [factor(inputs, averaging), factor(outputs, averaging)];
    const damping = dampingOf(entry, variant);
    if (entry.block === 'sample') return solveSample(a, g, damping, v);
    if (entry.dampingMode === 'factored') return solveFactored(a, g, damping, v);
    if (!cut) return solveTikhonov(a, g, damping, v);
    const iterations = this.#iterations[this.#iterations.length - 1] ?? 0;
    return conjugateGradients(a, g, damping, v, { iterations, start: this.#previous });
  }

  // An iteration that has ended leaves its residual, magnified; one that is cut short has rounded in each iteration.
  #compare(answer: Answer, said: Said, cut: boolean): void {
    const { method, residual = Number.NaN, reason, iterations } = said;
    const most = this.question.solving.iterations ?? Number.POSITIVE_INFINITY;
    let bound = answer.rounding;
    if (method === 'cg') {
      expect(reason).toBe(residual <= FLOOR ? 'converged' : 'max-iterations');
      expect(cut ? iterations : residual).toBeLessThanOrEqual(cut ? most : FLOOR);
      bound = cut ? (1 + iterations) * bound : bound + residual * answer.amplification;
    } else {
      expect({ reason, iterations }).toEqual({ reason: 'solved', iterations: 0 });
    }
    const x = toMatrix(said.x, this.question.layer);
    const error = norm(combined(1, x, -1, answer.x)) / norm(answer.x);
    note(this.question, error, bound);
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

const worst = new Map<string, [number, number, number]>();
export function note(o: Question, error: number, bound: number) {
  const key = [
    o.entry.method,
    o.entry.dampingMode,
    o.entry.factorHistory,
    o.entry.block,
    o.entry.gradient,
    o.layer.name,
    o.solving.iterations ?? '-',
    o.solving.options.space ?? '',
    o.averaging.rank,
  ].join(' ');
  const was = worst.get(key) ?? [0, 0, 0];
  if (error / bound > was[0]) worst.set(key, [error / bound, error, bound]);
}
export function report() {
  return [...worst]
    .sort((a, b) => b[1][0] - a[1][0])
    .slice(0, 60)
    .map(([k, v]) => `${k}: ${v.map((x) => x.toExponential(1)).join(' ')}`)
    .join('\n');
}
