/**
 * The layers of a {@link Preconditioner}: what it asks of each, whichever method preconditions it. A step asks in turn for the rows of its batches, for the
 * inner product ⟨v, x⟩, and for x once its length is known.
 */
import { LayerPreconditioner, type LayerSummary } from './layer-preconditioner';
import {
  callNative,
  callNativeAsync,
  type NativeFactoredLayer,
  type NativePreparedLayer,
  type NativeWrittenLayer,
  native,
  stepPlaces,
} from './native';
import { preconditionAll, preconditionAllSync } from './precondition-all';
import type { ResolvedPreconditionerOptions } from './preconditioner-options';
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

/** What a layer says of a step before its length is known. */
export interface PreparedStep {
  readonly innerProduct: number;
  /** Whatever of it is known goes into the step's summary. */
  readonly method: 'cg' | 'exact' | 'kfac';
  readonly space: 'gram' | 'weight' | 'rows';
  readonly iterations: number;
  readonly residual?: number;
  readonly initialResidual?: number;
  readonly reason: LayerSummary['reason'] | 'no-curvature';
  readonly inputRows: number;
  readonly outputRows: number;
  readonly damping?: LayerSummary['damping'];
  readonly lambdaMax?: number;
  readonly effectiveRank?: { readonly input: number; readonly output: number } | number;
  readonly microseconds: number;
}

/** Bytes that a layer keeps between steps, its momentum and averages apart. */
export interface NetworkLayerMemory {
  readonly recorded: number;
  readonly factors: number;
  readonly workspace: number;
}

/** How to prepare a step. */
export interface PrepareOptions {
  /** Whether the factors take in what was recorded. */
  readonly refresh: boolean;
  readonly damping: Damping;
  readonly curvature: boolean;
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

function multiplied(values: Float32Array, factor: number): Float32Array {
  return factor === 1 ? values.slice() : values.map((value) => value * factor);
}

/** A layer under factored damping, whose factors outlive a batch. */
export class FactoredNetworkLayer {
  readonly kind = 'factored';
  readonly native: NativeFactoredLayer;
  recorded = false;
  started = false;

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
  #damping: string;
  readonly #inputs: Float32Array[] = [];
  readonly #lossGrads: Float32Array[] = [];
  readonly #fisher: Float32Array[] = [];
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
    this.direction = {
      kernel: new Float32Array(shape.inFeatures * shape.outFeatures),
      bias: shape.bias ? new Float32Array(shape.outFeatures) : undefined,
    };
  }

  get recorded(): boolean {
    return this.#rows > 0;
  }

  get inputRows(): number {
    return this.#rows;
  }

  get outputRows(): number {
    return this.#fisherRows > 0 ? this.#fisherRows : this.#rows;
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

  /** Hands the recorded rows to the solver, which refuses what is not finite. */
  refresh(): void {
    const { inFeatures } = this.shape;
    const inputs = concatenated(this.#inputs);
    const grads = concatenated(this.#fisherRows > 0 ? this.#fisher : this.#lossGrads);
    // A sums over a sample's rows where the solver averages over all: G makes up for it.
    const outputGrads = multiplied(grads, Math.sqrt(this.#rows / this.#samples));
    this.solver.record({ inputs, outputGrads, batch: inputs.length / inFeatures, fisherRows: this.outputRows });
    this.started = true;
  }

  /** The batch's own gradient, lossGradsᵀ·inputs/samples, into `direction`. */
  formGradient(): void {
    const { kernel, bias } = this.direction;
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
  }

  memory(): NetworkLayerMemory {
    const { batch, workspace, previous, factors } = this.solver.memoryUsage();
    const { kernel, bias } = this.direction;
    return { recorded: batch, factors: factors + previous, workspace: workspace + kernel.byteLength + (bias?.byteLength ?? 0) };
  }
}

/** One layer of a {@link Preconditioner}. */
export type NetworkLayer = FactoredNetworkLayer | SolvedNetworkLayer;

/** A layer and, where it is given, its gradient, which becomes x. */
export interface LayerTask {
  readonly layer: NetworkLayer;
  readonly gradient: VectorArrays | undefined;
}

const placeOf = Object.fromEntries(stepPlaces.map((place, index) => [place, index])) as Record<(typeof stepPlaces)[number], number>;

function factoredStep(report: Float64Array): PreparedStep {
  const value = (place: (typeof stepPlaces)[number]) => report[placeOf[place]] ?? Number.NaN;
  const damped = value('inputDamping') > 0;
  return {
    innerProduct: value('vx'),
    method: 'exact',
    space: value('formed') === 1 ? 'weight' : 'rows',
    iterations: 0,
    reason: damped ? 'solved' : 'no-curvature',
    inputRows: value('inputRows'),
    outputRows: value('outputRows'),
    ...(damped
      ? {
          damping: { input: value('inputDamping'), output: value('outputDamping') },
          lambdaMax: value('inputLargest') * value('outputLargest'),
          effectiveRank: { input: value('inputEffectiveRank'), output: value('outputEffectiveRank') },
        }
      : {}),
    microseconds: value('microseconds'),
  };
}

function solvedStep(layer: SolvedNetworkLayer, innerProduct: number, summary: LayerSummary, microseconds: number): PreparedStep {
  const { method, space, iterations, residual, initialResidual, reason, damping, lambdaMax, effectiveRank } = summary;
  return {
    innerProduct,
    method,
    space,
    iterations,
    reason,
    inputRows: layer.inputRows,
    outputRows: layer.outputRows,
    microseconds,
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
    const due = refresh || !layer.started;
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
      layer.formGradient();
    }
    parts.solved.push({ index, layer, v: layer.direction });
  });
  return parts;
}

function collected(tasks: readonly LayerTask[], parts: Parts, summaries: readonly LayerSummary[], microseconds: number): PreparedStep[] {
  const steps: PreparedStep[] = [];
  for (const { index, item } of parts.factored) {
    steps[index] = factoredStep(item.report);
    const layer = tasks[index]?.layer;
    if (layer && item.refresh) layer.started = true;
  }
  parts.solved.forEach(({ index, layer, v }, place) => {
    const summary = summaries[place];
    if (!summary) return;
    const gradient = tasks[index]?.gradient;
    const innerProduct = summary.vx ?? (gradient ? dot(gradient, v) : Number.NaN);
    if (gradient) {
      gradient.kernel.set(v.kernel);
      if (v.bias) gradient.bias?.set(v.bias);
    }
    steps[index] = solvedStep(layer, innerProduct, summary, microseconds / parts.solved.length);
  });
  return steps;
}

/** ⟨v, x⟩ of every layer, x in the gradient where one is given and ready to be written where not; in the order of the tasks. */
export function prepareSync(tasks: readonly LayerTask[], options: PrepareOptions): PreparedStep[] {
  const parts = partsOf(tasks, options);
  callNative(() => native.prepareAllSync(parts.factored.map(({ item }) => item)));
  const before = performance.now();
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
  const summaries = await preconditionAll(
    parts.solved.map(({ layer, v }) => ({ layer: layer.solver, v: vectorOf(v), out: vectorOf(v) })),
    signal === undefined ? {} : { signal },
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
