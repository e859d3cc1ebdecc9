/** Arrays of a step, which the next one computes in again: fresh ones cost more than what is computed in them. */

/** Arrays that are nobody's, by their lengths. */
type Spare = Map<number, Float32Array[]>;

function add(spare: Spare, array: Float32Array): void {
  const same = spare.get(array.length);
  if (same) same.push(array);
  else spare.set(array.length, [array]);
}

function* all(spare: Spare): Generator<Float32Array> {
  for (const same of spare.values()) yield* same;
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

  /** All of its arrays: nobody reads any of them any more. */
  *leave(): Generator<Float32Array> {
    yield* all(this.#free);
    yield* this.#lent;
    this.#free.clear();
    this.#lent.clear();
  }
}

/**
 * The rooms of the steps of an optimizer, each of which leaves its arrays to the next ones. What a step has not used of
 * those before, as where it samples no targets, is kept beside its own up to as many bytes.
 */
export class Rooms {
  /** By lengths, those used last first. */
  #spare: Spare = new Map();

  /** The room of a step that begins. */
  open(): Room {
    return new Room(this.#spare);
  }

  /** Takes over the arrays of a step that is done with. */
  close(room: Room): void {
    const spare: Spare = new Map();
    let used = 0;
    for (const array of room.leave()) {
      add(spare, array);
      used += array.byteLength;
    }
    if (used === 0) return;
    for (const array of all(this.#spare)) {
      used -= array.byteLength;
      if (used < 0) break;
      add(spare, array);
    }
    this.#spare = spare;
  }

  /** Lets go of all. */
  dispose(): void {
    this.#spare = new Map();
  }

  /** Bytes that are kept for the steps to come. */
  get bytes(): number {
    let bytes = 0;
    for (const { byteLength } of all(this.#spare)) bytes += byteLength;
    return bytes;
  }
}
