/**
 * What the measured decrease of the loss says of damping and step: the rule of Levenberg and Marquardt with the
 * thresholds of kfac-jax.
 *
 * With ρ = (L − L_new)/(predicted decrease): where ρ > 3/4 the model is trusted more (the damping shrinks, or the
 * Polyak fraction grows), where ρ < 1/4 less, by ω = 0.9 for each step since the last report. Both factors stay within
 * 10⁻⁴ … 10⁴ and 1/16 … 16.
 *
 * Source: K. Levenberg 1944, D. Marquardt 1963; J. Martens and R. Grosse, 2015, §6.5; kfac-jax's
 * `damping_adaptation_decay`, `…_interval` and thresholds.
 */
import { CgfacError } from '../base/errors';
import { finite, nonNegativeInteger, positive, typeError, valueError } from '../base/validate';
import type { Damping } from '../base/weight-vector';

const OMEGA = 0.9;
const UPPER = 3 / 4;
const LOWER = 1 / 4;
const MOST_DAMPING = 1e4;
const MOST_FRACTION = 16;
/** How fast φ follows the momentum. */
const RATE = 0.1;
/** What the mean square of the agreements keeps of itself at each step. */
const KEPT = 0.7;
/**
 * Agreements whose mean square is below this are small: they count the more, the smaller they are; where one length
 * serves all layers, as with hard targets, from half of it on.
 */
const SMALL = { oneLength: 0.05, lengthOfEach: 0.1 };
/** What is to be left of the slope after a step where all of the curvature was assumed. */
const LEFT = 0.05;
/** The least that the mean square is saved as. */
const LEAST_SQUARE = 1e-30;
/** How fast it grows beyond where it started, and how much of the agreement counts there: batches may be alike. */
const LENGTHENING = 0.2;
const MOST_AGREEMENT = 0.1;
/** A loss that is so many times the one before is that of other data, of which the momentum knows nothing. */
const OTHER_DATA = 2;

/** What `reportLoss` adapts: the damping, φ, or nothing. */
export type Adapted = 'damping' | 'fraction' | 'nothing';

/** The last step that a loss can be reported of. */
export interface ReportableStep {
  /** L, before it. */
  readonly loss: number;
  /** What the model promised. */
  readonly predictedDecrease: number;
}

/** As it is saved. */
export interface AdaptationState {
  /** The factor of the damping. */
  readonly damping: number;
  /** The factor of φ. */
  readonly fraction: number;
  /** Steps since the last report. */
  readonly stepsSince: number;
  /** What ⟨v, M⟩ of all layers was right after the last step, where φ follows it. */
  readonly momentumProduct?: number;
  /** The running mean of the squares of ⟨v, M⟩ beside that, where φ follows it. Default: 1. */
  readonly agreementSquare?: number;
  /** The last step, where none of its loss has been reported. */
  readonly last?: ReportableStep;
}

/** A step that φ follows the momentum at. */
export interface FollowedStep {
  /** By how much φ may grow beyond where it started. */
  readonly most: number;
  /** L, where the step knows it. */
  readonly loss: number | undefined;
  /** The share of the curvature that was assumed for the last step, from 0 to 1. */
  readonly assumed: number;
  /** Whether one length serves all layers. */
  readonly oneLength: boolean;
}

/** What {@link Preconditioner.reportLoss} gives. */
export interface LossReport {
  /**
   * Measured over predicted decrease, the momentum's part of the step among the measured. NaN where nothing was
   * predicted.
   */
  readonly ratio: number;
  /** The factor of the damping from now on; 1 without `adaptiveDamping`. */
  readonly dampingFactor: number;
  /** The factor of φ from now on; 1 without `adaptiveFraction`. */
  readonly fractionFactor: number;
}

/** A saved state, checked as far as what a preconditioner may have found goes; `steps`: those that were done. */
export function checkAdaptation(state: unknown, name: string, steps: number): void {
  if (typeof state !== 'object' || state === null) throw typeError('{ damping, fraction, stepsSince }', name, state);
  const { damping, fraction, stepsSince, momentumProduct, agreementSquare, last } = state as Readonly<
    Record<string, unknown>
  >;
  const within = (value: unknown, least: number, most: number, what: string) => {
    const found = positive(value, `${name}.${what}`);
    if (found < least || found > most) throw valueError(`a number from ${least} to ${most}`, `${name}.${what}`, value);
  };
  within(damping, 1 / MOST_DAMPING, MOST_DAMPING, 'damping');
  within(fraction, 0, MOST_FRACTION, 'fraction');
  if (nonNegativeInteger(stepsSince, `${name}.stepsSince`) > steps)
    throw valueError(`no more than the ${steps} steps of the state`, `${name}.stepsSince`, stepsSince);
  if (momentumProduct !== undefined) finite(momentumProduct, `${name}.momentumProduct`);
  if (agreementSquare !== undefined) within(agreementSquare, LEAST_SQUARE, 1, 'agreementSquare');
  if (last === undefined) return;
  const { loss, predictedDecrease } = (last ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof loss !== 'number' || typeof predictedDecrease !== 'number')
    throw typeError('{ loss, predictedDecrease }', `${name}.last`, last);
}

/** A state without ⟨v, M⟩ of all layers, where each of them has its own. */
export function withoutProduct({ momentumProduct: _, ...rest }: AdaptationState): AdaptationState {
  return rest;
}

function within(value: number, most: number): number {
  return Math.min(most, Math.max(1 / most, value));
}

