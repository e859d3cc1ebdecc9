/**
 * A backward pass over the first samples of a batch alone, where every op on its way treats samples apart: gradients,
 * and what the ops have saved, are cut to these.
 */
import { add, getGradient, reshape, slice, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { backwards } from './graph';
import type { TapeNode } from './tape';

/** Ops of one input that work number by number, and whose gradient functions need no more than what they have saved. */
const ELEMENTWISE: ReadonlySet<string> = new Set([
  ...['Tanh', 'Sigmoid', 'Relu', 'Relu6', 'Elu', 'Selu', 'LeakyRelu', 'Softplus'],
]);
/** Ops of one input that treat samples apart, and whose gradient functions need no more than what they have saved. */
const SAMPLEWISE: ReadonlySet<string> = new Set(['MaxPool', 'AvgPool', 'MaxPool3D', 'AvgPool3D']);
/** Ops that show numbers in another form. */
const VIEWS: ReadonlySet<string> = new Set(['Identity', 'Reshape', 'Cast']);

/** The axis of the samples: the first one, behind one of length 1 at the most. */
function axisOf({ shape }: Tensor, samples: number): number | undefined {
  if (shape[0] === samples) return 0;
  return shape[0] === 1 && shape[1] === samples ? 1 : undefined;
}

/** The shape of some of the samples of a tensor. */
function shapeOfSome(tensor: Tensor, samples: number, count: number): number[] {
  const axis = axisOf(tensor, samples);
  return tensor.shape.map((length, at) => (at === axis ? count : length));
}

function someOf(tensor: Tensor, samples: number, count: number): Tensor {
  return slice(
    tensor,
    tensor.shape.map(() => 0),
    shapeOfSome(tensor, samples, count),
  );
}

/** What the pass is over. */
export interface FirstSamples {
  /** Samples of the batch, more than `count`. */
  readonly samples: number;
  /** The number of samples that are gone through. */
  readonly count: number;
  /** The ops whose own gradient function takes fewer rows than the op itself had, and gives as many. */
  readonly byRows: (node: TapeNode) => boolean;
}

/** The inputs of a node that the pass goes on to, by name. */
const wantedOf = ({ inputs }: TapeNode, within: ReadonlySet<number>) =>
  [...inputs].filter(([, input]) => within.has(input.id));

function treatsApart(node: TapeNode, wanted: readonly (readonly [string, Tensor])[], of: FirstSamples): boolean {
  const { samples, byRows } = of;
  const [output] = node.outputs;
  if (node.kernel === 'Add' || (node.kernel === 'Sub' && wanted.every(([name]) => name === 'a')))
    return wanted.every(([, input]) => axisOf(input, samples) !== undefined && input.size === output?.size);
  const [[name, input] = [], ...more] = wanted;
  if (!output || !input || more.length > 0 || node.outputs.length > 1) return false;
  const [from, to] = [axisOf(input, samples), axisOf(output, samples)];
  if (from === undefined || to === undefined) return false;
  if (byRows(node) || VIEWS.has(node.kernel)) return true;
  if (name !== 'x' || getGradient(node.kernel) === undefined) return false;
  const samplesFirst = node.saved.every((saved) => axisOf(saved, samples) === to);
  if (SAMPLEWISE.has(node.kernel)) return samplesFirst;
  return ELEMENTWISE.has(node.kernel) && samplesFirst && node.saved.every(({ size }) => size === output.size);
}

/** The nodes that the pass meets, in its order, with the inputs that it goes on to; `undefined` where it cannot be. */
function wayOf(
  tape: readonly TapeNode[],
  seeds: ReadonlyMap<number, Tensor>,
  within: ReadonlySet<number>,
  of: FirstSamples,
) {
  if (![...seeds.values()].every((seed) => axisOf(seed, of.samples) !== undefined)) return undefined;
  const reached = new Set(seeds.keys());
  const way: { readonly node: TapeNode; readonly wanted: readonly (readonly [string, Tensor])[] }[] = [];
  for (const node of backwards(tape)) {
    if (!node.outputs.some(({ id }) => reached.has(id))) continue;
    const wanted = wantedOf(node, within);
    if (wanted.length > 0 && !treatsApart(node, wanted, of)) return undefined;
    if (wanted.length === 0 && !of.byRows(node)) return undefined;
    for (const [, input] of wanted) reached.add(input.id);
    way.push({ node, wanted });
  }
  return way;
}

/** The gradient of a node's one input that is wanted. */
function gradientOf(node: TapeNode, [name, input]: readonly [string, Tensor], dy: Tensor, of: FirstSamples): Tensor {
  const { samples, count } = of;
  const shape = shapeOfSome(input, samples, count);
  if (of.byRows(node)) return reshape(tidy(node.gradient([dy], [name])[name] as () => Tensor), shape);
  if (!ELEMENTWISE.has(node.kernel) && !SAMPLEWISE.has(node.kernel)) return reshape(dy, shape);
  const saved = node.saved.map((each) => someOf(each, samples, count));
  const found = getGradient(node.kernel).gradFunc(dy, saved, node.attributes as never);
  return tidy((found as { readonly x: () => Tensor }).x);
}

/**
 * Goes backwards from gradients `seeds` of the whole batch, by tensor id, over its first samples, as `backward` does
 * over all of them. Call it with recording paused and inside a `tidy`.
 *
 * @returns Whether it did: not where an op on the way lets samples see each other, or is not known not to.
 */
export function backwardOfFirst(
  tape: readonly TapeNode[],
  seeds: ReadonlyMap<number, Tensor>,
  within: ReadonlySet<number>,
  of: FirstSamples,
  visit: (node: TapeNode, outputGradient: Tensor) => void,
): boolean {
  const way = wayOf(tape, seeds, within, of);
  if (way === undefined) return false;
  const gradients = new Map<number, Tensor>();
  const give = (id: number, gradient: Tensor) => {
    const before = gradients.get(id);
    gradients.set(id, before ? add(before, gradient) : gradient);
  };
  for (const [id, seed] of seeds) give(id, someOf(seed, of.samples, of.count));
  for (const { node, wanted } of way) {
    const [output] = node.outputs;
    const dy = output && gradients.get(output.id);
    if (!dy) continue;
    visit(node, dy);
    for (const input of wanted) give(input[1].id, gradientOf(node, input, dy, of));
  }
  return true;
}
