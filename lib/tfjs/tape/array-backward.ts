/** A backward pass in arrays, of all samples of a batch or of the first ones. */
import { getBackend } from '@tensorflow/tfjs-core';
import type { Op, OpGradients, Samples } from './array-rule';
import { RULES } from './array-rules';
import { backwards } from './graph';
import type { TapeNode } from './tape';

/** The backends whose tensors can be read where they lie. */
const READABLE: readonly string[] = ['wasm', 'cpu'];

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
  samples: Samples,
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
    const gradients = wanted.length > 0 ? RULES.get(node.kernel)?.({ node, wanted, outer, samples }) : undefined;
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

/** Adds up the gradients that come to a tensor on several ways; an array of one way alone may be another's too. */
class Gradients {
  readonly #found: Map<number, Float32Array>;
  readonly #sums = new Set<number>();

  constructor(seeds: ArraySeeds) {
    this.#found = new Map(seeds);
  }

  of(id: number): Float32Array | undefined {
    return this.#found.get(id);
  }

  give(id: number, gradient: Float32Array): void {
    const before = this.#found.get(id);
    if (before === undefined) {
      this.#found.set(id, gradient);
      return;
    }
    const sum = this.#sums.has(id) ? before : new Float32Array(before.length);
    for (let at = 0; at < sum.length; at++) sum[at] = (before[at] ?? 0) + (gradient[at] ?? 0);
    this.#found.set(id, sum);
    this.#sums.add(id);
  }
}

/**
 * Goes backwards from gradients as `backward` does, in arrays: of all samples, or of the first ones where every op on
 * the way treats samples apart. Nothing is computed, and nothing visited, where an op on the way has no rule.
 *
 * @param seeds - Gradients that the pass begins with, of tensors whose samples are on the first axis; of the samples
 * that it goes through. They are not written to.
 * @param within - The ids of the tensors that it goes to.
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
  isSite: (node: TapeNode) => boolean,
  visit: (node: TapeNode, outputGradient: Float32Array) => void,
): boolean {
  const stages = READABLE.includes(getBackend()) ? stagesOf(tape, seeds, within, samples, isSite) : undefined;
  if (stages === undefined) return false;
  const gradients = new Gradients(seeds);
  for (const { node, wanted, gradients: own } of stages) {
    const outputGradients = node.outputs.map(({ id }) => gradients.of(id));
    const reached = outputGradients.find((each) => each !== undefined);
    if (reached && isSite(node)) visit(node, reached);
    const computed = own?.compute(outputGradients) ?? [];
    for (const [index, gradient] of computed.entries()) {
      const id = wanted[index]?.[1].id;
      if (id !== undefined) gradients.give(id, gradient);
    }
  }
  return true;
}
