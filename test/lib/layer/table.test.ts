import {
  LayerPreconditioner,
  type LayerPreconditionerOptions,
  type LayerSummary,
  type NaturalGradientRows,
} from 'cgfac';
import { layerPreconditionerRows } from '../../../lib/layer/option-rows';
import { combined, norm } from '../../support/dense-matrices';
import { layerTable } from '../../support/solvers';
import { answerOf, StepOracle } from '../../support/step-oracle';
import { type Entry, entriesOf, nameOf, rowsFor, valuesOf } from '../../support/table';
import {
  batch,
  dampingOf,
  decay,
  layersOf,
  ranksOf,
  rowsOf,
  type Solving,
  slim,
  solvingsOf,
  type TableLayer,
  type TableRows,
  type Variant,
  variantsOf,
  wide,
} from '../../support/table-cases';

const axes = {
  method: valuesOf(layerPreconditionerRows.method.kind),
  dampingMode: valuesOf(layerPreconditionerRows.dampingMode.kind),
  factorHistory: valuesOf(layerPreconditionerRows.factorHistory.kind),
  block: valuesOf(layerPreconditionerRows.block.kind),
  gradient: ['given', 'own'],
  call: ['sync', 'async'],
} as const;
const entries = entriesOf(axes);

const outcomes = entries.map((entry) => ({ entry, name: nameOf(entry), rows: rowsFor(entry, layerTable) }));
const working = outcomes.filter(({ rows }) => rows.some((row) => row.refused === undefined));
const refusals = outcomes.filter(({ rows }) => rows.some((row) => row.refused !== undefined));

test('every entry is in one row of the table', () => {
  expect(outcomes.filter(({ rows }) => rows.length !== 1)).toEqual([]);
  expect({ entries: entries.length, working: working.length, refused: refusals.length }).toEqual({
    entries: layerTable.working + layerTable.refused,
    working: layerTable.working,
    refused: layerTable.refused,
  });
});

/** What entries that differ in their factors, damping or block are compared with, after three batches of a layer. */
function distinctAnswers(
  layer: TableLayer,
  entries: readonly Pick<Entry, 'dampingMode' | 'factorHistory' | 'block'>[],
) {
  return entries.flatMap((distinct) => {
    const entry: Entry = { ...distinct, method: 'exact', gradient: 'given', call: 'sync' };
    const [, variant] = variantsOf(entry);
    const common = { entry, layer, variant, solving: { options: {} }, warm: true, fisherSamples: batch };
    const { factorHistory } = entry;
    return ranksOf(entry).map((rank) => answerOf({ ...common, averaging: { factorHistory, decay, rank } }, 3));
  });
}

test('entries that differ in their factors, damping or block are compared with different directions', () => {
  const { dampingMode, factorHistory } = axes;
  const averaged = entriesOf({ dampingMode, factorHistory, block: ['kronecker'] });
  const blocks = entriesOf({ dampingMode: ['tikhonov'], factorHistory: ['none'], block: axes.block });
  for (const answers of [distinctAnswers(wide, averaged), distinctAnswers(slim, blocks)])
    answers.forEach((answer, i) => {
      for (const other of answers.slice(0, i)) {
        const difference = norm(combined(1, answer.x, -1, other.x)) / norm(answer.x);
        expect(difference).toBeGreaterThan(10 * Math.max(answer.rounding, other.rounding));
      }
    });
});

const optionsOf = ({ method, dampingMode, factorHistory, block }: Entry) => ({
  method,
  dampingMode,
  factorHistory,
  block,
});

test.each(refusals)('$name is refused', ({ entry, rows }) => {
  const { code, message } = rows[0]?.refused ?? {};
  const options = { inFeatures: 6, outFeatures: 9, damping: 1, lossReduction: 'sum', ...optionsOf(entry) } as const;
  expect(() => new LayerPreconditioner(options)).toThrow(
    expect.objectContaining({ name: 'CgfacError', code, message: expect.stringContaining(message ?? '') }),
  );
});

function preconditionerOf(entry: Entry, layer: TableLayer, variant: Variant, solving: Solving, rank: number) {
  const { name: _, ...shape } = layer;
  const averages = entry.factorHistory === 'none' ? {} : { factorDecay: decay };
  const options: LayerPreconditionerOptions<boolean> = {
    ...shape,
    ...optionsOf(entry),
    ...solving.options,
    ...averages,
    ...(entry.factorHistory === 'panel' ? { rank, panelRows: batch } : {}),
    lossReduction: variant.lossReduction,
    damping: dampingOf(entry, variant),
  };
  return new LayerPreconditioner<boolean>(options);
}

/** xᵀFx is known, but of factored damping where both sides' rows are not all that the direction is made of. */
function knowsCurvature({ dampingMode, factorHistory, gradient }: Entry, summary: LayerSummary): boolean {
  const { method, inputForm, outputForm } = summary;
  if (dampingMode === 'tikhonov' || method === 'kfac') return true;
  return gradient === 'own' && factorHistory === 'none' && inputForm === 'panel' && outputForm === 'panel';
}

async function directionOf(
  { gradient, call }: Entry,
  preconditioner: LayerPreconditioner<boolean>,
  rows: TableRows,
  fisherRows: number,
) {
  const recorded = { inputs: rows.inputs, outputGrads: rows.outputGrads, batch, fisherRows };
  if (gradient === 'own') {
    const own: NaturalGradientRows = { ...recorded, lossGrads: rows.lossGrads };
    return call === 'sync' ? preconditioner.naturalGradientSync(own) : await preconditioner.naturalGradient(own);
  }
  preconditioner.record(recorded);
  return call === 'sync' ? preconditioner.preconditionSync(rows.v) : await preconditioner.precondition(rows.v);
}

/** Three batches of one layer, compared one by one. */
async function compare(entry: Entry, layer: TableLayer, variant: Variant, solving: Solving, rank: number) {
  const averaging = { factorHistory: entry.factorHistory, decay, rank };
  const warm = entry.gradient === 'given'; // a batch's own gradient neither uses nor leaves a start
  const oracle = new StepOracle({ entry, layer, variant, solving, averaging, warm, fisherSamples: batch });
  const preconditioner = preconditionerOf(entry, layer, variant, solving, rank);
  for (const index of [0, 1, 2]) {
    const rows = rowsOf(layer, index, variant);
    const { x, ...summary } = await directionOf(entry, preconditioner, rows, variant.fisherRows);
    if (x === undefined) throw new Error('no direction');
    if (entry.method !== 'auto') expect(summary.method).toBe(entry.method);
    const { method, vx, xFx, damping, residual, reason, iterations } = summary;
    expect({ vx: typeof vx, xFx: xFx !== undefined }).toEqual({ vx: 'number', xFx: knowsCurvature(entry, summary) });
    oracle.next({ x, method, vx, xFx, damping, residual, reason, iterations });
  }
  preconditioner.dispose();
}

test.each(working)('$name', async ({ entry }) => {
  for (const rank of ranksOf(entry))
    for (const layer of layersOf(entry, rank))
      for (const variant of variantsOf(entry))
        for (const solving of solvingsOf(entry)) await compare(entry, layer, variant, solving, rank);
});
