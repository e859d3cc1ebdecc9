import { mul, type NamedTensorMap, sum, type Tensor, type Variable } from '@tensorflow/tfjs-core';
import { CgfacError } from '../error';
import type { BlockVector } from './block';
import type { Layer } from './sites';

/** A tensor and its name, as TensorFlow.js hands over gradients and the weights of optimizers. */
export interface NamedTensor {
  /** The name of the variable, or of the weight. */
  name: string;
  /** Its gradient, or its value. */
  tensor: Tensor;
}

/** The variables of a layer, the kernel first. */
export function variablesOf({ kernel, bias }: Layer): Variable[] {
  return bias ? [kernel, bias] : [kernel];
}

/** The error of numbers that are not finite any more. */
export function diverged(name: string, received: string, cause?: unknown): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_TFJS_DIVERGED',
    `Expected finite numbers for the ${name} but received ${received}; nothing was changed`,
    { cause },
  );
}

/** The error of gradients that do not belong to the last capture. */
export function noCapture(expected: string, received: string): CgfacError {
  return new CgfacError(
    'ERR_CGFAC_TFJS_NO_CAPTURE',
    `Expected ${expected} for applyGradients but received ${received}; call minimize, or computeGradients and then applyGradients once`,
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
 * Reads the gradient of a layer. The arrays may be the tensors' own: they must not be written to.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_DIVERGED` for a number that is not finite, `ERR_CGFAC_TFJS_NO_CAPTURE` for a missing gradient.
 */
export function readGradient({ kernel, bias }: Layer, gradients: ReadonlyMap<string, Tensor>): BlockVector {
  const read = ({ name }: Variable): Float32Array => {
    const values = gradients.get(name)?.dataSync<'float32'>();
    if (!values) throw noCapture(`a gradient of ${name}`, 'none');
    // One number that is not finite makes the sum one that is not: |float32| sums stay far within a double.
    let sumOfSizes = 0;
    for (const value of values) sumOfSizes += Math.abs(value);
    if (!Number.isFinite(sumOfSizes)) throw diverged(`gradient of ${name}`, 'NaN or infinity');
    return values;
  };
  return { kernel: read(kernel), bias: bias && read(bias) };
}

/** Whether all numbers of a tensor are finite, read back as one number: 0·∞ is NaN. */
export function allFinite(values: Tensor): boolean {
  const [zero = Number.NaN] = sum(mul(values, 0)).dataSync();
  return zero === 0;
}
