/** What each entry of the table is tried with: layers, batches, damping, and ways of solving. */
import type { KernelLayout, LossReduction, WeightVector } from 'cgfac';
import type { Damping } from './dense-oracle';
import { randomNumbers } from './layers';
import type { Entry } from './table';

/** A layer of the table. */
export interface TableLayer {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
  readonly kernelLayout: KernelLayout;
}

/** More rows than features on both sides. */
const small: TableLayer = { name: 'small', inFeatures: 6, outFeatures: 9, bias: true, kernelLayout: 'out-in' };
/** A small layer of the other layout, without a bias. */
export const slim: TableLayer = { name: 'slim', inFeatures: 12, outFeatures: 5, bias: false, kernelLayout: 'in-out' };
/** A panel of the inputs. */
export const wide: TableLayer = { name: 'wide', inFeatures: 210, outFeatures: 24, bias: true, kernelLayout: 'in-out' };
/** A panel of the outputs. */
const tall: TableLayer = { name: 'tall', inFeatures: 30, outFeatures: 204, bias: false, kernelLayout: 'out-in' };
/** Panels on both sides. */
const broad: TableLayer = { name: 'broad', inFeatures: 201, outFeatures: 203, bias: true, kernelLayout: 'in-out' };

/** Directions of a panel, some and all; of other histories none. */
export const ranksOf = ({ factorHistory }: Entry): readonly number[] => (factorHistory === 'panel' ? [6, 64] : [0]);

/** The layers an entry is tried with: small ones for m·n × m·n matrices, and two panels where both are cut off. */
export function layersOf({ block }: Entry, rank: number): readonly TableLayer[] {
  if (block === 'sample') return [small, slim];
  return rank > 0 && rank < batch ? [small, wide, tall, broad] : [small, wide, tall];
}

/** Samples of a batch. */
export const batch = 10;

/** What is common to the runs of an entry. */
export interface Variant {
  readonly lossReduction: LossReduction;
  readonly relative: boolean;
  /** Rows that the output factor is made of; of all samples it is made of the loss gradients. */
  readonly fisherRows: number;
}

/** Sampled targets of a part of the batch with an absolute damping, and the empirical Fisher with a relative one. */
export function variantsOf({ block }: Entry): readonly [Variant, Variant] {
  return [
    { lossReduction: 'mean', relative: false, fisherRows: block === 'sample' ? batch : 6 },
    { lossReduction: 'sum', relative: true, fisherRows: batch },
  ];
}

/** λ of an entry: near the middle of the eigenvalues of F. */
export function dampingOf({ dampingMode }: Entry, { relative }: Variant): Damping {
  if (!relative) return 2;
  return { relative: dampingMode === 'factored' ? 2 : 4 };
}

/** One batch of a layer. */
export interface TableRows {
  readonly inputs: Float32Array;
  readonly lossGrads: Float32Array;
  /** Gradients of sampled targets, or the loss gradients themselves. */
  readonly outputGrads: Float32Array;
  /** A gradient that is given. */
  readonly v: WeightVector;
}

/** Batch `index` of a layer: no two of one scale, so that averages differ from every batch. */
export function rowsOf(layer: TableLayer, index: number, variant: Variant): TableRows {
  const key = JSON.stringify([layer.name, index, variant]);
  const rows = made.get(key) ?? randomRows(layer, index, variant);
  made.set(key, rows);
  return rows;
}

/** Batches that were asked for. */
const made = new Map<string, TableRows>();

function randomRows(layer: TableLayer, index: number, { lossReduction, fisherRows }: Variant): TableRows {
  const { inFeatures, outFeatures, bias } = layer;
  const seed = 100 * index + inFeatures;
  const scale = [1, 2, 0.5][index] ?? 1;
  const share = (samples: number) => scale / (lossReduction === 'mean' ? samples : 1);
  const numbers = (count: number, from: number, factor: number) =>
    randomNumbers(count, seed + from).map((value) => factor * value);
  const lossGrads = numbers(batch * outFeatures, 1, share(batch));
  const kernel = numbers(inFeatures * outFeatures, 3, 1);
  return {
    inputs: numbers(batch * inFeatures, 0, scale),
    lossGrads,
    outputGrads: fisherRows === batch ? lossGrads : numbers(fisherRows * outFeatures, 2, share(fisherRows)),
    v: bias ? { kernel, bias: numbers(outFeatures, 4, 1) } : kernel,
  };
}

/** How an entry is solved: an iteration to its end, and cut short. */
export interface Solving {
  readonly options: {
    readonly maxIterations?: number;
    readonly tolerance?: number;
    readonly space?: 'gram' | 'weight';
  };
  /** The iterations that are left of it where it is cut short. */
  readonly iterations?: number;
}

/** Iterations of a solve that is cut short. */
const few = 4;

/** All ways of solving an entry. */
export function solvingsOf({ method }: Entry): readonly Solving[] {
  const ends = (options: Solving['options']): Solving[] => [
    { options: { ...options, maxIterations: 500, tolerance: 0 } },
    { options: { ...options, maxIterations: few, tolerance: 0 }, iterations: few },
  ];
  if (method === 'cg') return [...ends({ space: 'gram' }), ...ends({ space: 'weight' })];
  return method === 'auto' ? ends({}) : [{ options: {} }];
}

/** δ of every average. */
export const decay = 0.7;
