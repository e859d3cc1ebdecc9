import type { Tensor } from '@tensorflow/tfjs-core';

/** A tensor and its name, as TensorFlow.js hands over gradients and the weights of optimizers. */
export interface NamedTensor {
  /** The name of the variable, or of the weight. */
  name: string;
  /** The gradient of the variable, or the value of the weight. */
  tensor: Tensor;
}
