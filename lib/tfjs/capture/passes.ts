/** Backward passes in arrays that end at the sites of layers. */
import type { Tensor } from '@tensorflow/tfjs-core';
import { CgfacError } from '../../adapter-kit';
import type { LayerSite, Site } from '../kinds/layer-kind';
import { backwardInArrays } from '../tape/array-backward';
import type { Samples } from '../tape/array-rule';
import type { Room } from '../tape/room';
import type { TapeNode } from '../tape/tape';
import { sideBySide } from './slices';

/** What a pass begins with at one tensor: as many numbers as that has, zero for the samples that are left out. */
export interface Seed {
  readonly at: Tensor;
  readonly values: Float32Array;
}

/** The ops of sites, by their nodes. */
export function opsOf(sites: readonly LayerSite[]): ReadonlyMap<TapeNode, Site> {
  return new Map(sites.flatMap(({ ops }) => ops.map((op) => [op.node, op])));
}

/** The output gradients of ops that a pass in arrays finds; `undefined` where there is none. */
export function inArrays(
  tape: readonly TapeNode[],
  seeds: ReadonlyMap<number, Seed>,
  within: ReadonlySet<number>,
  ops: ReadonlyMap<TapeNode, Site>,
  samples: Samples,
  room: Room,
): ReadonlyMap<Site, Float32Array> | undefined {
  const first = [...seeds.values()].every(({ at }) => samples.all || at.shape[0] === samples.samples);
  if (!first || ![...ops.values()].every(({ plainGrads }) => plainGrads)) return undefined;
  const read = new Map<Site, Float32Array>();
  const some = new Map(
    [...seeds].map(([id, { values }]) => [id, values.subarray(0, samples.lengthOf(values.length))] as const),
  );
  const isSite = (node: TapeNode) => ops.has(node);
  const went = backwardInArrays(tape, some, within, samples, room, isSite, (node, outputGradient) => {
    const op = ops.get(node);
    if (op) read.set(op, outputGradient);
  });
  return went ? read : undefined;
}

/** The output gradients of sites, of those that a pass has read of their ops. */
export function allOf(
  sites: readonly LayerSite[],
  read: ReadonlyMap<Site, Float32Array>,
  room: Room,
): Map<LayerSite, Float32Array> {
  const all = new Map<LayerSite, Float32Array>();
  for (const site of sites) {
    const parts = site.ops.flatMap((op) => read.get(op) ?? []);
    if (parts.length < site.ops.length)
      throw new CgfacError(
        'ERR_CGFAC_INTERNAL',
        `Expected a path from a head to the op ${site.ops[0].node.kernel} but received none; please report this`,
      );
    all.set(site, sideBySide(site, parts, room));
  }
  return all;
}
