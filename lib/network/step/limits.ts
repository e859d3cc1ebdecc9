/** How far a step may move the weights of a layer. */
import { arraysOf } from '../../base/vectors';
import { callNative } from '../../native/call';
import type { NetworkEntry } from '../registry';

/** A recurrent kernel's bound, relative to that of others: what it does it does at every step of a sequence. */
const RECURRENT = 0.1;
/** The least scale of a recurrent kernel, for each of its weights. */
const LEAST_RECURRENT = 0.02;

/** ‖W‖ of registered weights, or what the caller says of others; 0 where nothing is known. */
function weightNorm({ name, weights }: NetworkEntry, norms: Readonly<Record<string, number>> | undefined): number {
  if (weights === undefined) return norms !== undefined && Object.hasOwn(norms, name) ? (norms[name] ?? 0) : 0;
  let sum = 0;
  for (const array of arraysOf(weights)) for (const value of array) sum += value * value;
  return Math.sqrt(sum);
}

/**
 * R: the norm of a layer's weights, or of those that an initialisation of Glorot's gives its kernel where that is more
 * (X. Glorot and Y. Bengio, 2010); of a recurrent kernel, which is none, a fiftieth for each weight.
 */
export function weightScale(entry: NetworkEntry, norms: Readonly<Record<string, number>> | undefined): number {
  const { inFeatures, outFeatures } = entry.shape;
  const size = inFeatures * outFeatures;
  const least = entry.recurrent
    ? LEAST_RECURRENT * Math.sqrt(size)
    : Math.sqrt((2 * size) / (inFeatures + outFeatures));
  return Math.max(weightNorm(entry, norms), least);
}

/** τR of a layer. */
export function longest(
  entry: NetworkEntry,
  change: number,
  norms: Readonly<Record<string, number>> | undefined,
): number {
  return change * (entry.recurrent ? RECURRENT : 1) * weightScale(entry, norms);
}

/** η, or what keeps ‖ηX‖ ≤ τR, by a bound of ‖X‖ where that will do. */
export function limitedStep(entry: NetworkEntry, eta: number, bound: number, most: number): number {
  if (!(eta * bound > most)) return eta;
  const norm = callNative(() => entry.layer.native.directionNorm());
  return eta * norm > most ? most / norm : eta;
}
