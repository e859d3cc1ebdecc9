/**
 * The native addon: its declaration, whole, and the one place that loads it.
 *
 * A weight-space vector goes over as two arrays, kernel and bias (undefined for a layer without one). The addon trusts
 * the facade with types and values, and checks again only what keeps memory safe.
 */
import { join } from 'node:path';
import loadAddon from 'node-gyp-build';
import { CgfacError } from '../base/errors';

/** The reason a solve ended; `cancelled` never leaves the addon, its promise rejects. */
type NativeReason = 'converged' | 'max-iterations' | 'indefinite' | 'broken-down';

export interface NativeSummary {
  readonly iterations: number;
  readonly residual: number;
  readonly initialResidual: number;
  readonly reason: NativeReason;
  readonly space: 'gram' | 'weight';
  readonly residuals?: number[];
}

export interface NativeProducts {
  readonly vx?: number;
  readonly xFx?: number;
  readonly xx?: number;
}

export interface NativeSpectrum {
  at(damping: number): Required<NativeProducts> & { readonly lambdaMax: number; readonly effectiveRank: number };
}

/** The places of a report: what a layer says of a solve, in numbers; NaN for what is not known. */
export const reportPlaces = [
  'method', // 0 cg, 1 exact, 2 kfac
  'iterations',
  'residual',
  'initialResidual',
  'reason', // 0 converged, 1 max-iterations, 2 indefinite, 3 broken-down, 4 solved
  'space', // 0 gram, 1 weight
  'basis', // 0 plain, 1 tridiagonal
  'inputForm', // 0 panel, 1 covariance
  'outputForm',
  'damping', // λ, or γ of the input side
  'outputDamping',
  'lambdaMax',
  'effectiveRank',
  'clamped',
  'vx',
  'xFx',
  'xx',
] as const;

/** The places of the spectra of a layer's factors; NaN for what is not known. */
export const spectraPlaces = [
  'inputTrace',
  'outputTrace',
  'inputLargest', // the largest eigenvalue
  'outputLargest',
  'inputEffectiveRank', // of direct K-FAC with factored damping
  'outputEffectiveRank',
  'effectiveRank', // with Tikhonov damping
  'microseconds', // that the last solve took
] as const;

export interface NativeLayerMemory {
  readonly batch: number;
  readonly workspace: number;
  readonly previous: number;
  readonly factors: number;
}

export interface NativeLayerSolve {
  readonly damping: NativeDamping;
  readonly dampingMode: 'tikhonov' | 'factored';
  readonly block: 'kronecker' | 'sample';
  readonly method: 'auto' | 'cg' | 'exact' | 'kfac';
  readonly warmStart: 'none' | 'previous' | 'scaled';
  readonly factorUpdateSteps: number;
  readonly inverseUpdateSteps: number;
  readonly factorDecay: number;
}

export interface NativeShape {
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
  readonly lossReduction: 'sum' | 'mean';
  readonly kernelLayout: 'out-in' | 'in-out';
}

export interface NativeCgOptions {
  readonly maxIterations: number;
  readonly tolerance: number;
  readonly space: 'auto' | 'weight' | 'gram';
}

export type NativeDamping = number | { readonly relative: number };
type MaybeArray = Float32Array | undefined;

export interface NativeCancelToken {
  cancel(): void;
}

export interface NativeFisherOperator {
  applySync(vKernel: Float32Array, vBias: MaybeArray, outKernel: Float32Array, outBias: MaybeArray): void;
  apply(
    vKernel: Float32Array,
    vBias: MaybeArray,
    outKernel: Float32Array,
    outBias: MaybeArray,
    token: NativeCancelToken | undefined,
  ): Promise<void>;
}

export interface NativeConjugateGradient {
  solveSync(
    operator: NativeFisherOperator,
    vKernel: Float32Array,
    vBias: MaybeArray,
    outKernel: Float32Array,
    outBias: MaybeArray,
    x0Kernel: MaybeArray,
    x0Bias: MaybeArray,
  ): NativeSummary;
  solve(
    operator: NativeFisherOperator,
    vKernel: Float32Array,
    vBias: MaybeArray,
    outKernel: Float32Array,
    outBias: MaybeArray,
    x0Kernel: MaybeArray,
    x0Bias: MaybeArray,
    token: NativeCancelToken | undefined,
  ): Promise<NativeSummary>;
}

/**
 * What a layer goes on with: the recorded batch, the warm start, and direct K-FAC's averages; arrays are empty where
 * there is none.
 */
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

