/** Which rank a layer belongs to: it keeps its factors and solves for its direction. */
import type { ResolvedPreconditionerOptions } from '../options';
import type { NetworkEntry } from '../registry';
import { type SideForm, sideForm, sidesOf } from './sides';

type Solved = Pick<ResolvedPreconditionerOptions, 'method' | 'factorHistory' | 'rank'>;

/** Flops, roughly, of what a refresh makes of a side, and of its inverse times one row. */
function sideCost({ dimension }: { readonly dimension: number }, form: SideForm, { rank }: Solved): [number, number] {
  if (form === 'numbers') return [dimension, 1];
  if (form === 'dense') return [dimension ** 3, dimension];
  const rows = Math.min(dimension, 2 * rank);
  return [rows * rows * dimension, rows];
}

/** The estimated work of a layer's owner in a step, by its shape alone. */
export function ownerCost(entry: Pick<NetworkEntry, 'shape'>, options: Solved): number {
  const { input, output } = sidesOf(entry.shape);
  const [inputCost, inputRow] = sideCost(input, sideForm(input, options), options);
  const [outputCost, outputRow] = sideCost(output, sideForm(output, options), options);
  const weights = entry.shape.outFeatures * (entry.shape.inFeatures + (entry.shape.bias ? 1 : 0));
  return inputCost + outputCost + weights * (inputRow + outputRow);
}

/** The owners of layers: each of those that come together goes, the dearest first, to the rank with the least work. */
export class Owners {
  readonly #work: number[];
  readonly #owners = new Map<string, number>();

  constructor(
    size: number,
    private readonly options: Solved,
  ) {
    this.#work = new Array<number>(size).fill(0);
  }

  /** Takes in the layers that have no owner yet; all ranks have the same ones in the same order. */
  include(entries: readonly NetworkEntry[]): void {
    const fresh = entries
      .filter(({ name }) => !this.#owners.has(name))
      .map((entry) => ({ name: entry.name, cost: ownerCost(entry, this.options) }));
    for (const { name, cost } of fresh.sort((a, b) => b.cost - a.cost)) {
      const rank = this.#work.indexOf(Math.min(...this.#work));
      this.#owners.set(name, rank);
      this.#work[rank] = (this.#work[rank] ?? 0) + cost;
    }
  }

  /** The rank that a layer belongs to. */
  of(name: string): number {
    return this.#owners.get(name) ?? 0;
  }

  /** The estimated work of each rank. */
  get work(): readonly number[] {
    return this.#work;
  }
}
