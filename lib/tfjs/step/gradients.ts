import { mul, type NamedTensorMap, sum, type Tensor, type Variable } from '@tensorflow/tfjs-core';
import { CgfacError } from '../../base/errors';
import type { Layer } from '../capture/sites';

/** A tensor and its name, as TensorFlow.js hands over gradients and the weights of optimizers. */
export interface NamedTensor {
  /** The name of the variable, or of the weight. */
  name: string;
  /** Its gradient, or its value. */
  tensor: Tensor;
}

/** The variables of a layer, the kernel first. */
export function variablesOf({ kernel, bias }: Pick<Layer, 'kernel' | 'bias'>): Variable[] {
  return bias ? [kernel, bias] : [kernel];
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

/** A gradient of one layer, in the layout of its kernel. */
export interface LayerGradient {
  readonly kernel: Float32Array;
  readonly bias: Float32Array | undefined;
}

/**
 * Reads the gradient of a layer. The arrays may be the tensors' own: they must not be written to.
 *
 * @throws {@link CgfacError} `ERR_CGFAC_TFJS_NO_CAPTURE` for a missing gradient.
 */
export function readGradient({ kernel, bias }: Layer, gradients: ReadonlyMap<string, Tensor>): LayerGradient {
  const read = ({ name }: Variable): Float32Array => {
    const values = gradients.get(name)?.dataSync<'float32'>();
    if (!values) throw noCapture(`a gradient of ${name}`, 'none');
    return values;
  };
  return { kernel: read(kernel), bias: bias && read(bias) };
}

/** The variable of a layer whose gradient holds a NaN or an infinity, if there is one. */
export function notFinite({ kernel, bias }: Layer, gradient: LayerGradient): Variable | undefined {
  // One number that is not finite makes the sum one that is not: |float32| sums stay far within a double.
  const finite = (values: Float32Array) => {
    let sumOfSizes = 0;
    for (const value of values) sumOfSizes += Math.abs(value);
    return Number.isFinite(sumOfSizes);
  };
  if (!finite(gradient.kernel)) return kernel;
  return gradient.bias && !finite(gradient.bias) ? bias : undefined;
}

/** Whether all numbers of a tensor are finite, read back as one number: 0·∞ is NaN. */
export function allFinite(values: Tensor): boolean {
  const [zero = Number.NaN] = sum(mul(values, 0)).dataSync();
  return zero === 0;
}
