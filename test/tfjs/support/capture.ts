import type * as tf from '@tensorflow/tfjs-core';
import { concatenated, uniforms } from '../../../lib/adapter-kit';
import {
  type Capture,
  type CapturedLayer,
  type CaptureOptions,
  capture,
  NOTHING,
} from '../../../lib/tfjs/capture/capture';
import { KINDS } from '../../../lib/tfjs/kinds/kinds';
import { Room } from '../../../lib/tfjs/tape/room';
import { variableGradients } from '../../../lib/tfjs/tape/tape';

/** How to capture a step, all layers checked or none, with targets sampled for all samples or for none. */
export function captureOptions(fisher: 'true' | 'empirical', checked: boolean, seed = 1): CaptureOptions {
  return {
    share: () => (fisher === 'true' ? 1 : 0),
    uniform: uniforms(seed, 0),
    empirical: fisher === 'empirical',
    lossGrads: false,
    kernelsMayBeSkipped: false,
    refused: () => undefined,
    checked: () => checked,
    arrays: false,
    room: new Room(),
  };
}

/** What was captured of one step, and the framework's own gradients, which the caller disposes of. */
export interface CapturedStep {
  readonly taken: Capture;
  readonly grads: tf.NamedTensorMap;
}

/** Captures one step of `variables` under `loss`. */
export function capturedStep(
  loss: () => tf.Scalar,
  variables: readonly tf.Variable[],
  options: CaptureOptions,
): CapturedStep {
  let taken: Capture = NOTHING;
  const { value, grads } = variableGradients(loss, [...variables], KINDS, (tape, result) => {
    taken = capture(tape, result, variables, options);
  });
  value.dispose();
  return { taken, grads };
}

/** Captures one step with the empirical Fisher matrix: the rows are those of the framework's own backward pass. */
export function capturedRows(loss: () => tf.Scalar, variables: readonly tf.Variable[]): CapturedStep {
  return capturedStep(loss, variables, captureOptions('empirical', true));
}

/**
 * (output gradients)ᵀ (inputs) of the rows, in the layout of the kernel, and the sum of the output gradients; in double
 * precision.
 */
export function gradientsOfRows(layer: CapturedLayer): { kernel: Float64Array; bias: Float64Array } {
  const [{ inFeatures, outFeatures, kernelLayout }] = layer.sites;
  const outputGrads = concatenated(layer.lossGrads.flatMap((gradients) => gradients ?? []));
  const kernel = new Float64Array(inFeatures * outFeatures);
  const bias = new Float64Array(outFeatures);
  for (let row = 0; row < layer.inputs.length / inFeatures; row++) {
    for (let j = 0; j < outFeatures; j++) {
      const g = outputGrads[row * outFeatures + j] ?? Number.NaN;
      bias[j] = (bias[j] ?? 0) + g;
      for (let i = 0; i < inFeatures; i++) {
        const at = kernelLayout === 'in-out' ? i * outFeatures + j : j * inFeatures + i;
        kernel[at] = (kernel[at] ?? 0) + g * (layer.inputs[row * inFeatures + i] ?? Number.NaN);
      }
    }
  }
  return { kernel, bias };
}

/**
 * The tolerance of two sums of at most 30 products of float32 numbers of order 1: about √30 · 2⁻²⁴ of the terms, 3e-7.
 */
export const FLOAT32_SUM = 2e-6;
