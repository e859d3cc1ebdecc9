/**
 * The part of bench:check that times: a short run of the suite `solve`, held against bench/baseline.json.
 *
 * Compared is the lower quartile of the paired ratios. What others do on the same cores delays a solve, which waits for
 * its threads more often than the floor does: with another process on one of two cores the median went up to 1.9 times
 * that of an idle machine, the lower quartile to 1.3 times. Where 'auto' is held against the best of the methods it
 * chooses from, both are solves of the same round, and the lower quartile of their ratios counts: medians of the two by
 * themselves, of three rounds, failed once on a machine that others used too.
 *
 * The margin is 1.6. It is 2.5 for 64×64, whose floor takes microseconds and a wake-up as long, and for the
 * convolution, of which there is time for few rounds only: there a busy core made 2.1 times of it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchData } from '../harness/data';
import { bestFloor } from '../harness/floor';
import { type BenchLayer, layerNamed } from '../harness/layers';
import { lowerQuartile, median, type PairedTiming, pairedTimings } from '../harness/measure';
import type { Progress } from '../harness/suite';
import { candidates } from '../suites/solver/solve';
import type { Outcome } from './outcome';

const usualMargin = 1.6;
const wideMargin = 2.5;
const autoMargin = 1.3;
/** Milliseconds for the methods of one layer; five rounds where those take longer. */
const budget = 4000;
const leastRounds = 5;
/** Runs whose medians make a baseline. */
const updateRuns = 3;
const file = join(__dirname, '..', '..', '..', 'bench', 'baseline.json');

interface Part {
  readonly layer: BenchLayer;
  readonly methods: readonly string[];
  /** What 'auto' chooses from. */
  readonly choices: readonly string[];
  /** What a ratio may be to its baseline. */
  readonly margin: number;
}

const methods = ['cg', 'exact', 'auto', 'same-batch', 'same-batch-factored', 'same-batch-factored-empirical'];
const dense = (name: string, margin: number): Part => ({
  layer: layerNamed(name),
  methods,
  choices: ['cg', 'exact'],
  margin,
});
const parts: readonly Part[] = [
  dense('250x500', usualMargin),
  dense('1024x1024', usualMargin),
  dense('4096x1024', usualMargin),
  dense('64x64', wideMargin),
  {
    layer: layerNamed('256x2304'),
    // the others would take most of the time of a run, and have the same parts
    methods: ['cg', 'cg-weight', 'exact', 'auto', 'same-batch-factored'],
    choices: ['cg', 'cg-weight', 'exact'],
    margin: wideMargin,
  },
];

/** Ratios by layer and method, as the baseline has them. */
type Ratios = Record<string, Record<string, number>>;

interface Measured {
  readonly part: Part;
  readonly timings: ReadonlyMap<string, PairedTiming>;
}

function measured(part: Part, progress: Progress): Measured {
  const { layer } = part;
  progress.next(layer.name);
  const data = benchData(layer);
  const available = candidates(layer);
  const calls = part.methods.map((method) => {
    const make = available.get(method);
    if (!make) throw new RangeError(`there is no method ${method} on ${layer.name}`);
    return make(data).call;
  });
  const results = pairedTimings(bestFloor(layer, data), calls, budget, { onTurn: progress.tick, leastRounds });
  const timings = new Map<string, PairedTiming>();
  results.forEach((timing, which) => {
    timings.set(part.methods[which] ?? '', timing);
  });
  return { part, timings };
}

/** Whether 'auto' takes the time of the best that it chooses from, in the same rounds; a missing figure fails. */
function comparedToBest({ part: { layer, choices }, timings }: Measured): Outcome {
  const middle = (name: string) => timings.get(name)?.ratio ?? Number.NaN;
  const best = choices.reduce((least, name) => (middle(name) < middle(least) ? name : least));
  const ofBest = timings.get(best)?.ratios ?? [];
  const ratio = lowerQuartile((timings.get('auto')?.ratios ?? []).map((own, round) => own / (ofBest[round] ?? 0)));
  return {
    name: `${layer.name} auto among ${choices.join(', ')}`,
    passed: ratio <= autoMargin,
    figures: `${ratio.toFixed(2)} × ${best}, at most ${autoMargin}`,
  };
}

/** Whether a ratio is at most `factor` times another one; a missing figure or NaN fails. */
function compared(name: string, ratio: number, factor: number, other: number, of: string): Outcome {
  const bound = factor * other;
  const figures = `${ratio.toFixed(2)} × the floor, ${of} ${other.toFixed(2)}, at most ${bound.toFixed(2)}`;
  return { name, passed: ratio <= bound, figures };
}

function outcomes(measurement: Measured, baseline: Ratios): Outcome[] {
  const { part, timings } = measurement;
  const { layer, methods: names, margin } = part;
  const low = (name: string) => timings.get(name)?.ratioLow ?? Number.NaN;
  return [
    ...names.map((name) =>
      compared(`${layer.name} ${name}`, low(name), margin, baseline[layer.name]?.[name] ?? Number.NaN, 'baseline'),
    ),
    comparedToBest(measurement),
  ];
}

/** Times the solvers and compares them with the baseline. */
export function speedOutcomes(progress: Progress): Outcome[] {
  const baseline = JSON.parse(readFileSync(file, 'utf8')) as Ratios;
  return parts.map((part) => measured(part, progress)).flatMap((one) => outcomes(one, baseline));
}

/** Writes the medians of several runs as the baseline. */
export function updateSpeed(progress: Progress): string {
  const runs = Array.from({ length: updateRuns }, () => parts.map((part) => measured(part, progress)));
  const baseline: Ratios = {};
  parts.forEach(({ layer, methods: names }, which) => {
    const ratio = (name: string) => median(runs.map((run) => run[which]?.timings.get(name)?.ratioLow ?? Number.NaN));
    baseline[layer.name] = Object.fromEntries(names.map((name) => [name, Number(ratio(name).toFixed(2))]));
  });
  writeFileSync(file, `${JSON.stringify(baseline, null, 2)}\n`);
  return `bench/baseline.json: medians of ${updateRuns} runs`;
}

/** What is compared here, and when it fails. */
export const speedRule =
  `lower quartiles of ratios to the floor, which fail past ${usualMargin} × the baseline ` +
  `(64x64, 256x2304: ${wideMargin} ×), and where 'auto' is past ${autoMargin} × the best it chooses from, by the ` +
  'lower quartile over the rounds';
