/** The layers that a {@link Preconditioner} knows, and what goes with each. */
import { CgfacError } from '../base/errors';
import { boolean, checkOptions, checkRequired, describe, oneOf, positiveInteger } from '../base/validate';
import { vectorOf } from '../base/vectors';
import { checkSize, type VectorArrays, vectorArrays } from '../base/weight-vector';
import type { NetworkShape } from './layer';
import type { NetworkLayer } from './step/phases';
import type { DenseLayerOptions } from './types';

/** A registered layer. */
export interface NetworkEntry {
  readonly name: string;
  readonly shape: NetworkShape;
  /** Borrowed for good. */
  readonly weights: VectorArrays | undefined;
  readonly layer: NetworkLayer;
  /** The number of the step to come when it was. */
  readonly registered: number;
  /** Samples of the step to come by the site that recorded them: the sites of shared weights see the same ones. */
  readonly samples: Map<number, number>;
  /** M */
  momentum: VectorArrays | undefined;
  /** Of the weights. */
  average: VectorArrays | undefined;
}

const denseNames = ['inFeatures', 'outFeatures', 'bias', 'kernelLayout', 'weights'];

/** Checks a dense layer's options. */
export function parseDense(options: DenseLayerOptions): {
  readonly shape: NetworkShape;
  readonly weights: VectorArrays | undefined;
} {
  checkOptions(options, 'registerDense', denseNames);
  checkRequired(options, 'registerDense', { inFeatures: 'a positive integer', outFeatures: 'a positive integer' });
  const shape: NetworkShape = {
    inFeatures: positiveInteger(options.inFeatures, 'inFeatures'),
    outFeatures: positiveInteger(options.outFeatures, 'outFeatures'),
    bias: boolean(options.bias ?? true, 'bias'),
    kernelLayout: oneOf(options.kernelLayout ?? 'out-in', 'kernelLayout', ['out-in', 'in-out']),
  };
  checkSize(shape.inFeatures, shape.outFeatures);
  const weights = options.weights === undefined ? undefined : vectorArrays(options.weights, 'weights', shape);
  return { shape, weights };
}

/** A layer that is not skipped needs its weights for what changes them. */
export function requireWeights(name: string, weights: VectorArrays | undefined, option: string): void {
  if (weights !== undefined) return;
  throw new CgfacError(
    'ERR_CGFAC_MISSING_OPTION',
    `Expected the weights of layer ${describe(name)} for ${option} but received undefined`,
  );
}

/** The arrays that a step writes to are still there: buffers may have been transferred while it was prepared. */
export function requireArrays(
  entries: readonly NetworkEntry[],
  gradients: readonly (VectorArrays | undefined)[],
): void {
  for (const [index, { name, shape, weights, momentum }] of entries.entries()) {
    const gradient = gradients[index];
    if (weights) vectorArrays(vectorOf(weights), `the weights of layer ${describe(name)}`, shape);
    if (momentum) vectorArrays(vectorOf(momentum), `the momentum of layer ${describe(name)}`, shape);
    if (gradient) vectorArrays(vectorOf(gradient), `gradients.${name}`, shape);
  }
}

/**
 * Counts a batch's samples; those that another site has recorded already are the same ones. Returns how many are new.
 */
export function countSamples({ samples }: NetworkEntry, site: number, batch: number): number {
  const before = Math.max(0, ...samples.values());
  samples.set(site, (samples.get(site) ?? 0) + batch);
  return Math.max(0, ...samples.values()) - before;
}
