import type * as tf from '@tensorflow/tfjs-core';
import { uniforms } from '../../../lib/adapter-kit';
import { type Capture, type CaptureOptions, capture, NOTHING } from '../../../lib/tfjs/capture/capture';
import { KINDS } from '../../../lib/tfjs/kinds/kinds';
import { variableGradients } from '../../../lib/tfjs/tape/tape';

/**
 * How to capture a step with everything there is, all layers checked or none, under the true Fisher matrix or the
 * empirical one.
 */
export function captureOptions(fisher: 'true' | 'empirical', checked: boolean, seed = 1): CaptureOptions {
  return {
    fisher,
    share: () => 1,
    uniform: uniforms(seed, 0),
    lossGrads: false,
    kernelsMayBeSkipped: false,
    refused: () => undefined,
    checked: () => checked,
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
