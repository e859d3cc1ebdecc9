/**
 * The native addon, declared whole. A weight-space vector goes over as two arrays, kernel and bias (undefined for a
 * layer without one). The addon trusts the facade with types and values, and checks again only what keeps memory safe.
 *
 * A call that gives a promise copies what it reads, and writes into the arrays once its work is done; into those that
 * are `fresh`, made for the call and seen by nobody else, at once. Reports are always the facade's own.
 */
import type {
  MaybeArray,
  NativeArrayKernels,
  NativeCombination,
  NativeHeadFit,
  NativeSampling,
  NativeTargets,
} from './kernels';
import type { NativePatches, NativeShape } from './shapes';

/** What a bare solve says of itself; reason and space by the names of the reports. */
export interface NativeSummary {
  readonly iterations: number;
  readonly residual: number;
  readonly initialResidual: number;
  readonly reason: number;
  readonly space: number;
  readonly residuals?: Float64Array;
}

/** Inner products of a solution, those that are known. */
export interface NativeProducts {
  readonly vx?: number;
  readonly xFx?: number;
  readonly xx?: number;
}

/** The spectrum of a solve, for other dampings. */
export interface NativeSpectrum {
  at(damping: number): Required<NativeProducts> & { readonly lambdaMax: number; readonly effectiveRank: number };
}

/** Bytes that a layer keeps between steps. */
export interface NativeMemory {
  readonly recorded: number;
  readonly workspace: number;
  readonly previous: number;
  readonly factors: number;
}

/** What conjugate gradients are told. */
export interface NativeCgOptions {
  readonly maxIterations: number;
  readonly tolerance: number;
  readonly space: 'auto' | 'weight' | 'gram';
}

/** λ, or a multiple of the mean eigenvalue. */
export type NativeDamping = number | { readonly relative: number };

/** How a layer solves, and what its factors are made of: options by the names of `each_option` in the core. */
export type NativeLayerOptions = Readonly<Record<string, unknown>>;

/** What cancels a call. */
export interface NativeCancelToken {
  cancel(): void;
}

/** The rows and the damping of an operator F + λI. */
export interface NativeFisherRows extends NativeShape {
  readonly inputs: Float32Array;
  readonly outputGrads: Float32Array;
  readonly batch: number;
  readonly fisherRows: number;
  readonly damping: NativeDamping;
}

/** The operator F + λI of borrowed rows. */
export interface NativeFisherOperator {
  applySync(vKernel: Float32Array, vBias: MaybeArray, outKernel: Float32Array, outBias: MaybeArray): void;
  apply(
    vKernel: Float32Array,
    vBias: MaybeArray,
    outKernel: Float32Array,
    outBias: MaybeArray,
    token: NativeCancelToken | undefined,
    fresh: boolean,
  ): Promise<void>;
}

/** A right-hand side and where the solution goes. */
export interface NativeSystem {
  readonly vKernel: Float32Array;
  readonly vBias: MaybeArray;
  readonly outKernel: Float32Array;
  readonly outBias: MaybeArray;
}

/** A right-hand side, where the solution goes, and a start. */
export interface NativeStartedSystem extends NativeSystem {
  readonly x0Kernel: MaybeArray;
  readonly x0Bias: MaybeArray;
  readonly fresh: boolean;
}

/** Conjugate gradients by themselves. */
export interface NativeConjugateGradient {
  solveSync(operator: NativeFisherOperator, system: NativeStartedSystem): NativeSummary;
  solve(
    operator: NativeFisherOperator,
    system: NativeStartedSystem,
    token: NativeCancelToken | undefined,
  ): Promise<NativeSummary>;
}

/** One side's factor, as it is kept. */
export interface NativeFactorState {
  readonly rows: Float32Array;
  readonly average: Float32Array;
  readonly squares: Float64Array;
  readonly numbers: Float64Array;
}

/** The factors of both sides. */
export interface NativeFactors {
  readonly input: NativeFactorState;
  readonly output: NativeFactorState;
}

/** What a solver goes on with; arrays are empty where there is nothing of their kind. */
export interface NativeLayerState {
  readonly inputs: Float32Array;
  readonly outputGrads: Float32Array;
  readonly previous: Float32Array;
  readonly inputFactor: Float32Array;
  readonly outputFactor: Float32Array;
  readonly inputVectors: Float32Array;
  readonly outputVectors: Float32Array;
  readonly inputValues: Float32Array;
  readonly outputValues: Float32Array;
  readonly numbers: Float64Array;
}

/** What a layer goes on with. */
export interface NativeState {
  /** The factors of both sides, unless the solver has them. */
  readonly factors?: NativeFactors;
  /** What the solver goes on with. */
  readonly solver?: NativeLayerState;
}

