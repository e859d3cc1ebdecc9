/** Pixels of one picture: 28 × 28, row-major, 0 (paper) to 1 (ink). */
export const PIXELS = 784;

/** Some pictures, and the class that each of them shows. */
export interface Pictures {
  /** (count × 784), row-major. */
  readonly pixels: Float32Array;
  /** What each picture shows, 0 to 9. */
  readonly labels: Uint8Array;
}

/** The pictures to train on, and those held out. */
export interface PictureSets {
  /** The pictures that runs train on. */
  readonly training: Pictures;
  /** The pictures that no run trains on. */
  readonly heldOut: Pictures;
}
