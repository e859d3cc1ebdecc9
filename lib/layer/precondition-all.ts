import { CgfacError } from '../base/errors';
import { abortSignal, checkOptions, checkRequired, typeError, valueError } from '../base/validate';
import { outputArrays, resultVector, type VectorArrays, vectorArrays, type WeightVector } from '../base/weight-vector';
import { callNative, native } from '../native/addon';
import {
  type LayerParts,
  type LayerPreconditioner,
  type LayerSummary,
  layerSummary,
  newReport,
  type PreconditionResult,
  partsOfLayer,
} from './layer-preconditioner';

/** One layer's system for {@link preconditionAll}. */
export interface LayerSystem<Bias extends boolean = boolean> {
  /** The layer, with a recorded batch. Each layer may appear once. */
  readonly layer: LayerPreconditioner<Bias>;
  /** The right-hand side, in the layer's form. Borrowed. */
  readonly v: WeightVector<Bias>;
  /** Where x goes; it may be the arrays of `v`, and must overlap no other array of the list. Default: new arrays. */
  readonly out?: WeightVector<Bias>;
}

interface Parsed extends LayerParts {
  readonly layer: LayerPreconditioner<boolean>;
  readonly from: VectorArrays;
  readonly out: WeightVector | undefined;
  readonly to: VectorArrays;
}

const names = ['layer', 'v', 'out'];

function parse(systems: readonly LayerSystem[], owner: string): Parsed[] {
  if (!Array.isArray(systems)) throw typeError('an array of { layer, v }', 'systems', systems);
  const seen = new Set<unknown>();
  return systems.map((system: LayerSystem, index) => {
    checkOptions(system, `${owner}, systems[${index}]`, names);
    checkRequired(system, `${owner}, systems[${index}]`, { layer: 'a LayerPreconditioner', v: 'a right-hand side' });
    const { layer, v, out } = system;
    const parts = partsOfLayer(layer);
    if (parts === undefined) throw typeError('a LayerPreconditioner', `systems[${index}].layer`, layer);
    if (seen.has(layer)) throw valueError('a layer that appears once', `systems[${index}].layer`, layer);
    seen.add(layer);
    const to = outputArrays(out, parts.shape);
    return { ...parts, layer, from: vectorArrays(v, `systems[${index}].v`, parts.shape), out, to };
  });
}

function result({ out, to }: Parsed, summary: LayerSummary): PreconditionResult {
  return { x: resultVector<boolean>(out, to), ...summary };
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
  const reports = parsed.map(newReport);
  callNative(() =>
    native.preconditionAllSync(
      parsed.map(({ native: layer, from, to }, index) => ({
        layer,
        vKernel: from.kernel,
        vBias: from.bias,
        outKernel: to.kernel,
        outBias: to.bias,
        report: reports[index] as Float64Array,
      })),
    ),
  );
  return parsed.map((system, index) => result(system, layerSummary(reports[index] as Float64Array, undefined)));
}

function overlap(a: Float32Array, b: Float32Array): boolean {
  return (
    a.buffer === b.buffer && a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength
  );
}

/** What one layer writes, no other may read or write: here for calls that run one by one. */
function requireApart(parsed: readonly Parsed[]): void {
  const arrays = ({ kernel, bias }: VectorArrays) => (bias === undefined ? [kernel] : [kernel, bias]);
  const shared = (a: VectorArrays, b: VectorArrays) => arrays(a).some((x) => arrays(b).some((y) => overlap(x, y)));
  parsed.forEach((one, i) => {
    parsed.forEach((other, j) => {
      if (i === j || !(shared(one.to, other.from) || (j > i && shared(one.to, other.to)))) return;
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
 * @param systems - The layers with their right-hand sides, borrowed until the promise settles.
 * @param options - `signal`: cancels what has not ended; the promise rejects with its reason.
 * @returns One result each, in the order of the list. It settles once every layer has let go of its arrays.
 * @throws {@link CgfacError} as {@link preconditionAllSync}, as a rejection.
 */
export async function preconditionAll(
  systems: readonly LayerSystem[],
  options: { readonly signal?: AbortSignal } = {},
): Promise<PreconditionResult[]> {
  const parsed = parse(systems, 'preconditionAll');
  checkOptions(options, 'preconditionAll', ['signal']);
  const signal = abortSignal(options.signal);
  requireApart(parsed);
  const cost = new Map(parsed.map((system) => [system, callNative(() => system.native.estimatedCost())]));
  const order = [...parsed].sort((a, b) => (cost.get(b) ?? 0) - (cost.get(a) ?? 0));
  const running = new Map(
    order.map((system) => {
      const v = (system.from.bias === undefined ? system.from.kernel : system.from) as WeightVector;
      const out = (system.to.bias === undefined ? system.to.kernel : system.to) as WeightVector;
      return [system, system.layer.precondition(v, signal === undefined ? { out } : { out, signal })];
    }),
  );
  const settled = await Promise.allSettled(parsed.map((system) => running.get(system)));
  return settled.map((outcome, index) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    const system = parsed[index];
    if (system === undefined || outcome.value === undefined)
      throw new CgfacError('ERR_CGFAC_INTERNAL', 'a system without a result');
    const { x: _, ...summary } = outcome.value;
    return result(system, summary);
  });
}
