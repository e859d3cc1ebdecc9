/**
 * The layers of a {@link Preconditioner}: what it asks of each, whichever method preconditions it. A step asks in turn for the rows of its batches, for the
 * inner product ⟨v, x⟩, and for x once its length is known.
 */
import { CgfacError } from './error';
import { LayerPreconditioner, type LayerSummary, partsOfLayer } from './layer-preconditioner';
import {
  callNative,
  callNativeAsync,
  type NativeFactoredLayer,
  type NativeFactors,
  type NativeLayerPreconditioner,
  type NativeLayerState,
  type NativePreparedLayer,
  type NativeWrittenLayer,
  native,
  stepPlaces,
} from './native';
import { preconditionAll, preconditionAllSync } from './precondition-all';
import type { ResolvedPreconditionerOptions } from './preconditioner-options';
import { type SolvedSpectrum, trustFactor } from './trust-region';
import type { Damping, KernelLayout, LayerShape, VectorArrays, WeightVector } from './weight-vector';

/** A layer's shape and layout. */
export interface NetworkShape extends LayerShape {
  readonly kernelLayout: KernelLayout;
}

/** Rows of one batch, checked. */
export interface BatchRows {
  readonly inputs: Float32Array;
  readonly lossGrads: Float32Array;
  readonly rows: number;
  readonly samples: number;
  /** Makes the gradients those of a sample's own loss. */
  readonly factor: number;
}

/** Rows that the output factor is made of, checked. */
export interface FisherRows {
  readonly outputGrads: Float32Array;
  readonly rows: number;
  /** The same. */
  readonly factor: number;
}

/** A number for each factor of a layer. */
export interface EffectiveRanks {
  /** Of A. */
  readonly input: number;
  /** Of G. */
  readonly output: number;
}

/** What a layer says of a step before its length is known. */
export interface PreparedStep {
  readonly innerProduct: number;
  /** xᵀF x, where it is known. */
  readonly curvature?: number;
  /** ≥ ‖x‖, where x is written later. */
  readonly bound?: number;
  /** Whatever of it is known goes into the step's summary. */
  readonly method: 'cg' | 'exact' | 'kfac';
  /** Where it was solved; 'rows': by the rows of the batch, without forming v. */
  readonly space: 'gram' | 'weight' | 'rows';
  /** Conjugate-gradient iterations; 0 for the other methods. */
  readonly iterations: number;
  /** Of 'cg': ‖r‖/‖v‖ at the end. */
  readonly residual?: number;
  /** Of 'cg': the same at its start. */
  readonly initialResidual?: number;
  /** Why the solve ended; 'no-curvature' where a factor is zero, and the direction with it. */
  readonly reason: LayerSummary['reason'] | 'no-curvature';
  /** Rows that the factors took in last. */
  readonly inputRows: number;
  /** The same of the output side. */
  readonly outputRows: number;
  /** λ, or γ_A and γ_G with what their panels cut off. */
  readonly damping?: LayerSummary['damping'];
  readonly lambdaMax?: number;
  /** Σ s/(s + γ) over the eigenvalues of each factor, or Σ E/(E + λ) over those of F: the directions that the damping leaves. */
  readonly effectiveRank?: EffectiveRanks | number;
  /** tr/λmax of each factor: 1 where all its rows are multiples of one, whatever the damping. */
  readonly stableRank?: EffectiveRanks;
  /** Time that its pool threads and the caller's took, the final product apart. */
  readonly microseconds: number;
}

/** Bytes that a layer keeps between steps, its momentum and averages apart. */
export interface NetworkLayerMemory {
  readonly recorded: number;
  readonly factors: number;
  readonly workspace: number;
}

/** Rows of each side that a layer's factors took in last. */
export interface FactorRows {
  /** Of the input side. */
  readonly input: number;
  /** Of the output side. */
  readonly output: number;
}

/** What a layer goes on with. */
export interface NetworkLayerState {
  /** Whether it has factors. */
  readonly started: boolean;
  /** Rows that they took in last. */
  readonly rows?: FactorRows;
  /** The factors under factored damping. */
  readonly factors?: NativeFactors;
  /** What the other methods go on with. */
  readonly solver?: NativeLayerState;
}

/** ½η²Σ xᵀF x that λ is made to meet. */
export interface TrustTarget {
  readonly kl: number;
  /** η */
  readonly stepSize: number;
}

/** How to prepare a step. */
export interface PrepareOptions {
  /** Whether the factors take in what was recorded. */
  readonly refresh: boolean;
  readonly damping: Damping;
  readonly curvature: boolean;
  readonly trust?: TrustTarget;
}

