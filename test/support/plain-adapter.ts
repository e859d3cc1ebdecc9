/** The smallest adapter: dense layers over plain arrays, on lib/adapter-kit alone. It shows what an adapter does. */
import {
  Preconditioner,
  type PreconditionerOptions,
  type StepSummary,
  sampledErrors,
  valueError,
  type WeightVector,
} from '../../lib/adapter-kit';

/** A dense layer: its weights, which steps change in place. The kernel is (outFeatures × inFeatures), row-major. */
export interface PlainLayer {
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly weights: WeightVector<true>;
}

/** One forward and backward pass of a classifier, as any framework can tell of it; rows are row-major, by layer. */
export interface PlainPass {
  /** The mean of the loss over the samples. */
  readonly loss: number;
  readonly batch: number;
  /** Inputs of the layers, (batch × inFeatures) each. */
  readonly inputs: readonly Float32Array[];
  /** Output gradients of each sample's own loss, (batch × outFeatures) each. */
  readonly lossGrads: readonly Float32Array[];
  /** The softmax of the last layer, (batch × outFeatures). */
  readonly probabilities: Float32Array;
  /** Sends errors at the logits back: the output gradients of all layers, as in `lossGrads`. */
  readonly backward: (errors: Float32Array) => readonly Float32Array[];
}

/** Trains plain layers: records the rows of a pass, samples targets where factors are due, and takes the step. */
export class PlainAdapter {
  readonly #preconditioner: Preconditioner;
  readonly #names: readonly string[];

  constructor(layers: readonly PlainLayer[], options: Omit<PreconditionerOptions, 'lossReduction'>) {
    this.#preconditioner = new Preconditioner({ ...options, lossReduction: 'sum' });
    this.#names = layers.map((_, index) => `layer ${index}`);
    for (const [index, layer] of layers.entries()) this.#preconditioner.registerDense(`layer ${index}`, layer);
  }

  /** Takes the step of a pass: the weights have changed when it returns. */
  step({ loss, batch, inputs, lossGrads, probabilities, backward }: PlainPass): StepSummary {
    const network = this.#preconditioner;
    const ones = new Float64Array(batch).fill(1);
    const draw = () =>
      sampledErrors('categorical', probabilities, probabilities.length / batch, ones, network.uniforms());
    const sampled = network.refreshDue ? backward(draw()) : undefined;
    for (const [index, name] of this.#names.entries()) {
      const [a, g, s] = [inputs[index], lossGrads[index], sampled?.[index]];
      if (a === undefined || g === undefined) throw valueError(`the rows of ${name}`, 'a pass', inputs);
      network.record(name, { inputs: a, lossGrads: g, batch });
      if (s !== undefined) network.recordFisher(name, { outputGrads: s, batch });
    }
    return network.naturalGradientsSync({ loss }).summary;
  }
}
