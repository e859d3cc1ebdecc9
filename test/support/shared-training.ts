/** Networks of every kind of layer whose batches are shared out over ranks, and the same in one process. */
import {
  type Communicator,
  Preconditioner,
  type PreconditionerOptions,
  type StepSummary,
  type WeightVector,
} from 'cgfac';
import { diagonalLayer, type KindLayer, type KindRows, kindLayers, kindRows } from './kind-layers';
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

/** Rows that several runs see. */
const known = new Map<string, KindRows>();

function rowsOf(layer: KindLayer, seed: number, batch: number): KindRows {
  const key = `${layer.name} ${seed} ${batch}`;
  const rows = known.get(key) ?? kindRows(layer, seed, batch);
  known.set(key, rows);
  return rows;
}

/** Records the share of a rank at a step. */
export function recordShare(
  preconditioner: Preconditioner,
  { samples, layers = everyKind }: Shares,
  step: number,
  rank: number,
): void {
  const batch = samples[rank] ?? 0;
  layers.forEach((layer, index) => {
    const rows = rowsOf(layer, 1000 * step + 40 * index + rank, batch);
    const { inputs, lossGrads, outputGrads } = rows;
    preconditioner.record(layer.name, { ...(layer.inputs === 0 ? {} : { inputs }), lossGrads, batch });
    preconditioner.recordFisher(layer.name, { outputGrads, batch });
  });
}

/** All numbers of weights. */
export const numbersIn = (weights: readonly WeightVector[]): number[] =>
  weights.flatMap((vector) => arraysOf(vector).flatMap((array) => [...array]));

/** How a run goes, and how each step is told. */
interface Run {
  readonly options: Partial<PreconditionerOptions>;
  readonly shares: Shares;
  readonly steps: number;
  /** Whether steps are given gradients. */
  readonly given?: boolean;
}

/** What a run ends with. */
export interface Trained {
  readonly numbers: Float32Array;
  readonly summaries: readonly StepSummary[];
}

/** Gradients of every layer, of one rank at a step; times a factor. */
function gradientsOf(layers: readonly KindLayer[], step: number, rank: number, factor = 1) {
  return Object.fromEntries(
    layers.map((layer, index) => {
      const vector = weightsOf(layer, 7000 + 100 * step + 20 * index + rank);
      // as numbers of float32 are multiplied
      for (const array of arraysOf(vector)) array.set(array.map((value) => Math.fround(factor) * value));
      return [layer.name, vector];
    }),
  );
}

/** The sum of gradients in the order of ranks, number by number. */
function summed(all: readonly Record<string, WeightVector>[]): Record<string, WeightVector> {
  const [first = {}, ...others] = all;
  for (const each of others)
    for (const [name, vector] of Object.entries(first))
      arraysOf(vector).forEach((array, place) => {
        const more = arraysOf(each[name] as WeightVector)[place];
        array.set(array.map((value, at) => value + (more?.[at] ?? 0)));
      });
  return first;
}

const whole = ({ samples }: Shares): number => samples.reduce((sum, each) => sum + each, 0);

/** Trains in one process with the batches of all ranks one after the other. */
export async function trainedAlone({ options, shares, steps, given = false }: Run): Promise<Trained> {
  const { samples, layers = everyKind } = shares;
  const { preconditioner, weights } = networkOf(options, layers);
  const summaries: StepSummary[] = [];
  const shareOf = (rank: number) => (samples[rank] ?? 0) / whole(shares);
  for (let step = 0; step < steps; step++) {
    samples.forEach((_, rank) => {
      recordShare(preconditioner, shares, step, rank);
    });
    const loss = samples.reduce((sum, _, rank) => sum + shareOf(rank) * lossOf(step, rank), 0);
    const gradients = given
      ? { gradients: summed(samples.map((_, rank) => gradientsOf(layers, step, rank, shareOf(rank)))) }
      : {};
    summaries.push((await preconditioner.naturalGradients({ loss, targets: 'soft', ...gradients })).summary);
  }
  return { numbers: Float32Array.from(numbersIn(weights)), summaries };
}

/** Trains on one of several ranks. */
export async function trainedTogether(
  communicator: Communicator,
  { options, shares, steps, given = false }: Run,
): Promise<Trained> {
  const { layers = everyKind } = shares;
  const { preconditioner, weights } = networkOf({ ...options, communicator }, layers);
  const summaries: StepSummary[] = [];
  const { rank } = communicator;
  for (let step = 0; step < steps; step++) {
    recordShare(preconditioner, shares, step, rank);
    const gradients = given ? { gradients: gradientsOf(layers, step, rank) } : {};
    const told = { loss: lossOf(step, rank), targets: 'soft' } as const;
    summaries.push((await preconditioner.naturalGradients({ ...told, ...gradients })).summary);
  }
  return { numbers: Float32Array.from(numbersIn(weights)), summaries };
}
