/** Networks of every kind of layer whose batches are shared out over ranks, and the same in one process. */
import {
  type Communicator,
  Preconditioner,
  type PreconditionerOptions,
  type StepSummary,
  type WeightVector,
} from 'cgfac';
import { diagonalLayer, type KindLayer, kindLayers, kindRows } from './kind-layers';
import { arraysOf, randomNumbers } from './layers';

/** A dense layer as those of the other kinds are told. */
function dense(inFeatures: number, outFeatures: number, bias: boolean): KindLayer {
  return {
    name: `dense ${outFeatures} × ${inFeatures}`,
    register: (preconditioner, { maxRows: _, ...more } = {}) => {
      preconditioner.registerDense('layer', { inFeatures, outFeatures, bias, ...more });
    },
    kernel: inFeatures * outFeatures,
    ...(bias ? { bias: outFeatures } : {}),
    inputs: inFeatures,
    outputs: outFeatures,
  };
}

/** A layer of every kind: dense ones whose sides are averages, and one with a side that is a panel. */
export const everyKind: readonly KindLayer[] = [
  dense(7, 5, true),
  dense(230, 9, true),
  dense(40, 60, false),
  ...kindLayers,
  diagonalLayer,
];

/** Registers a layer under a name of its own. */
function named(preconditioner: Preconditioner, name: string): Preconditioner {
  return new Proxy(preconditioner, {
    get: (target, property) => {
      const method = Reflect.get(target, property, target) as (...args: unknown[]) => unknown;
      return (_: unknown, ...rest: unknown[]) => method.call(target, name, ...rest);
    },
  });
}

/** Weights of a layer, the same for the same number. */
function weightsOf({ kernel, bias }: KindLayer, seed: number): WeightVector {
  const numbers = randomNumbers(kernel, 900 + 2 * seed);
  return bias === undefined ? numbers : { kernel: numbers, bias: randomNumbers(bias, 901 + 2 * seed) };
}

/** A preconditioner of some layers, and their weights. */
export function networkOf(
  options: Partial<PreconditionerOptions>,
  layers: readonly KindLayer[] = everyKind,
): { readonly preconditioner: Preconditioner; readonly weights: readonly WeightVector[] } {
  const preconditioner = new Preconditioner({ lossReduction: 'mean', stepRule: 'polyak', maxRows: 16, ...options });
  const weights = layers.map(weightsOf);
  layers.forEach((layer, index) => {
    layer.register(named(preconditioner, layer.name), { weights: weights[index] as WeightVector });
  });
  return { preconditioner, weights };
}

/** The samples of each rank at each step, and what they are. */
export interface Shares {
  readonly samples: readonly number[];
  readonly layers?: readonly KindLayer[];
}

/** The loss of a rank at a step. */
export const lossOf = (step: number, rank: number): number => 2 + 0.5 * rank - 0.01 * step;

/** Records the share of a rank at a step. */
export function recordShare(
  preconditioner: Preconditioner,
  { samples, layers = everyKind }: Shares,
  step: number,
  rank: number,
): void {
  const batch = samples[rank] ?? 0;
  layers.forEach((layer, index) => {
    const rows = kindRows(layer, 1000 * step + 40 * index + rank, batch);
    const { inputs, lossGrads, outputGrads } = rows;
    preconditioner.record(layer.name, { ...(layer.inputs === 0 ? {} : { inputs }), lossGrads, batch });
    preconditioner.recordFisher(layer.name, { outputGrads, batch });
  });
}

/** All numbers of weights. */
export const numbersIn = (weights: readonly WeightVector[]): number[] =>
  weights.flatMap((vector) => arraysOf(vector).flatMap((array) => [...array]));

/** Trains in one process with the batches of all ranks one after the other. */
export async function trainedAlone(
  options: Partial<PreconditionerOptions>,
  shares: Shares,
  steps: number,
): Promise<{ readonly numbers: number[]; readonly summaries: StepSummary[] }> {
  const { preconditioner, weights } = networkOf(options, shares.layers);
  const summaries: StepSummary[] = [];
  const all = shares.samples.reduce((sum, each) => sum + each, 0);
  for (let step = 0; step < steps; step++) {
    shares.samples.forEach((_, rank) => {
      recordShare(preconditioner, shares, step, rank);
    });
    const loss = shares.samples.reduce((sum, each, rank) => sum + (each / all) * lossOf(step, rank), 0);
    summaries.push((await preconditioner.naturalGradients({ loss })).summary);
  }
  return { numbers: numbersIn(weights), summaries };
}

/** Trains on one of several ranks. */
export async function trainedTogether(
  communicator: Communicator,
  options: Partial<PreconditionerOptions>,
  shares: Shares,
  steps: number,
): Promise<{ readonly numbers: number[]; readonly summaries: StepSummary[]; readonly preconditioner: Preconditioner }> {
  const { preconditioner, weights } = networkOf({ ...options, communicator }, shares.layers);
  const summaries: StepSummary[] = [];
  for (let step = 0; step < steps; step++) {
    recordShare(preconditioner, shares, step, communicator.rank);
    const { summary } = await preconditioner.naturalGradients({ loss: lossOf(step, communicator.rank) });
    summaries.push(summary);
  }
  return { numbers: numbersIn(weights), summaries, preconditioner };
}