export interface NativeLayerPreconditioner {
  /** With `fillsUp` a batch with fewer rows than the one before is filled up with rows of that one. */
  record(inputs: Float32Array, outputGrads: Float32Array, batch: number, fisherRows: number, fillsUp: boolean): void;
  hasDamping(): boolean;
  factorSpectra(report: Float64Array): void;
  forgetPrevious(): void;
  /**
   * The batch before the last record() is the recorded one again, unless averages have taken this one in, or since
   * settle().
   */
  rollBack(): void;
  settle(): void;
  /** Rows of the recorded batch, those that fill it up among them. */
  recordedRows(): { readonly input: number; readonly output: number };
  preconditionSync(...system: NativeSystem): NativeSpectrum | undefined;
  precondition(...system: [...NativeSystem, token: NativeCancelToken | undefined]): Promise<NativeSpectrum | undefined>;
  naturalGradientSync(...batch: NativeOwnGradient): NativeSpectrum | undefined;
  naturalGradient(
    ...batch: [...NativeOwnGradient, token: NativeCancelToken | undefined]
  ): Promise<NativeSpectrum | undefined>;
  setDamping(options: { readonly damping: NativeDamping }): void;
  memoryUsage(): NativeLayerMemory;
  state(): NativeLayerState;
  restore(state: NativeLayerState): void;
  estimatedCost(): number;
  reset(): void;
  dispose(): void;
}

/** A right-hand side and where the solution goes. */
export type NativeSystem = [
  vKernel: Float32Array,
  vBias: MaybeArray,
  outKernel: Float32Array,
  outBias: MaybeArray,
  spectrum: boolean,
  report: Float64Array,
];

/** The batch of a natural gradient, and where it goes: out ← keep·out + factor·x. */
export type NativeOwnGradient = [
  inputs: Float32Array,
  outputGrads: Float32Array,
  lossGrads: Float32Array,
  batch: number,
  fisherRows: number,
  outKernel: Float32Array,
  outBias: MaybeArray,
  factor: number,
  keep: number,
  spectrum: boolean,
  report: Float64Array,
];

export interface NativeLayerSystem {
  readonly layer: NativeLayerPreconditioner;
  readonly vKernel: Float32Array;
  readonly vBias: MaybeArray;
  readonly outKernel: Float32Array;
  readonly outBias: MaybeArray;
  readonly report: Float64Array;
}

/** The places of a factored layer's report of a step. */
export const stepPlaces = [
  'vx',
  'xFx',
  'formed', // 1 where v was formed
  'inputDamping', // γ_A and γ_G, 0 where there is no curvature
  'outputDamping',
  'inputRows',
  'outputRows',
  'inputRank', // rows that are kept of a side, 0 where it is dense
  'outputRank',
  'inputLargest', // the largest eigenvalue
  'outputLargest',
  'inputEffectiveRank',
  'outputEffectiveRank',
  'inputTrace',
  'outputTrace',
  'bound', // ≥ ‖x‖
  'microseconds',
] as const;

/** One side's factor, as it is kept. */
export interface NativeFactorState {
  readonly rows: Float32Array;
  readonly average: Float32Array;
  readonly squares: Float64Array;
  readonly numbers: Float64Array;
}

/** Both sides' factors. */
export interface NativeFactors {
  readonly input: NativeFactorState;
  readonly output: NativeFactorState;
}

export interface NativeFactoredLayer {
  record(inputs: Float32Array, lossGrads: Float32Array, rows: number, samples: number, factor: number): void;
  recordFisher(outputGrads: Float32Array, rows: number, factor: number): void;
  requireFinite(): void;
  clear(): void;
  /** The factors are as before what the last step's refresh took in. */
  rollBack(): void;
  reset(): void;
  memoryUsage(): { readonly recorded: number; readonly factors: number; readonly workspace: number };
  state(): NativeFactors;
  restore(state: NativeFactors): void;
}

export interface NativePreparedLayer {
  readonly layer: NativeFactoredLayer;
  readonly refresh: boolean;
  readonly damping: NativeDamping;
  readonly curvature: boolean;
  readonly kernel: MaybeArray;
  readonly bias: MaybeArray;
  readonly report: Float64Array;
}

/** out ← keep·out + factor·x */
export interface NativeWrittenLayer {
  readonly layer: NativeFactoredLayer;
  readonly kernel: Float32Array;
  readonly bias: MaybeArray;
  readonly factor: number;
  readonly keep: number;
}
/**
 * out[p] ← φ(op(a[pairs[2p]]) op(b[pairs[2p + 1]]) + bias): op(a[i]) is rows × inner, op(b[j]) inner × cols, transposed
 * in storage where the flag says so. The shapes of bias and slopes (φ's, for prelu) have three extents, each 1 or that
 * of out.
 */