/** The batch of a natural gradient, and where it goes: out ← keep·out + factor·x. */
export interface NativeOwnGradient {
  readonly inputs: Float32Array;
  readonly outputGrads: Float32Array;
  readonly lossGrads: Float32Array;
  readonly batch: number;
  readonly fisherRows: number;
  readonly kernel: Float32Array;
  readonly bias: MaybeArray;
  readonly factor: number;
  readonly keep: number;
  readonly spectrum: boolean;
  /** A SolveReport. */
  readonly report: Float64Array;
  readonly fresh: boolean;
}

type SolveArguments = [
  vKernel: Float32Array,
  vBias: MaybeArray,
  outKernel: Float32Array,
  outBias: MaybeArray,
  report: Float64Array,
  spectrum: boolean,
];

type AsyncSolveArguments = [...SolveArguments, token: NativeCancelToken | undefined, fresh: boolean];

/** Rows of a batch; see binding/core/layer/recorded_rows.h. */
export interface NativeBatchRows {
  readonly inputs: Float32Array;
  /** None where the gradient of the layer is given with the step. */
  readonly lossGrads: Float32Array | undefined;
  readonly rows: number;
  /** Samples that were not counted before. */
  readonly samples: number;
  /** Makes the gradients those of a sample's own loss. */
  readonly factor: number;
  /** The samples that the rows come from: the number of the first, and how many. */
  readonly firstSample: number;
  readonly batch: number;
}

/** One layer: its factors, their histories, and a solver. */
export interface NativeLayer {
  recordBatch(inputs: Float32Array, outputGrads: Float32Array, batch: number, fisherRows: number): void;
  /** Writes a SolveReport. */
  preconditionSync(...system: SolveArguments): NativeSpectrum | undefined;
  precondition(...system: AsyncSolveArguments): Promise<NativeSpectrum | undefined>;
  naturalGradientSync(batch: NativeOwnGradient): NativeSpectrum | undefined;
  naturalGradient(batch: NativeOwnGradient, token: NativeCancelToken | undefined): Promise<NativeSpectrum | undefined>;
  estimatedCost(): number;
  /** ‖x‖ of the direction that was prepared. */
  directionNorm(): number;
  record(batch: NativeBatchRows): void;
  recordFisher(outputGrads: Float32Array, rows: number, factor: number, forFactors: boolean, samples: number): void;
  requireFinite(): void;
  rollBack(): void;
  clear(): void;
  setPatches(patches: NativePatches): void;
  setDamping(options: { readonly damping: NativeDamping }): void;
  memoryUsage(): NativeMemory;
  state(): NativeState;
  restore(state: NativeState): void;
  reset(): void;
  dispose(): void;
}

/** One layer's system in a list. */
export interface NativeLayerSystem extends NativeSystem {
  readonly layer: NativeLayer;
  /** A SolveReport. */
  readonly report: Float64Array;
}

/** One layer's part of the preparation of a step; `kernel` is its gradient, or undefined for that of its rows. */
export interface NativePreparedLayer {
  readonly layer: NativeLayer;
  readonly refresh: boolean;
  readonly kernel: MaybeArray;
  readonly bias: MaybeArray;
  /** M, where ⟨v, M⟩ is asked for. */
  readonly momentum: NativeVector | undefined;
  /** Room for u_b of each sample, where they are asked for. */
  readonly products: Float64Array | undefined;
  /** A StepReport. */
  readonly report: Float64Array;
}

/** What holds for the preparation of all layers. */
export interface NativePreparation {
  readonly damping: NativeDamping;
  /** ½η²Σ xᵀF x that every λ is made to meet. */
  readonly trust: { readonly kl: number; readonly stepSize: number } | undefined;
}

/** The arrays of a vector. */
export interface NativeVector {
  readonly kernel: Float32Array;
  readonly bias: MaybeArray;
}

/** What one rank recorded of a layer, as another takes it over. */
export interface NativeRecordedShare {
  readonly inputs: Float32Array;
  readonly lossGrads: Float32Array;
  readonly outputGrads: Float32Array;
  readonly numbers: Float64Array;
}

/** What a rank's rows give to one side's factor; see binding/core/layer/side_share.h. */
export interface NativeSideShare {
  /** 0: rows, 1: their products, or the numbers of a diagonal or of blocks. */
  readonly form: number;
  readonly numbers: Float32Array;
  readonly meta: Float64Array;
}

/** What is asked of one side; `range`: rows of the ranks before, of all ranks, that are drawn, and the draw. */
export interface NativeWantedSide {
  readonly form: number;
  readonly range: Float64Array;
}

/** What is asked of a layer's rows; the rows' own gradient goes into `gradient`. */
export interface NativeSharedLayer {
  readonly layer: NativeLayer;
  readonly gradient: NativeVector | undefined;
  readonly input: NativeWantedSide | undefined;
  readonly output: NativeWantedSide | undefined;
}

/** What a layer's rows give. */
export interface NativeShared {
  readonly input: NativeSideShare | undefined;
  readonly output: NativeSideShare | undefined;
}

