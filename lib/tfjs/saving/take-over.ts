/** What of a saved state goes to the layers and variables that a step meets for the first time. */
import type { Variable } from '@tensorflow/tfjs-core';
import { CgfacError, type StoredLayer } from '../../adapter-kit';
import type { Block } from '../kinds/layer-kind';
import type { Part } from '../kinds/part';
import type { DigestOf } from './digest';
import { isSavedBlock, isSavedShape, stemOf } from './matches';
import type { SavedAverage, SavedBlock, SavedLayer, SavedPart, SavedPlain, SavedState } from './saved-state';

/** A layer, or a lone variable, that a step meets for the first time. */
export interface NewLayer extends Block {
  readonly name: string;
  /** Whether it is a lone variable. */
  readonly lone: boolean;
}

/** A saved state that is not taken over wholly. */
export interface Pending {
  readonly state: SavedState;
  /** Whether a variable was as it had been saved: the others are bound in no other way, then. */
  readonly certain: boolean;
  /** The variables of what was taken over, by what they were like: one may be a layer's, and alone as well. */
  readonly met?: ReadonlyMap<string, Variable>;
}

/** What a variable was like when it was saved. */
const likeness = ({ shape, digest }: SavedPart): string => `${shape} ${digest}`;

/** Adds the variables of blocks to those that were met. */
function metWith(met: Pending['met'], taken: ReadonlyMap<NewLayer, SavedBlock>): Map<string, Variable> {
  const all = new Map(met);
  for (const [{ kernel, bias }, saved] of taken) {
    if (saved.kernel) all.set(likeness(saved.kernel), kernel.variable);
    if (saved.bias && bias) all.set(likeness(saved.bias), bias.variable);
  }
  return all;
}

/** Whether a part is of the variables of a block, which have moved since they were met in another block. */
function wasMet(met: Pending['met'], saved: SavedBlock, block: NewLayer): boolean {
  const is = (part: SavedPart | undefined, own: Part | undefined) =>
    part === undefined || met?.get(likeness(part)) === own?.variable;
  return (
    saved.kernel !== undefined &&
    isSavedShape(saved, block) &&
    is(saved.kernel, block.kernel) &&
    is(saved.bias, block.bias)
  );
}

/** The parts of a saved state that find their layers and variables, and what is left of it. */
export interface TakenOver<T extends NewLayer> {
  /** The new layers, in the order in which they were saved, for sums of all have the bits of that order. */
  readonly fresh: readonly T[];
  /** The states of the new layers, in that order; `undefined` of one that nothing was saved of. */
  readonly states: readonly (StoredLayer | undefined)[];
  readonly averages: readonly (readonly [Variable, SavedAverage])[];
  /** What waits for layers and variables to come; `undefined` where nothing does. */
  readonly rest: Pending | undefined;
}

/** The error of a model that a saved state is not of. */
export function unlikeSaved(name: string, cause: CgfacError): CgfacError {
  const expected = 'Expected the layers of the saved state in the same order for the step after setWeights';
  return new CgfacError(cause.code, `${expected} but received ${name}: ${cause.message}`, { cause });
}

/** The parts of blocks whose variables have the very numbers that they were saved with, by name where several do. */
function byContent<T extends SavedBlock>(
  saved: readonly T[],
  blocks: readonly NewLayer[],
  digestOf: DigestOf,
  met?: Pending['met'],
): Map<NewLayer, T> {
  const free = new Set(saved);
  const found = new Map<NewLayer, T>();
  for (const block of blocks) {
    const same = [...free].filter((part) => isSavedBlock(part, block, digestOf) || wasMet(met, part, block));
    const part = same.find(({ name }) => name === block.name) ?? same[0];
    if (part === undefined) continue;
    free.delete(part);
    found.set(block, part);
  }
  return found;
}

/** The parts of blocks by a name that all of them share with just one part each; `undefined` where one does not. */
function byName<T extends SavedBlock>(
  saved: readonly T[],
  blocks: readonly NewLayer[],
  nameOf: (name: string) => string,
): T[] | undefined {
  const named = blocks.map((block) => saved.filter(({ name }) => nameOf(name) === nameOf(block.name)));
  const found = named.flatMap((parts) => (parts.length === 1 ? parts : []));
  return new Set(found).size === blocks.length ? found : undefined;
}

/**
 * The parts of blocks whose weights were changed since: by their names where all have one that was saved, for layers
 * may have joined in another order; then by their names but for what TensorFlow.js added to make them the only ones;
 * else by order.
 */
function byNameOrOrder<T extends SavedBlock>(saved: readonly T[], blocks: readonly NewLayer[]): Map<NewLayer, T> {
  const parts = byName(saved, blocks, (name) => name) ?? byName(saved, blocks, stemOf) ?? saved.slice(0, blocks.length);
  const pairs = blocks.flatMap((block, index): [NewLayer, T][] => {
    const part = parts[index];
    return part === undefined ? [] : [[block, part]];
  });
  const unlike = pairs.find(([block, part]) => !isSavedShape(part, block));
  if (unlike)
    throw unlikeSaved(unlike[0].name, new CgfacError('ERR_CGFAC_SHAPE_MISMATCH', 'it was saved with another shape'));
  return new Map(pairs);
}

