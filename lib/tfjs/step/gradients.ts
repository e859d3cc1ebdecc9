/** The gradients that a step is given, and what makes them unusable. */
import { mul, type NamedTensorMap, type Scalar, sum, type Tensor, type Variable } from '@tensorflow/tfjs-core';
import { CgfacError } from '../../adapter-kit';
import { type Block, variablesOf } from '../kinds/layer-kind';
import { type Part, readPart } from '../kinds/part';
import type { NamedTensor } from '../tape/named-tensor';
import { numbersOf } from '../tape/numbers';
import type { KeptStep, Step } from './step';

/** What {@link CgfacOptimizer.computeGradients} returns. */
export interface LossAndGradients {
  /** The loss. */
  value: Scalar;
  /** The gradients of the loss by the names of the variables. */
  grads: NamedTensorMap;
}

/** The error of gradients that no step can be made of, for want of a capture. */
export function noCapture(expected: string, received: string): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_TFJS_NO_CAPTURE',
    `Expected ${expected} for applyGradients but received ${received}; ` +
      'call minimize(f), or optimizer.computeGradients(f) in the place of tf.variableGrads(f)',
  );
}

/** The gradients that there are, by the names of their variables. */
export function gradientsByName(gradients: NamedTensorMap | NamedTensor[]): Map<string, Tensor> {
  const entries: [string, Tensor][] = Array.isArray(gradients)
    ? gradients.map(({ name, tensor: value }) => [name, value])
    : Object.entries(gradients);
  // A variable that is not trainable, or that the loss does not depend on, has no gradient.
  return new Map(entries.filter(([, value]) => value));
}

/**
 * Checks that gradients are of the variables of a step.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_NO_CAPTURE` for one of another variable.
 */
export function requireKnown({ layers, lone }: Step, gradients: ReadonlyMap<string, Tensor>): void {
  const variables = [...layers.flatMap(variablesOf), ...lone.map(({ variable }) => variable)];
  const known = new Set(variables.map(({ name }) => name));
  for (const name of gradients.keys()) {
    if (!known.has(name)) throw noCapture('gradients of the last computeGradients', `one of ${name}`);
  }
}

/** A gradient of one layer, in the layout of its kernel: of its parts of the variables. */
export interface LayerGradient {
  readonly kernel: Float32Array;
  readonly bias: Float32Array | undefined;
}

/**
 * Reads the gradient of a layer. The arrays may be the tensors' own: they must not be written to, and are to be used
 * before TensorFlow.js computes anything.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_NO_CAPTURE` for a missing gradient.
 */
export function readGradient({ kernel, bias }: Block, gradients: ReadonlyMap<string, Tensor>): LayerGradient {
  const read = (part: Part): Float32Array => {
    const { name } = part.variable;
    const gradient = gradients.get(name);
    if (!gradient) throw noCapture(`a gradient of ${name}`, 'none');
    return readPart(part, numbersOf(gradient));
  };
  return { kernel: read(kernel), bias: bias && read(bias) };
}

/** Reads the gradient of a layer, as {@link readGradient} does; `undefined` of one whose rows say it all. */
export type GradientReader = (() => LayerGradient) | undefined;

/**
 * Whether all numbers are finite: one that is not makes their sum one that is not, for |float32| sums stay far within a
 * double.
 */
function finite(values: Float32Array): boolean {
  let sumOfSizes = 0;
  // by index: an iterator makes an object for each number
  for (let at = 0; at < values.length; at++) sumOfSizes += Math.abs(values[at] ?? 0);
  return Number.isFinite(sumOfSizes);
}

/** The variable of a layer whose gradient holds a NaN or an infinity, if there is one. */
export function notFinite({ kernel, bias }: Block, gradient: LayerGradient): Variable | undefined {
  if (!finite(gradient.kernel)) return kernel.variable;
  return gradient.bias && !finite(gradient.bias) ? bias?.variable : undefined;
}

/** Whether all numbers of a tensor are finite, read back as one number: 0·∞ is NaN. */
function allFinite(values: Tensor): boolean {
  const [zero = Number.NaN] = sum(mul(values, 0)).dataSync();
  return zero === 0;
}

/** Why a step cannot be taken, found before anything takes part in it. */
export function unusable(
  step: Step | KeptStep,
  gradients: ReadonlyMap<string, Tensor>,
  read: readonly GradientReader[],
): string | undefined {
  if (!('kept' in step)) {
    if (!Number.isFinite(step.loss)) return `the loss is ${step.loss}`;
    if (Number.isNaN(step.floor)) return 'the gradient of the loss is not finite';
  }
  const bad =
    step.layers.flatMap((layer: Block, index) => {
      const gradient = read[index]?.();
      return (gradient && notFinite(layer, gradient)) ?? [];
    })[0] ??
    step.lone.find(({ variable }) => {
      const gradient = gradients.get(variable.name);
      return gradient && !allFinite(gradient);
    })?.variable;
  return bad && `the gradient of ${bad.name} is not finite`;
}
