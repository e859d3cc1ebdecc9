import { CgfacError } from '../base/errors';
import { elementsOf } from '../base/reading';
import { abortSignal, checkRequired, readOptions, typeError, valueError } from '../base/validate';
import { overlaps } from '../base/vectors';
import { outputArrays, resultVector, type VectorArrays, vectorArrays, type WeightVector } from '../base/weight-vector';
import { callNative } from '../native/call';
import { native } from '../native/load';
import type { Layer } from './layer';
import { type LayerPreconditioner, layerOf } from './layer-preconditioner';
import { newReport, withSummary } from './summary';
import type { PreconditionResult } from './types';

/** One layer's system for {@link preconditionAll}. */
export interface LayerSystem<Bias extends boolean = boolean> {
  /** The layer, with a recorded batch. Each layer may appear once. */
  readonly layer: LayerPreconditioner<Bias>;
  /** The right-hand side, in the layer's form. */
  readonly v: WeightVector<Bias>;
  /** Where x goes; it may be the arrays of `v`, and must overlap no other array of the list. Default: new arrays. */
  readonly out?: WeightVector<Bias>;
}

interface Parsed {
  readonly preconditioner: LayerPreconditioner<boolean>;
  readonly layer: Layer;
  readonly from: VectorArrays;
  readonly out: WeightVector | undefined;
  readonly to: VectorArrays;
}

const names = ['layer', 'v', 'out'];

function parse(systems: readonly LayerSystem[], owner: string): Parsed[] {
  const list = elementsOf(systems, 'systems');
  if (list === undefined) throw typeError('an array of { layer, v }', 'systems', systems);
  const seen = new Set<unknown>();
  return list.map((each, index) => {
    const system = readOptions(each as LayerSystem, `${owner}, systems[${index}]`, names);
    checkRequired(system, `${owner}, systems[${index}]`, { layer: 'a LayerPreconditioner', v: 'a right-hand side' });
    const { layer: preconditioner, v, out } = system;
    const layer = layerOf(preconditioner);
    if (layer === undefined) throw typeError('a LayerPreconditioner', `systems[${index}].layer`, preconditioner);
    if (seen.has(layer)) throw valueError('a layer that appears once', `systems[${index}].layer`, preconditioner);
    seen.add(layer);
    const to = outputArrays(out, layer.shape);
    return { preconditioner, layer, from: vectorArrays(v, `systems[${index}].v`, layer.shape), out, to };
  });
}

function result({ out, to }: Parsed, report: Float64Array): PreconditionResult {
  return withSummary({ x: resultVector<boolean>(out, to) }, report, undefined);
}

/**
 * The directions of many layers in one call, on the calling thread and the pool: the layer with the most work first,
 * small ones side by side, large ones split. The same bits as one call after another.
 *
 * @param systems - The layers with their right-hand sides.
 * @returns One result each, in the order of the list.
 * @throws {@link CgfacError} as {@link LayerPreconditioner.preconditionSync}; for the first layer of the list that
 * failed, once all have ended: the outputs of the others are then written. `ERR_CGFAC_OVERLAP` for an `out` that
 * overlaps another layer's arrays, before anything is done.
 */
export function preconditionAllSync(systems: readonly LayerSystem[]): PreconditionResult[] {
  const parsed = parse(systems, 'preconditionAllSync');
  requireApart(parsed);
  const reports = parsed.map(newReport);
  callNative(() =>
    native.preconditionAllSync(
      parsed.map(({ layer, from, to }, index) => ({
        layer: layer.native,
        vKernel: from.kernel,
        vBias: from.bias,
        outKernel: to.kernel,
        outBias: to.bias,
        report: reports[index] as Float64Array,
      })),
    ),
  );
  return parsed.map((system, index) => result(system, reports[index] as Float64Array));
}

/** What one layer writes, no other may read or write. */
function requireApart(parsed: readonly Parsed[]): void {
  parsed.forEach((one, i) => {
    parsed.forEach((other, j) => {
      if (i === j || !(overlaps(one.to, other.from) || (j > i && overlaps(one.to, other.to)))) return;
      throw new CgfacError(
        'ERR_CGFAC_OVERLAP',
        'Expected arrays that share no memory with those of another layer for out but received an overlap',
      );
    });
  });
}

/**
 * The directions of many layers in one call, on the pool threads: the layer with the most work first.
 *
 * @param systems - The layers with their right-hand sides, which are copied when the call is made.
 * @param options - `signal`: cancels what has not ended; the promise rejects with its reason.
 * @returns One result each, in the order of the list. It settles once every layer has let go of its arrays.
 * @throws {@link CgfacError} as {@link preconditionAllSync}, as a rejection.
 */
export async function preconditionAll(
  systems: readonly LayerSystem[],
  options: { readonly signal?: AbortSignal } = {},
): Promise<PreconditionResult[]> {
  const parsed = parse(systems, 'preconditionAll');
  const signal = abortSignal(readOptions(options, 'preconditionAll', ['signal']).signal);
  requireApart(parsed);
  const cost = new Map(parsed.map((system) => [system, callNative(() => system.layer.native.estimatedCost())]));
  const order = [...parsed].sort((a, b) => (cost.get(b) ?? 0) - (cost.get(a) ?? 0));
  const running = new Map(
    order.map((system) => {
      const v = (system.from.bias === undefined ? system.from.kernel : system.from) as WeightVector;
      const { out } = system;
      const options = { ...(out === undefined ? {} : { out }), ...(signal === undefined ? {} : { signal }) };
      return [system, system.preconditioner.precondition(v, options)];
    }),
  );
  const settled = await Promise.allSettled(parsed.map((system) => running.get(system)));
  return settled.map((outcome, index) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    const system = parsed[index];
    if (system === undefined || outcome.value === undefined)
      throw new CgfacError('ERR_CGFAC_INTERNAL', 'a system without a result');
    return outcome.value;
  });
}
