/** What ranks that train one model tell each other of a layer, as the addon takes it and gives it. */
import type { NativeCancelToken, NativeLayer, NativeVector } from './layer';

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

/** The functions of the addon that several ranks need. */
export interface NativeShares {
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
}
