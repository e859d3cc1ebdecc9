import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/**
 * Averages of a model's trainable weights as cgfac keeps them of its own: decay β_t = min(0.99, (1 + t)/(10 + t)). What
 * else a model has, such as the means of batch normalisation, stays as it is.
 */
export class WeightAverages {
  readonly #averages: tf.Variable[] = [];
  #steps = 0;

  constructor(readonly model: LayersModel) {}

  update(): void {
    const decay = Math.min(0.99, (1 + this.#steps) / (10 + this.#steps));
    this.#steps++;
    tf.tidy(() => {
      this.#weights().forEach((weights, i) => {
        const average = this.#averages[i];
        if (average) average.assign(tf.add(tf.mul(average, decay), tf.mul(weights, 1 - decay)));
        else this.#averages[i] = tf.variable(weights, false);
      });
    });
  }

  async withAveragedWeights<T>(callback: () => Promise<T>): Promise<T> {
    const before = this.#weights().map((weights) => weights.clone());
    this.#assign(this.#averages);
    try {
      return await callback();
    } finally {
      this.#assign(before);
      tf.dispose(before);
    }
  }

  dispose(): void {
    tf.dispose(this.#averages);
  }

  #weights(): tf.Tensor[] {
    return this.model.trainableWeights.map((weight) => weight.read());
  }

  #assign(values: readonly tf.Tensor[]): void {
    this.model.trainableWeights.forEach((weight, i) => {
      weight.write(values[i] ?? weight.read());
    });
  }
}
