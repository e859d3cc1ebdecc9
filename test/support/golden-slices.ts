/** The golden cases of kernels that are used in slices of columns, a block for each (test/golden/kinds/generate.py). */
import { type GoldenArray, GoldenFile } from './golden-case';

interface SlicesManifest {
  readonly batch: number;
  readonly fisherBatch: number;
  readonly relativeDamping: number;
  readonly blocks: readonly { readonly from: number; readonly to: number }[];
  readonly arrays: readonly GoldenArray[];
}

/** A kernel in slices: the rows of each, the gradient of the kernel, and its direction in float64. */
export class GoldenSlices extends GoldenFile<SlicesManifest> {
  /** The rows of a block: (samples × positions × features), row-major. */
  rows(block: number) {
    const of = (name: string) => this.float32(`${name}@${block}`);
    return { inputs: of('inputs'), lossGrads: of('lossGrads'), fisherGrads: of('fisherGrads') };
  }

  /** Rows and columns of the kernel. */
  get size(): readonly [number, number] {
    const [rows = 0, columns = 0] = this.shape('kernelGrad');
    return [rows, columns];
  }

  /** The columns of a block of a matrix of the kernel's shape, (rows × columns of the block), row-major. */
  columns(name: 'kernelGrad' | 'expand_kernel', block: number): Float64Array {
    const [, width] = this.size;
    const { from = 0, to = 0 } = this.manifest.blocks[block] ?? {};
    return this.float64(name).filter((_, at) => at % width >= from && at % width < to);
  }
}
