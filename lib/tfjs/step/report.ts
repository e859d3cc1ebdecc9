import type { NetworkMemory, NetworkReport, ReportedLayer, StepSummary } from '../../adapter-kit';
import type { HeadReport } from '../capture/head-report';
import type { LoneVariable } from '../capture/sites';
import { SKIPPED } from './settings';

export type { HeadReport };

/** A variable that `skipLayers` keeps out of the layers: its block is a diagonal, as that of a lone variable is. */
export interface SkippedVariable extends ReportedLayer {
  /** Which of its names or expressions names it. */
  readonly reason: string;
}

/** What is preconditioned, how, and what is not and why, and what the loss is: {@link CgfacOptimizer.report}. */
export interface OptimizerReport extends NetworkReport {
  /** What `skipLayers` names, with the biases that go with it; every other variable is among `layers`. */
  readonly skipped: readonly SkippedVariable[];
  /**
   * Where the layers enter the loss, as the last captured step found it; `metric` is that of the last step that needed
   * one.
   */
  readonly heads: readonly HeadReport[];
  /** L_min, what the last captured step took for what the loss cannot fall below; none of a loss that has none. */
  readonly lossFloor?: number;
}

/** What is known of layers besides the report of the preconditioner. */
interface KnownOfLayers {
  /** The names of those that are averaged. */
  readonly averaged: ReadonlySet<string>;
  /** Why lone variables are, by their names. */
  readonly reasons: ReadonlyMap<string | undefined, string>;
  /** The preset that the options ask for, where none was named. */
  readonly implied: string | undefined;
}

const isSkipped = (layer: ReportedLayer): layer is SkippedVariable => layer.reason?.startsWith(SKIPPED) === true;

/** The report of an optimizer: that of its preconditioner, and what is known of its layers and of the loss. */
export function wholeReport(
  report: NetworkReport,
  { averaged, reasons, implied }: KnownOfLayers,
  heads: readonly HeadReport[],
  lossFloor: number | undefined,
): OptimizerReport {
  const { recipe } = report;
  const all = report.layers.map((layer) => {
    const reason = reasons.get(layer.name);
    return { ...layer, averaged: averaged.has(layer.name), ...(reason === undefined ? {} : { reason }) };
  });
  return {
    ...report,
    recipe: implied === undefined ? recipe : `${recipe}; preset '${implied}' by the options given, whatever the head`,
    layers: all.filter((layer) => !isSkipped(layer)),
    skipped: all.filter(isSkipped),
    heads,
    ...(lossFloor === undefined ? {} : { lossFloor }),
  };
}

/** The heads of a step, with the metric of those of the step before where it needed none of its own. */
export function headsAfter(before: readonly HeadReport[], heads: readonly HeadReport[]): readonly HeadReport[] {
  // batches differ in their number of samples
  const kindOf = ({ distribution, shape: [, ...rest] }: HeadReport) => [distribution, ...rest].join();
  return heads.map((head, index) => {
    const same = before[index];
    return head.metric === undefined && same && kindOf(same) === kindOf(head) ? { ...head, metric: same.metric } : head;
  });
}

/** A variable that no layer has, so that its block of the Fisher matrix is a diagonal. */
export interface LoneReport {
  /** The name of the variable. */
  readonly name: string;
  /** The op that uses it and belongs to no kind of layer, or another reason. */
  readonly reason: string;
}

/** What the optimizer did in its last step: {@link CgfacOptimizer.lastStep}. */
export interface StepReport {
  /** The steps before this one. */
  readonly iteration: number;
  /**
   * Whether the gradients were none of a computation that the optimizer captured for this step: the factors that were
   * kept preconditioned them, and the length is that of the last captured one.
   */
  readonly kept?: true;
  /** η, the length of the step: with the step rule 'kl-clip' ν·learningRate. */
  readonly nu: number;
  /** Σ⟨v, x⟩ over the layers. */
  readonly innerProduct: number;
  /**
   * What the step was, its layers named by their kernels; `undefined` where there are none, and nothing was skipped.
   */
  readonly summary?: StepSummary;
  /**
   * Where the layers enter the loss, and what the metric is there; none for a loss that is not finite. What the loss
   * cannot fall below is `summary.lossFloor`.
   */
  readonly heads: readonly HeadReport[];
  /** The variables that no layer has, each with a diagonal for its block. */
  readonly lone: readonly LoneReport[];
}

/** What a report tells of a step before it is taken. */
interface Reported {
  readonly kept?: true;
  readonly iteration: number;
  readonly heads: readonly HeadReport[];
  readonly lone: readonly LoneVariable[];
}

/** The report of a step, with the summary of its layers where it has any. */
export function reportOf({ kept, iteration, heads, lone }: Reported, summary?: StepSummary): StepReport {
  const named = lone.map(({ variable, reason }) => ({ name: variable.name, reason }));
  return {
    ...(kept ? { iteration, kept } : { iteration }),
    nu: summary?.stepSize ?? 0,
    innerProduct: summary?.innerProduct ?? 0,
    heads,
    lone: named,
    ...(summary && { summary }),
  };
}

/** What a network keeps before the first step. */
const NOTHING_KEPT: NetworkMemory = {
  recorded: 0,
  factors: 0,
  workspace: 0,
  momentum: 0,
  averages: 0,
  total: 0,
  layers: [],
};

/** What is kept by a network, and beside it. */
export function wholeMemory(
  kept: NetworkMemory | undefined,
  { averages, workspace }: Pick<NetworkMemory, 'averages' | 'workspace'>,
): NetworkMemory {
  const network = kept ?? NOTHING_KEPT;
  return {
    ...network,
    workspace: network.workspace + workspace,
    averages,
    total: network.total + workspace + averages,
  };
}
