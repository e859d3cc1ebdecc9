import type { Capture, CapturedLayer, Sampling } from '../capture/capture';
import type { FailedCheck } from './layer-checks';
import type { StepRanks } from './ranks';

/** What a rank knows of its loss before targets are sampled. */
interface OwnSampling extends Sampling {
  /** Whether the loss is finite. */
  readonly usable: boolean;
  /** Whether a layer is to be checked. */
  readonly due: boolean;
}

/** Of a rank whose loss has no layers, or is not finite. */
const NOTHING_SAMPLED: Sampling = { targets: 'hard', samples: 0, crossEntropy: false, unknown: false, uneven: false };

/**
 * What ranks tell each other while one of them computes a loss: twice at the most, however the computation goes. One
 * that throws tells the others, who wait for it.
 */
export class Meeting {
  readonly #ranks: StepRanks;
  #next: 'sampling' | 'checks' | 'nothing' = 'sampling';
  #agreed: Sampling | undefined;

  constructor(ranks: StepRanks) {
    this.#ranks = ranks;
  }

  /** What the ranks know of the loss of all samples; `undefined` where one of them has a loss that is not finite. */
  get sampling(): Sampling | undefined {
    return this.#agreed;
  }

  /** Puts together what the ranks know of their losses: where one has soft targets, all have. */
  sample(sampling: Sampling, due: boolean, usable = true): Sampling | undefined {
    this.#next = 'nothing';
    const all = this.#ranks.told((): OwnSampling => ({ ...sampling, due, usable }));
    if (!all.every((each) => each.usable)) return undefined;
    if (all.some((each) => each.due)) this.#next = 'checks';
    this.#agreed = {
      targets: all.some(({ targets }) => targets === 'soft') ? 'soft' : 'hard',
      samples: all.reduce((sum, { samples }) => sum + samples, 0),
      crossEntropy: all.some(({ crossEntropy }) => crossEntropy),
      unknown: all.some(({ unknown }) => unknown),
      uneven: all.some(({ uneven }) => uneven),
    };
    return this.#agreed;
  }

  /** Tells that the loss of this rank is not finite. */
  unusable(): void {
    this.sample(NOTHING_SAMPLED, false, false);
  }

  /** Sees to it that the ranks have met, where nothing was sampled for want of layers. */
  finish(): void {
    if (this.#next === 'sampling') this.sample(NOTHING_SAMPLED, false);
  }

  /** The layers that failed their check on any rank. */
  check({ layers }: Capture, failed: readonly FailedCheck[]): readonly FailedCheck[] {
    if (this.#next !== 'checks') return failed;
    this.#next = 'nothing';
    const own = failed.map(({ layer, difference }) => [layers.indexOf(layer as CapturedLayer), difference] as const);
    const all = new Map(
      this.#ranks
        .told(() => own)
        .flat()
        .reverse(),
    );
    return layers.flatMap((layer, index) => {
      const difference = all.get(index);
      return difference === undefined ? [] : [{ layer, difference }];
    });
  }

  /** Tells the others of an error, where they wait for this rank. */
  fail(thrown: unknown): void {
    if (this.#next === 'nothing') return;
    this.#next = 'nothing';
    this.#ranks.fail(thrown);
  }
}
