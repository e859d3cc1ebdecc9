import { ConjugateGradient, FisherOperator, info, LayerPreconditioner, type LayerPreconditionerOptions } from 'cgfac';
import { type BenchData, benchData } from '../../harness/data';
import { bestFloor } from '../../harness/floor';
import { type BenchLayer, layers } from '../../harness/layers';
import { at, pairedTimings, type Turn } from '../../harness/measure';
import type { BenchRow } from '../../harness/rows';
import { type Suite, type SuiteContext, usualBudget } from '../../harness/suite';

const iterations = 20;
/** Small enough that conjugate gradients on these data use their whole budget. */
const damping = { relative: 1e-2 };

/** A method on a layer, as it is timed. */
export interface Candidate {
  readonly method: string;
  readonly call: Turn;
  /** What the last call said, and what it keeps. */
  readonly report: () => Pick<BenchRow, 'space' | 'iterations' | 'bytes' | 'figures'>;
}

type Options = Partial<LayerPreconditionerOptions<false>>;

/** Conjugate gradients that use their whole budget. */
export const fullCg: Options = { maxIterations: iterations, tolerance: 0, warmStart: 'none' };

/** A step that is given its right-hand side: a batch recorded, and solved with. */
export function given(layer: BenchLayer, data: BenchData, method: string, options: Options): Candidate {
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
      figures:
        method === 'auto' ? { chose: last?.method ?? '' } : last?.basis === undefined ? {} : { basis: last.basis },
    }),
  };
}

function own(layer: BenchLayer, data: BenchData, method: string, options: Options, lossGrads: Float32Array): Candidate {
  const { inFeatures, outFeatures, rows } = layer;
  const solver = new LayerPreconditioner({
    inFeatures,
    outFeatures,
    damping,
    lossReduction: 'sum',
    method: 'exact',
    ...options,
  });
  return {
    method,
    call: (turn) => {
      solver.naturalGradientSync({
        inputs: data.inputs,
        outputGrads: data.outputGrads,
        lossGrads,
        batch: rows,
        out: at(data.out, turn),
      });
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

type Make = (data: BenchData) => Candidate;

/** Every method on a layer, by name. */
export function candidates(layer: BenchLayer): ReadonlyMap<string, Make> {
  const panels = layer.rows <= Math.min(layer.inFeatures, layer.outFeatures);
  const list: [string, Make][] = [
    ['cg', (data) => given(layer, data, 'cg', { ...fullCg, method: 'cg', space: 'gram' })],
    ['cg-weight', (data) => given(layer, data, 'cg-weight', { ...fullCg, method: 'cg', space: 'weight' })],
    ['exact', (data) => given(layer, data, 'exact', { method: 'exact' })],
    ['auto', (data) => given(layer, data, 'auto', { ...fullCg, method: 'auto' })],
    ['factored', (data) => given(layer, data, 'factored', { dampingMode: 'factored' })],
    ['same-batch', (data) => own(layer, data, 'same-batch', {}, data.lossGrads)],
    ['same-batch-empirical', (data) => own(layer, data, 'same-batch-empirical', {}, data.outputGrads)],
    [
      'same-batch-factored',
      (data) => own(layer, data, 'same-batch-factored', { dampingMode: 'factored' }, data.lossGrads),
    ],
    [
      'same-batch-factored-empirical',
      (data) => own(layer, data, 'same-batch-factored-empirical', { dampingMode: 'factored' }, data.outputGrads),
    ],
    ['sample', (data) => given(layer, data, 'sample', { block: 'sample', method: 'exact' })],
    ['naive', (data) => naive(layer, data)],
    ['kfac', (data) => given(layer, data, 'kfac', { method: 'kfac', factorDecay: 0 })],
  ];
  // a convolution's rows are too many for N × N matrices of samples
  return new Map(panels ? list : list.filter(([method]) => method !== 'sample'));
}

/** Methods that take a minute or more on the largest layers, timed a few times only. */
const slow = new Set(['kfac', 'naive']);

/** Times methods on a layer, each beside the floor; the slow ones in a group of their own. */
export function solveLayer(
  layer: BenchLayer,
  methods: readonly string[],
  { budget, progress }: SuiteContext,
): BenchRow[] {
  const data = benchData(layer);
  const floor = bestFloor(layer, data);
  const chosen = [...candidates(layer)].filter(([method]) => methods.includes(method)).map(([, make]) => make(data));
  const { threads } = info();
  const measured = (group: readonly Candidate[]): BenchRow[] => {
    if (group.length === 0) return [];
    const timings = pairedTimings(
      floor,
      group.map(({ call }) => call),
      budget,
      { onTurn: progress.tick },
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
  return [
    ...measured(chosen.filter(({ method }) => !slow.has(method))),
    ...measured(chosen.filter(({ method }) => slow.has(method))),
  ];
}

/** Every method on every layer against the floor. */
export const solve: Suite = {
  name: 'solve',
  summary: 'every method as a ratio to the floor, the two products that none avoids',
  layers,
  methods: [...new Set(layers.flatMap((layer) => [...candidates(layer).keys()]))],
  budget: usualBudget,
  run: (context) =>
    context.layers.flatMap((layer) => {
      context.progress.next(layer.name);
      return solveLayer(layer, context.methods, context);
    }),
};
