/** What a layer says of a step before its length is known. */
import type { Damping } from '../../base/weight-vector';
import type { FactorRows } from '../../layer/layer';
import { dampingOf, type LayerSummary, methodUsed, numberAt, required } from '../../layer/summary';
import { type MethodUsed, reasonNames, spaceNames, stepReport } from '../../native/reports';

/** A number for each factor of a layer. */
export interface EffectiveRanks {
  /** The number for A. */
  readonly input: number;
  /** The number for G. */
  readonly output: number;
}

/** What a layer says of a step before its length is known. */
export interface PreparedStep {
  /** ⟨v, x⟩. */
  readonly innerProduct: number;
  /** xᵀF x, where it is known. */
  readonly curvature?: number;
  /** A bound of ‖x‖, from above. */
  readonly bound: number;
  /** What ‖x‖ is, where the sampled outputs were asked for. */
  readonly norm?: number;
  /** ⟨v, M⟩, where M was given. */
  readonly momentumProduct?: number;
  /** What the direction does to the sampled outputs of each sample, where that was asked for and is known. */
  readonly sampled: Float64Array | undefined;
  /** Samples that have a number there. */
  readonly samples: number;
  /** How the direction was solved for. */
  readonly method: MethodUsed;
  /** Where it was solved; 'rows': by the rows of the batch, without forming v. */
  readonly space: 'gram' | 'weight' | 'rows';
  /** Conjugate-gradient iterations; 0 for the other methods. */
  readonly iterations: number;
  /** Of 'cg': ‖r‖/‖v‖ at the end. */
  readonly residual?: number;
  /** Of 'cg': ‖r‖/‖v‖ at the start. */
  readonly initialResidual?: number;
  /** Why the solve ended; 'no-curvature' where a factor is zero, and the direction with it. */
  readonly reason: LayerSummary['reason'] | 'no-curvature';
  /** Whether a 'cg' solve began again at zero, because its warm start led uphill. */
  readonly restarted?: true;
  /** Rows that the input factor took in last; without a history those that fill up a short batch are among them. */
  readonly inputRows: number;
  /** Rows that the output factor took in last, likewise. */
  readonly outputRows: number;
  /** λ, or γ_A and γ_G, with what panels cut off. */
  readonly damping?: LayerSummary['damping'];
  /** The largest eigenvalue of F, from below. */
  readonly lambdaMax?: number;
  /**
   * Σ s/(s + γ) over the eigenvalues of each factor, or Σ E/(E + λ) over those of F: the directions that the damping
   * leaves.
   */
  readonly effectiveRank?: EffectiveRanks | number;
  /** The trace over the largest eigenvalue of each factor: 1 where all its rows are multiples of one. */
  readonly stableRank?: EffectiveRanks;
  /** Time from the start of its solve to its end, the final product apart. Layers are solved side by side. */
  readonly microseconds: number;
}

/** How to prepare a step. */
export interface PrepareOptions {
  readonly damping: Damping;
  /** ½η²Σ xᵀF x that every λ is made to meet, and η. */
  readonly trust?: { readonly kl: number; readonly stepSize: number };
  /** Whether ⟨v, M⟩ is wanted, and what directions do to sampled outputs. */
  readonly measures: { readonly momentum: boolean; readonly samples: boolean };
}

type Curved = Pick<PreparedStep, 'damping' | 'lambdaMax' | 'effectiveRank' | 'stableRank' | 'curvature'>;

function pair(report: Float64Array, input: number, output: number): EffectiveRanks | undefined {
  const [a, g] = [numberAt(report, input), numberAt(report, output)];
  return a === undefined || g === undefined ? undefined : { input: a, output: g };
}

/** What is known where there is curvature. */
function curved(report: Float64Array): Curved {
  const damping = dampingOf(report);
  const curvature = numberAt(report, stepReport.xFx);
  const traces = pair(report, stepReport.inputTrace, stepReport.outputTrace);
  const largest = pair(report, stepReport.inputLargest, stepReport.outputLargest);
  const ranks = pair(report, stepReport.inputEffectiveRank, stepReport.outputEffectiveRank);
  const effectiveRank = ranks ?? numberAt(report, stepReport.effectiveRank);
  return {
    ...(curvature === undefined ? {} : { curvature }),
    ...(damping === undefined ? {} : { damping }),
    ...(effectiveRank === undefined ? {} : { effectiveRank }),
    ...(largest && traces
      ? {
          lambdaMax: largest.input * largest.output,
          stableRank: { input: traces.input / largest.input, output: traces.output / largest.output },
        }
      : {}),
  };
}

/** A step's report as the facade gives it. */
export function preparedStep(report: Float64Array, rows: FactorRows, products: Float64Array | undefined): PreparedStep {
  const value = (place: keyof typeof stepReport) => report[stepReport[place]] ?? Number.NaN;
  const reason = required(reasonNames, value('reason'));
  const norm = numberAt(report, stepReport.norm);
  const momentumProduct = numberAt(report, stepReport.momentumProduct);
  const residual = numberAt(report, stepReport.residual);
  const initialResidual = numberAt(report, stepReport.initialResidual);
  return {
    innerProduct: value('vx'),
    bound: value('bound'),
    sampled: value('sampled') > 0 ? products : undefined,
    samples: value('sampled'),
    method: methodUsed(value('method')),
    space: required(spaceNames, value('space')),
    iterations: value('iterations'),
    reason,
    inputRows: rows.input,
    outputRows: rows.output,
    ...(norm === undefined ? {} : { norm }),
    ...(momentumProduct === undefined ? {} : { momentumProduct }),
    ...(value('restarted') === 1 ? { restarted: true } : {}),
    ...(residual === undefined ? {} : { residual }),
    ...(initialResidual === undefined ? {} : { initialResidual }),
    ...(reason === 'no-curvature' ? {} : curved(report)),
    microseconds: value('microseconds'),
  };
}

/** ⟨v, M⟩ of all layers together; 0 of those where it was not asked for. */
export function productWithMomentum(prepared: readonly PreparedStep[]): number {
  return prepared.reduce((sum, { momentumProduct = 0 }) => sum + momentumProduct, 0);
}
