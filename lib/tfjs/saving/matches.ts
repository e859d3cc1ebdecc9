/** Which variables a saved state belongs to. */
import type { Variable } from '@tensorflow/tfjs-core';
import type { Block } from '../kinds/layer-kind';
import type { Part } from '../kinds/part';
import type { DigestOf } from './digest';
import type { SavedAverage, SavedBlock, SavedPart, SavedParts } from './saved-state';

/**
 * A name without what the layers of TensorFlow.js add to that of a variable where it is taken, as it is in a process
 * that loads a model it has already: `enc/kernel` of `enc/kernel_1`. Behind it may stand a part, or a number.
 */
export function stemOf(name: string): string {
  return name.replace(/^(.*\/[^/]*?)_\d+(?=$|[@#][^/]*$)/, '$1');
}

function isShape(saved: SavedPart, { shape }: Variable): boolean {
  return saved.shape.length === shape.length && saved.shape.every((extent, axis) => extent === shape[axis]);
}

/** Whether a part has the shape of a variable and its place there, whatever its numbers. */
function isPlace(saved: SavedPart | undefined, part: Part | undefined): boolean {
  if (saved === undefined || part === undefined) return saved === part;
  const [a, b] = [saved.range, part.range];
  const sameRange =
    a === undefined || b === undefined
      ? a === b
      : a.length === b.length && a.inner === b.inner && a.from === b.from && a.to === b.to;
  return sameRange && isShape(saved, part.variable);
}

/** Whether a part of a state may be of a block by its shapes; a state of a release before does not tell them. */
export function isSavedShape({ kernel, bias }: SavedBlock, block: Block): boolean {
  return kernel === undefined || (isPlace(kernel, block.kernel) && isPlace(bias, block.bias));
}

/** Whether the variables of a block have the numbers that a part of a state was saved with. */
export function isSavedBlock(saved: SavedBlock, block: Block, digestOf: DigestOf): boolean {
  const { kernel, bias } = saved;
  if (kernel === undefined || !isSavedShape(saved, block) || kernel.digest !== digestOf(block.kernel.variable))
    return false;
  return bias === undefined || block.bias === undefined || bias.digest === digestOf(block.bias.variable);
}

/** Averages, and what their variables were like. */
function wantedBy({ layers, plain }: SavedParts): (readonly [SavedPart | undefined, SavedAverage])[] {
  const pairs = [
    ...layers.flatMap(({ kernel, bias, averages: [first, second] }) => [
      [kernel, first] as const,
      [bias, second] as const,
    ]),
    ...plain.map(({ kernel, average }) => [kernel, average] as const),
  ];
  return pairs.flatMap(([part, average]) => (average === undefined ? [] : [[part, average] as const]));
}

/**
 * The variables among `variables` that saved averages are of: those with the numbers that were saved with them, of
 * several with the same in the order in which they were created. `undefined` where any of them is missing, where there
 * are more such variables than averages, so that it cannot be told which are meant, or where the state does not tell.
 * Of variables that are frozen none is wanted.
 */
export function averagedAmong(
  saved: SavedParts,
  variables: readonly Variable[],
  digestOf: DigestOf,
): Map<SavedAverage, Variable> | undefined {
  const wanted = wantedBy(saved);
  const groups = new Map<string, { readonly part: SavedPart; readonly averages: SavedAverage[] }>();
  for (const [part, average] of wanted) {
    if (part === undefined) return undefined;
    const key = `${part.shape} ${part.digest}`;
    const group = groups.get(key) ?? { part, averages: [] };
    groups.set(key, group);
    group.averages.push(average);
  }
  const found = new Map<SavedAverage, Variable>();
  for (const { part, averages } of groups.values()) {
    const same = variables.filter((each) => isShape(part, each) && digestOf(each) === part.digest);
    const [moving, frozen] = [true, false].map((is) => same.filter(({ trainable }) => trainable === is));
    const own = moving?.length === averages.length ? moving : moving?.length === 0 ? frozen : undefined;
    if (own === undefined || own.length < averages.length) return undefined;
    const [first, second] = [[...own].sort((a, b) => a.id - b.id), [...averages].sort((a, b) => a.created - b.created)];
    second.forEach((average, index) => {
      const variable = first[index];
      if (variable) found.set(average, variable);
    });
  }
  return found;
}
