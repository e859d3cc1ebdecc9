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
import type { NativeCancelToken, NativeDamping, NativeLayer, NativeVector } from './layer';
import type { NativeShape } from './shapes';
import type { NativeShares } from './shares';

/** What a bare solve says of itself; reason and space by the names of the reports. */
export interface NativeSummary {
  readonly iterations: number;
  readonly residual: number;
  readonly initialResidual: number;
  readonly reason: number;
  readonly space: number;
  readonly residuals?: Float64Array;
}

/** What conjugate gradients are told. */
export interface NativeCgOptions {
  readonly maxIterations: number;
  readonly tolerance: number;
  readonly space: 'auto' | 'weight' | 'gram';
}

/** How a layer solves, and what its factors are made of: options by the names of `each_option` in the core. */
export type NativeLayerOptions = Readonly<Record<string, unknown>>;

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
export interface Native extends NativeArrayKernels, NativeShares {
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
