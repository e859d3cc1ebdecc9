/** The output gradients of the loss itself at the sites of layers: by a pass of our own, or by the normal one. */
import { onesLike, type Scalar, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { endsOf, type Metric } from '../heads/find';
import { type Layer, type LayerSite, outputsOf, type Site } from '../kinds/layer-kind';
import { Samples } from '../tape/array-rule';
import { backward, dependents, inputsOf } from '../tape/graph';
import { copier } from '../tape/numbers';
import type { Room } from '../tape/room';
import type { TapeNode } from '../tape/tape';
import { allOf, inArrays, opsOf, type Seed } from './passes';
import { sideBySide } from './slices';

/** The output gradients of the loss at a layer. */
export interface LayerLossGrads {
  /**
   * The output gradients of the loss itself, site by site, where they are asked for: of a pass in arrays, or filled by
   * the normal backward pass.
   */
  readonly lossGrads: (Float32Array | undefined)[];
  /**
   * The output gradients of the normal backward pass, which fills them: of a layer that is checked, where `lossGrads`
   * are of a pass in arrays.
   */
  readonly observedGrads: (Float32Array | undefined)[] | undefined;
}

/** Whether nothing that enters the loss is made of something else that does. */
function areApart(tape: readonly TapeNode[], ends: ReadonlySet<number>): boolean {
  if (ends.size < 2) return true;
  const behind = dependents(tape, ends);
  return !tape.some(
    (node) => node.outputs.some(({ id }) => ends.has(id)) && inputsOf(node).some(({ id }) => behind.has(id)),
  );
}

/** The gradient of the loss where it is entered; `undefined` where one of the tensors has none. */
function lossSeeds(
  tape: readonly TapeNode[],
  loss: Scalar,
  { heads, other }: Metric,
  room: Room,
): Map<number, Seed> | undefined {
  const seeds = new Map<number, Seed>(
    heads.map(({ logits, gradient }) => [logits.id, { at: logits, values: gradient }]),
  );
  if (other === undefined) return seeds;
  const within = dependents(
    tape,
    other.outputs.map(({ id }) => id),
  );
  const gradients = backward(tape, [[loss.id, onesLike(loss)]], within);
  const read = copier(room);
  for (const output of other.outputs) {
    const gradient: Tensor | undefined = gradients.get(output.id);
    if (gradient === undefined) return undefined;
    seeds.set(output.id, { at: output, values: read(gradient) });
  }
  return seeds;
}

/**
 * The output gradients of the loss itself at sites, by a pass of our own in arrays; `undefined` where there is none.
 * Call it with recording paused and inside a `tidy`.
 */
export function lossGradients(
  tape: readonly TapeNode[],
  loss: Scalar,
  metric: Metric,
  sites: readonly LayerSite[],
  room: Room,
): ReadonlyMap<LayerSite, Float32Array> | undefined {
  if (!areApart(tape, endsOf(metric))) return undefined;
  const seeds = lossSeeds(tape, loss, metric, room);
  const [first] = [...(seeds?.values() ?? [])];
  if (seeds === undefined || first === undefined) return undefined;
  const samples = first.at.shape[0] ?? 1;
  const within = dependents(tape, outputsOf(sites));
  const read = inArrays(tape, seeds, within, opsOf(sites), new Samples(samples, samples), room);
  return read && sites.every(({ ops }) => ops.every((op) => read.has(op))) ? allOf(sites, read, room) : undefined;
}

/** Has the normal backward pass leave its output gradients at the sites of `layer`. */
function lossGradsOf(layer: Layer, room: Room): (Float32Array | undefined)[] {
  const gradients: (Float32Array | undefined)[] = layer.sites.map(() => undefined);
  for (const [index, site] of layer.sites.entries()) {
    const parts = new Map<Site, Float32Array>();
    for (const op of site.ops)
      op.node.observe((outputGradient: Tensor) => {
        tidy(() => {
          parts.set(op, op.readOutputGrads(outputGradient, copier(room)));
        });
        const all = site.ops.flatMap((each) => parts.get(each) ?? []);
        if (all.length === site.ops.length) gradients[index] = sideBySide(site, all, room);
      });
  }
  return gradients;
}

/** The output gradients of the loss at a layer: those of our own pass, or of the normal one where they are wanted. */
export function layerLossGrads(
  layer: Layer,
  own: ReadonlyMap<LayerSite, Float32Array> | undefined,
  wanted: boolean,
  checked: boolean,
  room: Room,
): LayerLossGrads {
  if (own === undefined) return { lossGrads: wanted ? lossGradsOf(layer, room) : [], observedGrads: undefined };
  const lossGrads = layer.sites.flatMap((site) => own.get(site) ?? []);
  return { lossGrads, observedGrads: checked ? lossGradsOf(layer, room) : undefined };
}

/** Has the normal backward pass compute the gradients of kernels, or leave them out. */
export function replaceKernels(sites: readonly LayerSite[], computed: boolean): void {
  for (const op of sites.flatMap(({ ops }) => ops)) op.replaceGradients?.(computed ? 'computed' : 'zeros');
}