/** Where x goes: out ← keep·out + factor·x. */
export interface WriteTarget {
  readonly out: VectorArrays;
  readonly factor: number;
  readonly keep: number;
}

function concatenated(arrays: readonly Float32Array[]): Float32Array {
  const [first] = arrays;
  if (first !== undefined && arrays.length === 1) return first;
  const all = new Float32Array(arrays.reduce((length, array) => length + array.length, 0));
  let offset = 0;
  for (const array of arrays) {
    all.set(array, offset);
    offset += array.length;
  }
  return all;
}

function bytesOf(arrays: readonly Float32Array[]): number {
  return arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** Refuses NaN, infinity, and squares beyond float32. */
function requireFinite(name: string, arrays: readonly Float32Array[]): void {
  let sum = 0;
  for (const array of arrays) for (let at = 0; at < array.length; at++) sum += (array[at] ?? 0) ** 2;
  if (sum <= LARGEST_FLOAT32) return;
  const bad = arrays.flatMap((array) => array.find((value) => !Number.isFinite(value)) ?? []);
  const [received = 'an overflow'] = bad;
  throw new CgfacError(
    'ERR_CGFAC_NOT_FINITE',
    `Expected finite numbers, with squares within the range of float32, for ${name} but received ${received}`,
  );
}

const LARGEST_FLOAT32 = 3.4028234663852886e38;
const noRows: FactorRows = { input: 0, output: 0 };

/** A state of another method. */
function otherState(expected: string): CgfacError {
  return new CgfacError('ERR_CGFAC_SHAPE_MISMATCH', `Expected the state of ${expected} for a layer but received that of another method`);
}

function multiplied(values: Float32Array, factor: number): Float32Array {
  return factor === 1 ? values.slice() : values.map((value) => value * factor);
}

/** A layer under factored damping, whose factors outlive a batch. */
export class FactoredNetworkLayer {
  readonly kind = 'factored';
  readonly native: NativeFactoredLayer;
  recorded = false;
  started = false;
  factorRows = noRows;

  constructor(
    readonly shape: NetworkShape,
    options: ResolvedPreconditionerOptions,
  ) {
    this.native = new native.FactoredLayer({
      ...shape,
      lossReduction: 'sum',
      history: options.factorHistory,
      decay: options.factorDecay,
      rank: options.rank,
      panelRows: options.panelRows,
      window: options.window,
    });
  }

  record({ inputs, lossGrads, rows, samples, factor }: BatchRows): void {
    callNative(() => this.native.record(inputs, lossGrads, rows, samples, factor));
    this.recorded = true;
  }

  recordFisher({ outputGrads, rows, factor }: FisherRows): void {
    callNative(() => this.native.recordFisher(outputGrads, rows, factor));
  }

  requireFinite(): void {
    callNative(() => this.native.requireFinite());
  }

  clear(): void {
    callNative(() => this.native.clear());
    this.recorded = false;
  }

  reset(): void {
    callNative(() => this.native.reset());
    this.recorded = this.started = false;
    this.factorRows = noRows;
  }

  state(): NetworkLayerState {
    return { started: this.started, rows: this.factorRows, factors: callNative(() => this.native.state()) };
  }

  restore({ started, rows, factors, solver }: NetworkLayerState): void {
    if (solver !== undefined || (started && factors === undefined)) throw otherState('factored damping');
    if (factors === undefined) this.reset();
    else callNative(() => this.native.restore(factors));
    this.recorded = false;
    this.started = started;
    this.factorRows = rows ?? noRows;
  }

  memory(): NetworkLayerMemory {
    return callNative(() => this.native.memoryUsage());
  }
}

/** A layer that {@link LayerPreconditioner} solves for: 'cg', 'kfac', 'auto', and 'exact' with Tikhonov damping. */
export class SolvedNetworkLayer {
  readonly kind = 'solved';
  readonly solver: LayerPreconditioner<boolean>;
  readonly direction: VectorArrays;
  started = false;
  factorRows = noRows;
  #damping: string;
  readonly #inputs: Float32Array[] = [];
  readonly #lossGrads: Float32Array[] = [];
  readonly #fisher: Float32Array[] = [];
  readonly #native: NativeLayerPreconditioner;
  #rows = 0;
  #samples = 0;
  #fisherRows = 0;

  constructor(
    readonly shape: NetworkShape,
    options: ResolvedPreconditionerOptions,
    damping: Damping,
  ) {
    const { method, dampingMode, cg, warmStart, inverseUpdateSteps, factorDecay } = options;
    this.#damping = JSON.stringify(damping);
    this.solver = new LayerPreconditioner<boolean>({
      ...shape,
      damping,
      lossReduction: 'sum',
      method,
      dampingMode,
      ...(method === 'cg' || method === 'auto' ? { ...cg, warmStart } : {}),
      ...(method === 'kfac' ? { inverseUpdateSteps, factorDecay } : {}),
    });
    const parts = partsOfLayer(this.solver);
    if (parts === undefined) throw new CgfacError('ERR_CGFAC_INTERNAL', 'a layer without its native half');
    this.#native = parts.native;
    this.direction = newVector(shape);
  }

  get recorded(): boolean {
    return this.#rows > 0;
  }

  record({ inputs, lossGrads, rows, samples, factor }: BatchRows): void {
    this.#inputs.push(inputs.slice());
    this.#lossGrads.push(multiplied(lossGrads, factor));
    this.#rows += rows;
    this.#samples += samples;
  }

  recordFisher({ outputGrads, rows, factor }: FisherRows): void {
    this.#fisher.push(multiplied(outputGrads, factor));
    this.#fisherRows += rows;
  }

  requireFinite(): void {
    requireFinite('inputs', this.#inputs);
    requireFinite('lossGrads', this.#lossGrads);
    requireFinite('outputGrads', this.#fisher);
  }

  /** Hands the recorded rows to the solver. */
  refresh(): void {
    const { inFeatures } = this.shape;
    const inputs = concatenated(this.#inputs);
    const grads = concatenated(this.#fisherRows > 0 ? this.#fisher : this.#lossGrads);
    // A sums over a sample's rows where the solver averages over all: G makes up for it.
    const outputGrads = multiplied(grads, Math.sqrt(this.#rows / this.#samples));
    const output = this.#fisherRows > 0 ? this.#fisherRows : this.#rows;
    this.solver.record({ inputs, outputGrads, batch: inputs.length / inFeatures, fisherRows: output });
    this.factorRows = { input: this.#rows, output };
    this.started = true;
  }

  /** v ← the batch's own gradient, lossGradsᵀ·inputs/samples. */
  formGradient({ kernel, bias }: VectorArrays): void {
    callNative(() =>
      native.formGradient(
        { ...this.shape, lossReduction: 'sum' },
        concatenated(this.#inputs),
        concatenated(this.#lossGrads),
        this.#rows,
        kernel,
        bias,
        1 / this.#samples,
      ),
    );
  }

  setDamping(damping: Damping): void {
    const text = JSON.stringify(damping);
    if (text === this.#damping) return;
    this.solver.setDamping(damping);
    this.#damping = text;
  }

  clear(): void {
    this.#inputs.length = this.#lossGrads.length = this.#fisher.length = 0;
    this.#rows = this.#samples = this.#fisherRows = 0;
  }

  reset(): void {
    this.clear();
    this.solver.reset();
    this.started = false;
    this.factorRows = noRows;
  }

  state(): NetworkLayerState {
    return { started: this.started, rows: this.factorRows, solver: callNative(() => this.#native.state()) };
  }

  /** A layer whose state lacks the solver's takes in the next step's rows. */
  restore({ started, rows, factors, solver }: NetworkLayerState): void {
    if (factors !== undefined) throw otherState('a method that solves');
    if (solver === undefined) this.reset();
    else callNative(() => this.#native.restore(solver));
    this.clear();
    this.started = started && solver !== undefined;
    this.factorRows = rows ?? noRows;
  }

  memory(): NetworkLayerMemory {
    const { batch, workspace, previous, factors } = this.solver.memoryUsage();
    const { kernel, bias } = this.direction;
    const own = bytesOf([...this.#inputs, ...this.#lossGrads, ...this.#fisher]);
    return { recorded: own + batch, factors: factors + previous, workspace: workspace + kernel.byteLength + (bias?.byteLength ?? 0) };
  }
}

/** One layer of a {@link Preconditioner}. */
export type NetworkLayer = FactoredNetworkLayer | SolvedNetworkLayer;

/** A layer and, where it is given, its gradient, which becomes x. */
export interface LayerTask {
  readonly layer: NetworkLayer;
  readonly gradient: VectorArrays | undefined;
}

type StepPlace = (typeof stepPlaces)[number];
const placeOf = Object.fromEntries(stepPlaces.map((place, index) => [place, index])) as Record<StepPlace, number>;

function reported(report: Float64Array, place: StepPlace): number {
  return report[placeOf[place]] ?? Number.NaN;
}

/** Zeros of a layer's form. */
export function newVector({ inFeatures, outFeatures, bias }: LayerShape): VectorArrays {
  return { kernel: new Float32Array(inFeatures * outFeatures), bias: bias ? new Float32Array(outFeatures) : undefined };
}

function factoredStep(report: Float64Array, rows: FactorRows): PreparedStep {
  const value = (place: StepPlace) => reported(report, place);
  const damped = value('inputDamping') > 0;
  return {
    innerProduct: value('vx'),
    bound: value('bound'),
    method: 'exact',
    space: value('formed') === 1 ? 'weight' : 'rows',
    iterations: 0,
    reason: damped ? 'solved' : 'no-curvature',
    inputRows: rows.input,
    outputRows: rows.output,
    ...(damped
      ? {
          damping: { input: value('inputDamping'), output: value('outputDamping') },
          lambdaMax: value('inputLargest') * value('outputLargest'),
          effectiveRank: { input: value('inputEffectiveRank'), output: value('outputEffectiveRank') },
          stableRank: {
            input: value('inputTrace') / value('inputLargest'),
            output: value('outputTrace') / value('outputLargest'),
          },
        }
      : {}),
    microseconds: value('microseconds'),
  };
}

function solvedStep(layer: SolvedNetworkLayer, innerProduct: number, summary: LayerSummary, microseconds: number): PreparedStep {
  const { method, space, iterations, residual, initialResidual, reason, damping, lambdaMax, effectiveRank, xFx } = summary;
  return {
    innerProduct,
    method,
    space,
    iterations,
    reason,
    inputRows: layer.factorRows.input,
    outputRows: layer.factorRows.output,
    microseconds,
    ...(xFx === undefined ? {} : { curvature: xFx }),
    ...(residual === undefined ? {} : { residual }),
    ...(initialResidual === undefined ? {} : { initialResidual }),
    ...(damping === undefined ? {} : { damping }),
    ...(lambdaMax === undefined ? {} : { lambdaMax }),
    ...(effectiveRank === undefined ? {} : { effectiveRank }),
  };
}

function dot(a: VectorArrays, b: VectorArrays): number {
  let sum = 0;
  for (let at = 0; at < a.kernel.length; at++) sum += (a.kernel[at] ?? 0) * (b.kernel[at] ?? 0);
  if (a.bias && b.bias) for (let at = 0; at < a.bias.length; at++) sum += (a.bias[at] ?? 0) * (b.bias[at] ?? 0);
  return sum;
}

function ownGradient(layer: SolvedNetworkLayer): VectorArrays {
  const own = newVector(layer.shape);
  layer.formGradient(own);
  return own;
}

function vectorOf({ kernel, bias }: VectorArrays): WeightVector {
  return bias === undefined ? kernel : { kernel, bias };
}

interface Parts {
  readonly factored: { readonly index: number; readonly item: NativePreparedLayer }[];
  readonly solved: { readonly index: number; readonly layer: SolvedNetworkLayer; readonly v: VectorArrays }[];
}

function partsOf(tasks: readonly LayerTask[], { refresh, damping, curvature }: PrepareOptions): Parts {
  const parts: Parts = { factored: [], solved: [] };
  tasks.forEach(({ layer, gradient }, index) => {
    const due = layer.recorded && (refresh || !layer.started); // an older factor serves a gradient without rows
    if (layer.kind === 'factored') {
      const report = new Float64Array(stepPlaces.length);
      const item = { layer: layer.native, refresh: due, damping, curvature, kernel: gradient?.kernel, bias: gradient?.bias, report };
      parts.factored.push({ index, item });
      return;
    }
    layer.setDamping(damping);
    if (due) layer.refresh();
    if (gradient) {
      layer.direction.kernel.set(gradient.kernel);
      if (gradient.bias) layer.direction.bias?.set(gradient.bias);
    } else {
      layer.formGradient(layer.direction);
    }
    parts.solved.push({ index, layer, v: layer.direction });
  });
  return parts;
}

function collected(tasks: readonly LayerTask[], parts: Parts, summaries: readonly LayerSummary[], microseconds: number): PreparedStep[] {
  const steps: PreparedStep[] = [];
  for (const { index, item } of parts.factored) {
    const layer = tasks[index]?.layer;
    if (layer?.kind !== 'factored') continue;
    if (item.refresh) {
      layer.started = true;
      layer.factorRows = { input: reported(item.report, 'inputRows'), output: reported(item.report, 'outputRows') };
    }
    steps[index] = factoredStep(item.report, layer.factorRows);
  }
  parts.solved.forEach(({ index, layer, v }, place) => {
    const summary = summaries[place];
    if (!summary) return;
    const gradient = tasks[index]?.gradient;
    const innerProduct = summary.vx ?? dot(gradient ?? ownGradient(layer), v); // a solve that broke down has none of its own
    if (gradient) {
      gradient.kernel.set(v.kernel);
      if (v.bias) gradient.bias?.set(v.bias);
    }
    steps[index] = solvedStep(layer, innerProduct, summary, microseconds / parts.solved.length);
  });
  return steps;
}

/** Multiplies every λ by the factor that meets the predicted divergence. */
function meetTrust(parts: Parts, summaries: readonly LayerSummary[], { kl, stepSize }: TrustTarget): void {
  const solved = parts.solved.flatMap(({ layer }, place) => {
    const { spectrum, damping } = summaries[place] ?? {};
    return spectrum && typeof damping === 'number' ? [{ layer, spectrum, damping }] : [];
  });
  const factor = trustFactor(solved satisfies readonly SolvedSpectrum[], kl, stepSize);
  for (const { layer, damping } of solved) layer.setDamping(damping * factor);
}

/** ⟨v, x⟩ of every layer, x in the gradient where one is given and ready to be written where not; in the order of the tasks. */
export function prepareSync(tasks: readonly LayerTask[], options: PrepareOptions): PreparedStep[] {
  const parts = partsOf(tasks, options);
  callNative(() => native.prepareAllSync(parts.factored.map(({ item }) => item)));
  const before = performance.now();
  if (options.trust) {
    const spectra = parts.solved.map(({ layer, v }) => layer.solver.preconditionSync(vectorOf(v), { spectrum: true }));
    meetTrust(parts, spectra, options.trust);
  }
  const summaries = preconditionAllSync(parts.solved.map(({ layer, v }) => ({ layer: layer.solver, v: vectorOf(v), out: vectorOf(v) })));
  return collected(tasks, parts, summaries, 1000 * (performance.now() - before));
}

/** The same on the pool threads. */
export async function prepare(
  tasks: readonly LayerTask[],
  options: PrepareOptions,
  signal: AbortSignal | undefined,
): Promise<PreparedStep[]> {
  signal?.throwIfAborted();
  const parts = partsOf(tasks, options);
  await callNativeAsync(signal, (token) =>
    native.prepareAll(
      parts.factored.map(({ item }) => item),
      token,
    ),
  );
  const before = performance.now();
  const cancellable = signal === undefined ? {} : { signal };
  if (options.trust) {
    const spectra: LayerSummary[] = [];
    for (const { layer, v } of parts.solved) spectra.push(await layer.solver.precondition(vectorOf(v), { spectrum: true, ...cancellable }));
    meetTrust(parts, spectra, options.trust);
  }
  const summaries = await preconditionAll(
    parts.solved.map(({ layer, v }) => ({ layer: layer.solver, v: vectorOf(v), out: vectorOf(v) })),
    cancellable,
  );
  return collected(tasks, parts, summaries, 1000 * (performance.now() - before));
}

function writtenOf(layers: readonly NetworkLayer[], targets: readonly WriteTarget[]): NativeWrittenLayer[] {
  const written: NativeWrittenLayer[] = [];
  layers.forEach((layer, index) => {
    const target = targets[index];
    if (!target) return;
    const { out, factor, keep } = target;
    if (layer.kind === 'factored') {
      written.push({ layer: layer.native, kernel: out.kernel, bias: out.bias, factor, keep });
      return;
    }
    combine(out.kernel, keep, layer.direction.kernel, factor);
    if (out.bias && layer.direction.bias) combine(out.bias, keep, layer.direction.bias, factor);
  });
  return written;
}

/** out ← keep·out + factor·x, where `out` may be x. */
export function combine(out: Float32Array, keep: number, x: Float32Array, factor: number): void {
  if (keep === 0) for (let at = 0; at < out.length; at++) out[at] = factor * (x[at] ?? 0);
  else for (let at = 0; at < out.length; at++) out[at] = keep * (out[at] ?? 0) + factor * (x[at] ?? 0);
}

/** Writes the directions that {@link prepareSync} left ready. */
export function writeSync(layers: readonly NetworkLayer[], targets: readonly WriteTarget[]): void {
  const written = writtenOf(layers, targets);
  callNative(() => native.writeAllSync(written));
}

/** The same on the pool threads. */
export async function write(layers: readonly NetworkLayer[], targets: readonly WriteTarget[]): Promise<void> {
  const written = writtenOf(layers, targets);
  await callNativeAsync(undefined, () => native.writeAll(written));
}