/** The factors of damping and Polyak fraction. */
export class Adaptation {
  #damping = 1;
  #fraction = 1;
  #stepsSince = 0;
  #last: ReportableStep | undefined;
  #expected: number | undefined;
  #square = 1;

  constructor(readonly adapted: Adapted) {}

  /**
   * The damping of a step: λ times the factor; with `{ relative }` of each factor (factored damping) its square root,
   * so that λ is multiplied by the factor.
   */
  damping(damping: Damping, factored: boolean): Damping {
    if (this.#damping === 1) return damping;
    if (typeof damping === 'number') return damping * this.#damping;
    return { relative: damping.relative * (factored ? Math.sqrt(this.#damping) : this.#damping) };
  }

  /** φ of a step. */
  fraction(fraction: number): number {
    return fraction * this.#fraction;
  }

  /**
   * φ follows the momentum: ⟨v, M⟩ of a new gradient v beside `own`, what it was right after the last step of the same
   * layers, when M was downhill by p. As much says that the steps might be longer, none of it that they are as long as
   * they may be, less that they went too far. Beyond where it started φ grows to `most` times that, 1 or more, as long
   * as steps go on to be downhill; one that went too far, or a loss of more than twice the last one, takes it back.
   *
   * p holds what a batch has to itself, which no other batch agrees with: where there is much of it, the product is
   * small beside p, whichever sign it has. Such small agreements count for more, up to as much as the usual size of
   * theirs, the root of their mean square. A step whose curvature was assumed is to leave a part of the slope: nothing
   * else tells that it was too long.
   */
  follow(product: number, own: number | undefined, { most, loss, assumed, oneLength }: FollowedStep): void {
    this.#fraction = Math.min(most, this.#fraction);
    const expected = own ?? this.#expected;
    this.#expected = undefined;
    if (expected === undefined || !(expected > 0) || !Number.isFinite(product)) return;
    const agreement = Math.max(-1, Math.min(1, product / expected) - LEFT * assumed);
    const follows = this.#fraction * Math.exp(RATE * this.#weighed(agreement, oneLength));
    if (most === 1 || this.#fraction < 1) this.#fraction = Math.min(1, follows);
    else if (agreement > 0) this.#fraction = this.#lengthened(agreement, most, loss);
    else this.#fraction = this.#fraction > 1 ? Math.max(1, this.#fraction * Math.exp(agreement)) : follows;
  }

  /** a·max(1, min(1/σ, small/σ²)) of an agreement a, within −1 and 1; σ² is the mean square of the last ones. */
  #weighed(agreement: number, oneLength: boolean): number {
    const small = oneLength ? SMALL.oneLength : SMALL.lengthOfEach;
    this.#square = Math.max(LEAST_SQUARE, KEPT * this.#square + (1 - KEPT) * agreement ** 2);
    const weight = Math.max(1, Math.min(1 / Math.sqrt(this.#square), small / this.#square));
    return Math.max(-1, Math.min(1, agreement * weight));
  }

  #lengthened(agreement: number, most: number, loss: number | undefined): number {
    const last = this.#last?.loss;
    if (loss !== undefined && last !== undefined && loss > OTHER_DATA * last) return 1;
    return Math.min(most, this.#fraction * Math.exp(LENGTHENING * Math.min(agreement, MOST_AGREEMENT)));
  }

  /** A step was taken; without a loss none can be reported of it. */
  stepped(loss: number | undefined, predictedDecrease: number): void {
    this.#stepsSince++;
    this.#last = loss === undefined ? undefined : { loss, predictedDecrease };
  }

  /** Nothing can be reported until the next step. */
  forget(): void {
    this.#last = undefined;
    this.#expected = undefined;
  }

  report(newLoss: number): LossReport {
    const last = this.#last;
    if (last === undefined)
      throw new CgfacError(
        'ERR_CGFAC_INVALID_ARG_VALUE',
        'Expected a step that was taken with a loss before reportLoss(), once for each, but received none',
      );
    // a loss that is not finite is the worst there is
    const decrease = Number.isFinite(newLoss) ? last.loss - newLoss : Number.NEGATIVE_INFINITY;
    const ratio = last.predictedDecrease > 0 ? decrease / last.predictedDecrease : Number.NaN;
    const step = OMEGA ** this.#stepsSince;
    const trust = ratio > UPPER ? step : ratio < LOWER ? 1 / step : 1;
    if (this.adapted === 'damping') this.#damping = within(this.#damping * trust, MOST_DAMPING);
    if (this.adapted === 'fraction') this.#fraction = within(this.#fraction / trust, MOST_FRACTION);
    this.#stepsSince = 0;
    this.#last = undefined;
    return { ratio, dampingFactor: this.#damping, fractionFactor: this.#fraction };
  }

  state(): AdaptationState {
    const last = this.#last;
    return {
      damping: this.#damping,
      fraction: this.#fraction,
      stepsSince: this.#stepsSince,
      ...(this.#expected === undefined ? {} : { momentumProduct: this.#expected }),
      ...(this.#square === 1 ? {} : { agreementSquare: this.#square }),
      ...(last ? { last } : {}),
    };
  }

  restore(state: AdaptationState | undefined): void {
    this.#damping = state?.damping ?? 1;
    this.#fraction = state?.fraction ?? 1;
    this.#stepsSince = state?.stepsSince ?? 0;
    this.#last = state?.last;
    this.#expected = state?.momentumProduct;
    this.#square = state?.agreementSquare ?? 1;
  }
}
