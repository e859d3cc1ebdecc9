/** One layer of the addon, as single layers and networks use it: rows, factors, and a solver. */
import type { ResolvedOptions } from '../base/option-table';
import type { KernelLayout, LayerShape, LossReduction } from '../base/weight-vector';
import { callNative } from '../native/call';
import type { NativeBatchRows, NativeLayer, NativeState } from '../native/layer';
import { native } from '../native/load';
import type { NativeKindShape, NativePatches, NativeShape } from '../native/shapes';
import type { layerPreconditionerRows, layerRows } from './option-rows';

/** Rows of each side that a layer's factors took in last. */
export interface FactorRows {
  /** Rows of the input side. */
  readonly input: number;
  /** Rows of the output side. */
  readonly output: number;
}

/** What a layer goes on with. */
export interface LayerState extends NativeState {
  /** Whether it has factors. */
  readonly started: boolean;
  /** Rows that they took in last. */
  readonly rows?: FactorRows;
}

/** A layer's kind, shape and layout, and what its gradients are gradients of. */
export interface ReducedShape extends LayerShape, Pick<NativeShape, 'kind' | 'columns'>, NativeKindShape {
  /** The windows of a convolution over its data, or where it is transposed over what comes out. */
  readonly patches?: NativePatches;
  readonly kernelLayout: KernelLayout;
  readonly lossReduction: LossReduction;
}

type Table = ResolvedOptions<typeof layerPreconditionerRows>;

/** How a layer solves, and what its factors are made of: the table's options, all of which go to the core by name. */
export interface LayerSettings extends Omit<Table, Exclude<keyof typeof layerRows, 'damping'>> {
  /** Rows that older ones fill a batch up to, without a history. */
  readonly window: number;
  /** Whether a batch is filled up to as many rows as the one before instead. */
  readonly fillsUp: boolean;
}

/** Rows of one batch, checked. */
export type BatchRows = NativeBatchRows;

/** Rows that the output factor is made of, checked. */
export interface FisherRows {
  readonly outputGrads: Float32Array;
  readonly rows: number;
  /** Samples that they come from. */
  readonly samples: number;
  /** Whether the output factor is made of them; else they are for the length of the step alone. */
  readonly forFactors: boolean;
  /** Makes the gradients those of a sample's own loss. */
  readonly factor: number;
}

/** The place of the refreshes among what there is to share. */
const REFRESHES = 7;

/** Of a layer that has taken in none. */
const NO_ROWS: FactorRows = { input: 0, output: 0 };

/** The native layer, and what the facade knows of it between the phases of a step. */
export class Layer {
  /** The native half. */
  readonly native: NativeLayer;
  #recorded = false;
  #sampled = false;
  #ownGradient = false;
  #forFactors = true;
  #started = false;
  #factorRows = NO_ROWS;
  /** As it was before the step under way. */
  #before: { readonly started: boolean; readonly factorRows: FactorRows; readonly refreshes: number } | undefined;
  #refreshes = 0;

  /** Whether it goes on with factors, and cannot without. */
  readonly #needsFactors: boolean;

  constructor(
    readonly shape: ReducedShape,
    options: LayerSettings,
  ) {
    this.#needsFactors = options.dampingMode === 'factored' && options.method !== 'kfac';
    this.native = callNative(() => new native.Layer({ ...options, ...shape.patches, ...shape }));
  }

  /** Whether there are rows of the step to come. */
  get recorded(): boolean {
    return this.#recorded;
  }

  /** Whether all rows of the step to come have gradients of the loss, so that they have a gradient of their own. */
  get ownGradient(): boolean {
    return this.#ownGradient;
  }

  /** Whether output gradients of sampled targets are recorded. */
  get sampled(): boolean {
    return this.#sampled;
  }

  /** Whether the output factor is made of the gradients of the loss. */
  get empirical(): boolean {
    return !(this.#sampled && this.#forFactors);
  }

  /** Whether there are factors to precondition with. */
  get started(): boolean {
    return this.#started;
  }

  /** Rows that the factors took in last; without a history those that fill up a short batch are among them. */
  get factorRows(): FactorRows {
    return this.#factorRows;
  }

  /** Refreshes of the factors so far, wherever they are kept. */
  get refreshes(): number {
    return this.#refreshes;
  }

  /** Takes in rows of the step to come. */
  record(batch: BatchRows): void {
    callNative(() => this.native.record(batch));
    this.#ownGradient = batch.lossGrads !== undefined && (this.#ownGradient || !this.#recorded);
    this.#recorded = true;
  }

  /** Takes in rows that the output factor is made of. */
  recordFisher({ outputGrads, rows, factor, forFactors, samples }: FisherRows): void {
    callNative(() => this.native.recordFisher(outputGrads, rows, factor, forFactors, samples));
    this.#sampled = true;
    this.#forFactors = forFactors;
  }

  /** The windows of a convolution whose data has another size from now on; refused where rows are recorded. */
  setPatches(patches: NativePatches): void {
    callNative(() => this.native.setPatches(patches));
  }

  /** Refuses recorded rows that are not finite. */
  requireFinite(): void {
    callNative(() => this.native.requireFinite());
  }

  /** A step begins: {@link Layer.rollBack} leads back to here. */
  begin(): void {
    this.#before = { started: this.#started, factorRows: this.#factorRows, refreshes: this.#refreshes };
  }

  /** The factors have taken in what was recorded. */
  refreshed(rows: FactorRows): void {
    this.#started = true;
    this.#refreshes++;
    this.#factorRows = rows;
  }

  /** The step is taken. */
  settle(): void {
    this.#before = undefined;
  }

  /** Factors and warm start are as before {@link Layer.begin}: the step is not taken after all. */
  rollBack(): void {
    if (this.#before === undefined) return;
    callNative(() => this.native.rollBack());
    this.#started = this.#before.started;
    this.#factorRows = this.#before.factorRows;
    this.#refreshes = this.#before.refreshes;
    this.#before = undefined;
  }

  /** Forgets what was recorded. */
  clear(): void {
    callNative(() => this.native.clear());
    this.#recorded = this.#sampled = this.#ownGradient = false;
  }

  /** Forgets rows, factors and warm start. */
  reset(): void {
    callNative(() => this.native.reset());
    this.#recorded = this.#sampled = this.#ownGradient = this.#started = false;
    this.#factorRows = NO_ROWS;
    this.#refreshes = 0;
    this.#before = undefined;
  }

  /** What it goes on with; copies. */
  state(): LayerState {
    return { started: this.#started, rows: this.#factorRows, ...callNative(() => this.native.state()) };
  }

  /**
   * Takes over what {@link Layer.state} gave; without a solver's state a layer takes in the next step's rows.
   *
   * @param keeps - Whether its factors are kept here; else they are those of another rank, and only checked.
   * @param refreshes - Of the factors so far, where the state does not tell.
   */
  restore({ started, rows, factors, solver }: LayerState, keeps = true, refreshes?: number): void {
    const empty = factors === undefined && solver === undefined;
    const state = { ...(factors ? { factors } : {}), ...(solver ? { solver } : {}) };
    if (empty && !(started && this.#needsFactors)) callNative(() => this.native.reset());
    else callNative(() => this.native.restore(state));
    this.#refreshes = refreshes ?? callNative(() => native.shareCounts(this.native))[REFRESHES] ?? 0;
    if (!keeps) callNative(() => this.native.reset());
    this.#recorded = this.#sampled = this.#ownGradient = false;
    this.#started = started && !empty;
    this.#factorRows = rows ?? NO_ROWS;
    this.#before = undefined;
  }
}
