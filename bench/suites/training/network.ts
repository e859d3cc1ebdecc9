import { type DenseShape, type Examples, type LayerTensors, SEED, type Task, uniformNumbers } from './classification';

type Tfjs = typeof import('@tensorflow/tfjs-core');
type Tensor = import('@tensorflow/tfjs-core').Tensor;
type Tensor2D = import('@tensorflow/tfjs-core').Tensor2D;

/** The weights of a layer, kernel inFeatures × outFeatures. */
export interface Weights {
  readonly kernel: Float32Array;
  readonly bias: Float32Array;
}

/** Glorot and Bengio's uniform numbers. */
function initialWeights(layers: readonly DenseShape[]): Weights[] {
  const uniform = uniformNumbers(SEED);
  return layers.map(({ inFeatures, outFeatures }) => {
    const most = Math.sqrt(6 / (inFeatures + outFeatures));
    const kernel = Float32Array.from({ length: inFeatures * outFeatures }, () => (2 * uniform() - 1) * most);
    return { kernel, bias: new Float32Array(outFeatures) };
  });
}

/** A network in training, by tensors that are made of its weights at each step. */
export class Network {
  readonly weights: readonly Weights[];

  constructor(
    readonly tf: Tfjs,
    readonly task: Task,
  ) {
    this.weights = initialWeights(task.layers);
  }

  onehot(labels: Uint8Array): Tensor2D {
    const { tf, task } = this;
    return tf.cast(tf.oneHot(tf.tensor1d(labels, 'int32'), task.classes), 'float32') as Tensor2D;
  }

  kernels(): Tensor[] {
    return this.weights.flatMap(({ kernel, bias }, index) => {
      const { inFeatures = 0, outFeatures = 0 } = this.task.layers[index] ?? {};
      return [this.tf.tensor2d(kernel.slice(), [inFeatures, outFeatures]), this.tf.tensor1d(bias.slice())];
    });
  }

  /** Zeros to add to the pre-activations: gradients with respect to them are those of the rows. */
  shifts(batch: number): Tensor[] {
    return this.task.layers.map(({ outFeatures, uses }) =>
      uses === 1 ? this.tf.zeros([batch, outFeatures]) : this.tf.zeros([uses, batch, outFeatures]),
    );
  }

  logits(
    x: Tensor2D,
    kernels: readonly Tensor[],
    shifts: readonly Tensor[],
    seen: (layer: number, inputs: Tensor) => void = () => undefined,
  ) {
    const layers = this.task.layers.map((_, index) => {
      const [kernel, bias, shift] = [kernels[2 * index], kernels[2 * index + 1], shifts[index]];
      if (!kernel || !bias || !shift) throw new Error('a layer without tensors');
      return { kernel, bias, shift } satisfies LayerTensors;
    });
    return this.task.forward(this.tf, x, layers, seen);
  }

  crossEntropy(logits: Tensor, y: Tensor2D): Tensor {
    const { tf } = this;
    return tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(logits as Tensor2D), y), 1)));
  }

  evaluate({ x, labels }: Examples): number {
    const { tf, task } = this;
    return tf.tidy(() => {
      const held = tf.tensor2d(x, [labels.length, task.features]);
      const logits = this.logits(held, this.kernels(), this.shifts(labels.length));
      return this.crossEntropy(logits, this.onehot(labels)).dataSync()[0] ?? Number.NaN;
    });
  }
}
