import { Variable } from '@tensorflow/tfjs-core';
import type { CapturedVariable } from '../capture/lone';
import { TRANSPOSED_BIAS } from '../capture/sites';
import { variablesOf } from '../kinds/layer-kind';
import type { FailedCheck } from './layer-checks';
import type { StepReport } from './report';

/** A learning rate that other optimizers have, which here makes steps of a hundredth of their length or less. */
const HABIT = 0.01;

/** So many steps of length 0 in a row are told. */
const STANDSTILL = 10;

/** A schedule takes a learning rate no further down at once. */
const FALL = 30;

/** What the metric is of a loss that belongs to no known distribution. */
const METRICS: Readonly<Record<'curvature' | 'slope', string>> = {
  curvature: 'its own second derivative there, and that of a parabola as far as it bends down',
  slope:
    'that of a parabola with its value and slope, for its second derivative there is next to nothing, or one of its ' +
    'ops has none',
};

/** Tells what a person should know of, of each thing once. */
export class Notices {
  readonly #named = new Set<string>();
  readonly #told = new Set<string>();
  #standing = 0;
  /** Steps in a row that were skipped for gradients of 0. */
  #idle = 0;
  readonly #quiet: boolean;

  /** @param quiet - Whether another process tells it. */
  constructor(quiet = false) {
    this.#quiet = quiet;
  }

  /** Warns of a learning rate out of habit; one that fell to it bit by bit is a schedule's. */
  tellOfRate(rate: unknown, before: unknown = 1): void {
    if (typeof rate !== 'number' || rate === 0 || rate > HABIT) return;
    if (typeof before !== 'number' || before <= FALL * rate) return;
    this.#once(
      'rate',
      `learningRate ${rate} multiplies steps that find their own length, of which 1 is the whole; leave it out, or ` +
        'give a number near 1',
    );
  }

  /** Warns of variables of another copy of TensorFlow.js. */
  tellOfCopies(variables: readonly Variable[]): void {
    if (variables.every((variable) => variable.constructor === Variable)) return;
    this.#once(
      'copies',
      'the variables belong to another copy of @tensorflow/tfjs-core than the one that cgfac uses; training works, ' +
        'but a model that is saved with its optimizer will not be loaded with it, for its copy does not know the ' +
        'class Cgfac: have one copy (npm ls @tensorflow/tfjs-core)',
    );
  }

  /** Tells what a step was like. */
  tellOfStep(report: StepReport): void {
    if (report.kept)
      this.#once(
        'kept',
        'applyGradients was given other gradients than those of computeGradients; the factors that are kept and the ' +
          'length of the last captured step make a step of them; optimizer.computeGradients(f) in the place of ' +
          'tf.variableGrads(f) gives them factors and a length of their own',
      );
    this.#tellOfMetrics(report);
    this.#tellOfStandstill(report);
    this.#tellOfNothing(report);
  }

  /** Warns of steps that go nowhere although there is a gradient. */
  #tellOfStandstill({ summary }: StepReport): void {
    const { loss = Number.NaN, lossFloor = 0 } = summary ?? {};
    // a learning rate of 0 is a choice
    const stands = summary?.skipped === undefined && summary?.stepSize === 0 && loss <= lossFloor;
    this.#standing = stands && summary.innerProduct > 0 ? this.#standing + 1 : 0;
    if (this.#standing !== STANDSTILL) return;
    this.#once(
      'standstill',
      `${STANDSTILL} steps of length 0 although the gradient is not 0: the loss ${loss} is taken to be at its floor ` +
        `${lossFloor}; the option lossFloor tells a lower one`,
    );
  }

  /** Warns of steps that are skipped for gradients of 0, at a loss that is not. */
  #tellOfNothing({ summary }: StepReport): void {
    const { loss = Number.NaN, lossFloor = 0 } = summary ?? {};
    this.#idle = summary?.idle && loss - lossFloor > 0.01 * Math.abs(loss) ? this.#idle + 1 : 0;
    if (this.#idle !== STANDSTILL) return;
    this.#once(
      'idle',
      `${STANDSTILL} steps in a row were skipped, at a loss of ${loss}, because all gradients are 0, or those of all ` +
        'sampled targets: units are dead, or saturated. Probabilities below 10⁻⁷ have no gradient under the ' +
        'cross-entropies of compile(): give inputs a scale of about 1, or the loss logits, by ' +
        'tf.losses.sigmoidCrossEntropy or tf.losses.softmaxCrossEntropy',
    );
  }

  /** Tells what the metric is of a loss that belongs to no known distribution. */
  #tellOfMetrics({ heads }: StepReport): void {
    for (const { distribution, metric, shape } of heads) {
      if (distribution !== undefined || metric === undefined || metric === 'fisher') continue;
      this.#once(
        metric,
        'the loss is the negative log-likelihood of no known distribution of what enters it (shape ' +
          `${shape.join(' × ')}); the metric is ${METRICS[metric]}`,
        console.info,
      );
    }
  }

  #once(what: string, text: string, tell = console.warn): void {
    if (this.#quiet || this.#told.has(what)) return;
    this.#told.add(what);
    tell(`cgfac: ${text}`);
  }

  /** Warns of options that are not saved. */
  tellOfUnsaved(names: readonly string[]): void {
    if (this.#quiet || names.length === 0) return;
    const what = 'functions, regular expressions and communicators';
    console.warn(`cgfac: ${what} are not saved, give them again after loading: ${names.join(', ')}`);
  }

  /** Warns of layers that failed their check. */
  tellOfFailed(failed: readonly FailedCheck[]): void {
    if (this.#quiet) return;
    for (const { layer, difference } of failed) {
      console.warn(
        `cgfac: the gradient of the captured rows differs from the framework's for ${difference}; ` +
          'its block is a diagonal instead',
      );
      for (const { name } of variablesOf(layer)) this.#named.add(name);
    }
  }

  /** Tells of variables that no layer has, and were not named before. */
  tellOfLone(lone: readonly CapturedVariable[]): void {
    if (this.#quiet) return;
    const untold = lone.filter(({ variable, reason }) => !this.#named.has(variable.name) && reason !== TRANSPOSED_BIAS);
    for (const { variable } of untold) this.#named.add(variable.name);
    const named = (chosen: readonly CapturedVariable[]) =>
      chosen.map(({ variable, reason }) => `${variable.name} (${reason})`).join(', ');
    const [curved, still] = [untold.filter((each) => each.curved), untold.filter((each) => !each.curved)];
    if (curved.length > 0)
      console.info(`cgfac: no kind of layer has these variables, whose block is a diagonal instead: ${named(curved)}`);
    if (still.length > 0)
      console.warn(`cgfac: the loss has no curvature in these variables, which stay as they are: ${named(still)}`);
  }
}