/** The averages of the variables of blocks, and those of variables that are alone and still. */
function averagesOf(layers: ReadonlyMap<NewLayer, SavedLayer>, plain: ReadonlyMap<NewLayer, SavedPlain>) {
  const averages: (readonly [Variable, SavedAverage])[] = [];
  const give = (part: Part | undefined, average: SavedAverage | undefined) => {
    if (part && average) averages.push([part.variable, average]);
  };
  for (const [{ kernel, bias }, part] of layers) {
    give(kernel, part.averages[0]);
    give(bias, part.averages[1]);
  }
  for (const [{ kernel }, { average }] of plain) give(kernel, average);
  const unlike = averages.find(([variable, { values }]) => variable.size !== values.length);
  if (unlike)
    throw unlikeSaved(unlike[0].name, new CgfacError('ERR_CGFAC_SHAPE_MISMATCH', 'its average has another shape'));
  return averages;
}

/** Whether numbers differ: those that layers are made with, zeros and ones, are many variables'. */
const isVaried = (variable: Variable): boolean => {
  const values = variable.dataSync<'float32'>();
  return values.some((value) => value !== values[0]);
};

/** Whether a variable is as that of a layer was when it was saved, or of a lone variable where there are no layers. */
function isElsewhere({ layers, plain }: SavedState, variables: readonly Variable[], digestOf: DigestOf): boolean {
  const parts: readonly SavedBlock[] = layers.length > 0 ? layers : plain;
  const likenesses = new Set(parts.flatMap(({ kernel }) => (kernel && !kernel.range ? [likeness(kernel)] : [])));
  const shapes = new Set(parts.flatMap(({ kernel }) => (kernel ? [`${kernel.shape}`] : [])));
  return variables.some(
    (variable) =>
      shapes.has(`${variable.shape}`) &&
      likenesses.has(likeness({ shape: variable.shape, digest: digestOf(variable) })) &&
      isVaried(variable),
  );
}

/**
 * Finds the parts of a saved state for layers and lone variables. Those whose numbers are what they were when they were
 * saved are known by them; where none are, and none of the process's other variables either, for the weights come from
 * elsewhere, by their names or by their order. Nothing is changed.
 *
 * @param still - Lone variables that take no part in steps: averages alone are kept of them.
 * @param others - Variables that may be those that were saved: the state waits for a step of theirs then.
 * @throws {@link CgfacError} `ERR_CGFAC_SHAPE_MISMATCH` for a part that is of another shape than its variable.
 */
export function takeOver<T extends NewLayer>(
  { state: saved, certain, met }: Pending,
  fresh: readonly T[],
  still: readonly NewLayer[],
  others: readonly Variable[],
  digestOf: DigestOf,
): TakenOver<T> {
  const blocks = fresh.filter(({ lone }) => !lone);
  const alone = fresh.filter(({ lone }) => lone);
  let layers = byContent(saved.layers, blocks, digestOf, met);
  let plain = byContent(saved.plain, [...alone, ...still], digestOf, met);
  const sure = certain || layers.size + plain.size > 0 || isElsewhere(saved, others, digestOf);
  if (!sure) {
    layers = byNameOrOrder(saved.layers, blocks);
    plain = byNameOrOrder(saved.plain, alone);
  }
  const taken = new Set<SavedBlock>([...layers.values(), ...plain.values()]);
  const state = {
    ...saved,
    layers: saved.layers.filter((part) => !taken.has(part)),
    plain: saved.plain.filter((part) => !taken.has(part)),
  };
  const all: readonly SavedBlock[] = [...saved.layers, ...saved.plain];
  const partOf = (layer: NewLayer) => (layer.lone ? plain : layers).get(layer);
  const placed = fresh.map((layer) => {
    const part = partOf(layer);
    return { layer, place: part ? all.indexOf(part) : all.length };
  });
  const ordered = placed.sort((a, b) => a.place - b.place).map(({ layer }) => layer);
  return {
    fresh: ordered,
    states: ordered.map((layer) => partOf(layer)?.state),
    averages: averagesOf(layers, plain),
    rest:
      state.layers.length + state.plain.length > 0
        ? { state, certain: sure, met: metWith(met, new Map<NewLayer, SavedBlock>([...layers, ...plain])) }
        : undefined,
  };
}

/** The states that were saved of blocks whose variables are as they were then; `undefined` of the others. */
export function statesByContent(
  { state: { layers, plain }, met }: Pending,
  blocks: readonly NewLayer[],
  digestOf: DigestOf,
): (StoredLayer | undefined)[] {
  const ofLayers = byContent(
    layers,
    blocks.filter(({ lone }) => !lone),
    digestOf,
    met,
  );
  const ofLone = byContent(
    plain,
    blocks.filter(({ lone }) => lone),
    digestOf,
    met,
  );
  return blocks.map((block) => (block.lone ? ofLone : ofLayers).get(block)?.state);
}

/** A layer's state whose momentum has been divided by the learning rate that was in it. */
export function withoutRate(state: StoredLayer, rate: number): StoredLayer {
  const { momentum } = state;
  if (momentum === undefined || rate === 1 || rate === 0) return state;
  const divided = (array: Float32Array) => array.map((value) => value / rate);
  const { kernel, bias } = momentum;
  return { ...state, momentum: { kernel: divided(kernel), ...(bias ? { bias: divided(bias) } : {}) } };
}