/** A direction between its preparation and its length. */
export interface NativeDirection {
  readonly numbers: Float32Array;
  readonly meta: Float64Array;
}

/** A layer and room for u_b of each sample that was recorded here. */
export interface NativeMeasuredLayer {
  readonly layer: NativeLayer;
  readonly products: Float64Array;
}

/** One layer's part of an update: see binding/core/layer/update.h. */
export interface NativeUpdatedLayer {
  readonly layer: NativeLayer;
  /** η. */
  readonly stepSize: number;
  /** The bound of ‖M‖; 0 for none. */
  readonly largest: number;
  /** M. */
  readonly kept: NativeVector | undefined;
  readonly weights: NativeVector | undefined;
  readonly gradient: NativeVector | undefined;
  /** The average of the weights. */
  readonly average: NativeVector | undefined;
  /** Where the weights go in the end, which are a copy then. */
  readonly weightsTo?: NativeVector | undefined;
}

/** What holds for the update of all layers. */
export interface NativeUpdate {
  /** The learning rate, a factor of M. */
  readonly rate: number;
  /** Takes what each M was multiplied by to stay within its bound. */
  readonly factors: Float64Array;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly averageDecay: number;
}

/** An array of weights and their average. */
export interface NativeAveraged {
  readonly weights: Float32Array;
  readonly average: Float32Array;
}

/** What the addon knows of itself. */
export interface NativeInfo {
  readonly version: string;
  readonly blas: {
    readonly vendor: string;
    readonly version: string;
    readonly core: string;
    readonly threads: number;
  };
  readonly threads: number;
  readonly threadsAllowed: number;
  readonly threadsRefused: number;
  readonly napi: number;
}

/** All that the addon exports. */
export interface Native extends NativeArrayKernels {
  info(): NativeInfo;
  setThreads(threads: number): void;
  /** A CGFAC_NUM_THREADS that is no number of threads; told once in a process. */
  refusedThreads(): string | undefined;
  readonly CancelToken: new () => NativeCancelToken;
  readonly FisherOperator: new (options: NativeFisherRows) => NativeFisherOperator;
  readonly ConjugateGradient: new (options: NativeCgOptions & { readonly history: boolean }) => NativeConjugateGradient;
  readonly Layer: new (options: NativeShape & NativeLayerOptions) => NativeLayer;
  preconditionAllSync(systems: readonly NativeLayerSystem[]): void;
  prepareAllSync(layers: readonly NativePreparedLayer[], options: NativePreparation): void;
  prepareAll(
    layers: readonly NativePreparedLayer[],
    options: NativePreparation,
    token: NativeCancelToken | undefined,
  ): Promise<void>;
  writeAllSync(layers: readonly NativeUpdatedLayer[], update: NativeUpdate): void;
  writeAll(layers: readonly NativeUpdatedLayer[], update: NativeUpdate): Promise<void>;
  averageAll(arrays: readonly NativeAveraged[], decay: number): void;
  recordedShare(layer: NativeLayer): NativeRecordedShare;
  /** Copies what another rank recorded behind what is there. */
  recordShare(layer: NativeLayer, share: NativeRecordedShare): void;
  /** The ShareCounts of binding/core/layer/side_share.h, in their order. */
  shareCounts(layer: NativeLayer): Float64Array;
  shareAllSync(layers: readonly NativeSharedLayer[]): readonly NativeShared[];
  shareAll(
    layers: readonly NativeSharedLayer[],
    none: undefined,
    token: NativeCancelToken | undefined,
  ): Promise<readonly NativeShared[]>;
  /** What the next refresh takes in, of all ranks, in their order. */
  takeShares(layer: NativeLayer, input: readonly NativeSideShare[], output: readonly NativeSideShare[]): void;
  direction(layer: NativeLayer): NativeDirection;
  takeDirection(layer: NativeLayer, direction: NativeDirection): void;
  /** Samples of each layer that have an u_b. */
  measureAllSync(layers: readonly NativeMeasuredLayer[]): Float64Array;
  measureAll(
    layers: readonly NativeMeasuredLayer[],
    none: undefined,
    token: NativeCancelToken | undefined,
  ): Promise<Float64Array>;
  /** Copies numbers from arrays to arrays of the same lengths. */
  copyAll(arrays: readonly { readonly from: Float32Array; readonly to: Float32Array }[]): void;
  combine(combination: NativeCombination): void;
  /** ‖x‖² of an array. */
  square(array: Float32Array): number;
  /** A number of 53 bits that other numbers in these arrays would hardly have. */
  fingerprint(arrays: readonly Float32Array[]): number;
  /** The index of the first array that holds NaN or infinity, or −1. */
  firstNotFinite(arrays: readonly Float32Array[]): number;
  sampleErrors(sampling: NativeSampling): void;
  fitHead(fit: NativeHeadFit): void;
  targetEntropy(targets: NativeTargets): void;
}
