/** The state of a network whose layers belong to several ranks, brought together on rank 0 and handed out again. */
import { deserialize, serialize } from 'node:v8';
import { CgfacError } from '../../base/errors';
import { plainCopy } from '../../base/reading';
import type { LayerState } from '../../layer/layer';
import type { NetworkEntry } from '../registry';
import type { LayerStates, PreconditionerState } from '../state';
import type { Phases } from '../step/phase';
import { countIn, unexpected } from './checked';
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
  const namesOf = (rank: number) => entries.filter(({ name }) => owners.of(name) === rank).map(({ name }) => name);
  return make(new Map(all.flatMap((each, rank) => partsIn(each, namesOf(rank)))));
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
  const bytes = communicator.rank === 0 ? told.bytes : room(countIn(size, 'bcast'));
  return deserialized(yield* bcast(communicator, bytes), 'bcast');
}

/** Room for so many bytes, which rank 0 is about to send. */
function room(size: number): Uint8Array {
  try {
    return new Uint8Array(size);
  } catch {
    throw unexpected('bcast', 'the size of a state that there is room for', `${size} bytes`);
  }
}

/** What was serialized, as it came by a collective. */
function deserialized(bytes: Uint8Array, collective: string): unknown {
  try {
    return deserialize(bytes);
  } catch {
    throw unexpected(collective, 'a state that can be read', `${bytes.length} bytes that cannot`);
  }
}

/** The states of the layers of one rank, as it sent them. */
function partsIn(bytes: Uint8Array, names: readonly string[]): [string, LayerState][] {
  const parts = deserialized(bytes, 'alltoallv');
  const fits =
    Array.isArray(parts) &&
    parts.length === names.length &&
    parts.every(
      (part, index) =>
        Array.isArray(part) && part[0] === names[index] && typeof part[1] === 'object' && part[1] !== null,
    );
  if (!fits) throw unexpected('alltoallv', `the states of ${names.length} layers from their owner`, 'others');
  return parts as [string, LayerState][];
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
