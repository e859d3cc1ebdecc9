import { CgfacError, info, Preconditioner, type PreconditionerOptions } from 'cgfac';
import { median } from '../../harness/measure';
import type { BenchRow } from '../../harness/rows';
import type { Suite, SuiteContext } from '../../harness/suite';
import {
  type DenseShape,
  draw,
  type Examples,
  tasks as known,
  type LayerTensors,
  type Task,
  uniformNumbers,
} from './task-list';

// Loaded by the run alone: the other suites have no use for it.
type Tfjs = typeof import('@tensorflow/tfjs-core');
type Tensor = import('@tensorflow/tfjs-core').Tensor;
type Tensor2D = import('@tensorflow/tfjs-core').Tensor2D;
type Scalar = import('@tensorflow/tfjs-core').Scalar;

const BATCH = 256;
const SEED = 1;
const RATES = [1e-3, 3e-3, 1e-2];

/** Who trains: a preconditioner by its options, or Adam by its learning rate. */
const contenders: Readonly<Record<string, Partial<PreconditionerOptions> | number>> = {
  safe: {},
  'image-classifier': { preset: 'image-classifier' },
  ...Object.fromEntries(RATES.map((rate) => [`adam ${rate}`, rate])),
};

interface Weights {
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

/** How a step changes the weights, and how they are evaluated. */
interface Trainer {
  /** Takes a step; the loss before it. */
  step(x: Tensor2D, y: Tensor2D): number;
  averaged(evaluate: () => number): number | Promise<number>;
}

/** A network in training by tensors that are made of its weights at each step. */
class Network {
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

function preconditioned(network: Network, options: Partial<PreconditionerOptions>): Trainer {
  const { tf, task, weights } = network;
  const preconditioner = new Preconditioner({ lossReduction: 'mean', seed: SEED, ...options });
  const names = task.layers.map((_, index) => `layer ${index}`);
  task.layers.forEach(({ inFeatures, outFeatures }, index) => {
    const own = weights[index];
    preconditioner.registerDense(names[index] ?? '', {
      inFeatures,
      outFeatures,
      kernelLayout: 'in-out',
      ...(own ? { weights: own } : {}),
    });
  });
  const gradients = (
    x: Tensor2D,
    y: Tensor2D,
    kernels: readonly Tensor[],
    seen?: (layer: number, inputs: Tensor) => void,
  ) => {
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
  };
  return {
    step: (x, y) =>
      tf.tidy(() => {
        const kernels = network.kernels();
        const inputs: Float32Array[][] = task.layers.map(() => []);
        const found = gradients(x, y, kernels, (layer, each) =>
          inputs[layer]?.push(Float32Array.from(each.dataSync())),
        );
        names.forEach((name, index) => {
          const uses = inputs[index] ?? [];
          const all = new Float32Array(uses.reduce((length, use) => length + use.length, 0));
          uses.forEach((use, place) => {
            all.set(use, place * use.length);
          });
          preconditioner.record(name, { inputs: all, lossGrads: found.rows[index] ?? all, batch: x.shape[0] });
        });
        if (preconditioner.refreshDue) {
          const uniform = preconditioner.uniforms();
          const sampled = Uint8Array.from({ length: x.shape[0] }, (_, i) =>
            draw(found.p, i * task.classes, task.classes, uniform),
          );
          const { rows } = gradients(x, network.onehot(sampled), kernels);
          names.forEach((name, index) => {
            preconditioner.recordFisher(name, { outputGrads: rows[index] ?? new Float32Array(), batch: x.shape[0] });
          });
        }
        preconditioner.naturalGradientsSync({ loss: found.loss });
        return found.loss;
      }),
    averaged: (evaluate) => preconditioner.withAveragedWeights(evaluate),
  };
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

async function trained(tf: Tfjs, task: Task, name: string, tick: () => void): Promise<BenchRow> {
  const contender = contenders[name] ?? {};
  const network = new Network(tf, task);
  const trainer = typeof contender === 'number' ? adam(network, contender) : preconditioned(network, contender);
  const loaded = task.load();
  const { training, heldOut } = loaded;
  const batches = Math.floor(training.labels.length / BATCH);
  const times: number[] = [];
  let averaged: number | string = 'diverged';
  try {
    for (let step = 0; step < task.steps; step++) {
      const first = (step % batches) * BATCH;
      const x = tf.tensor2d(training.x.subarray(first * task.features, (first + BATCH) * task.features), [
        BATCH,
        task.features,
      ]);
      const y = network.onehot(training.labels.subarray(first, first + BATCH));
      const begin = performance.now();
      trainer.step(x, y);
      times.push(performance.now() - begin);
      tf.dispose([x, y]);
      tick();
    }
    averaged = await trainer.averaged(() => network.evaluate(heldOut));
  } catch (error) {
    if (!(error instanceof CgfacError) || error.code !== 'ERR_CGFAC_DIVERGED') throw error;
  } finally {
    tf.disposeVariables();
  }
  const floor = 'entropy' in loaded ? { entropy: loaded.entropy as number } : {};
  const figures = { steps: task.steps, averaged, ...floor };
  return {
    suite: 'tasks',
    layer: task.name,
    batch: BATCH,
    method: name,
    threads: info().threads,
    ms: median(times),
    figures,
  };
}

async function measured({ methods, progress }: SuiteContext): Promise<BenchRow[]> {
  const tf = await import('@tensorflow/tfjs-core');
  await import('@tensorflow/tfjs-layers'); // the gradients of its ops
  await import('@tensorflow/tfjs-backend-wasm');
  const { installKernels } = await import('cgfac/tfjs');
  await tf.setBackend('wasm');
  await tf.ready();
  const kernels = installKernels(tf);
  try {
    const rows: BenchRow[] = [];
    for (const task of known) {
      for (const name of methods) {
        progress.next(`${task.name}, ${name}`);
        rows.push(await trained(tf, task, name, progress.tick));
      }
    }
    return rows;
  } finally {
    kernels.uninstall();
  }
}

export const tasks: Suite = {
  name: 'tasks',
  summary:
    'held-out cross-entropy, in nats, with averaged weights, after so many steps of 256: a tanh network of ten layers, a recurrent one over the rows of digits, ' +
    'digits with 30 % random labels, a Markov source (entropy: the floor of its loss). ms: median step of Preconditioner with rows read back from TensorFlow.js, and of Adam',
  methods: Object.keys(contenders),
  run: measured,
};
