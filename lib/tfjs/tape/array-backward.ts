/** A backward pass in arrays, of all samples of a batch or of the first ones. */
import { binaryFunction } from '../../adapter-kit';
import type { Op, OpGradients, Pass, Samples } from './array-rule';
import { RULES } from './array-rules';
import { backwards } from './graph';
import { reader } from './numbers';
import type { Room } from './room';
import type { TapeNode } from './tape';

/** An op on the way, and its gradients; `undefined` where it is not gone through. */
interface Stage {
  readonly node: TapeNode;
  readonly wanted: Op['wanted'];
  readonly gradients: OpGradients | undefined;
}

/** What a pass begins with: gradients of the samples that it goes through, by tensor id. */
export type ArraySeeds = ReadonlyMap<number, Float32Array>;

/** The ops that a pass meets, in its order; `undefined` where one of them has no rule. */
function stagesOf(
  tape: readonly TapeNode[],
  seeds: ArraySeeds,
  within: ReadonlySet<number>,
  pass: Pass,
  isSite: (node: TapeNode) => boolean,
): Stage[] | undefined {
  const outers = new Map<number, number>([...seeds.keys()].map((id) => [id, 1]));
  const stages: Stage[] = [];
  for (const node of backwards(tape)) {
    const reached = node.outputs.flatMap(({ id }) => outers.get(id) ?? []);
    const [outer] = reached;
    if (outer === undefined) continue;
    if (reached.some((other) => other !== outer)) return undefined;
    const wanted = [...node.inputs].filter(([, input]) => within.has(input.id));
    if (wanted.length === 0 && !isSite(node)) return undefined;
    const gradients = wanted.length > 0 ? RULES.get(node.kernel)?.({ node, wanted, outer, pass }) : undefined;
    if (wanted.length > 0 && gradients === undefined) return undefined;
    for (const [index, [, { id }]] of wanted.entries()) {
      const found = gradients?.outers[index] ?? 1;
      if ((outers.get(id) ?? found) !== found) return undefined;
      outers.set(id, found);
    }
    stages.push({ node, wanted, gradients });
  }
  return stages;
}

// Calls are synchronous and the addon keeps no array: this serves all of them.
const extentsOfSum = new Uint32Array(2);

/** The gradients of a pass by tensor id, whose arrays go back to its room when nobody is to read them any more. */
class Gradients {
  readonly #room: Room;
  readonly #found: Map<number, Float32Array>;
  /** How many tensors have an array for their gradient; of seeds, and of what was visited, there is one more. */
  readonly #owners = new Map<Float32Array, number>();

  constructor(room: Room, seeds: ArraySeeds) {
    this.#room = room;
    this.#found = new Map(seeds);
    for (const seed of seeds.values()) this.#own(seed, 2);
  }

  of(id: number): Float32Array | undefined {
    return this.#found.get(id);
  }

  /** Keeps an array for whoever visits the pass. */
  keep(gradient: Float32Array): void {
    this.#own(gradient, 1);
  }

  /** What comes to a tensor on one way: added to what came on others. */
  give(id: number, gradient: Float32Array): void {
    const before = this.#found.get(id);
    let after = gradient;
    if (before) {
      after = this.#room.take(gradient.length);
      extentsOfSum.fill(gradient.length);
      binaryFunction('add', extentsOfSum, before, gradient, after);
    }
    this.#found.set(id, after);
    this.#own(after, 1);
    if (before) this.#own(before, -1);
    if (before) this.#own(gradient, 0);
  }

  /** Says that the gradient of a tensor has been read by all. */
  drop(id: number): void {
    const gradient = this.#found.get(id);
    this.#found.delete(id);
    if (gradient) this.#own(gradient, -1);
  }

  #own(gradient: Float32Array, more: number): void {
    const owners = (this.#owners.get(gradient) ?? 0) + more;
    if (owners > 0) {
      this.#owners.set(gradient, owners);
      return;
    }
    this.#owners.delete(gradient);
    this.#room.give(gradient);
  }
}

/**
 * Goes backwards from gradients as `backward` does, in arrays: of all samples, or of the first ones where every op on
 * the way treats samples apart. Nothing is computed, and nothing visited, where an op on the way has no rule, or the
 * current backend has its numbers to itself.
 *
 * @param seeds - Gradients that the pass begins with, of tensors whose samples are on the first axis; of the samples
 * that it goes through. They are not written to.
 * @param within - The ids of the tensors that it goes to.
 * @param room - Where its arrays are from, those that are visited among them.
 * @param isSite - The ops that it ends at, or passes, and that are visited.
 * @param visit - Gets the gradient of the output of each of these, row by row as the op gives it. Must not be written
 * to.
 * @returns Whether it went.
 */
export function backwardInArrays(
  tape: readonly TapeNode[],
  seeds: ArraySeeds,
  within: ReadonlySet<number>,
  samples: Samples,
  room: Room,
  isSite: (node: TapeNode) => boolean,
  visit: (node: TapeNode, outputGradient: Float32Array) => void,
): boolean {
  const read = reader();
  const stages = read && stagesOf(tape, seeds, within, { samples, read, room }, isSite);
  if (stages === undefined) return false;
  const gradients = new Gradients(room, seeds);
  for (const { node, wanted, gradients: own } of stages) {
    const outputGradients = node.outputs.map(({ id }) => gradients.of(id));
    const reached = outputGradients.find((each) => each !== undefined);
    if (reached && isSite(node)) {
      gradients.keep(reached);
      visit(node, reached);
    }
    const computed = own?.compute(outputGradients) ?? [];
    for (const [index, gradient] of computed.entries()) {
      const id = wanted[index]?.[1].id;
      if (id !== undefined) gradients.give(id, gradient);
    }
    for (const { id } of node.outputs) gradients.drop(id);
  }
  return true;
}
