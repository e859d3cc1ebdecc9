import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { info, LayerPreconditioner } from 'cgfac';
import { benchData } from '../../harness/data';
import { layerNamed } from '../../harness/layers';
import { at } from '../../harness/measure';
import type { BenchRow } from '../../harness/rows';
import { type Suite, usualBudget } from '../../harness/suite';
import { fullCg } from '../solver/solve';

const layer = layerNamed('4096x1024');
const inFlight = 8;
const resolution = 1;

interface Delay {
  readonly p99Ms: number;
  readonly maxMs: number;
}

/**
 * How late the event loop is while something goes on: a timer of 1 ms runs beside it, and what lies between two of its
 * firings, less that millisecond, is a delay. Idle it is not 0: timers have whole milliseconds, and the kernel's own
 * slack.
 */
async function delayDuring(work: () => Promise<unknown>): Promise<Delay> {
  const histogram = monitorEventLoopDelay({ resolution });
  histogram.enable();
  await work();
  histogram.disable();
  const late = (nanoseconds: number) => Math.max(nanoseconds / 1e6 - resolution, 0);
  return { p99Ms: late(histogram.percentile(99)), maxMs: late(histogram.max) };
}

/** How late the event loop is while solves are in flight. */
export const eventloop: Suite = {
  name: 'eventloop',
  summary:
    `milliseconds that a timer of ${resolution} ms is late, ` +
    `while ${inFlight} solves of ${layer.name} are in flight all the time, and idle`,
  budget: usualBudget,
  run: async ({ budget, progress }) => {
    const { inFeatures, outFeatures, rows, batch, name } = layer;
    const data = benchData(layer);
    const shape = { inFeatures, outFeatures, damping: { relative: 1e-2 }, lossReduction: 'sum' } as const;
    const v = at(data.v, 0);
    const measured = async (method: 'cg' | 'exact'): Promise<BenchRow> => {
      const solvers = Array.from({ length: inFlight }, () => {
        const solver = new LayerPreconditioner({ ...shape, method, ...(method === 'cg' && fullCg) });
        solver.record({ inputs: data.inputs, outputGrads: data.outputGrads, batch: rows });
        return { solver, out: new Float32Array(inFeatures * outFeatures) };
      });
      const solveAgain = async (until: number): Promise<number> => {
        const solves = await Promise.all(
          solvers.map(async ({ solver, out }) => {
            let count = 0;
            do {
              await solver.precondition(v, { out });
              progress.tick();
              count++;
            } while (performance.now() < until);
            return count;
          }),
        );
        return solves.reduce((sum, count) => sum + count);
      };
      await solveAgain(0);
      progress.next('idle');
      const idle = await delayDuring(() => setTimeout(budget / 2));
      progress.next(method);
      let solves = 0;
      const busy = await delayDuring(async () => {
        solves = await solveAgain(performance.now() + budget);
      });
      for (const { solver } of solvers) solver.dispose();
      const figures = { ...busy, idleP99Ms: idle.p99Ms, idleMaxMs: idle.maxMs, solves };
      return { suite: 'eventloop', layer: name, batch, method, space: 'gram', threads: info().threads, figures };
    };
    return [await measured('cg'), await measured('exact')];
  },
};
