/** What a step tells of the heads of its model. */
import type { Distribution } from '../../adapter-kit';
import type { CurvatureSeed } from '../heads/curvature';
import type { Metric } from '../heads/find';

/** Where layers enter the loss, and what the metric is there: of {@link StepReport.heads}. */
export interface HeadReport {
  /**
   * The output distribution whose negative log-likelihood this part of the loss is; `undefined` where it is that of
   * none.
   */
  readonly distribution: Distribution | undefined;
  /** The shape of the logits, of the difference that is squared, or of the tensor that enters the loss otherwise. */
  readonly shape: readonly number[];
  /**
   * What was sent back from here at this step: `'fisher'`, errors of targets sampled from the distribution, or of
   * those of the loss where the model is sure of wrong answers; `'curvature'`, noise as strong as the diagonal second
   * derivative of the loss, and as far as that has both signs as the curvature of the parabola with the value and the
   * slope of the loss; `'slope'`, noise as strong as that parabola alone, where the second derivative is next to
   * nothing or an op of the loss has none. `undefined` at a step that needed nothing of it.
   */
  readonly metric: 'fisher' | CurvatureSeed['metric'] | undefined;
}

/**
 * The reports of the heads and of what enters the loss otherwise.
 *
 * @param drawn - What was sent back from the latter; `undefined` where nothing was sent back from any.
 */
function headReports({ heads, other }: Metric, drawn: readonly CurvatureSeed[] | undefined): HeadReport[] {
  const known = heads.map(({ distribution, logits: { shape } }) => ({
    distribution,
    shape,
    metric: drawn && ('fisher' as const),
  }));
  const others = (other?.outputs ?? []).map(({ id, shape }) => ({
    distribution: undefined,
    shape,
    metric: drawn?.find(({ output }) => output.id === id)?.metric,
  }));
  return [...known, ...others];
}

/**
 * The share of the curvature of a loss that is assumed: the mean of what enters it, none of what is known by its
 * distribution. `undefined` where nothing was drawn.
 */
function assumedCurvature({ heads }: Metric, drawn: readonly CurvatureSeed[] | undefined): number | undefined {
  if (drawn === undefined) return undefined;
  const all = heads.length + drawn.length;
  return all === 0 ? undefined : drawn.reduce((sum, { assumed }) => sum + assumed, 0) / all;
}

/** What a step tells of the heads of its model, and which share of the loss's curvature is assumed. */
export function toldOfHeads(metric: Metric, drawn: readonly CurvatureSeed[] | undefined) {
  return { heads: headReports(metric, drawn), assumedCurvature: assumedCurvature(metric, drawn) };
}
