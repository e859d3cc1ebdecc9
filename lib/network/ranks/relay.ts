/**
 * Gradients by way of all ranks: each of them sums a piece of all gradients, and sends it to the owners of the layers
 * that it belongs to. The sums are the same bits as those that an owner makes of whole gradients, because each number
 * is summed by itself in the order of ranks; but no owner has to take in the gradients of all ranks alone.
 */
import { concatenated } from '../../base/vectors';
import { callNative } from '../../native/call';
import { native } from '../../native/load';

/** So few ranks send gradients to their owners at once: the relay sends 1/2P more, a thirtieth from here on. */
export const FEWEST_RELAYING = 16;

/** Numbers of the gradients of layers that belong to one rank. */
export interface OwnedGradient {
  readonly owner: number;
  readonly numbers: number;
}

/** Whether gradients go by way of all ranks: where an owner would receive far more than it does then. */
export function relays(gradients: readonly OwnedGradient[], size: number): boolean {
  if (size < FEWEST_RELAYING) return false;
  const byOwner = new Map<number, number>();
  for (const { owner, numbers } of gradients) byOwner.set(owner, (byOwner.get(owner) ?? 0) + numbers);
  const all = gradients.reduce((sum, { numbers }) => sum + numbers, 0);
  const most = Math.max(0, ...byOwner.values());
  return (size - 1) * most > all + most;
}

/** The piece of so many numbers that a rank sums: its first and the first behind it. */
export const pieceOf = (all: number, rank: number, size: number): readonly [number, number] => [
  Math.floor((all * rank) / size),
  Math.floor((all * (rank + 1)) / size),
];

/** What two pieces have in common, as a start and an end. */
function common([from, to]: readonly [number, number], [first, end]: readonly [number, number]): [number, number] {
  return [Math.max(from, first), Math.max(Math.max(from, first), Math.min(to, end))];
}

/** Where each gradient lies among all of them. */
export function placesOf(gradients: readonly OwnedGradient[]): (readonly [number, number])[] {
  let next = 0;
  return gradients.map(({ numbers }) => {
    const from = next;
    next += numbers;
    return [from, next];
  });
}

/** The pieces of this rank's gradients, by the rank that sums them. */
export function pieces(flat: Float32Array, size: number): Float32Array[] {
  return Array.from({ length: size }, (_, rank) => flat.subarray(...pieceOf(flat.length, rank, size)));
}

/** The sum of pieces in the order of ranks; `undefined` where a rank sent none. */
export function sumOf(received: readonly Float32Array[]): Float32Array | undefined {
  const [first = new Float32Array(), ...others] = received;
  if (others.some(({ length }) => length !== first.length)) return undefined;
  const sum = new Float32Array(first);
  for (const each of others) callNative(() => native.combine({ keep: 1, x: sum, factor: 1, y: each, out: sum }));
  return sum;
}

/** What of the piece that a rank has summed goes to each owner, in the order of layers. */
export function toOwners(sum: Float32Array, gradients: readonly OwnedGradient[], rank: number, size: number) {
  const places = placesOf(gradients);
  const all = places[places.length - 1]?.[1] ?? 0;
  const own = pieceOf(all, rank, size);
  return Array.from({ length: size }, (_, owner) => {
    const parts = gradients.flatMap((gradient, index) => {
      if (gradient.owner !== owner) return [];
      const [from, to] = common(places[index] ?? [0, 0], own);
      return [sum.subarray(from - own[0], to - own[0])];
    });
    return concatenated(parts);
  });
}

/** The gradients of an owner's layers of what all ranks sent it, in the order of layers. */
export function assembled(received: readonly Float32Array[], gradients: readonly OwnedGradient[], rank: number) {
  const places = placesOf(gradients);
  const all = places[places.length - 1]?.[1] ?? 0;
  const next = received.map(() => 0);
  return gradients.flatMap((gradient, index) => {
    if (gradient.owner !== rank) return [];
    const place = places[index] ?? [0, 0];
    const whole = new Float32Array(gradient.numbers);
    for (const [from, message] of received.entries()) {
      const [first, end] = common(place, pieceOf(all, from, received.length));
      if (first === end) continue;
      const at = next[from] ?? 0;
      whole.set(message.subarray(at, at + end - first), first - place[0]);
      next[from] = at + end - first;
    }
    return [whole];
  });
}
