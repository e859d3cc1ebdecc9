import { info, LayerPreconditioner, type LayerPreconditionerOptions } from 'cgfac';
import { numbers } from '../../harness/data';
import { at, median } from '../../harness/measure';
import type { BenchRow } from '../../harness/rows';
import { type Suite, usualBudget } from '../../harness/suite';

const width = 10;
const batch = 4;
/** Right-hand sides gone through in turn, so that a warm start is never the solution already. */
const gradients = Array.from({ length: 64 }, (_, i) => numbers(width * width, 10 + i, 'gradients'));
const rows = {
  inputs: numbers(batch * width, 1, 'activations'),
  outputGrads: numbers(batch * width, 2, 'gradients'),
  batch,
};
const out = new Float32Array(width * width);

const callsPerBatch = 250;
const fewestBatches = 20;

interface Case {
  readonly method: string;
  /** Makes that many calls. */
  readonly calls: (count: number) => void | Promise<void>;
  readonly iterations?: () => number;
}

function cases(method: 'cg' | 'exact'): Case[] {
  const options: LayerPreconditionerOptions<false> = {
    inFeatures: width,
    outFeatures: width,
    damping: { relative: 1e-2 },
    lossReduction: 'sum',
    method,
  };
  const solver = () => {
    const made = new LayerPreconditioner(options);
    made.record(rows);
    return made;
  };
  const sync = solver();
  const promised = solver();
  let iterations = 0;
  return [
    {
      method,
      calls: (count) => {
        for (let i = 0; i < count; i++) iterations = sync.preconditionSync(at(gradients, i), { out }).iterations;
      },
      iterations: () => iterations,
    },
    {
      method: `${method}-promise`,
      calls: async (count) => {
        for (let i = 0; i < count; i++) await promised.precondition(at(gradients, i), { out });
      },
    },
  ];
}

function recording(): Case {
  const solver = new LayerPreconditioner({
    inFeatures: width,
    outFeatures: width,
    damping: 1e-2,
    lossReduction: 'sum',
  });
  return {
    method: 'record',
    calls: (count) => {
      for (let i = 0; i < count; i++) solver.record(rows);
    },
  };
}

async function microsecondsPerCall(calls: Case['calls']): Promise<number> {
  const begin = process.hrtime.bigint();
  await calls(callsPerBatch);
  return Number(process.hrtime.bigint() - begin) / 1e3 / callsPerBatch;
}

/** What a call costs where the work is next to nothing. */
export const overhead: Suite = {
  name: 'overhead',
  summary:
    `microseconds per call on a layer of ${width}×${width} with ${batch} rows, ` +
    'where the work is next to nothing; a promise awaited before the next call',
  budget: usualBudget,
  run: async ({ budget, progress }) => {
    const all = [...cases('cg'), ...cases('exact'), recording()];
    progress.next('calls in turn');
    for (const { calls } of all) await calls(callsPerBatch);
    const times = all.map((): number[] => []);
    const until = performance.now() + budget;
    for (let done = 0; done < fewestBatches || performance.now() < until; done++) {
      for (const [which, { calls }] of all.entries()) {
        times[which]?.push(await microsecondsPerCall(calls));
        progress.tick();
      }
    }
    return all.map(({ method, iterations }, which): BenchRow => {
      const own = times[which] ?? [];
      return {
        suite: 'overhead',
        layer: `${width}x${width}`,
        batch,
        method,
        ...(iterations && { iterations: iterations() }),
        threads: info().threads,
        figures: { usPerCall: median(own), calls: own.length * callsPerBatch },
      };
    });
  },
};
