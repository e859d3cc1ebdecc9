/** How far a step may move the weights of a layer. */
import { reading } from '../../base/reading';
import { anyNumber } from '../../base/validate';
import { arraysOf } from '../../base/vectors';
import { callNative } from '../../native/call';
import { native } from '../../native/load';
import { type NetworkEntry, weightsOf } from '../registry';
import type { PreparedStep } from './prepared';

/** A recurrent kernel's bound, relative to that of others: what it does it does at every step of a sequence. */
const RECURRENT = 0.1;
/** The bound of what an attention is computed from, relative to that of others: there data are multiplied by data. */
const ATTENDED = 0.1;
/** The bound of a network under another one that is not trained, which may promise ever more along its slope. */
const JUDGED = 0.1;
/** The bound of a scale and shift, relative to that of others: all that goes through a layer is multiplied by it. */
const SCALE_SHIFT = 0.1;

/** The norm of the numbers of some arrays. */
export function normOf(arrays: readonly Float32Array[]): number {
  return Math.sqrt(arrays.reduce((sum, array) => sum + callNative(() => native.square(array)), 0));
}

/** What the norms of weights are known by. */
interface Weights {
  /** Whether those that a step works on are copies. */
  readonly owns: boolean;
  /** ‖W‖ of layers whose weights are not registered. */
  readonly weightNorms?: Readonly<Record<string, number>>;
}

/** ‖W‖ of registered weights, or what the caller says of others; 0 where nothing is known. */
function weightNorm(entry: NetworkEntry, { owns, weightNorms }: Weights): number {
  const weights = weightsOf(entry, owns);
  if (weights !== undefined) return normOf(arraysOf(weights));
  const { name } = entry;
  if (weightNorms === undefined) return 0;
  const norm = reading('a norm that can be read', `weightNorms.${name}`, () =>
    Object.hasOwn(weightNorms, name) ? weightNorms[name] : undefined,
  );
  return norm === undefined ? 0 : anyNumber(norm, `weightNorms.${name}`);
}

/**
 * τ of a layer: a tenth of it for a recurrent kernel, what an attention is computed from, a scale and shift, and what
 * another network judges.
 */
function changeOf({ recurrent, attended, judged, shape: { kind } }: NetworkEntry, change: number): number {
  if (recurrent) return change * RECURRENT;
  if (attended) return change * ATTENDED;
  if (judged) return change * JUDGED;
  return kind === 'scaleShift' ? change * SCALE_SHIFT : change;
}

/**
 * The least R: the norm of weights that an initialisation of Glorot's gives the kernel (X. Glorot and Y. Bengio, 2010);
 * of a recurrent kernel that of an orthogonal one, which such kernels begin with (A. Saxe, J. McClelland and S.
 * Ganguli, 2014), whose gain is 1; of a scale and shift that of ones; and so of single numbers that are recurrent, as
 * far as they move no further than others.
 */
function leastScale({ recurrent, shape: { kind, inFeatures, outFeatures } }: NetworkEntry): number {
  const size = inFeatures * outFeatures;
  const glorot = Math.sqrt((2 * size) / (inFeatures + outFeatures));
  if (kind === 'scaleShift') return Math.sqrt(size);
  if (!recurrent) return glorot;
  return kind === 'diagonal'
    ? Math.min(Math.sqrt(size), glorot / RECURRENT)
    : Math.sqrt(Math.min(inFeatures, outFeatures));
}

/** R of a layer: the norm of its weights, or the least scale of them where that is more. */
export type ScaleOf = (entry: NetworkEntry) => number;

/** R of the layers of a step; the norm of weights is a pass over them, and made once. */
export function scalesOf(weights: Weights): ScaleOf {
  const known = new Map<NetworkEntry, number>();
  return (entry) => {
    const scale = known.get(entry) ?? Math.max(weightNorm(entry, weights), leastScale(entry));
    known.set(entry, scale);
    return scale;
  };
}

/** τR of a layer. */
export function longest(entry: NetworkEntry, change: number, scaleOf: ScaleOf): number {
  return changeOf(entry, change) * scaleOf(entry);
}

/** Whether ‖ηX‖ ≤ τR whatever the weights are, so that their norm need not be known. */
export function surelyWithin(
  entry: NetworkEntry,
  eta: number,
  { bound }: Pick<PreparedStep, 'bound'>,
  change: number,
): boolean {
  return eta * bound <= changeOf(entry, change) * leastScale(entry);
}

type Direction = Pick<PreparedStep, 'bound' | 'norm'>;

const normOfDirection = ({ layer }: NetworkEntry, { norm }: Direction) =>
  norm ?? callNative(() => layer.native.directionNorm());

/** η, or what keeps ‖ηX‖ ≤ τR, by a bound of ‖X‖ where that will do. */
export function limitedStep(entry: NetworkEntry, eta: number, step: Direction, most: number) {
  if (!(eta * step.bound > most)) return eta;
  const norm = normOfDirection(entry, step);
  return eta * norm > most ? most / norm : eta;
}

/** Kinds of layers that multiply what goes through a network. */
const multiplying: ReadonlySet<string> = new Set([
  'dense',
  'convolution',
  'transposedConvolution',
  'depthwiseConvolution',
]);

/** The layers of a step, and where they stand. */
interface Standing {
  readonly entries: readonly NetworkEntry[];
  /** How many layers the data of a layer have passed, by name; of others nothing is known. */
  readonly depths?: ReadonlyMap<string, number>;
}

/**
 * The part of the lengths with which hidden layers together go no further than one of them alone may, Σ‖η_l x_l‖/(τR_l)
 * ≤ 1. What goes through n of them is multiplied by Π(1 + ‖ηx‖/R) at the most, which bounds of each alone leave
 * 2ⁿ. Of layers of one depth, which stand beside each other, the one that changes most counts. Embeddings, scales,
 * what is recurrent or under an attention have bounds of their own; an output has none; and what is used more than
 * once, as the kernels of gates are, is not one of a chain.
 *
 * Source: J. Bernstein, A. Vahdat, Y. Yue and M.-Y. Liu, "On the distance between two neural networks and the stability
 * of learning", 2020 (deep relative trust).
 */
export function partTogether(
  { entries, depths }: Standing,
  prepared: readonly Direction[],
  stepSizes: readonly number[],
  change: number,
  scaleOf: ScaleOf,
): number {
  const hidden = entries.flatMap((entry, l) => {
    const [step, eta = 0] = [prepared[l], stepSizes[l]];
    if (step === undefined || !(eta > 0) || !multiplying.has(entry.shape.kind)) return [];
    const { output, recurrent, attended, samples } = entry;
    return output || recurrent || attended || samples.size > 1 ? [] : [{ entry, step, eta }];
  });
  const sum = (of: (entry: NetworkEntry, step: Direction) => number) => {
    const most = new Map<number | NetworkEntry, number>();
    for (const { entry, step, eta } of hidden) {
      const place = depths?.get(entry.name) ?? entry;
      most.set(place, Math.max(most.get(place) ?? 0, eta * of(entry, step)));
    }
    return [...most.values()].reduce((total, each) => total + each, 0);
  };
  // by bounds that need no norms, where these will do
  if (!(sum((entry, { bound }) => bound / (changeOf(entry, change) * leastScale(entry))) > 1)) return 1;
  const together = sum((entry, step) => normOfDirection(entry, step) / longest(entry, change, scaleOf));
  return together > 1 ? 1 / together : 1;
}
