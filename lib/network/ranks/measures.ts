/** What directions do to the sampled outputs of samples whose rows stayed on their ranks. */
import type { Communicator } from '../../base/communicator';
import { callNative, callNativeAsync } from '../../native/call';
import { native } from '../../native/load';
import type { Phases } from '../step/phase';
import type { PreparedStep } from '../step/prepared';
import { allgatherv } from './collectives';
import { packed, unpacked } from './messages';
import type { SharedLayer } from './sharing';
import type { Trouble } from './trouble';

/** u_b of the samples of this rank, a field for each layer, its first number that of the samples that have one. */
function* measured(layers: readonly SharedLayer[]): Phases<Float64Array[]> {
  const items = layers.map(({ entry }) => ({
    layer: entry.layer.native,
    products: new Float64Array(Math.max(0, ...entry.samples.values())),
  }));
  let samples = new Float64Array();
  yield {
    now: () => {
      samples = callNative(() => native.measureAllSync(items)) as Float64Array<ArrayBuffer>;
    },
    later: async (signal) => {
      const found = await callNativeAsync(signal, (token) => native.measureAll(items, undefined, token));
      samples = found as Float64Array<ArrayBuffer>;
    },
  };
  return items.map(({ products }, index) => Float64Array.of(samples[index] ?? 0, ...products));
}

/** The numbers of all ranks one after the other; `undefined` where one has none. */
function united(fields: readonly Float64Array[]): Pick<PreparedStep, 'sampled' | 'samples'> {
  const samples = fields.reduce((sum, [own = 0]) => sum + own, 0);
  if (fields.some(([own = 0]) => own === 0)) return { sampled: undefined, samples };
  return { sampled: Float64Array.from(fields.flatMap((field) => [...field.subarray(1)])), samples };
}

/**
 * What was prepared, with the products of all samples: those of layers whose rows are not with their owner come from
 * the ranks that have them.
 */
export function* gatheredProducts(
  communicator: Communicator,
  layers: readonly SharedLayer[],
  prepared: readonly PreparedStep[],
  trouble: Trouble,
): Phases<PreparedStep[]> {
  const spread = layers.filter(({ travel }) => !travel.recorded);
  if (spread.length === 0) return [...prepared];
  const own = yield* trouble.avoiding(() => measured(spread));
  const all = (yield* allgatherv(communicator, packed(own ?? []))).map((message) => unpacked(message, 'allgatherv'));
  if (all.some(({ length }) => length < spread.length)) return [...prepared]; // one of them is in trouble
  return prepared.map((step, index) => {
    const shared = layers[index];
    const at = shared === undefined ? -1 : spread.indexOf(shared);
    if (at < 0) return step;
    return { ...step, ...united(all.map((fields) => Float64Array.from(fields[at] ?? []))) };
  });
}
