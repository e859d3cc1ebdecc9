/**
 * What a kind of layer has to say about a place where it uses its weights. One file per kind; `sites.ts` lists the
 * kinds.
 */
import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import type { TapeNode } from '../tape/tape';

/** A variable as an op sees it, after reshapes and transpositions. */
export interface View {
  /** The variable beneath. */
  readonly variable: Variable;
  /** Whether the last two axes stand in the other order than in the variable. */
  readonly transposed: boolean;
  /** The shape that the op sees. */
  readonly shape: readonly number[];
}

/** One use of a kernel: the op that applies it to data, and how to read its rows. */
export interface Site {
  /** The op. */
  readonly node: TapeNode;
  /** The name of the input that the kernel is. */
  readonly kernelInput: string;
  /** Rows of `inputs` and of `outputGrads`. */
  readonly rows: number;
  /** Width of a row of inputs, without a bias. */
  readonly inFeatures: number;
  /** Width of a row of output gradients. */
  readonly outFeatures: number;
  /** How the variable stores the kernel: `'in-out'` is (inFeatures × outFeatures), row-major. */
  readonly kernelLayout: 'in-out' | 'out-in';
  /** The data that the kernel is applied to, as the op gets it. */
  readonly data: Tensor;
  /** The samples among the rows, where the op itself knows; else it is found from where the data came from. */
  readonly samples?: number;
  /** The name of the op's own bias input; `undefined` where the op has none, and a bias may be added after it. */
  readonly biasInput: string | undefined;
  /** Whether a row vector of outFeatures numbers, added to the output, is a bias. */
  readonly rowsAreOutputRows: boolean;
  /** Reads the inputs, (rows × inFeatures), row-major. The array may be the tensor's own: it must not be written to. */
  readInputs(): Float32Array;
  /** Reads the output gradients, (rows × outFeatures), row-major, from the gradient of the op's output; likewise. */
  readOutputGrads(outputGradient: Tensor): Float32Array;
}

/** A kind of layer: recognises the use of `view` as the input `name` of `node`. */
export type LayerKind = (node: TapeNode, name: string, view: View) => Site | undefined;
