/** The state of a network whose layers belong to several ranks, brought together on rank 0 and handed out again. */
import { deserialize, serialize } from 'node:v8';
import { CgfacError } from '../../base/errors';
import { plainCopy } from '../../base/reading';
import type { LayerState } from '../../layer/layer';
import type { NetworkEntry } from '../registry';
import type { LayerStates, PreconditionerState } from '../state';
import type { Phases } from '../step/phase';
import { alltoallv, bcast } from './collectives';
import type { Ranks } from './ranks';

const nothing = new Uint8Array();

/** The state of all layers on rank 0, where `make` puts the rest around those of the layers. */
export function* gatheredState(
  ranks: Ranks,
  entries: readonly NetworkEntry[],
  make: (layers: LayerStates) => PreconditionerState,
): Phases<PreconditionerState | undefined> {
  const { communicator, owners } = ranks;
  owners.include(entries);
  const own = entries.filter((entry) => ranks.owns(entry));
  const bytes = new Uint8Array(serialize(own.map(({ name, layer }) => [name, layer.state()])));
  const parts = Array.from({ length: communicator.size }, (_, rank) => (rank === 0 ? bytes : nothing));
  const all = yield* alltoallv(communicator, parts);
  if (communicator.rank !== 0) return undefined;
  return make(new Map(all.flatMap((each) => deserialize(each) as [string, LayerState][])));
}

/** The state of rank 0 on all ranks. */
export function* scatteredState(ranks: Ranks, state: unknown): Phases<unknown> {
  const { communicator } = ranks;
  const told = communicator.rank === 0 ? serialized(state) : { bytes: nothing };
  const length = 'bytes' in told ? told.bytes.length : -1;
  const [size = -1] = yield* bcast(communicator, Float64Array.of(length));
  if ('thrown' in told) throw told.thrown;
  if (size < 0)
    throw new CgfacError('ERR_CGFAC_COMMUNICATION', 'Expected a state of rank 0 for scatterState() but received none');
  const bytes = communicator.rank === 0 ? told.bytes : new Uint8Array(size);
  return deserialize(yield* bcast(communicator, bytes));
}

/** A state as it travels, or why it cannot. */
function serialized(state: unknown): { readonly bytes: Uint8Array } | { readonly thrown: unknown } {
  try {
    if (typeof state !== 'object' || state === null)
      throw new CgfacError('ERR_CGFAC_INVALID_ARG_TYPE', `Expected a state on rank 0 but received ${String(state)}`);
    return { bytes: new Uint8Array(serialize(plainCopy(state, 'state'))) };
  } catch (thrown) {
    return { thrown };
  }
}
