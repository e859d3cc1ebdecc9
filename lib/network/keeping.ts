/** What a {@link Preconditioner} keeps from one step to others, and how it is saved and restored. */
import { CgfacError } from '../base/errors';
import { seedOfRank, type UniformNumbers, uniforms } from '../base/random';
import { reading } from '../base/reading';
import {
  anyOf,
  boolean,
  checkRequired,
  nonNegativeInteger,
  positiveInteger,
  readOptions,
  typeError,
  valueError,
} from '../base/validate';
import type { Network } from './network';
import { type PlanOptions, planOf, type StepPlanOfRanks } from './ranks/plan';
import type { Ranks } from './ranks/ranks';
import { gatheredState, scatteredState } from './ranks/states';
import { LayerRegistration } from './registration';
import { networkMemory } from './report';
import { networkState, type PreconditionerState, restoreNetwork } from './state';
import { type Phases, runLater, runNow } from './step/phase';
import type { NetworkMemory } from './types';

/** Refuses a call that would see a part alone of what several ranks have. */
function requireAlone(ranks: Ranks | undefined, call: string, instead: string): void {
  if (ranks === undefined) return;
  throw new CgfacError(
    'ERR_CGFAC_COMMUNICATION',
    `Expected ${instead}, which all ranks call, for a network of ${ranks.communicator.size} ranks but received ${call}`,
  );
}

/** Rows of a sample by layer, each read once. */
function rowCounts(value: unknown, network: Network): Readonly<Record<string, number>> {
  const expected = 'an object of positive integers';
  if (typeof value !== 'object' || value === null) throw typeError(expected, 'rows', value);
  const given = reading(expected, 'rows', () => Object.entries(value) as [string, unknown][]);
  for (const [name] of given) network.entry(name); // refuses one that is not known
  return Object.fromEntries(given.map(([name, rows]) => [name, positiveInteger(rows, `rows.${name}`)]));
}

/** The state of a preconditioner. */
export abstract class PreconditionerKeeping extends LayerRegistration {
  readonly #network: Network;
  #seed: number;

  /** @param network - The layers, and whether a step is pending. */
  protected constructor(network: Network) {
    super(network);
    this.#network = network;
    this.#seed = network.options.seed;
  }

