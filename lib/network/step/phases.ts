/**
 * The phases of a {@link Preconditioner}'s step over all of its layers: ⟨v, x⟩ of each, and x once the step's length is
 * known.
 */

import { combine, dot, newVector, vectorOf } from '../../base/vectors';
import type { VectorArrays } from '../../base/weight-vector';
import type { LayerSummary } from '../../layer/layer-preconditioner';
import { preconditionAll, preconditionAllSync } from '../../layer/precondition-all';
import {
  callNative,
  callNativeAsync,
  type NativePreparedLayer,
  type NativeWrittenLayer,
  native,
  stepPlaces,
} from '../../native/addon';
import type { FactoredNetworkLayer } from '../factored-layer';
import type { FactorRows, PreparedStep, PrepareOptions, TrustTarget, WriteTarget } from '../layer';
import type { SolvedNetworkLayer } from '../solved-layer';
import { type SolvedSpectrum, trustFactor } from './trust-region';

/** One layer of a {@link Preconditioner}. */
export type NetworkLayer = FactoredNetworkLayer | SolvedNetworkLayer;

/** A layer and, where it is given, its gradient, which becomes x. */
export interface LayerTask {
  readonly layer: NetworkLayer;
  readonly gradient: VectorArrays | undefined;
}

type StepPlace = (typeof stepPlaces)[number];
const placeOf = Object.fromEntries(stepPlaces.map((place, index) => [place, index])) as Record<StepPlace, number>;

function reported(report: Float64Array, place: StepPlace): number {
  return report[placeOf[place]] ?? Number.NaN;
}

function factoredStep(report: Float64Array, rows: FactorRows): PreparedStep {
  const value = (place: StepPlace) => reported(report, place);
  const damped = value('inputDamping') > 0;
  return {
    innerProduct: value('vx'),
    bound: value('bound'),
    method: 'exact',
    space: value('formed') === 1 ? 'weight' : 'rows',
    iterations: 0,
    reason: damped ? 'solved' : 'no-curvature',
    inputRows: rows.input,
    outputRows: rows.output,
    ...(damped
      ? {
          damping: { input: value('inputDamping'), output: value('outputDamping') },
          lambdaMax: value('inputLargest') * value('outputLargest'),
          effectiveRank: { input: value('inputEffectiveRank'), output: value('outputEffectiveRank') },
          stableRank: {
            input: value('inputTrace') / value('inputLargest'),
            output: value('outputTrace') / value('outputLargest'),
          },
        }
      : {}),
    microseconds: value('microseconds'),
  };
}

function norm(vector: VectorArrays): number {
  return Math.sqrt(dot(vector, vector));
}

/** ⟨v, x⟩ of a solve, where x is written, and whether it began again at zero. */
interface Solution {
  readonly summary: LayerSummary;
  readonly innerProduct: number;
  readonly restarted: boolean;
}

function solvedStep(layer: SolvedNetworkLayer, { summary, innerProduct, restarted }: Solution): PreparedStep {
  const { method, space, iterations, residual, initialResidual, reason, damping, effectiveRank, xFx, xx } = summary;
  return {
    innerProduct,
    bound: xx === undefined ? norm(layer.direction) : Math.sqrt(xx),
    method,
    space,
    iterations,
    reason,
    inputRows: layer.factorRows.input,
    outputRows: layer.factorRows.output,
    ...(restarted ? { restarted } : {}),
    ...(xFx === undefined ? {} : { curvature: xFx }),
    ...(residual === undefined ? {} : { residual }),
    ...(initialResidual === undefined ? {} : { initialResidual }),
    ...(damping === undefined ? {} : { damping }),
    ...(effectiveRank === undefined ? {} : { effectiveRank }),
    ...layer.spectra(),
  };
}

/** Of a layer whose factors are zero, or so small that damping relative to them is. */
function flatStep({ method, factorRows }: SolvedNetworkLayer): PreparedStep {
  return {
    innerProduct: 0,
    bound: 0,
    method: method === 'auto' ? 'exact' : method,
    space: 'gram',
    iterations: 0,
    reason: 'no-curvature',
    inputRows: factorRows.input,
    outputRows: factorRows.output,
    microseconds: 0,
  };
}

