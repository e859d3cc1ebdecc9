import { Preconditioner, type PreconditionerOptions } from 'cgfac';
import { draw, SEED } from './classification';
import type { Network } from './network';

type Tensor = import('@tensorflow/tfjs-core').Tensor;
type Tensor2D = import('@tensorflow/tfjs-core').Tensor2D;
type Scalar = import('@tensorflow/tfjs-core').Scalar;

/** How a step changes the weights, and how they are evaluated. */
export interface Trainer {
  /** Takes a step; the loss before it. */
  step(x: Tensor2D, y: Tensor2D): number;
  /** Evaluates with averaged weights. */
  averaged(evaluate: () => number): number | Promise<number>;
}

/** What a forward and a backward pass tell: the loss, the probabilities, and each layer's gradients in rows. */
interface Passes {
  readonly loss: number;
  readonly p: ArrayLike<number>;
  readonly rows: readonly Float32Array[];
}

/** A forward and a backward pass on a batch; `seen` is told of the inputs of each layer's uses. */
function passes(
  network: Network,
  x: Tensor2D,
  y: Tensor2D,
  kernels: readonly Tensor[],
  seen?: (layer: number, inputs: Tensor) => void,
): Passes {
  const { tf } = network;
  let logits: Tensor2D | undefined;
  const { value, grads } = tf.valueAndGrads((...shifts: Tensor[]) => {
    const z = network.logits(x, kernels, shifts, seen);
    logits = tf.keep(z.clone()) as Tensor2D;
    return network.crossEntropy(z, y) as Scalar;
  })(network.shifts(x.shape[0]));
  if (!logits) throw new Error('no forward pass');
  const p = tf.softmax(logits).dataSync();
  logits.dispose();
  return {
    loss: value.dataSync()[0] ?? Number.NaN,
    p,
    rows: grads.map((grad) => Float32Array.from(grad.dataSync())),
  };
}

/** The inputs of all uses of a layer as one array, in order. */
function joined(uses: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(uses.reduce((length, use) => length + use.length, 0));
  uses.forEach((use, place) => {
    all.set(use, place * use.length);
  });
  return all;
}

/** `Preconditioner`, with rows read back from TensorFlow.js. */
class PreconditionedTrainer implements Trainer {
  readonly #preconditioner: Preconditioner;
  readonly #names: readonly string[];

  constructor(
    readonly network: Network,
    options: Partial<PreconditionerOptions>,
  ) {
    this.#preconditioner = new Preconditioner({ lossReduction: 'mean', seed: SEED, ...options });
    this.#names = network.task.layers.map((_, index) => `layer ${index}`);
    network.task.layers.forEach(({ inFeatures, outFeatures }, index) => {
      const own = network.weights[index];
      this.#preconditioner.registerDense(this.#names[index] ?? '', {
        inFeatures,
        outFeatures,
        kernelLayout: 'in-out',
        ...(own ? { weights: own } : {}),
      });
    });
  }

  step(x: Tensor2D, y: Tensor2D): number {
    return this.network.tf.tidy(() => {
      const kernels = this.network.kernels();
      const { loss, p } = this.#record(x, y, kernels);
      if (this.#preconditioner.refreshDue) this.#recordFisher(x, p, kernels);
      this.#preconditioner.naturalGradientsSync({ loss });
      return loss;
    });
  }

  averaged(evaluate: () => number): Promise<number> {
    return this.#preconditioner.withAveragedWeights(evaluate);
  }

  #record(x: Tensor2D, y: Tensor2D, kernels: readonly Tensor[]): Passes {
    const batch = x.shape[0];
    const inputs: Float32Array[][] = this.#names.map(() => []);
    const found = passes(this.network, x, y, kernels, (layer, each) =>
      inputs[layer]?.push(Float32Array.from(each.dataSync())),
    );
    this.#names.forEach((name, index) => {
      const all = joined(inputs[index] ?? []);
      this.#preconditioner.record(name, { inputs: all, lossGrads: found.rows[index] ?? all, batch });
    });
    return found;
  }

  /** Records the gradients for labels that are drawn from the model's own distribution. */
  #recordFisher(x: Tensor2D, p: Passes['p'], kernels: readonly Tensor[]): void {
    const batch = x.shape[0];
    const { classes } = this.network.task;
    const uniform = this.#preconditioner.uniforms();
    const sampled = Uint8Array.from({ length: batch }, (_, i) => draw(p, i * classes, classes, uniform));
    const { rows } = passes(this.network, x, this.network.onehot(sampled), kernels);
    this.#names.forEach((name, index) => {
      this.#preconditioner.recordFisher(name, { outputGrads: rows[index] ?? new Float32Array(), batch });
    });
  }
}

/** Adam, with averages of the weights like those of the preconditioner. */
function adam(network: Network, rate: number): Trainer {
  const { tf, task, weights } = network;
  const arrays = weights.flatMap(({ kernel, bias }) => [kernel, bias]);
  const variables = tf.tidy(() => network.kernels().map((kernel) => tf.variable(kernel)));
  const optimizer = tf.train.adam(rate);
  const averages = arrays.map((array) => array.slice());
  let steps = 0;
  return {
    step: (x, y) => {
      const loss = tf.tidy(() => {
        const shifts = network.shifts(x.shape[0]);
        const cost = optimizer.minimize(
          () => network.crossEntropy(network.logits(x, variables, shifts), y) as Scalar,
          true,
          variables,
        );
        return cost?.dataSync()[0] ?? Number.NaN;
      });
      const decay = Math.min(0.99, (1 + steps) / (10 + steps));
      steps++;
      variables.forEach((variable, index) => {
        const [array, mean] = [arrays[index], averages[index]];
        if (!array || !mean) throw new Error(`${task.name} has a variable without weights`);
        array.set(variable.dataSync());
        for (let i = 0; i < mean.length; i++) mean[i] = decay * (mean[i] ?? 0) + (1 - decay) * (array[i] ?? 0);
      });
      return loss;
    },
    averaged: (evaluate) => {
      const kept = arrays.map((array) => array.slice());
      arrays.forEach((array, index) => {
        array.set(averages[index] ?? array);
      });
      try {
        return evaluate();
      } finally {
        arrays.forEach((array, index) => {
          array.set(kept[index] ?? array);
        });
      }
    },
  };
}

/** Who trains a network: a preconditioner by its options, or Adam by its learning rate. */
export function trainerOf(network: Network, contender: Partial<PreconditionerOptions> | number): Trainer {
  return typeof contender === 'number' ? adam(network, contender) : new PreconditionedTrainer(network, contender);
}