export type NativeMatrixProducts = [
  a: Float32Array,
  b: Float32Array,
  out: Float32Array,
  pairs: Uint32Array,
  countA: number,
  countB: number,
  rows: number,
  cols: number,
  inner: number,
  transposeA: boolean,
  transposeB: boolean,
  bias: MaybeArray,
  biasShape: Uint32Array | undefined,
  activation: 'linear' | 'relu' | 'relu6' | 'prelu' | 'leakyrelu' | 'sigmoid' | 'elu',
  slope: number,
  slopes: MaybeArray,
  slopesShape: Uint32Array | undefined,
];

export interface NativeInfo {
  readonly version: string;
  readonly blas: { readonly vendor: string; readonly version: string; readonly core: string; readonly threads: number };
  readonly threads: number;
  readonly napi: number;
}

interface Native {
  info(): NativeInfo;
  readonly CancelToken: new () => NativeCancelToken;
  readonly FisherOperator: new (
    options: NativeShape & {
      readonly inputs: Float32Array;
      readonly outputGrads: Float32Array;
      readonly batch: number;
      readonly fisherRows: number;
      readonly damping: NativeDamping;
    },
  ) => NativeFisherOperator;
  readonly ConjugateGradient: new (options: NativeCgOptions & { readonly history: boolean }) => NativeConjugateGradient;
  readonly LayerPreconditioner: new (
    options: NativeShape & NativeCgOptions & NativeLayerSolve,
  ) => NativeLayerPreconditioner;
  preconditionAllSync(systems: readonly NativeLayerSystem[]): void;
  readonly FactoredLayer: new (
    options: NativeShape & {
      readonly history: 'none' | 'panel' | 'dense';
      readonly decay: number;
      readonly rank: number;
      readonly panelRows: number;
      readonly window: number;
    },
  ) => NativeFactoredLayer;
  prepareAllSync(layers: readonly NativePreparedLayer[]): void;
  prepareAll(layers: readonly NativePreparedLayer[], token: NativeCancelToken | undefined): Promise<void>;
  writeAllSync(layers: readonly NativeWrittenLayer[]): void;
  writeAll(layers: readonly NativeWrittenLayer[]): Promise<void>;
  /** out ← scale · lossGradsᵀ [inputs 1] */
  formGradient(
    shape: NativeShape,
    inputs: Float32Array,
    lossGrads: Float32Array,
    rows: number,
    outKernel: Float32Array,
    outBias: MaybeArray,
    scale: number,
  ): void;
  setThreads(threads: number): void;
  matrixProducts(...products: NativeMatrixProducts): void;
}

/** The folder that holds package.json: two up from the sources, three up from the compiled files. */
function packageRoot(): string {
  const parent = join(__dirname, '../..');
  return parent.endsWith('dist') ? join(parent, '..') : parent;
}

function load(): Native {
  try {
    return loadAddon(packageRoot()) as Native;
  } catch (cause) {
    if ((cause as { code?: unknown }).code === 'ERR_CGFAC_BLAS_MISMATCH') throw toCgfacError(cause);
    const platform = `${process.platform}-${process.arch}`;
    throw new CgfacError(
      'ERR_CGFAC_NATIVE_LOAD',
      `Expected a native addon for ${platform}, Node ${process.versions.node}, but none could be loaded. A binary is shipped for linux-x64 (glibc 2.34 or newer); for another platform build from a checkout of the repository: npm run build`,
      { cause },
    );
  }
}

/** Makes a {@link CgfacError} of an error that the addon threw; anything else is returned as it is. */
export function toCgfacError(error: unknown): unknown {
  // not `instanceof Error`: the addon's errors may be of another realm
  if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error)) return error;
  const { code, message } = error as { code: unknown; message: unknown };
  if (typeof code !== 'string' || !code.startsWith('ERR_CGFAC_')) return error;
  return new CgfacError(code as CgfacError['code'], String(message), { cause: error });
}

/** Calls into the addon, and throws what it throws as {@link CgfacError}. */
export function callNative<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw toCgfacError(error);
  }
}

/**
 * Runs an asynchronous call of the addon under an `AbortSignal`. It settles only once the pool thread has let go of the
 * arrays; aborted before that, it rejects with the signal's reason.
 */
export async function callNativeAsync<T>(
  signal: AbortSignal | undefined,
  call: (token: NativeCancelToken | undefined) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const token = signal === undefined ? undefined : new native.CancelToken();
  const cancel = () => token?.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    return await call(token);
  } catch (error) {
    signal?.throwIfAborted();
    throw toCgfacError(error);
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/** The loaded addon. */
export const native: Native = load();