function ownGradient(layer: SolvedNetworkLayer): VectorArrays {
  const own = newVector(layer.shape);
  layer.formGradient(own);
  return own;
}

interface Solved {
  readonly index: number;
  readonly layer: SolvedNetworkLayer;
  readonly gradient: VectorArrays | undefined;
}

interface Parts {
  readonly factored: {
    readonly index: number;
    readonly layer: FactoredNetworkLayer;
    readonly item: NativePreparedLayer;
  }[];
  readonly solved: Solved[];
  readonly flat: Solved[];
}

/** v into the direction, which the solution then takes the place of. */
function placeGradient({ layer, gradient }: Omit<Solved, 'index'>): void {
  if (gradient === undefined) {
    layer.formGradient(layer.direction);
    return;
  }
  layer.direction.kernel.set(gradient.kernel);
  if (gradient.bias) layer.direction.bias?.set(gradient.bias);
}

function partsOf(tasks: readonly LayerTask[], { refresh, damping }: PrepareOptions): Parts {
  const parts: Parts = { factored: [], solved: [], flat: [] };
  tasks.forEach(({ layer, gradient }, index) => {
    const due = layer.recorded && (refresh || !layer.started); // an older factor serves a gradient without rows
    layer.begin();
    if (layer.kind === 'factored') {
      const report = new Float64Array(stepPlaces.length);
      const item = {
        layer: layer.native,
        refresh: due,
        damping,
        curvature: false,
        kernel: gradient?.kernel,
        bias: gradient?.bias,
        report,
      };
      parts.factored.push({ index, layer, item });
      return;
    }
    layer.setDamping(damping);
    if (due) layer.refresh();
    placeGradient({ layer, gradient });
    const solved = { index, layer, gradient };
    if (layer.curved) {
      parts.solved.push(solved);
      return;
    }
    layer.direction.kernel.fill(0);
    layer.direction.bias?.fill(0);
    parts.flat.push(solved);
  });
  return parts;
}

function solutionOf({ layer, gradient }: Solved, summary: LayerSummary | undefined): Solution | undefined {
  if (summary === undefined) return undefined;
  // a solve that broke down has no inner product of its own
  const innerProduct = summary.vx ?? dot(gradient ?? ownGradient(layer), layer.direction);
  return { summary, innerProduct, restarted: false };
}

/** Whether a warm start is to blame for a direction that leads uphill. */
function leadsUphill({ summary, innerProduct }: Solution): boolean {
  return summary.method === 'cg' && !(innerProduct > 0) && summary.initialResidual !== 1;
}

/** Made ready to be solved from zero. */
function fromZero(solved: Solved) {
  solved.layer.forgetPrevious();
  placeGradient(solved);
  const out = vectorOf(solved.layer.direction);
  return { v: out, out };
}

function collected(parts: Parts, solutions: readonly (Solution | undefined)[]): PreparedStep[] {
  const steps: PreparedStep[] = [];
  for (const { index, layer, item } of parts.factored) {
    if (item.refresh)
      layer.refreshed({ input: reported(item.report, 'inputRows'), output: reported(item.report, 'outputRows') });
    steps[index] = factoredStep(item.report, layer.factorRows);
  }
  const write = ({ layer, gradient }: Solved) => {
    gradient?.kernel.set(layer.direction.kernel);
    if (layer.direction.bias) gradient?.bias?.set(layer.direction.bias);
  };
  parts.solved.forEach((solved, place) => {
    const solution = solutions[place];
    if (solution === undefined) return;
    write(solved);
    steps[solved.index] = solvedStep(solved.layer, solution);
  });
  for (const solved of parts.flat) {
    write(solved);
    steps[solved.index] = flatStep(solved.layer);
  }
  return steps;
}

/** Multiplies every λ by the factor that meets the predicted divergence. */
function meetTrust(parts: Parts, summaries: readonly LayerSummary[], { kl, stepSize }: TrustTarget): void {
  const solved = parts.solved.flatMap(({ layer }, place) => {
    const { spectrum, damping } = summaries[place] ?? {};
    return spectrum && typeof damping === 'number' ? [{ layer, spectrum, damping }] : [];
  });
  const factor = trustFactor(solved satisfies readonly SolvedSpectrum[], kl, stepSize);
  for (const { layer, damping } of solved) layer.setDamping(damping * factor);
}

