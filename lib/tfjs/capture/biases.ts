/** Which products a bias belongs to: those that it is added to, or to the sums of which it is. */
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Site } from '../kinds/layer-kind';
import { isSamePart, makeUpWhole, type Part } from '../kinds/part';
import { inputsOf } from '../tape/graph';
import type { TapeNode } from '../tape/tape';
import type { Use } from './views';

/** Ops that sum up tensors: the gradient at the sum is that at each of them. */
const SUMS: ReadonlySet<string> = new Set(['Add', 'AddN']);

/** A part of a kernel, and the sites that use it. */
export interface Group {
  readonly part: Part;
  readonly sites: readonly [Site, ...Site[]];
  /** Whether one of them works on what another one made. */
  readonly recurrent: boolean;
}

/** A part of a bias, and for each of its uses the sites at whose outputs the gradient is that of the bias. */
export interface BiasUses {
  readonly part: Part;
  readonly uses: readonly (readonly Site[])[];
}

/** The inputs of a sum that are of its own shape, or the one of a reshape. */
function passedBy(node: TapeNode, output: Tensor): readonly Tensor[] {
  if (node.kernel === 'Reshape') return inputsOf(node);
  if (!SUMS.has(node.kernel)) return [];
  return inputsOf(node).filter(({ shape }) => shape.join() === output.shape.join());
}

/**
 * The tensors whose gradient is that of the outputs of sites, with these, by tensor id: such outputs themselves, and
 * reshapes and sums of nothing but them and others, each used once.
 */
export function openOutputs(tape: readonly TapeNode[], sites: readonly Site[]): Map<number, readonly Site[]> {
  const readers = new Map<number, number>();
  for (const node of tape) {
    for (const input of inputsOf(node)) readers.set(input.id, (readers.get(input.id) ?? 0) + 1);
  }
  const open = new Map<number, readonly Site[]>();
  const offer = (id: number, of: readonly Site[]) => {
    if (of.length > 0 && readers.get(id) === 1) open.set(id, of);
  };
  for (const site of sites) {
    if (site.bias.is === 'addition') for (const output of site.node.outputs) offer(output.id, [site]);
  }
  for (const node of tape) {
    const [output] = node.outputs;
    if (!output) continue;
    const of = passedBy(node, output).flatMap(({ id }) => open.get(id) ?? []);
    offer(
      output.id,
      of.filter(({ outFeatures }) => output.shape.at(-1) === outFeatures),
    );
  }
  return open;
}

/** The sites that a use adds a bias to, if it does that and nothing else. */
export function sitesOfBias(
  { node, name, view }: Use,
  sites: readonly Site[],
  open: ReadonlyMap<number, readonly Site[]>,
): readonly Site[] {
  const width = view.shape.at(-1);
  const size = view.shape.reduce((product, length) => product * length, 1);
  const isRow = ({ outFeatures, takesTiled }: Site) =>
    !view.transposed && (!view.tiled || takesTiled === true) && size === outFeatures && width === outFeatures;
  const own = sites.filter((site) => site.node === node && site.bias.is === 'input' && site.bias.name === name);
  if (own.length > 0) return own.filter(isRow);
  if (node.kernel !== 'Add') return [];
  const other = node.inputs.get(name === 'a' ? 'b' : 'a');
  return (other && open.get(other.id))?.filter(isRow) ?? [];
}

/** Whether a bias is added at every site of a kernel, once. */
function fits({ uses }: BiasUses, { sites }: Group): boolean {
  const own = new Set(sites);
  const met = uses.map((use) => use.filter((site) => own.has(site)));
  return met.every(({ length }) => length === 1) && uses.length === own.size && new Set(met.flat()).size === own.size;
}

/**
 * The biases of kernels. One that is added to a sum of products belongs to the first one that does not work on what it
 * made itself, or to the first: the gradient of the bias is that of either. A bias whose parts do not all find a kernel
 * of their own has none.
 */
export function biasesOf(biases: readonly (readonly BiasUses[])[], groups: readonly Group[]): ReadonlyMap<Group, Part> {
  const preferred = [...groups.filter(({ recurrent }) => !recurrent), ...groups.filter(({ recurrent }) => recurrent)];
  const found = new Map<Group, Part>();
  for (const parts of biases) {
    if (!makeUpWhole(parts.map(({ part }) => part))) continue;
    const taken = new Map<Group, Part>();
    for (const bias of parts) {
      const group = preferred.find((each) => !found.has(each) && !taken.has(each) && fits(bias, each));
      if (group) taken.set(group, bias.part);
    }
    if (taken.size === parts.length) for (const [group, part] of taken) found.set(group, part);
  }
  return found;
}

/** Collects what belongs to one part. The parts of a variable come in the order of their ranges. */
export function byPart<T>(uses: readonly (readonly [Part, T])[]): { readonly part: Part; readonly of: [T, ...T[]] }[] {
  const found: { readonly part: Part; readonly of: [T, ...T[]] }[] = [];
  for (const [part, each] of uses) {
    const known = found.find((other) => isSamePart(other.part, part));
    if (known) known.of.push(each);
    else found.push({ part, of: [each] });
  }
  return found.sort((a, b) => (a.part.range?.from ?? 0) - (b.part.range?.from ?? 0));
}
