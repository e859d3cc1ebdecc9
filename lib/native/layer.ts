/** The addon's layer: what it takes in, solves, and keeps. */
import type { MaybeArray } from './kernels';
import type { NativePatches } from './shapes';

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

/** λ, or a multiple of the mean eigenvalue. */
export type NativeDamping = number | { readonly relative: number };

/** What cancels a call. */
export interface NativeCancelToken {
  cancel(): void;
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

type AsyncSolveArguments = [...solve: SolveArguments, token: NativeCancelToken | undefined, fresh: boolean];

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

/** The arrays of a vector. */
export interface NativeVector {
  readonly kernel: Float32Array;
  readonly bias: MaybeArray;
}