  /**
   * Uniform numbers in [0, 1) for sampling targets: a function of the seed, of the number of the step and of the rank,
   * so that a resumed run sees the same ones, and no two ranks do.
   *
   * @returns A generator, from the start at each call.
   */
  uniforms(): UniformNumbers {
    const rank = this.#network.ranks?.communicator.rank ?? 0;
    return uniforms(seedOfRank(this.#seed, rank), this.#network.counts.steps);
  }

  /** Bytes kept between steps. @throws {@link CgfacError} `ERR_CGFAC_BUSY`. */
  memoryUsage(): NetworkMemory {
    this.#network.requireIdle('memoryUsage()');
    return networkMemory(this.#network);
  }

  /** Forgets steps, factors, momentum and averages; the layers stay. @throws {@link CgfacError} `ERR_CGFAC_BUSY`. */
  reset(): void {
    this.#network.requireIdle('reset()');
    this.#network.reset();
    this.#seed = this.#network.options.seed;
  }

  /**
   * Everything that training goes on with, the weights apart: a resumed run has the same bits as one that was not
   * interrupted. Copies; take it between steps, after the gradients of the last one were applied. What was recorded for
   * the step to come is not in it.
   *
   * @throws {@link CgfacError} `ERR_CGFAC_BUSY`, `ERR_CGFAC_COMMUNICATION` where there are other ranks, each of which
   * has a part of it: {@link Preconditioner.gatherState} brings them together.
   */
  stateDict(): PreconditionerState {
    this.#network.requireIdle('stateDict()');
    requireAlone(this.#network.ranks, 'stateDict()', 'gatherState()');
    return networkState(this.#network, this.#seed);
  }

  /**
   * Takes over what {@link Preconditioner.stateDict} gave, or {@link Preconditioner.gatherState} of however many ranks,
   * for the same layers under the same options. Of several ranks all call it, with the same state.
   *
   * @param state - Of all registered layers; copied.
   * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_SHAPE_MISMATCH`,
   * `ERR_CGFAC_NOT_FINITE`, `ERR_CGFAC_BUSY`; nothing is changed then but that what was recorded for the step to come
   * is forgotten.
   */
  loadStateDict(state: PreconditionerState): void {
    this.#network.requireIdle('loadStateDict()');
    this.#seed = restoreNetwork(this.#network, state);
  }

  /**
   * Brings together on rank 0 what {@link Preconditioner.stateDict} gives in one process: a collective, which all ranks
   * call. The state may be loaded with another number of ranks.
   *
   * @returns The state on rank 0, `undefined` on the others, which have none to save.
   * @throws {@link CgfacError} as a rejection: `ERR_CGFAC_BUSY`, `ERR_CGFAC_COMMUNICATION`.
   */
  async gatherState(): Promise<PreconditionerState | undefined> {
    return await runLater(this.#gathering('gatherState()'), undefined);
  }

  /**
   * Does what {@link Preconditioner.gatherState} does, on the calling thread.
   *
   * @throws {@link CgfacError} As {@link Preconditioner.gatherState}.
   */
  gatherStateSync(): PreconditionerState | undefined {
    return runNow(this.#gathering('gatherStateSync()'));
  }

  *#gathering(call: string): Phases<PreconditionerState | undefined> {
    this.#network.requireIdle(call);
    const { ranks, turns } = this.#network;
    if (ranks === undefined) return networkState(this.#network, this.#seed);
    turns.begin();
    try {
      return yield* gatheredState(ranks, this.#network.all, (parts) => networkState(this.#network, this.#seed, parts));
    } finally {
      turns.end();
    }
  }

  /**
   * Has all ranks take over the state that rank 0 has: a collective, which all ranks call.
   *
   * @param state - Of rank 0; what other ranks give is not looked at.
   * @throws {@link CgfacError} as a rejection: as {@link Preconditioner.loadStateDict}, on all ranks.
   */
  async scatterState(state?: PreconditionerState): Promise<void> {
    await runLater(this.#scattering(state, 'scatterState()'), undefined);
  }

  /**
   * Does what {@link Preconditioner.scatterState} does, on the calling thread.
   *
   * @throws {@link CgfacError} As {@link Preconditioner.scatterState}.
   */
  scatterStateSync(state?: PreconditionerState): void {
    runNow(this.#scattering(state, 'scatterStateSync()'));
  }

  *#scattering(state: unknown, call: string): Phases<void> {
    this.#network.requireIdle(call);
    const { ranks, turns } = this.#network;
    let given = state;
    if (ranks !== undefined) {
      turns.begin();
      try {
        given = yield* scatteredState(ranks, state);
      } finally {
        turns.end();
      }
    }
    this.#seed = restoreNetwork(this.#network, given);
  }

  /**
   * What a step sends between ranks, before it is taken: by layer and in all, beside plain data-parallel training. It
   * takes the shares of all ranks for equal; where they are not, ranks tell each other their sizes, too.
   *
   * @param options - See {@link PlanOptions}.
   * @throws {@link CgfacError} `ERR_CGFAC_MISSING_OPTION`, `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`,
   * `ERR_CGFAC_INVALID_ARG_VALUE`, `ERR_CGFAC_BUSY`.
   */
  plan(options: PlanOptions): StepPlanOfRanks {
    this.#network.requireIdle('plan()');
    const given = readOptions(options, 'plan', [
      'batch',
      'sampled',
      'rows',
      'gradients',
      'refresh',
      'started',
      'targets',
    ]);
    checkRequired(given, 'plan', { batch: 'a positive integer' });
    const batch = positiveInteger(given.batch, 'batch');
    const { options: own } = this.#network;
    const share = Math.ceil(this.#network.fisherFraction * batch);
    const targets = given.targets ?? 'hard';
    if (targets !== 'hard' && targets !== 'soft') throw valueError(anyOf(['hard', 'soft']), 'targets', targets);
    const asked = {
      batch,
      sampled: given.sampled === undefined ? share : nonNegativeInteger(given.sampled, 'sampled'),
      rows: given.rows === undefined ? {} : rowCounts(given.rows, this.#network),
      gradients: boolean(given.gradients ?? false, 'gradients'),
      refresh: boolean(given.refresh ?? true, 'refresh'),
      started: given.started === undefined ? undefined : boolean(given.started, 'started'),
      quadratic: own.stepRule === 'quadratic' || (own.stepRule === 'auto' && targets === 'soft'),
    };
    return planOf(this.#network.all, this.#network.plannedOwners(), asked, own);
  }
}
