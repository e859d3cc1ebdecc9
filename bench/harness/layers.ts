/** A layer shape of the benchmarks; every suite takes its layers from this one table. */
export interface BenchLayer {
  /** m×n, as in the rows of the results. */
  readonly name: string;
  readonly outFeatures: number;
  readonly inFeatures: number;
  /** Samples. */
  readonly batch: number;
  /** Rows of either side: the batch, or for a convolution batch × positions. */
  readonly rows: number;
}

/** A fully connected layer. */
export function dense(outFeatures: number, inFeatures: number, batch: number): BenchLayer {
  return { name: `${outFeatures}x${inFeatures}`, outFeatures, inFeatures, batch, rows: batch };
}

/**
 * The 3×3 convolution of 256 to 256 channels on 14×14 positions, 32 samples: its patches are the rows of the input
 * side.
 */
const convolution: BenchLayer = { name: '256x2304', outFeatures: 256, inFeatures: 2304, batch: 32, rows: 32 * 14 * 14 };

/** The layers of the benchmarks, from which every suite takes its own. */
export const layers: readonly BenchLayer[] = [
  dense(1000, 784, 128),
  dense(500, 1000, 128),
  dense(250, 500, 128),
  dense(1024, 1024, 64),
  dense(4096, 1024, 256),
  dense(1024, 4096, 256),
  dense(3072, 768, 512),
  dense(4096, 4096, 128),
  dense(64, 64, 32),
  convolution,
];

/** The fully connected layers of the table. */
export const denseLayers = layers.filter(({ rows, batch }) => rows === batch);

/** The layer of the table of that name. */
export function layerNamed(name: string): BenchLayer {
  const found = layers.find((layer) => layer.name === name);
  if (!found) throw new RangeError(`there is no layer ${name} in the table`);
  return found;
}
