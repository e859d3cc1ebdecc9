/** Slices of a kernel that share their data, put together to one layer. */
import type { LayerSite, Site } from '../kinds/layer-kind';
import { joinedPart, type Part } from '../kinds/part';
import type { Room } from '../tape/room';
import type { TapeNode } from '../tape/tape';
import type { Group } from './biases';

/** A kernel, or slices of one that stand side by side, with what the biases are: what becomes one layer. */
export interface Run {
  readonly groups: readonly [Group, ...Group[]];
  readonly kernel: Part;
  readonly bias: Part | undefined;
}

/** Where the numbers of a tensor come from: the tensor before reshapes. */
function originOf(id: number, made: ReadonlyMap<number, TapeNode>): number {
  let origin = id;
  for (let node = made.get(id); node?.kernel === 'Reshape' || node?.kernel === 'Identity'; node = made.get(origin)) {
    const input = node.inputs.get('x');
    if (!input) break;
    origin = input.id;
  }
  return origin;
}

/** Whether two sites apply the same op to the same data. */
function shareData(one: Site, other: Site, made: ReadonlyMap<number, TapeNode>): boolean {
  return (
    one.node.kernel === other.node.kernel &&
    JSON.stringify(one.node.attributes) === JSON.stringify(other.node.attributes) &&
    one.rows === other.rows &&
    one.inFeatures === other.inFeatures &&
    one.kernelLayout === other.kernelLayout &&
    originOf(one.data.id, made) === originOf(other.data.id, made)
  );
}

/** Whether a part of a kernel is a range of its outputs. */
function isOutputs({ range }: Part, { kernelLayout, inFeatures }: Site): boolean {
  return range?.inner === (kernelLayout === 'in-out' ? 1 : inFeatures);
}

/** A run with the slice behind it; `undefined` where that is no part of it. */
function joined(run: Run, next: Group, nextBias: Part | undefined, made: ReadonlyMap<number, TapeNode>) {
  const [{ sites }] = run.groups;
  const kernel = joinedPart(run.kernel, next.part);
  const bias = run.bias && nextBias && joinedPart(run.bias, nextBias);
  if (kernel === undefined || (bias === undefined && (run.bias || nextBias))) return undefined;
  const together = next.sites.every((site, index) => {
    const first = sites[index];
    return site.takesSlices && first && isOutputs(next.part, site) && shareData(first, site, made);
  });
  const groups: Run['groups'] = [...run.groups, next];
  return together && sites.length === next.sites.length ? { groups, kernel, bias } : undefined;
}

/**
 * Puts slices of outputs that follow on each other in a kernel together where their sites have the same data one for
 * one, and their biases follow on each other, too.
 *
 * @param groups - The slices of a kernel, in their order.
 */
export function runsOf(
  groups: readonly Group[],
  biases: ReadonlyMap<Group, Part>,
  made: ReadonlyMap<number, TapeNode>,
): readonly Run[] {
  const runs: Run[] = [];
  for (const group of groups) {
    const bias = biases.get(group);
    const last = runs.at(-1);
    const longer = last && joined(last, group, bias, made);
    if (longer) runs.splice(-1, 1, longer);
    else runs.push({ groups: [group], kernel: group.part, bias });
  }
  return runs;
}

/** The sites of a layer: of each of its slices one. */
export function layerSites({ groups }: Run): [LayerSite, ...LayerSite[]] {
  const [{ sites }] = groups;
  const at = (first: Site, index: number): LayerSite => {
    const ops: LayerSite['ops'] = [first, ...groups.slice(1).flatMap((group) => group.sites[index] ?? [])];
    const outFeatures = ops.reduce((sum, op) => sum + op.outFeatures, 0);
    return { ...first, outFeatures, takesFewerRows: ops.every(({ takesFewerRows }) => takesFewerRows), ops };
  };
  const [first, ...others] = sites;
  return [at(first, 0), ...others.map((site, index) => at(site, index + 1))];
}

/** Rows of the outputs of each op of a site, (rows × outFeatures) of each, side by side: of one op its own. */
export function sideBySide({ ops, outFeatures }: LayerSite, parts: readonly Float32Array[], room: Room): Float32Array {
  const [first] = parts;
  if (parts.length === 1 && first) return first;
  const rows = (first?.length ?? 0) / ops[0].outFeatures;
  const all = room.take(rows * outFeatures);
  let from = 0;
  for (const [index, op] of ops.entries()) {
    const width = op.outFeatures;
    const values = parts[index] ?? new Float32Array(0);
    for (let row = 0; row < rows; row++)
      all.set(values.subarray(row * width, (row + 1) * width), row * outFeatures + from);
    from += width;
  }
  return all;
}
