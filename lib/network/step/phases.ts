/** The phases of a {@link Preconditioner}'s step over all of its layers, each one call of the addon. */
import { timed } from '../../base/timed';
import type { VectorArrays } from '../../base/weight-vector';
import type { Layer } from '../../layer/layer';
import { callNative, callNativeAsync } from '../../native/call';
import type { NativeUpdate, NativeUpdatedLayer } from '../../native/declarations';
import { native } from '../../native/load';
import { stepReport, stepReportLength } from '../../native/reports';
import type { Phase } from './phase';
import { type PreparedStep, type PrepareOptions, preparedStep } from './prepared';

/** A layer and, where it is given, its gradient. */
export interface LayerTask {
  readonly layer: Layer;
  /** Whether the factors take in what was recorded. */
  readonly refresh: boolean;
  readonly gradient: VectorArrays | undefined;
  readonly momentum: VectorArrays | undefined;
  /** Samples of the step. */
  readonly samples: number;
}

/** Makes the direction of every layer ready to be written; `collect` gives ⟨v, x⟩ of each once that is done. */
export function preparation(tasks: readonly LayerTask[], { damping, trust, measures }: PrepareOptions) {
  const items = tasks.map(({ layer, refresh, gradient, momentum, samples }) => {
    layer.begin();
    return {
      layer: layer.native,
      refresh,
      kernel: gradient?.kernel,
      bias: gradient?.bias,
      momentum: measures.momentum ? momentum : undefined,
      products: measures.samples ? new Float64Array(samples) : undefined,
      report: new Float64Array(stepReportLength),
    };
  });
  const options = { damping, trust };
  const phase: Phase = {
    now: () => timed('directions', () => callNative(() => native.prepareAllSync(items, options))),
    later: (signal) => callNativeAsync(signal, (token) => native.prepareAll(items, options, token)),
  };
  return { phase, results: items, collect: () => collected(tasks, items) };
}

/** What the solve of a layer reports. */
export interface PreparedResult {
  /** A StepReport. */
  readonly report: Float64Array;
  /** What u_b is of each sample, where they were asked for. */
  readonly products: Float64Array | undefined;
}

/** What is known of each layer once its direction is prepared, here or elsewhere. */
export function collected(
  tasks: readonly Pick<LayerTask, 'layer' | 'refresh'>[],
  results: readonly PreparedResult[],
): PreparedStep[] {
  return tasks.map(({ layer, refresh }, index) => {
    const { report, products } = results[index] ?? { report: new Float64Array(), products: undefined };
    const [input = 0, output = 0] = [report[stepReport.inputRows], report[stepReport.outputRows]];
    if (refresh) layer.refreshed({ input, output });
    return preparedStep(report, layer.factorRows, products);
  });
}

/** The update of momentum, weights, gradients and averages by the directions. */
export function writing(layers: readonly NativeUpdatedLayer[], update: NativeUpdate): Phase {
  return {
    now: () => timed('update', () => callNative(() => native.writeAllSync(layers, update))),
    later: () => callNativeAsync(undefined, () => native.writeAll(layers, update)),
  };
}

/** The factors and the warm starts are as before the preparation: the step is not taken. */
export function rollBack(layers: readonly Layer[]): void {
  for (const layer of layers) layer.rollBack();
}
