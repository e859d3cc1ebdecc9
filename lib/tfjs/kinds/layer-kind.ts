/**
 * What a kind of layer has to say of its ops and of the places where it uses its weights. Each kind has a file of its
 * own in this folder and a line in kinds.ts; no other file knows of its ops.
 */
import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import type { KernelLayout, Preconditioner } from '../../adapter-kit';
import type { Reader } from '../tape/numbers';
import type { OpKind, TapeNode } from '../tape/tape';
import { nameOf, type Part } from './part';

/** A variable, or a range of one of its axes, as an op sees it after reshapes, transpositions, slices and splits. */
export interface View extends Part {
  /** Whether the last two axes stand in the other order than in the variable. */
  readonly transposed: boolean;
  /** The shape that the op sees, or, of a view that is tiled, saw before. */
  readonly shape: readonly number[];
  /** Whether axes of length 1 are repeated, so that numbers stand for several. */
  readonly tiled: boolean;
}

/**
 * How a bias comes to a site: as the input `name` of the op itself; as a row vector of outFeatures numbers that a later
 * op adds to the output; or in no way that is known.
 */
export type BiasRole =
  | { readonly is: 'input'; readonly name: string }
  | { readonly is: 'addition' }
  | { readonly is: 'unknown' };

/** What a layer is in its network: see the options of `Preconditioner.registerDense`. */
export interface LayerPlace {
  readonly recurrent: boolean;
  readonly attended: boolean;
  readonly judged: boolean;
  readonly output: boolean;
}

/** Takes a layer under the care of a preconditioner, by a name. It keeps nothing of the step it was made at. */
export type Registration = (preconditioner: Preconditioner, name: string, place: LayerPlace) => void;

/** What the normal backward pass does about the gradient of a kernel that the rows give. */
export type KernelGradient = 'computed' | 'zeros';

/** One use of a kernel: the op that applies it to data, and how to read its rows. */
export interface Site {
  /** The op. */
  readonly node: TapeNode;
  /** The number of rows of inputs, and of output gradients. */
  readonly rows: number;
  /** Width of a row of inputs, without a bias. */
  readonly inFeatures: number;
  /** Width of a row of output gradients; of a convolution that of one position. */
  readonly outFeatures: number;
  /** Numbers of a row of output gradients, where it holds several positions. Default: outFeatures. */
  readonly gradWidth?: number;
  /** What sites of one layer have in common besides the kernel's form, in words. */
  readonly form?: string;
  /**
   * Whether the gradient of the kernel is the framework's own, not that of the rows, which factors alone are made of:
   * they are then needed where these are refreshed.
   */
  readonly given?: true;
  /** Whether a variable may be repeated along axes of length 1. */
  readonly takesTiled?: true;
  /** Whether the block is one of a kernel and a bias together. */
  readonly needsBias?: true;
  /** How the variable stores the kernel: `'in-out'` is (inFeatures × outFeatures), row-major. */
  readonly kernelLayout: KernelLayout;
  /**
   * Whether sites of slices of a kernel that share their data can be put together: the gradient of a slice of outputs
   * is that of the whole kernel, sliced.
   */
  readonly takesSlices?: boolean;
  /** The data that the kernel is applied to, as the op gets it. */
  readonly data: Tensor;
  /** Whether the gradient of its data can be had for the first rows of the output gradients alone. */
  readonly takesFewerRows: boolean;
  /** Whether the rows of output gradients are the gradient of the op's output, number by number. */
  readonly plainGrads: boolean;
  /** Whether the op brought its data into another shape first, so that the shape of `data` says nothing of samples. */
  readonly reshapesData: boolean;
  /** The samples among the rows, where the op itself knows; else it is found from where the data came from. */
  readonly samples?: number;
  /** How a bias comes to the op. */
  readonly bias: BiasRole;
  /**
   * Reads the inputs, (rows × inFeatures), row-major; of a convolution whole samples, of an embedding ids. The array
   * may be the tensor's own: it must not be written to.
   *
   * @param read - Gives the numbers of a tensor.
   */
  readInputs(read: Reader): Float32Array | Int32Array;
  /**
   * Reads the output gradients, (rows × gradWidth), row-major, from the gradient of the op's output. The array may be
   * the tensor's own: it must not be written to.
   *
   * @param read - Gives the numbers of a tensor.
   */
  readOutputGrads(outputGradient: Tensor, read: Reader): Float32Array;
  /**
   * Has the normal backward pass take zeros for the gradient of the kernel, or compute it; the other gradients have the
   * same bits either way.
   */
  replaceGradients?(kernelGradient: KernelGradient): void;
  /** Has a layer that is registered take samples of this site's size. */
  readonly resize?: (preconditioner: Preconditioner, name: string) => void;
  /** What registers the layer of this site, or of several side by side, with a bias or without. */
  registration(bias: boolean, outFeatures: number): Registration;
}

/**
 * Where a layer uses its kernel: one site, or those of slices of the kernel that stand side by side and share their
 * data.
 */
export interface LayerSite
  extends Omit<
    Site,
    'node' | 'bias' | 'takesSlices' | 'takesTiled' | 'plainGrads' | 'readOutputGrads' | 'replaceGradients'
  > {
  /** The sites, in the order of their outputs. */
  readonly ops: readonly [Site, ...Site[]];
}

/** The ids of the outputs of sites. */
export function outputsOf(sites: readonly Pick<LayerSite, 'ops'>[]): Set<number> {
  return new Set(sites.flatMap(({ ops }) => ops.flatMap(({ node }) => node.outputs.map(({ id }) => id))));
}

/** A kind of layer: what it tells the tape of its ops, and the sites that it knows. */
export interface LayerKind extends OpKind {
  /** The site where `node` applies `view`, its input `name`, to data; `undefined` where this kind knows none. */
  siteAt(node: TapeNode, name: string, view: View): Site | undefined;
}

/** Takes a lone variable under the care of a preconditioner: a diagonal, of the means of its rows and columns. */
export function registerLone({ size, shape }: Variable): Registration {
  const last = shape.at(-1) ?? 1;
  const columns = shape.length >= 2 && last > 1 && last < size ? { columns: last } : {};
  return (preconditioner, name, { recurrent, attended, judged }) => {
    preconditioner.registerDiagonal(name, { features: size, ...columns, recurrent, attended, judged });
  };
}

/** The parts of variables that a block of the Fisher matrix is of. */
export interface Block {
  readonly kernel: Part;
  readonly bias: Part | undefined;
}

/** A kernel, its bias, and all the sites that use them: one block of the Fisher matrix. */
export interface Layer extends Block {
  /** At least one; several where the layer is shared or unrolled in time. */
  readonly sites: readonly [LayerSite, ...LayerSite[]];
}

/** Whether the gradient of a layer is the framework's own, and its rows are for its factors alone. */
export function isGiven({ sites: [site] }: Pick<Layer, 'sites'>): boolean {
  return site.given === true;
}

/** The parts of a block, the kernel first. */
export function partsOf({ kernel, bias }: Block): Part[] {
  return bias ? [kernel, bias] : [kernel];
}

/** The variables of a block, that of the kernel first. */
export function variablesOf(block: Block): Variable[] {
  return [...new Set(partsOf(block).map(({ variable }) => variable))];
}

/** What a block is called: the name of its kernel. */
export function blockName({ kernel }: Pick<Block, 'kernel'>): string {
  return nameOf(kernel);
}
