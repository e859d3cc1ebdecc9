/** What the addon says of a solve in numbers, as the facade gives it. */
import type { NativeSpectrum } from '../native/layer';
import {
  basisNames,
  formNames,
  type MethodUsed,
  methodNames,
  reasonNames,
  solveReport,
  solveReportLength,
  spaceNames,
} from '../native/reports';
import type { CgSummary } from './options';
import { type SolutionProducts, Spectrum } from './spectrum';

/** How a direction was come by. */
export interface LayerSummary extends Partial<SolutionProducts> {
  /** The method that was used: what 'auto' chose. */
  readonly method: MethodUsed;
  /** Conjugate-gradient iterations done; 0 for the other methods. */
  readonly iterations: number;
  /** Of 'cg': ‖r‖/‖v‖ at the end. */
  readonly residual?: number;
  /** Of 'cg': ‖v − (F + λI) x₀‖/‖v‖. */
  readonly initialResidual?: number;
  /** As {@link CgSummary.reason}; `'solved'` for a method that does not iterate. */
  readonly reason: CgSummary['reason'] | 'solved';
  /** Where it was solved. */
  readonly space: 'gram' | 'weight';
  /** Of 'cg' in Gram space: whether an iteration was two N × N products, or O(N²) in tridiagonal bases. */
  readonly basis?: 'plain' | 'tridiagonal';
  /** How the input side entered: through its rows, or, where they are more than its features, through A. */
  readonly inputForm: 'panel' | 'covariance';
  /** How the output side entered. */
  readonly outputForm: 'panel' | 'covariance';
  /** λ, or γ_A and γ_G, that were used; unknown for the per-sample block. */
  readonly damping?:
    | number
    | {
        /** γ_A. */
        readonly input: number;
        /** γ_G. */
        readonly output: number;
      };
  /** The largest eigenvalue of F, of an exact solve with `spectrum: true`, or where it was known anyway. */
  readonly lambdaMax?: number;
  /** Σ E/(E + λ), the directions that the damping leaves, of an exact solve that knows its eigenvalues E. */
  readonly effectiveRank?: number;
  /** Eigenvalues that rounding had made negative, taken as 0 by the exact solve. */
  readonly clamped?: number;
  /** Where it was asked for and the method has one. */
  readonly spectrum?: Spectrum;
}

type Written = { -readonly [Name in keyof LayerSummary]: LayerSummary[Name] };

/** Room for what the addon says of a solve. */
export function newReport(): Float64Array {
  return new Float64Array(solveReportLength);
}

/** The name that a place of a report counts; NaN and anything else that counts none gives `undefined`. */
export function named<const T extends string>(names: readonly T[], place: number | undefined): T | undefined {
  return place === undefined ? undefined : names[place];
}

/** The name that a place of a report counts, of those that every report has. */
export function required<const T extends string>(names: readonly T[], place: number | undefined): T {
  const name = named(names, place);
  if (name === undefined) throw new Error(`Expected one of ${names} in a report but received ${place}`);
  return name;
}

/** The method of a report, which the core never leaves at 'auto'. */
export function methodUsed(place: number | undefined): MethodUsed {
  return required(methodNames, place) as MethodUsed;
}

/** A number of a report; `undefined` where it is not known. */
export function numberAt(report: Float64Array, place: number): number | undefined {
  const value = report[place];
  return value === undefined || Number.isNaN(value) ? undefined : value;
}

/** λ of a report, or γ_A and γ_G. */
export function dampingOf(report: Float64Array): LayerSummary['damping'] {
  const input = numberAt(report, solveReport.damping);
  const output = numberAt(report, solveReport.outputDamping);
  return input === undefined || output === undefined ? input : { input, output };
}

/** Adds the numbers that are known, name by name: a loop over names takes as long as a tiny solve. */
function addKnown(summary: Written, report: Float64Array): void {
  const lambdaMax = numberAt(report, solveReport.lambdaMax);
  if (lambdaMax !== undefined) summary.lambdaMax = lambdaMax;
  const effectiveRank = numberAt(report, solveReport.effectiveRank);
  if (effectiveRank !== undefined) summary.effectiveRank = effectiveRank;
  const clamped = numberAt(report, solveReport.clamped);
  if (clamped !== undefined) summary.clamped = clamped;
  const vx = numberAt(report, solveReport.vx);
  if (vx !== undefined) summary.vx = vx;
  const xFx = numberAt(report, solveReport.xFx);
  if (xFx !== undefined) summary.xFx = xFx;
  const xx = numberAt(report, solveReport.xx);
  if (xx !== undefined) summary.xx = xx;
}

/** A report as the facade gives it, added to what is known of the result already, which is given back. */
export function withSummary<T extends object>(
  result: T,
  report: Float64Array,
  spectrum: NativeSpectrum | undefined,
): T & LayerSummary {
  const summary = result as T & Written;
  summary.method = methodUsed(report[solveReport.method]);
  summary.iterations = report[solveReport.iterations] ?? 0;
  summary.reason = required(reasonNames, report[solveReport.reason]) as LayerSummary['reason'];
  summary.space = required(spaceNames, report[solveReport.space]) as LayerSummary['space'];
  summary.inputForm = required(formNames, report[solveReport.inputForm]);
  summary.outputForm = required(formNames, report[solveReport.outputForm]);
  if (summary.reason !== 'solved') {
    summary.residual = report[solveReport.residual] ?? Number.NaN;
    summary.initialResidual = report[solveReport.initialResidual] ?? Number.NaN;
  }
  const basis = named(basisNames, report[solveReport.basis]);
  if (basis !== undefined) summary.basis = basis;
  const damping = dampingOf(report);
  if (damping !== undefined) summary.damping = damping;
  addKnown(summary, report);
  if (spectrum !== undefined) summary.spectrum = new Spectrum(spectrum);
  return summary;
}