function systemOf({ layer }: Solved) {
  const v = vectorOf(layer.direction);
  return { layer: layer.solver, v, out: v };
}

/**
 * ⟨v, x⟩ of every layer, x in the gradient where one is given and ready to be written where not; in the order of the
 * tasks.
 */
export function prepareSync(tasks: readonly LayerTask[], options: PrepareOptions): PreparedStep[] {
  const parts = partsOf(tasks, options);
  callNative(() => native.prepareAllSync(parts.factored.map(({ item }) => item)));
  if (options.trust) {
    const spectra = parts.solved.map(({ layer }) =>
      layer.solver.preconditionSync(vectorOf(layer.direction), { spectrum: true }),
    );
    meetTrust(parts, spectra, options.trust);
  }
  const summaries = preconditionAllSync(parts.solved.map(systemOf));
  const solutions = parts.solved.map((solved, place) => {
    const solution = solutionOf(solved, summaries[place]);
    if (solution === undefined || !leadsUphill(solution)) return solution;
    const { v, out } = fromZero(solved);
    const again = solutionOf(solved, solved.layer.solver.preconditionSync(v, { out }));
    return again && { ...again, restarted: true };
  });
  return collected(parts, solutions);
}

/** The same on the pool threads. */
export async function prepare(
  tasks: readonly LayerTask[],
  options: PrepareOptions,
  signal: AbortSignal | undefined,
): Promise<PreparedStep[]> {
  signal?.throwIfAborted();
  const parts = partsOf(tasks, options);
  await callNativeAsync(signal, (token) =>
    native.prepareAll(
      parts.factored.map(({ item }) => item),
      token,
    ),
  );
  const cancellable = signal === undefined ? {} : { signal };
  if (options.trust) {
    const spectra: LayerSummary[] = [];
    for (const { layer } of parts.solved)
      spectra.push(await layer.solver.precondition(vectorOf(layer.direction), { spectrum: true, ...cancellable }));
    meetTrust(parts, spectra, options.trust);
  }
  const summaries = await preconditionAll(parts.solved.map(systemOf), cancellable);
  const solutions: (Solution | undefined)[] = [];
  for (const [place, solved] of parts.solved.entries()) {
    const solution = solutionOf(solved, summaries[place]);
    if (solution === undefined || !leadsUphill(solution)) {
      solutions.push(solution);
      continue;
    }
    const { v, out } = fromZero(solved);
    const again = solutionOf(solved, await solved.layer.solver.precondition(v, { out, ...cancellable }));
    solutions.push(again && { ...again, restarted: true });
  }
  return collected(parts, solutions);
}

/** The factors are as before {@link prepare}, but for direct K-FAC's averages: the step is not taken. */
export function rollBack(layers: readonly NetworkLayer[]): void {
  for (const layer of layers) layer.rollBack();
}

function writtenOf(layers: readonly NetworkLayer[], targets: readonly WriteTarget[]): NativeWrittenLayer[] {
  const written: NativeWrittenLayer[] = [];
  layers.forEach((layer, index) => {
    const target = targets[index];
    if (!target) return;
    const { out, factor, keep } = target;
    if (layer.kind === 'factored') {
      written.push({ layer: layer.native, kernel: out.kernel, bias: out.bias, factor, keep });
      return;
    }
    combine(out.kernel, keep, layer.direction.kernel, factor);
    if (out.bias && layer.direction.bias) combine(out.bias, keep, layer.direction.bias, factor);
  });
  return written;
}

/** Writes the directions that {@link prepareSync} left ready. */
export function writeSync(layers: readonly NetworkLayer[], targets: readonly WriteTarget[]): void {
  const written = writtenOf(layers, targets);
  callNative(() => native.writeAllSync(written));
}

/** The same on the pool threads. */
export async function write(layers: readonly NetworkLayer[], targets: readonly WriteTarget[]): Promise<void> {
  const written = writtenOf(layers, targets);
  await callNativeAsync(undefined, () => native.writeAll(written));
}
