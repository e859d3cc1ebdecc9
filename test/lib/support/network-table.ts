/** The table of {@link Preconditioner}: its entries, which of them work, and networks of them. */
import { Preconditioner, type PreconditionerOptions, type StepSummary, type WeightVector } from 'cgfac';
import { layerPreconditionerRows } from '../../../lib/layer/option-rows';
import { preconditionerRows } from '../../../lib/network/option-rows';
import { copyOf } from '../../support/networks';
import { networkTable } from '../../support/solvers';
import { type Entry, entriesOf, nameOf, rowsFor, valuesOf } from '../../support/table';
import { batch, decay, rowsOf, type TableLayer, type Variant } from '../../support/table-cases';

/** A network has no option for its block: that of its layers is 'kronecker'. */
const axes = {
  method: valuesOf(preconditionerRows.method.kind),
  dampingMode: valuesOf(preconditionerRows.dampingMode.kind),
  factorHistory: valuesOf(preconditionerRows.factorHistory.kind),
  block: valuesOf(layerPreconditionerRows.block.kind),
  gradient: ['given', 'own'],
  call: ['sync', 'async'],
} as const;

/** Every entry, with the rows of the table that it belongs to. */
export const outcomes = entriesOf(axes).map((entry) => ({
  entry,
  name: nameOf(entry),
  rows: rowsFor(entry, networkTable),
}));
/** The entries that work. */
export const working = outcomes.filter(({ rows }) => rows.some((row) => row.refused === undefined));
/** The entries that are refused. */
export const refusals = outcomes.filter(({ rows }) => rows.some((row) => row.refused !== undefined));

/** The options that make an entry. */
export function optionsOf({ method, dampingMode, factorHistory, block }: Entry) {
  return { method, dampingMode, factorHistory, ...(block === 'kronecker' ? {} : { block }) };
}

/** The options of averages. */
export function averagesOf({ factorHistory }: Entry, rank: number) {
  if (factorHistory === 'none') return {};
  return { factorDecay: decay, ...(factorHistory === 'panel' ? { rank, panelRows: batch } : {}) };
}

/** Weights or gradients by layer. */
export type Vectors = Record<string, WeightVector>;

/** A network of layers of the table, with weights where they are given. */
export function networkOf(options: PreconditionerOptions, layers: readonly TableLayer[], weights?: Vectors) {
  const preconditioner = new Preconditioner(options);
  for (const { name, ...shape } of layers) {
    const own = weights?.[name];
    preconditioner.registerDense(name, own ? { ...shape, weights: own } : shape);
  }
  return preconditioner;
}

/** Records batch `index` of every layer: sampled targets of a part of it, or the loss gradients alone. */
export function record(
  preconditioner: Preconditioner,
  layers: readonly TableLayer[],
  index: number,
  variant: Variant,
): void {
  for (const layer of layers) {
    const { inputs, lossGrads, outputGrads } = rowsOf(layer, index, variant);
    preconditioner.record(layer.name, { inputs, lossGrads, batch });
    if (outputGrads !== lossGrads) preconditioner.recordFisher(layer.name, { outputGrads, batch: variant.fisherRows });
  }
}

/** The gradients that are given with batch `index`. */
export function givenGradients(layers: readonly TableLayer[], index: number, variant: Variant): Vectors {
  return copyOf(Object.fromEntries(layers.map((layer) => [layer.name, rowsOf(layer, index, variant).v])));
}

/** One step of an entry with what was recorded: its summary, and M by layer. */
export async function stepOf(
  { gradient, call }: Entry,
  preconditioner: Preconditioner,
  gradients: Vectors,
  options: { readonly loss?: number; readonly signal?: AbortSignal } = {},
): Promise<{ readonly summary: StepSummary; readonly updates: Readonly<Vectors> }> {
  if (gradient === 'own')
    return call === 'sync'
      ? preconditioner.naturalGradientsSync(options)
      : await preconditioner.naturalGradients(options);
  const summary =
    call === 'sync' ? preconditioner.stepSync(gradients, options) : await preconditioner.step(gradients, options);
  return { summary, updates: gradients };
}
