import type { Variable } from '@tensorflow/tfjs-core';
import { CgfacError } from '../error';
import { LayerPreconditioner } from '../layer-preconditioner';
import type { CgSummary } from '../options';
import { type CapturedLayer, concatenated, requiredGrads } from './capture';
import type { ResolvedCgOptions } from './options';
import type { Layer } from './sites';
import type { BlockReport } from './step-report';

/** A gradient or a direction of one block, in the layout of its kernel. */
export interface BlockVector {
  readonly kernel: Float32Array;
  readonly bias: Float32Array | undefined;
}

/** The direction of a block and how it was come by. */
export interface BlockDirection extends BlockVector {
  readonly report: BlockReport;
}

interface Solution
  extends BlockVector,
    Pick<BlockReport, 'iterations' | 'residual' | 'initialResidual' | 'reason' | 'space' | 'innerProduct'> {}

interface Rows {
  readonly inputs: Float32Array;
  readonly outputGrads: Float32Array;
  readonly samples: number;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] ?? 0) * (b[at] ?? 0);
  return sum;
}

function scaled(values: Float32Array, factor: number): Float32Array {
  return factor === 1 ? values : values.map((value) => factor * value);
}

/** One layer between steps: its preconditioner with the previous direction, and rows to fill up a short batch with. */
export class Block {
  readonly kernel: Variable;
  readonly bias: Variable | undefined;
  readonly #preconditioner: LayerPreconditioner<boolean>;
  #previous: Rows | undefined;

  constructor(layer: Layer, options: ResolvedCgOptions) {
    const [{ inFeatures, outFeatures, kernelLayout }] = layer.sites;
    const { damping, space, maxIterations, tolerance, warmStart } = options;
    this.kernel = layer.kernel;
    this.bias = layer.bias;
    this.#preconditioner = new LayerPreconditioner({
      inFeatures,
      outFeatures,
      bias: layer.bias !== undefined,
      damping,
      method: 'cg',
      space,
      maxIterations,
      tolerance,
      warmStart,
      lossReduction: 'sum',
      kernelLayout,
    });
  }

  /** Whether a layer is the one that this block was made for, with the same bias. */
  fits(layer: Layer): boolean {
    return layer.kernel === this.kernel && layer.bias === this.bias;
  }

  /** Solves (F + λI) x = v for this step's rows. What it returns is new. */
  precondition(layer: CapturedLayer, v: BlockVector): BlockDirection {
    const [{ inFeatures, outFeatures }] = layer.sites;
    const rows = this.#rowsOf(layer);
    const { all, addedRows } = this.#filledUp(rows, inFeatures, outFeatures);
    const batch = all.inputs.length / inFeatures;
    // A sums over the rows of a sample where G averages over them; the solver averages on both sides, so G makes up for it.
    const record = { inputs: all.inputs, outputGrads: scaled(all.outputGrads, Math.sqrt(batch / all.samples)), batch };
    this.#preconditioner.record(record);
    let direction = this.#solve(v);
    const restarted = !(direction.innerProduct > 0) && direction.initialResidual !== 1;
    if (restarted) {
      this.#preconditioner.reset();
      this.#preconditioner.record(record);
      direction = this.#solve(v);
    }
    // The inputs may be memory that the caller fills with its next batch; the gradients are nobody else's.
    this.#previous = { ...rows, inputs: rows.inputs.slice() };
    const { kernel, bias, iterations, residual, initialResidual, reason, space, innerProduct } = direction;
    const layerReport = { kernel: this.kernel.name, bias: this.bias?.name, inFeatures, outFeatures, rows: batch, addedRows };
    return { kernel, bias, report: { ...layerReport, iterations, residual, initialResidual, reason, space, restarted, innerProduct } };
  }

  #rowsOf(layer: CapturedLayer): Rows {
    const { inputs, samples, sampledGrads } = layer;
    if (sampledGrads) return { inputs, samples, outputGrads: sampledGrads };
    // The loss is a mean over the samples: what arrives at a site is the per-sample gradient divided by their number.
    return { inputs, samples, outputGrads: scaled(requiredGrads(layer), samples) };
  }

  /** A batch with fewer samples than the one before, filled up with rows of that one: the same rows on both sides. */
  #filledUp(rows: Rows, inFeatures: number, outFeatures: number): { all: Rows; addedRows: number } {
    const previous = this.#previous;
    if (!previous || rows.samples >= previous.samples) return { all: rows, addedRows: 0 };
    const rowsPerSample = previous.inputs.length / inFeatures / previous.samples;
    const addedRows = Math.floor((previous.samples - rows.samples) * rowsPerSample);
    const all = {
      inputs: concatenated([rows.inputs, previous.inputs.subarray(0, addedRows * inFeatures)]),
      outputGrads: concatenated([rows.outputGrads, previous.outputGrads.subarray(0, addedRows * outFeatures)]),
      samples: previous.samples,
    };
    return { all, addedRows };
  }

  #solve(v: BlockVector): Solution {
    const { kernel, bias } = v;
    try {
      const solution = this.#preconditioner.preconditionSync(bias ? { kernel, bias } : kernel);
      const { x, ...summary } = solution as typeof solution & CgSummary; // method 'cg' says all of it
      if (!('kernel' in x)) return { kernel: x, bias: undefined, ...summary, innerProduct: dot(kernel, x) };
      return { ...x, ...summary, innerProduct: dot(kernel, x.kernel) + (bias ? dot(bias, x.bias) : 0) };
    } catch (error) {
      // The one value that the solver can object to here: a damping beyond float32, being relative to an F of zero or next to it.
      if (!(error instanceof CgfacError) || error.code !== 'ERR_CGFAC_INVALID_ARG_VALUE') throw error;
      return {
        kernel: new Float32Array(kernel.length),
        bias: bias && new Float32Array(bias.length),
        iterations: 0,
        residual: 1,
        initialResidual: 1,
        reason: 'no-curvature',
        space: undefined,
        innerProduct: 0,
      };
    }
  }

  /** Lets go of the solver's memory. */
  dispose(): void {
    this.#preconditioner.dispose();
    this.#previous = undefined;
  }
}
