/** The ranks that train one network, and the phases of a step that they take together. */
import type { Communicator } from '../../base/communicator';
import { CgfacError } from '../../base/errors';
import type { ResolvedPreconditionerOptions } from '../options';
import { type NetworkEntry, requireArrays } from '../registry';
import { type StepCounts, type StepDecision, type StepPlan, skippedStep } from '../step/decide';
import type { Phases } from '../step/phase';
import { collected, preparation } from '../step/phases';
import type { PreparedStep, PrepareOptions } from '../step/prepared';
import { type Agreement, type Attempt, agreed, type RunState } from './agreement';
import { allgatherv, allgathervOf, alltoallv } from './collectives';
import { directionsMessage, statusesOf, takeDirections } from './directions';
import { hashOf } from './hash';
import { gatheredProducts } from './measures';
import { Owners } from './owners';
import { assembled, type OwnedGradient, pieces, relays, sumOf, toOwners } from './relay';
import { messagesOf, type SharedLayer, taken } from './sharing';
import { gatheredTable, type RankTable } from './table';
import { type Travelling, total, travelOf, weightsIn } from './travel';
import { settled, status, statusIn, Trouble } from './trouble';

type Options = ResolvedPreconditionerOptions;

/** What the network adds to what its ranks do together. */
export interface SharedDecision {
  readonly prepare: PrepareOptions;
  readonly counts: StepCounts;
  decide(prepared: readonly PreparedStep[]): StepDecision;
}

/** Ranks, two of them or more. */
export class Ranks {
  /** Which rank each layer belongs to. */
  readonly owners: Owners;

  constructor(
    readonly communicator: Communicator,
    private readonly options: Options,
  ) {
    this.owners = new Owners(communicator.size, options);
  }

  /** Whether a layer belongs to this rank. */
  owns({ name }: Pick<NetworkEntry, 'name'>): boolean {
    return this.owners.of(name) === this.communicator.rank;
  }

  /** All ranks take the same step, or none does. */
  *agreed(attempt: Attempt, run: Omit<RunState, 'checksWeights'>): Phases<Agreement> {
    const checksWeights = run.counts.steps % this.options.weightCheckSteps === 0;
    return yield* agreed(this.communicator, attempt, { ...run, checksWeights });
  }

  /** The directions of a step and its length, the same on all ranks, none of which has written anything then. */
  *deciding({ plan, weight, table }: Agreement, shared: SharedDecision): Phases<StepDecision> {
    if (plan.skipped !== undefined) return skippedStep(plan, shared.counts, plan.skipped);
    const { communicator } = this;
    const { rank, size } = communicator;
    this.owners.include(plan.entries);
    const trouble = new Trouble();
    const layers = this.#layers(plan, table ?? (yield* gatheredTable(communicator, plan.entries)));
    const owned = layers.filter(({ travel }) => travel.owner === rank);
    for (const { entry } of layers) entry.layer.begin();
    const gradients = layers.flatMap(({ entry, travel: { owner, gradient } }) =>
      gradient ? [{ owner, numbers: weightsIn(entry.shape) }] : [],
    );
    const relayed = relays(gradients, size);
    const own = yield* trouble.avoiding(() => messagesOf(layers, { rank, size, weight }, relayed));
    const sums = relayed ? yield* this.#relayed(own?.flat, gradients, trouble) : undefined;
    const received = yield* alltoallv(communicator, own?.toOwners ?? nothing(size));
    const results = yield* trouble.avoiding(() => preparing(owned, received, sums, trouble, shared.prepare));
    const directions = yield* allgatherv(communicator, this.#message(trouble, owned, results ?? []));
    const skipped = yield* settled(communicator, trouble, statusesOf(directions));
    if (skipped !== undefined) return skippedStep(plan, shared.counts, skipped);
    const prepared = trouble.avoid(() => this.#taken(layers, directions)) ?? [];
    const complete = shared.prepare.measures.samples
      ? yield* gatheredProducts(communicator, layers, prepared, trouble)
      : prepared;
    const decision = trouble.avoid(() => {
      requireArrays(plan.entries, plan.rewrites ? plan.gradients : []);
      return shared.decide(complete);
    });
    return yield* this.#voted(trouble, decision);
  }

  /** The sums of the gradients of this rank's layers, by way of all ranks. */
  *#relayed(
    flat: Float32Array | undefined,
    gradients: readonly OwnedGradient[],
    trouble: Trouble,
  ): Phases<Float32Array[]> {
    const { communicator } = this;
    const { rank, size } = communicator;
    const received = yield* alltoallv(communicator, flat ? pieces(flat, size) : nothing(size));
    const sum = trouble.avoid(() => sumOf(received));
    const all = yield* alltoallv(communicator, sum ? toOwners(sum, gradients, rank, size) : nothing(size));
    if (sum === undefined) trouble.skip('a rank has sent nothing');
    return trouble.avoid(() => assembled(all, gradients, rank)) ?? [];
  }

  #message(trouble: Trouble, owned: readonly SharedLayer[], results: Parameters<typeof directionsMessage>[2]) {
    const message = trouble.avoid(() => directionsMessage(status.fine, owned, results));
    return message ?? directionsMessage(trouble.status, [], []);
  }

