/** What a {@link Preconditioner} says of itself. */
import { bytesOf } from '../base/vectors';
import { callNative } from '../native/call';
import type { Network } from './network';
import { recipeOf } from './options';
import type { NetworkMemory, NetworkReport } from './types';

/** Whether the layers of a kind have one solver, whatever the method is. */
const ownSolver = (kind: string) => ['embedding', 'depthwiseConvolution', 'scaleShift'].includes(kind);

/** What is preconditioned, how, and what is not and why. */
export function networkReport({ options, all, skippedLayers }: Network): NetworkReport {
  const { preset, method, useEma } = options;
  const layers = all.map(({ name, kind, shape, average }) => ({
    name,
    shape: kind.describe(shape),
    weights: shape.outFeatures * (shape.inFeatures + (shape.bias ? 1 : 0)),
    method: shape.kind === 'diagonal' ? ('diagonal' as const) : ownSolver(shape.kind) ? ('exact' as const) : method,
    averaged: useEma && average !== undefined,
  }));
  const skipped = [...skippedLayers].map(([name, reason]) => ({ name, reason }));
  return { preset, recipe: recipeOf(options), layers, skipped };
}

/** Bytes kept between steps. */
export function networkMemory({ all }: Network): NetworkMemory {
  const sums = { recorded: 0, factors: 0, workspace: 0, momentum: 0, averages: 0 };
  for (const { layer, momentum, average } of all) {
    const { recorded, factors, workspace, previous } = callNative(() => layer.native.memoryUsage());
    sums.recorded += recorded;
    sums.factors += factors + previous;
    sums.workspace += workspace;
    sums.momentum += bytesOf(momentum);
    sums.averages += bytesOf(average);
  }
  return { ...sums, total: sums.recorded + sums.factors + sums.workspace + sums.momentum + sums.averages };
}
