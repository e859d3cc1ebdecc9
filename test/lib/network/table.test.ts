import { Preconditioner } from 'cgfac';
import { networkTable } from '../../support/solvers';
import { StepOracle } from '../../support/step-oracle';
import type { Entry } from '../../support/table';
import {
  dampingOf,
  decay,
  layersOf,
  ranksOf,
  type Solving,
  solvingsOf,
  type Variant,
  variantsOf,
} from '../../support/table-cases';
import {
  averagesOf,
  givenGradients,
  networkOf,
  optionsOf,
  outcomes,
  record,
  refusals,
  stepOf,
  working,
} from '../support/network-table';

test('every entry is in one row of the table', () => {
  expect(outcomes.filter(({ rows }) => rows.length !== 1)).toEqual([]);
  expect({ entries: outcomes.length, working: working.length, refused: refusals.length }).toEqual({
    entries: networkTable.working + networkTable.refused,
    working: networkTable.working,
    refused: networkTable.refused,
  });
});

test.each(refusals)('$name is refused', ({ entry, rows }) => {
  const { code, message } = rows[0]?.refused ?? {};
  expect(() => new Preconditioner({ lossReduction: 'sum', ...optionsOf(entry) })).toThrow(
    expect.objectContaining({ name: 'CgfacError', code, message: expect.stringContaining(message ?? '') }),
  );
});

/** Three batches of all layers in one network, compared layer by layer. */
async function compare(entry: Entry, variant: Variant, solving: Solving, rank: number) {
  const { factorHistory, dampingMode, method } = entry;
  const layers = layersOf(entry, rank);
  const direct = { stepRule: 'fixed', momentum: 0, useEma: false, factorUpdateSteps: 1 } as const;
  const damping = dampingOf(entry, variant);
  const { lossReduction } = variant;
  const solved = { ...optionsOf(entry), ...averagesOf(entry, rank), ...solving.options };
  const preconditioner = networkOf({ lossReduction, damping, ...direct, ...solved }, layers);
  // the recipe without a history fills up its window of 256 rows, more than there are
  const fillsWindow = method === 'exact' && dampingMode === 'factored';
  const averaging = { factorHistory, decay, rank, fillsWindow };
  const oracles = layers.map(
    (layer) =>
      new StepOracle({ entry, layer, variant, solving, averaging, warm: true, fisherSamples: variant.fisherRows }),
  );
  for (const index of [0, 1, 2]) {
    record(preconditioner, layers, index, variant);
    const { summary, updates } = await stepOf(entry, preconditioner, givenGradients(layers, index, variant));
    expect(summary).toMatchObject({
      step: index,
      stepSize: 1,
      refreshed: true,
      layers: layers.map(({ name }) => ({ name })),
    });
    summary.layers.forEach((layer, place) => {
      const x = updates[layer.name];
      if (x === undefined) throw new Error('no direction');
      if (method !== 'auto') expect(layer.method).toBe(method);
      const { innerProduct: vx, curvature: xFx, residual, reason, iterations, damping: used } = layer;
      expect(xFx !== undefined).toBe(dampingMode === 'tikhonov' || method === 'kfac');
      expect(layer.restarted).toBeUndefined();
      oracles[place]?.next({ x, method: layer.method, vx, xFx, damping: used, residual, reason, iterations });
    });
  }
}

test.each(working)('$name', async ({ entry }) => {
  for (const variant of variantsOf(entry))
    for (const solving of solvingsOf(entry))
      for (const rank of ranksOf(entry)) await compare(entry, variant, solving, rank);
});
