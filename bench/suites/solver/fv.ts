import { FisherOperator, info } from 'cgfac';
import { benchData } from '../../harness/data';
import { bestFloor } from '../../harness/floor';
import { type BenchLayer, denseLayers } from '../../harness/layers';
import { at, pairedTimings } from '../../harness/measure';
import type { BenchRow } from '../../harness/rows';
import { type Suite, type SuiteContext, usualBudget } from '../../harness/suite';

function fvLayer(layer: BenchLayer, { budget, progress }: SuiteContext): BenchRow {
  const data = benchData(layer);
  const { inFeatures, outFeatures, rows, batch } = layer;
  // absolute damping: a relative one would have the traces of both sides to find
  const options = { inFeatures, outFeatures, damping: 1e-2, lossReduction: 'sum' } as const;
  const operator = new FisherOperator({ ...options, inputs: data.inputs, outputGrads: data.outputGrads, batch: rows });
  const call = (turn: number) => {
    operator.applySync(at(data.v, turn), { out: at(data.out, turn) });
  };
  const [timing] = pairedTimings(bestFloor(layer, data), [call], budget, { onTurn: progress.tick });
  return {
    suite: 'fv',
    layer: layer.name,
    batch,
    method: 'fv',
    space: 'weight',
    threads: info().threads,
    ...(timing && { floorMs: timing.referenceMs, ms: timing.ms, ratio: timing.ratio, ratioMin: timing.ratioMin }),
  };
}

/** One product with the Fisher block against its two large products. */
export const fv: Suite = {
  name: 'fv',
  summary:
    'one product with the damped Fisher block in weight space, as a ratio to its two large products by sgemm alone',
  layers: denseLayers,
  budget: usualBudget,
  run: (context) =>
    context.layers.map((layer) => {
      context.progress.next(layer.name);
      return fvLayer(layer, context);
    }),
};
