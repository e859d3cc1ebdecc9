import { info, LayerPreconditioner, type LayerPreconditionerOptions, preconditionAllSync, setThreads } from 'cgfac';
import { benchData } from '../../harness/data';
import { type BenchLayer, layerNamed } from '../../harness/layers';
import { at, pairedTimings, type Turn } from '../../harness/measure';
import type { BenchRow } from '../../harness/rows';
import { type Suite, type SuiteContext, usualBudget } from '../../harness/suite';
import { fullCg } from './solve';

type Method = 'cg' | 'exact';

interface Case {
  readonly layer: string;
  readonly batch: number;
  readonly method: Method;
  readonly make: () => Turn;
}

function solver({ inFeatures, outFeatures }: BenchLayer, method: Method): LayerPreconditioner {
  const options: LayerPreconditionerOptions<false> = {
    inFeatures,
    outFeatures,
    damping: { relative: 1e-2 },
    lossReduction: 'sum',
    method,
  };
  return new LayerPreconditioner(method === 'cg' ? { ...options, ...fullCg } : options);
}

function single(name: string, method: Method): Case {
  const layer = layerNamed(name);
  const make = () => {
    const data = benchData(layer);
    const one = solver(layer, method);
    one.record({ inputs: data.inputs, outputGrads: data.outputGrads, batch: layer.rows });
    return (turn: number) => {
      one.preconditionSync(at(data.v, turn), { out: at(data.out, turn) });
    };
  };
  return { layer: name, batch: layer.batch, method, make };
}

const mixed = ['1024x1024', '1000x784', '500x1000', '250x500', '64x64'].map(layerNamed);
const mixedCount = 20;

function list(method: Method): Case {
  const make = () => {
    const data = mixed.map(benchData);
    const systems = Array.from({ length: mixedCount }, (_, index) => {
      const layer = at(mixed, index);
      const { inputs, outputGrads, v, out } = at(data, index);
      const one = solver(layer, method);
      one.record({ inputs, outputGrads, batch: layer.rows });
      // outputs of one call must not overlap; right-hand sides may be shared
      return { layer: one, v: at(v, index), out: at(out, Math.floor(index / mixed.length)) };
    });
    return () => {
      preconditionAllSync(systems);
    };
  };
  const batch = mixed.reduce((sum, layer) => sum + (mixedCount / mixed.length) * layer.batch, 0);
  return { layer: `${mixedCount} mixed`, batch, method, make };
}

const methods: readonly Method[] = ['cg', 'exact'];
const cases = methods.flatMap((method) => [single('4096x1024', method), list(method), single('64x64', method)]);

function measured({ layer, batch, method, make }: Case, { budget, progress }: SuiteContext): BenchRow {
  const { threads } = info();
  progress.next(`${layer} ${method}`);
  const call = make();
  try {
    const [timing] = pairedTimings(call, [call], budget, {
      onTurn: progress.tick,
      // enough calls between two changes of the number that what a change costs does not show
      leastMs: 5,
      beforeReference: () => setThreads(threads),
      beforeCall: () => setThreads(1),
    });
    return {
      suite: 'threads',
      layer,
      batch,
      method,
      space: 'gram',
      threads,
      ...(timing && {
        floorMs: timing.referenceMs,
        ms: timing.ms,
        ratio: timing.ratio,
        ratioMin: timing.ratioMin,
        figures: { speedup: timing.ratio },
      }),
    };
  } finally {
    setThreads(threads);
  }
}

/** What more than one pool thread gains. */
export const threads: Suite = {
  name: 'threads',
  summary: 'solves by one pool thread (ms) as a ratio to the same by all of them (floor ms)',
  budget: usualBudget,
  run: (context) => {
    if (info().threads < 2)
      throw new RangeError('Expected two pool threads or more for the suite threads but received one');
    return cases.map((one) => measured(one, context));
  },
};
