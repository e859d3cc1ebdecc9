import { ConjugateGradient, FisherOperator, info, LayerPreconditioner, type LayerPreconditionerOptions } from 'cgfac';
import { native } from '../../lib/native';
import { type BenchData, benchData } from '../data';
import type { BenchLayer } from '../layers';
import { median, pairedTimings, repeatsFor, type Turn, time } from '../measure';
import type { BenchRow } from '../rows';
import type { Suite, SuiteContext } from '../suite';

const iterations = 20;
/** Small enough that conjugate gradients on these data use their whole budget. */
const damping = { relative: 1e-2 };

function at<T>(list: readonly T[], turn: number): T {
  return list[turn % list.length] as T;
}

/** The floor with the column split that is fastest here, of those that its threads can use. */
export function bestFloor({ rows, outFeatures, inFeatures }: BenchLayer, data: BenchData): Turn {
  const half = new Float32Array(rows * inFeatures);
  const run = (blocks: number) => (turn: number) =>
    native.floorProducts(
      data.outputGrads,
      at(data.v, turn),
      data.inputs,
      half,
      at(data.out, turn + 1),
      rows,
      outFeatures,
      inFeatures,
      blocks,
    );
  const { threads } = info();
  const splits = [...new Set([1, threads, 2 * threads, 4 * threads])].filter((blocks) => blocks <= inFeatures);
  const timed = splits.map((blocks) => {
    const call = run(blocks);
    call(0);
    return { call, ms: median(Array.from({ length: 5 }, (_, turn) => time(() => call(turn)))) };
  });
  return timed.reduce((best, next) => (next.ms < best.ms ? next : best)).call;
}

interface Candidate {
  readonly method: string;
  readonly call: Turn;
  /** What the last call said, and what it keeps. */
  readonly report: () => Pick<BenchRow, 'space' | 'iterations' | 'bytes' | 'figures'>;
}

type Options = Partial<LayerPreconditionerOptions<false>>;

function given(layer: BenchLayer, data: BenchData, method: string, options: Options): Candidate {
  const { inFeatures, outFeatures, rows } = layer;
  const solver = new LayerPreconditioner({ inFeatures, outFeatures, damping, lossReduction: 'sum', ...options });
  const record = { inputs: data.inputs, outputGrads: data.outputGrads, batch: rows };
  let last: ReturnType<typeof solver.preconditionSync> | undefined;
  return {
    method,
    call: (turn) => {
      solver.record(record);
      last = solver.preconditionSync(at(data.v, turn), { out: at(data.out, turn) });
    },
    report: () => ({
      ...(last && { space: last.space, iterations: last.iterations }),
      bytes: solver.memoryUsage().total,
      figures: method === 'auto' ? { chose: last?.method ?? '' } : last?.basis === undefined ? {} : { basis: last.basis },
    }),
  };
}

function own(layer: BenchLayer, data: BenchData, method: string, options: Options, lossGrads: Float32Array): Candidate {
  const { inFeatures, outFeatures, rows } = layer;
  const solver = new LayerPreconditioner({ inFeatures, outFeatures, damping, lossReduction: 'sum', method: 'exact', ...options });
  return {
    method,
    call: (turn) => {
      solver.naturalGradientSync({ inputs: data.inputs, outputGrads: data.outputGrads, lossGrads, batch: rows, out: at(data.out, turn) });
    },
    report: () => ({ space: 'gram', bytes: solver.memoryUsage().total }),
  };
}

function naive(layer: BenchLayer, data: BenchData): Candidate {
  const { inFeatures, outFeatures, rows } = layer;
  const solver = new ConjugateGradient({ maxIterations: iterations, tolerance: 0, space: 'weight' });
  let done = 0;
  return {
    method: 'naive',
    call: (turn) => {
      const rowsOf = { inputs: data.inputs, outputGrads: data.outputGrads, batch: rows };
      const operator = new FisherOperator({ ...rowsOf, inFeatures, outFeatures, damping, lossReduction: 'sum' });
      done = solver.solveSync(operator, at(data.v, turn), { out: at(data.out, turn) }).iterations;
    },
    report: () => ({ space: 'weight', iterations: done, bytes: 4 * 4 * inFeatures * outFeatures }),
  };
}

/** Every method on a layer, by name. */
export function candidates(layer: BenchLayer, data: BenchData): ReadonlyMap<string, () => Candidate> {
  const cg: Options = { maxIterations: iterations, tolerance: 0, warmStart: 'none' };
  const panels = layer.rows <= Math.min(layer.inFeatures, layer.outFeatures);
  const list: [string, () => Candidate][] = [
    ['cg', () => given(layer, data, 'cg', { ...cg, method: 'cg', space: 'gram' })],
    ['cg-weight', () => given(layer, data, 'cg-weight', { ...cg, method: 'cg', space: 'weight' })],
    ['exact', () => given(layer, data, 'exact', { method: 'exact' })],
    ['auto', () => given(layer, data, 'auto', { ...cg, method: 'auto' })],
    ['factored', () => given(layer, data, 'factored', { dampingMode: 'factored' })],
    ['same-batch', () => own(layer, data, 'same-batch', {}, data.lossGrads)],
    ['same-batch-empirical', () => own(layer, data, 'same-batch-empirical', {}, data.outputGrads)],
    ['same-batch-factored', () => own(layer, data, 'same-batch-factored', { dampingMode: 'factored' }, data.lossGrads)],
    [
      'same-batch-factored-empirical',
      () => own(layer, data, 'same-batch-factored-empirical', { dampingMode: 'factored' }, data.outputGrads),
    ],
    ['sample', () => given(layer, data, 'sample', { block: 'sample', method: 'exact' })],
    ['naive', () => naive(layer, data)],
    ['kfac', () => given(layer, data, 'kfac', { method: 'kfac', factorDecay: 0 })],
  ];
  // a convolution's rows are too many for N × N matrices of samples
  return new Map(panels ? list : list.filter(([method]) => method !== 'sample' && !method.startsWith('cg-')));
}

/** Methods that take a minute or more on the largest layers, timed a few times only. */
const slow = new Set(['kfac', 'naive']);

export function solveLayer(layer: BenchLayer, methods: readonly string[], { budget, progress }: SuiteContext): BenchRow[] {
  const data = benchData(layer);
  const floor = bestFloor(layer, data);
  const available = candidates(layer, data);
  const chosen = [...available].filter(([method]) => methods.length === 0 || methods.includes(method)).map(([, make]) => make());
  const { threads } = info();
  const measured = (group: readonly Candidate[]): BenchRow[] => {
    if (group.length === 0) return [];
    const once = group.reduce((sum, { call }) => sum + time(() => call(0)), 0);
    const timings = pairedTimings(
      floor,
      group.map(({ call }) => call),
      repeatsFor(once, budget),
      progress.tick,
    );
    return group.map(({ method, report }, which) => {
      const timing = timings[which];
      return {
        suite: 'solve',
        layer: layer.name,
        batch: layer.batch,
        method,
        threads,
        ...report(),
        ...(timing && { floorMs: timing.referenceMs, ms: timing.ms, ratio: timing.ratio, ratioMin: timing.ratioMin }),
      };
    });
  };
  return [...measured(chosen.filter(({ method }) => !slow.has(method))), ...measured(chosen.filter(({ method }) => slow.has(method)))];
}

export const solve: Suite = {
  name: 'solve',
  summary: 'every method as a ratio to the floor, the two products that none avoids',
  run: (context) =>
    context.layers.flatMap((layer) => {
      context.progress.next(layer.name);
      return solveLayer(layer, context.methods, context);
    }),
};
