/** What a {@link Preconditioner} says of itself. */
import { bytesOf } from '../base/vectors';
import { callNative } from '../native/call';
import type { NetworkShape } from './kinds/layer-kind';
import type { Network } from './network';
import { type ResolvedPreconditionerOptions, recipeOf } from './options';
import { DENSE_DIMENSION } from './ranks/sides';
import type { NetworkEntry } from './registry';
import type { NetworkMemory, NetworkReport, ReportedFactor, ReportedLayer } from './types';

type Kind = ReportedLayer['kind'];
type Form = ReportedFactor['form'];

/** The forms of both factors, where a kind has its own. */
const ownForms: Readonly<Partial<Record<Kind, readonly [input: Form | undefined, output: Form | undefined]>>> = {
  diagonal: ['one', 'diagonal'],
  depthwiseConvolution: ['blocks', 'blocks'],
  embedding: ['diagonal', undefined],
  scaleShift: ['blocks', 'one'],
};

/** The dimensions of both factors; of blocks that of each. */
function dimensionsOf(kind: Kind, shape: NetworkShape): readonly [number, number] {
  const input = shape.inFeatures + (shape.bias ? 1 : 0);
  if (kind === 'depthwiseConvolution') return [input, shape.multiplier ?? 1];
  return kind === 'scaleShift' ? [input, 1] : [input, shape.outFeatures];
}

function formOf(dimension: number, { method, factorHistory }: ResolvedPreconditionerOptions): Form {
  if (method === 'kfac' || factorHistory === 'dense') return 'dense';
  if (factorHistory === 'none') return 'rows';
  return dimension <= DENSE_DIMENSION ? 'dense' : 'panel';
}

function reportedLayer({ name, kind, shape, layer, average }: NetworkEntry, options: ResolvedPreconditionerOptions) {
  const own = shape.kind as Kind;
  const forms = ownForms[own];
  const [input, output] = dimensionsOf(own, shape);
  const rows = layer.factorRows;
  return {
    name,
    kind: own,
    shape: kind.describe(shape),
    input: { dimension: input, form: forms?.[0] ?? formOf(input, options), rows: rows.input },
    output: { dimension: output, form: forms?.[1] ?? formOf(output, options), rows: rows.output },
    weights: shape.outFeatures * (shape.inFeatures + (shape.bias ? 1 : 0)),
    // kinds with forms of their own have one solver, whatever the method is
    method: own === 'diagonal' ? 'diagonal' : forms ? 'exact' : options.method,
    averaged: options.useEma && average !== undefined,
  };
}

/** What is preconditioned, how, and what is not and why. */
export function networkReport({ options, all, skippedLayers }: Network): NetworkReport {
  const layers = all.map((entry) => reportedLayer(entry, options));
  const skipped = [...skippedLayers].map(([name, reason]) => ({ name, reason }));
  return { preset: options.preset, recipe: recipeOf(options), layers, skipped };
}

/** Bytes kept between steps. */
export function networkMemory({ all }: Network): NetworkMemory {
  const sums = { recorded: 0, factors: 0, workspace: 0, momentum: 0, averages: 0 };
  const layers = all.map(({ name, layer, momentum, average, copy }) => {
    const { recorded, factors, workspace, previous } = callNative(() => layer.native.memoryUsage());
    const [ofMomentum, ofAverage] = [bytesOf(momentum), bytesOf(average)];
    sums.recorded += recorded;
    sums.factors += factors + previous;
    const scratch = workspace + bytesOf(copy);
    sums.workspace += scratch;
    sums.momentum += ofMomentum;
    sums.averages += ofAverage;
    return { name, total: recorded + factors + previous + scratch + ofMomentum + ofAverage };
  });
  const total = sums.recorded + sums.factors + sums.workspace + sums.momentum + sums.averages;
  return { ...sums, total, layers };
}
