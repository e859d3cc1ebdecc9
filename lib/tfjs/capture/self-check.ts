/**
 * The check of a layer at its first step: the rows that were captured must give the gradient that the framework
 * computed.
 *
 * (output gradients)ᵀ (inputs) costs as much as the layer's own backward pass. Both sides are multiplied by one random
 * vector of signs instead, which a wrong row escapes with a probability of 2⁻ʳ in r wrong columns, and costs three
 * passes over the data.
 */
import { uniforms } from '../../adapter-kit';
import { nameOf, type Part, readPart } from '../kinds/part';
import { type CapturedLayer, reachedGrads } from './capture';

/** What is compared: the rows of a layer as the framework's backward pass saw them, and the gradient of its loss. */
export interface CheckedLayer {
  /** (rows × inFeatures), row-major. */
  readonly inputs: Float32Array;
  /** (rows × outFeatures), row-major; gradients of the loss itself. */
  readonly outputGrads: Float32Array;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly kernelLayout: 'in-out' | 'out-in';
}

/** Float32 sums leave 1e-6 of the terms and less of their sum; another use of the variable leaves much more. */
const RELATIVE_TO_GRADIENT = 1e-3;
const RELATIVE_TO_TERMS = 1e-5;

function norm(values: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += (values[at] ?? 0) ** 2;
  return Math.sqrt(sum);
}

/** Adds weight·(row of `matrix`) to `sum`. */
function addRow(sum: Float64Array, matrix: ArrayLike<number>, row: number, weight: number): void {
  const start = row * sum.length;
  for (let column = 0; column < sum.length; column++)
    sum[column] = (sum[column] ?? 0) + weight * (matrix[start + column] ?? 0);
}

/** (Row of `matrix`)·vector. */
function dotRow(matrix: ArrayLike<number>, row: number, vector: Float64Array): number {
  const start = row * vector.length;
  let sum = 0;
  for (let column = 0; column < vector.length; column++) sum += (matrix[start + column] ?? 0) * (vector[column] ?? 0);
  return sum;
}

/**
 * How far the kernel gradient `gradient` is from that of the rows, relative to itself; 0 when the difference is one of
 * rounding.
 *
 * @param gradient - In the layout of the kernel.
 */
export function kernelDiscrepancy(layer: CheckedLayer, gradient: Float32Array): number {
  const { inputs, outputGrads, inFeatures, outFeatures } = layer;
  const uniform = uniforms(0, 0);
  const signs = Float64Array.from({ length: outFeatures }, () => (uniform() < 0.5 ? -1 : 1));
  const difference = new Float64Array(inFeatures);
  if (layer.kernelLayout === 'in-out') {
    for (let i = 0; i < inFeatures; i++) difference[i] = dotRow(gradient, i, signs);
  } else {
    for (let j = 0; j < outFeatures; j++) addRow(difference, gradient, j, signs[j] ?? 0);
  }
  const rows = inputs.length / inFeatures;
  let terms = 0;
  for (let row = 0; row < rows; row++) {
    addRow(difference, inputs, row, -dotRow(outputGrads, row, signs));
    terms +=
      norm(inputs.subarray(row * inFeatures, (row + 1) * inFeatures)) *
      norm(outputGrads.subarray(row * outFeatures, (row + 1) * outFeatures));
  }
  return significant(norm(difference), norm(gradient), terms);
}

/**
 * How far the bias gradient `gradient` is from the sum of the rows of output gradients, relative to itself; 0 when the
 * difference is one of rounding.
 */
export function biasDiscrepancy(layer: CheckedLayer, gradient: Float32Array): number {
  const { outputGrads, outFeatures } = layer;
  const difference = Float64Array.from(gradient);
  let terms = 0;
  for (let row = 0; row < outputGrads.length / outFeatures; row++) {
    addRow(difference, outputGrads, row, -1);
    terms += norm(outputGrads.subarray(row * outFeatures, (row + 1) * outFeatures));
  }
  return significant(norm(difference), norm(gradient), terms);
}

/** The relative difference, or 0 where it is no larger than what rounding leaves. */
function significant(difference: number, size: number, terms: number): number {
  if (difference <= RELATIVE_TO_GRADIENT * size + RELATIVE_TO_TERMS * terms) return 0;
  return difference / size;
}

/** The gradient of a part of a variable, without that of the penalties on this. */
function withoutPenalty({ penaltyGrads }: CapturedLayer, part: Part, gradient: Float32Array): Float32Array {
  const all = penaltyGrads.get(part.variable);
  const penalty = all && readPart(part, all);
  return penalty ? gradient.map((value, at) => value - (penalty[at] ?? 0)) : gradient;
}

/**
 * Compares a captured layer's rows with the framework's own gradient.
 *
 * @returns What differs, as a part of a sentence, or `undefined`.
 */
export function discrepancyOf(
  layer: CapturedLayer,
  gradient: { readonly kernel: Float32Array; readonly bias: Float32Array | undefined },
) {
  const [{ inFeatures, outFeatures, kernelLayout }] = layer.sites;
  const outputGrads = reachedGrads(layer);
  if (!outputGrads) return `${nameOf(layer.kernel)}, whose sites the backward pass did not reach`;
  const differences: string[] = [];
  const rows = { inputs: layer.inputs, outputGrads, inFeatures, outFeatures, kernelLayout };
  const kernel = kernelDiscrepancy(rows, withoutPenalty(layer, layer.kernel, gradient.kernel));
  if (kernel > 0) differences.push(`${nameOf(layer.kernel)} by ${kernel.toExponential(1)}`);
  if (layer.bias && gradient.bias) {
    const bias = biasDiscrepancy(rows, withoutPenalty(layer, layer.bias, gradient.bias));
    if (bias > 0) differences.push(`${nameOf(layer.bias)} by ${bias.toExponential(1)}`);
  }
  return differences.length === 0 ? undefined : differences.join(' and ');
}