  #layers(plan: StepPlan, table: RankTable): SharedLayer[] {
    const quadratic = plan.stepRule === 'quadratic';
    return plan.entries.map((entry, index): SharedLayer => {
      const gradient = plan.gradients[index];
      const layer: Travelling = {
        name: entry.name,
        shape: entry.shape,
        owner: this.owners.of(entry.name),
        given: gradient !== undefined,
        refresh: plan.refresh.has(entry),
        refreshes: entry.layer.refreshes,
        empirical: entry.layer.empirical,
        counts: table.flatMap((counts) => counts[index] ?? []),
      };
      return { entry, layer, gradient, travel: travelOf(layer, quadratic, this.options) };
    });
  }

  #taken(layers: readonly SharedLayer[], directions: readonly Float32Array[]): PreparedStep[] {
    const results = takeDirections(layers, directions, this.communicator.rank);
    const tasks = layers.map(({ entry, layer: { refresh } }) => ({ layer: entry.layer, refresh }));
    return collected(tasks, results);
  }

  /** The last word before anything is written: a rank that failed or was aborted keeps all from it. */
  *#voted(trouble: Trouble, decision: StepDecision | undefined): Phases<StepDecision> {
    const { stepSizes, largest, momentum, summary } = decision ?? {};
    const hash = hashOf(JSON.stringify([stepSizes, largest, momentum, summary?.skipped]));
    const votes = yield* allgathervOf(this.communicator, (signal) => {
      if (signal?.aborted) trouble.fail(signal.reason);
      return Float64Array.of(trouble.status, hash);
    });
    const reason = yield* settled(
      this.communicator,
      trouble,
      votes.map((vote) => statusIn(vote[0], 'allgatherv')),
    );
    const other = votes.findIndex((vote) => vote[1] !== votes[0]?.[1]);
    if (reason === undefined && other < 0 && decision !== undefined) return decision;
    throw otherDecision(Math.max(other, 0));
  }
}

function otherDecision(rank: number) {
  return new CgfacError(
    'ERR_CGFAC_COMMUNICATION',
    `Expected steps of the same length on all ranks but received another on rank ${rank} than on rank 0; their ` +
      'weights, or their processors, are not the same',
  );
}

const nothing = (size: number): Float32Array[] => Array.from({ length: size }, () => new Float32Array());

/** The owner's part: what all ranks sent becomes factors and directions. */
function* preparing(
  owned: readonly SharedLayer[],
  received: readonly Float32Array[],
  sums: readonly Float32Array[] | undefined,
  trouble: Trouble,
  options: PrepareOptions,
) {
  const gradients = taken(owned, received, sums);
  if (gradients === undefined) {
    trouble.skip('a rank has sent nothing');
    return [];
  }
  const tasks = owned.map(({ entry, layer, travel }, index) => ({
    layer: entry.layer,
    refresh: layer.refresh,
    gradient: gradients[index],
    momentum: entry.momentum,
    samples: travel.recorded ? total(layer.counts, 'samples') : Math.max(0, ...entry.samples.values()),
  }));
  const { phase, results } = preparation(tasks, options);
  yield phase;
  return results;
}
