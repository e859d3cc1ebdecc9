import { info } from 'cgfac';
import { type BenchData, benchData } from '../../harness/data';
import { bestFloor } from '../../harness/floor';
import { type BenchLayer, dense } from '../../harness/layers';
import { median, type PairedTiming, pairedTimings, slope, time } from '../../harness/measure';
import { scalingPlot } from '../../harness/plot';
import type { BenchRow } from '../../harness/rows';
import { type Suite, type SuiteContext, usualBudget } from '../../harness/suite';
import { type Candidate, candidates } from './solve';

const batch = 128;
const sizes = [128, 256, 512, 1024, 2048, 4096];
/** From here on the N × N work, which does not grow with n, is no longer most of a solve. */
const asymptotic = 512;
const methods = ['cg', 'exact', 'kfac'] as const;

function candidate(layer: BenchLayer, data: BenchData, method: string): Candidate {
  const make = candidates(layer).get(method);
  if (!make) throw new RangeError(`there is no method ${method}`);
  return make(data);
}

/**
 * The methods on one size. 'kfac' in turns of its own, or once, without a call to warm up, where it takes longer than
 * the budget.
 */
function measured(n: number, { budget, progress }: SuiteContext): BenchRow[] {
  const layer = dense(n, n, batch);
  const data = benchData(layer);
  const floor = bestFloor(layer, data);
  const row = (
    { method, report }: Candidate,
    timing: Pick<PairedTiming, 'ms' | 'referenceMs' | 'ratio'> | undefined,
  ): BenchRow => ({
    suite: 'scaling',
    layer: layer.name,
    batch,
    method,
    threads: info().threads,
    ...report(),
    ...(timing && { floorMs: timing.referenceMs, ms: timing.ms, ratio: timing.ratio }),
  });
  const paired = (...group: Candidate[]): BenchRow[] => {
    const calls = group.map(({ call }) => call);
    const timings = pairedTimings(floor, calls, budget, { onTurn: progress.tick });
    return group.map((one, which) => row(one, timings[which]));
  };
  progress.next(`${layer.name} cg, exact`);
  const inGramSpace = paired(candidate(layer, data, 'cg'), candidate(layer, data, 'exact'));
  progress.next(`${layer.name} kfac`);
  const kfac = candidate(layer, data, 'kfac');
  const ms = time(() => kfac.call(0));
  if (ms <= budget) return [...inGramSpace, ...paired(kfac)];
  const referenceMs = median([1, 2, 3].map((turn) => time(() => floor(turn))));
  return [...inGramSpace, row(kfac, { ms, referenceMs, ratio: ms / referenceMs })];
}

/** The rows of a method as figures over n. */
function exponents(rows: readonly BenchRow[], method: string): BenchRow {
  const exponentOf = (from: number, of: 'ms' | 'bytes') =>
    slope(
      rows
        .filter((row) => row.method === method)
        .map((row, which): [number, number] => [sizes[which] ?? Number.NaN, row[of] ?? Number.NaN])
        .filter(([n]) => n >= from)
        .map(([n, value]) => [Math.log(n), Math.log(value)]),
    );
  return {
    suite: 'scaling',
    layer: `n=${asymptotic}..${sizes.at(-1)}`,
    batch,
    method,
    threads: info().threads,
    figures: {
      exponent: exponentOf(asymptotic, 'ms'),
      exponentAll: exponentOf(0, 'ms'),
      memoryExponent: exponentOf(asymptotic, 'bytes'),
    },
  };
}

/** How time and memory grow with the width of a layer. */
export const scaling: Suite = {
  name: 'scaling',
  summary:
    `time, and memory kept between steps, of square layers of n×n with ${batch} samples; ` +
    "'cg' with 20 iterations. " +
    `exponent: of n in the time for n ≥ ${asymptotic}, by least squares of logarithms; exponentAll: for every n`,
  plot: scalingPlot,
  budget: usualBudget,
  run: (context) => {
    const rows = sizes.flatMap((n) => measured(n, context));
    return [...rows, ...methods.map((method) => exponents(rows, method))];
  },
};
