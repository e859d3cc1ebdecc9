/** Averages of the registered weights, for evaluation (Ruppert 1988; Polyak and Juditsky 1992). */
import { CgfacError } from '../base/errors';
import { lengthOf, write } from '../base/float32';
import { arraysOf, copied, forEachArray } from '../base/vectors';
import { callNative } from '../native/call';
import type { NativeAveraged } from '../native/declarations';
import { native } from '../native/load';
import { type NetworkEntry, requireArrays } from './registry';

/** β_t = min(β, (1 + t)/(10 + t)): averages begin as those of few weights, and grow longer with the steps. */
export function averageDecay(most: number, step: number): number {
  return Math.min(most, (1 + step) / (10 + step));
}

/**
 * Averages ← β_t·averages + (1 − β_t)·weights with β_t = min(β, (1 + t)/(10 + t)), once for a step, as soon as its
 * weights are known to have been updated; t counts a layer's own steps.
 */
export class NetworkAverages {
  /** β of the step that is to be taken in, if there is one. */
  #due: number | undefined;

  constructor(readonly useEma: boolean) {}

  /** A step was taken; where the caller applies it, its weights are there when the next call begins. */
  stepped(emaMomentum: number): void {
    this.#due = emaMomentum;
  }

  /** Nothing is left to take in. */
  forget(): void {
    this.#due = undefined;
  }

  /** Takes in the weights after the last step, if it has not. */
  absorb(entries: Iterable<NetworkEntry>): void {
    const most = this.#due;
    if (most === undefined) return;
    const all = [...entries];
    requireArrays(all, []);
    this.#due = undefined;
    this.average(all, most);
  }

  /** Averages ← β_t·averages + (1 − β_t)·weights, after a step that is counted. */
  average(entries: Iterable<NetworkEntry>, most: number): void {
    const byDecay = new Map<number, NativeAveraged[]>();
    for (const { weights, average, steps } of entries) {
      if (!(weights && average)) continue;
      const decay = averageDecay(most, Math.max(0, steps - 1));
      const arrays = byDecay.get(decay) ?? [];
      byDecay.set(decay, arrays);
      const means = arraysOf(average);
      for (const [index, array] of arraysOf(weights).entries()) {
        const mean = means[index];
        if (mean) arrays.push({ weights: array, average: mean });
      }
    }
    for (const [decay, arrays] of byDecay) callNative(() => native.averageAll(arrays, decay));
  }

  /** The averages are the weights: no step has been taken. */
  restart(entries: Iterable<NetworkEntry>): void {
    for (const { weights, average } of entries) if (weights && average) forEachArray(average, weights, write);
  }

  /**
   * The weights with their averages; before the first step these are the weights, wherever they have come from since
   * they were registered.
   */
  pairs(entries: readonly NetworkEntry[], untrained: boolean, owner: string) {
    const averaged = entries.flatMap(({ weights, average }) => (weights && average ? [{ weights, average }] : []));
    requireArrays(entries, []);
    if (untrained) this.restart(entries);
    if (averaged.length === 0)
      throw new CgfacError(
        'ERR_CGFAC_INVALID_ARG_VALUE',
        `Expected useEma and layers with registered weights for ${owner} but received ` +
          (this.useEma ? 'no such layer' : 'useEma false'),
      );
    return averaged;
  }
}

/** Puts averages in the place of weights while `callback` runs, and then the weights back. */
export async function exchanged<T>(
  pairs: ReturnType<NetworkAverages['pairs']>,
  callback: () => T | Promise<T>,
): Promise<T> {
  const kept = pairs.map(({ weights }) => copied(weights));
  try {
    for (const { weights, average } of pairs) forEachArray(weights, average, write);
    return await callback();
  } finally {
    let gone = 0;
    pairs.forEach(({ weights }, index) => {
      const before = kept[index];
      if (before === undefined) return;
      forEachArray(weights, before, (to, from) => {
        if (lengthOf(to) === from.length) write(to, from);
        else gone++;
      });
    });
    requireNone(gone);
  }
}

/** The callback may have transferred arrays that are to be written again. */
function requireNone(gone: number): void {
  if (gone === 0) return;
  throw new CgfacError(
    'ERR_CGFAC_DETACHED_BUFFER',
    `Expected weights that are still there after the callback of withAveragedWeights() but received ${gone} arrays ` +
      'whose buffers were detached meanwhile',
  );
}
