/** Arrays of a step, which the next ones compute in again: fresh ones cost more than what is computed in them. */

/** Arrays that are free, by their lengths. */
type Spare = Map<number, Float32Array[]>;

/** Puts an array among those of its length, to be taken next. */
function add(spare: Spare, array: Float32Array): void {
  const same = spare.get(array.length);
  if (same) same.push(array);
  else spare.set(array.length, [array]);
}

function* all(spare: Spare): Generator<Float32Array> {
  for (const same of spare.values()) yield* same;
}

function bytesOf(arrays: Iterable<Float32Array>): number {
  let bytes = 0;
  for (const { byteLength } of arrays) bytes += byteLength;
  return bytes;
}

/** The arrays of one step. Of a step that nobody takes they go with it. */
export class Room {
  readonly #spare: Spare;
  readonly #free: Spare = new Map();
  readonly #lent = new Set<Float32Array>();

  /** @param spare - Arrays that earlier steps have left. */
  constructor(spare: Spare = new Map()) {
    this.#spare = spare;
  }

  /** An array of so many numbers, whatever they are. */
  take(length: number): Float32Array {
    const array = this.#free.get(length)?.pop() ?? this.#spare.get(length)?.pop() ?? new Float32Array(length);
    this.#lent.add(array);
    return array;
  }

  /** An array of so many zeros. */
  zeros(length: number): Float32Array {
    return this.take(length).fill(0);
  }

  /** Takes an array back that nobody reads any more. */
  give(array: Float32Array): void {
    if (this.#lent.delete(array)) add(this.#free, array);
  }

  /** All of its arrays, free or not. */
  *arrays(): Generator<Float32Array> {
    yield* all(this.#free);
    yield* this.#lent;
  }

  /** Bytes of its arrays. */
  get bytes(): number {
    return bytesOf(this.arrays());
  }
}

/** Steps whose use of arrays is remembered: more than there are between two refreshes of a convolution's factors. */
const REMEMBERED = 32;

/**
 * The rooms of the steps of an optimizer, each of which leaves its arrays to the next ones. What a step has not used of
 * those before, as where no factors are refreshed or a batch is smaller, is kept beside its own, up to as many bytes in
 * all as two of those steps have used that used most.
 */
export class Rooms {
  /** Arrays that are kept, those that the last steps used before others. */
  #spare: Spare = new Map();
  /** Bytes that the last steps have used. */
  #used: number[] = [];

  /** The room of a step that begins. */
  open(): Room {
    return new Room(this.#spare);
  }

  /** Takes over the arrays of a step that is done with: nobody reads any of them any more. */
  close(room: Room): void {
    const own = [...room.arrays()];
    if (own.length === 0) return;
    const bytes = bytesOf(own);
    this.#used = [bytes, ...this.#used].slice(0, REMEMBERED);
    let left = 2 * Math.max(...this.#used) - bytes;
    // what an earlier step left is taken after what this one leaves: it stands before that among those of its length
    const spare: Spare = new Map(own.map(({ length }) => [length, []]));
    for (const array of all(this.#spare)) {
      left -= array.byteLength;
      if (left < 0) break;
      add(spare, array);
    }
    for (const array of own) add(spare, array);
    this.#spare.clear();
    this.#spare = spare;
  }

  /** Lets go of all. */
  dispose(): void {
    this.#spare = new Map();
    this.#used = [];
  }

  /** Bytes that are kept for the steps to come. */
  get bytes(): number {
    return bytesOf(all(this.#spare));
  }
}
