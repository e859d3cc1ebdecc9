/** Networks of a few dense layers in plain loops, which ranks train on their shares of a batch. */
import { type Communicator, Preconditioner, type PreconditionerOptions } from 'cgfac';
import { randomNumbers } from './layers';

/** What a network is trained for. */
export interface SmallTask {
  readonly name: string;
  readonly widths: readonly number[];
  /** Samples in rows, and their targets. */
  readonly data: (samples: number, seed: number) => { readonly inputs: Float32Array; readonly targets: Float32Array };
  /** Whether outputs are one choice; else each is one of its own. */
  readonly softmax: boolean;
  readonly options: Partial<PreconditionerOptions>;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Vectors that five numbers make, as an autoencoder is to find out. */
export const autoencoder: SmallTask = {
  name: 'autoencoder',
  widths: [48, 32, 6, 32, 48],
  data: (samples, seed) => {
    const [hidden, basis] = [randomNumbers(samples * 5, seed), randomNumbers(5 * 48, 7)];
    const inputs = Float32Array.from({ length: samples * 48 }, (_, at) => {
      let sum = 0;
      for (let k = 0; k < 5; k++) sum += (hidden[Math.floor(at / 48) * 5 + k] ?? 0) * (basis[k * 48 + (at % 48)] ?? 0);
      return sigmoid(6 * sum);
    });
    return { inputs, targets: inputs };
  },
  softmax: false,
  options: { preset: 'reconstruction' },
};

/** Clouds around ten places, as a classifier is to tell apart. */
export const classifier: SmallTask = {
  name: 'classifier',
  widths: [20, 32, 10],
  data: (samples, seed) => {
    const [places, noise] = [randomNumbers(10 * 20, 11), randomNumbers(samples * 20, seed)];
    const classOf = (sample: number) => (7 * sample + seed) % 10;
    const inputs = Float32Array.from({ length: samples * 20 }, (_, at) => {
      return (places[classOf(Math.floor(at / 20)) * 20 + (at % 20)] ?? 0) + 2 * (noise[at] ?? 0);
    });
    const targets = new Float32Array(samples * 10);
    for (let sample = 0; sample < samples; sample++) targets[sample * 10 + classOf(sample)] = 1;
    return { inputs, targets };
  },
  softmax: true,
  options: { preset: 'image-classifier' },
};

/** out ← rows · kernel + bias, the kernel outFeatures × inFeatures. */
function forward(rows: Float32Array, kernel: Float32Array, bias: Float32Array): Float32Array {
  const [inputs, outputs] = [kernel.length / bias.length, bias.length];
  const out = new Float32Array((rows.length / inputs) * outputs);
  for (let at = 0; at < out.length; at++) {
    const [row, o] = [Math.floor(at / outputs) * inputs, (at % outputs) * inputs];
    let sum = bias[at % outputs] ?? 0;
    for (let i = 0; i < inputs; i++) sum += (rows[row + i] ?? 0) * (kernel[o + i] ?? 0);
    out[at] = sum;
  }
  return out;
}

/** What gradients of a layer's outputs are for what went into it, through a tanh. */
function backward(grads: Float32Array, kernel: Float32Array, rows: Float32Array, outputs: number): Float32Array {
  const inputs = kernel.length / outputs;
  return rows.map((value, at) => {
    const [row, i] = [Math.floor(at / inputs) * outputs, at % inputs];
    let sum = 0;
    for (let o = 0; o < outputs; o++) sum += (grads[row + o] ?? 0) * (kernel[o * inputs + i] ?? 0);
    return sum * (1 - value * value);
  });
}

/** Probabilities of outputs, and the mean loss of targets. */
function headOf({ softmax, widths }: SmallTask, logits: Float32Array, targets: Float32Array) {
  const width = widths[widths.length - 1] ?? 1;
  const probabilities = logits.map((z, at) => {
    if (!softmax) return sigmoid(z);
    const row = logits.subarray(at - (at % width), at - (at % width) + width);
    const most = Math.max(...row);
    return Math.exp(z - most) / row.reduce((sum, other) => sum + Math.exp(other - most), 0);
  });
  let [loss, floor] = [0, 0];
  const entropy = (y: number, p: number) => (y > 0 ? -y * Math.log(Math.max(p, 1e-7)) : 0);
  probabilities.forEach((p, at) => {
    const y = targets[at] ?? 0;
    loss += entropy(y, p) + (softmax ? 0 : entropy(1 - y, 1 - p));
    floor += entropy(y, y) + (softmax ? 0 : entropy(1 - y, 1 - y));
  });
  const samples = logits.length / width;
  return { probabilities, loss: loss / samples, lossFloor: floor / samples };
}

/** Targets that are drawn from what the network says. */
function drawn({ softmax, widths }: SmallTask, probabilities: Float32Array, next: () => number): Float32Array {
  const width = widths[widths.length - 1] ?? 1;
  if (!softmax) return probabilities.map((p) => (next() < p ? 1 : 0));
  const targets = new Float32Array(probabilities.length);
  for (let row = 0; row < targets.length; row += width) {
    let left = next();
    let choice = 0;
    while (choice < width - 1 && left >= (probabilities[row + choice] ?? 0)) left -= probabilities[row + choice++] ?? 0;
    targets[row + choice] = 1;
  }
  return targets;
}

/** Trains on a rank's share of batches of 64, and tells the loss of all of them at each step. */
export async function lossesOf(
  task: SmallTask,
  steps: number,
  communicator: Communicator,
  options: Partial<PreconditionerOptions>,
): Promise<number[]> {
  const { widths } = task;
  const preconditioner = new Preconditioner({ lossReduction: 'sum', ...task.options, ...options, communicator });
  const layers = widths.slice(1).map((outFeatures, index) => {
    const inFeatures = widths[index] ?? 1;
    const scale = Math.sqrt(3 / inFeatures);
    const kernel = randomNumbers(inFeatures * outFeatures, 31 + index).map((x) => scale * x);
    const weights = { kernel, bias: new Float32Array(outFeatures) };
    preconditioner.registerDense(`layer ${index}`, { inFeatures, outFeatures, weights });
    return { name: `layer ${index}`, outFeatures, ...weights };
  });
  const batch = 64 / communicator.size;
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const { inputs, targets } = task.data(batch, 1 + step * communicator.size + communicator.rank);
    const rows = [inputs];
    for (const [index, { kernel, bias }] of layers.entries()) {
      const out = forward(rows[index] as Float32Array, kernel, bias);
      rows.push(index < layers.length - 1 ? out.map(Math.tanh) : out);
    }
    const head = headOf(task, rows[layers.length] as Float32Array, targets);
    const random = preconditioner.uniforms();
    const sampled = drawn(task, head.probabilities, random);
    let grads: Float32Array[] = [targets, sampled].map((y) => head.probabilities.map((p, at) => p - (y[at] ?? 0)));
    for (let index = layers.length - 1; index >= 0; index--) {
      const { name, kernel, outFeatures } = layers[index] as (typeof layers)[number];
      const [lossGrads, outputGrads] = grads as [Float32Array, Float32Array];
      const own = rows[index] as Float32Array;
      preconditioner.record(name, { inputs: own, lossGrads, batch });
      preconditioner.recordFisher(name, { outputGrads, batch });
      grads = grads.map((each) => backward(each, kernel, own, outFeatures));
    }
    const { summary } = await preconditioner.naturalGradients({ loss: head.loss, lossFloor: head.lossFloor });
    losses.push(summary.loss ?? Number.NaN);
  }
  return losses;
}
