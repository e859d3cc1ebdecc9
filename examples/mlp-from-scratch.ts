/**
 * A classifier of handwritten digits without a framework: the forward and the backward pass are plain loops over typed
 * arrays, the steps are those of `Preconditioner`. `node dist/examples/mlp-from-scratch.js`, or with `--help` for the
 * options.
 */
import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { Preconditioner } from 'cgfac';
import { Command, Option } from 'commander';
import { BATCH, HELD_OUT_DIGITS, loadDigits } from '../datasets/digits';
import { PIXELS } from '../datasets/pictures';
import { integer, runInterruptibly, seedOption } from './shared/command-line';
import { startProgress } from './shared/progress';

/** The classes of the digits: 0 to 9. */
export const CLASSES = 10;
const WIDTHS = [PIXELS, 500, 300, CLASSES];
const TRAINING_BATCHES = 35;
const EVALUATION_STEPS = 5;

/** y = relu(W x + b), of the last layer without relu; the kernel is (outFeatures × inFeatures), row-major. */
export interface Layer {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly weights: { readonly kernel: Float32Array; readonly bias: Float32Array };
}

/** Uniform numbers in [0, 1) that depend on the seed alone (mulberry32, T. Ettinger, 2017). */
function uniformNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Layers between the given widths: kernels uniform in ±√(6/(n + m)) (Glorot and Bengio, 2010), biases zero. */
export function createLayers(widths: readonly number[], seed: number): Layer[] {
  const uniform = uniformNumbers(seed);
  return widths.slice(1).map((outFeatures, l) => {
    const inFeatures = widths[l] ?? 0;
    const bound = Math.sqrt(6 / (inFeatures + outFeatures));
    const kernel = Float32Array.from({ length: outFeatures * inFeatures }, () => bound * (2 * uniform() - 1));
    return { name: `dense${l + 1}`, inFeatures, outFeatures, weights: { kernel, bias: new Float32Array(outFeatures) } };
  });
}

// --- The network ---------------------------------------------------------------------------------------------

/** z = a Wᵀ + b, four rows of a at a time: each row of W is read once for the four. */
function affine(
  a: Float32Array,
  rows: number,
  { inFeatures: n, outFeatures: m, weights: { kernel, bias } }: Layer,
): Float32Array {
  const z = new Float32Array(rows * m);
  for (let i = 0; i < rows; i += 4) {
    // where fewer than four rows are left, the last one is computed again
    const [i1, i2, i3] = [Math.min(i + 1, rows - 1), Math.min(i + 2, rows - 1), Math.min(i + 3, rows - 1)];
    for (let j = 0; j < m; j++) {
      const offset = bias[j] ?? 0;
      let [z0, z1, z2, z3] = [offset, offset, offset, offset];
      for (let k = 0; k < n; k++) {
        const w = kernel[j * n + k] ?? 0;
        z0 += w * (a[i * n + k] ?? 0);
        z1 += w * (a[i1 * n + k] ?? 0);
        z2 += w * (a[i2 * n + k] ?? 0);
        z3 += w * (a[i3 * n + k] ?? 0);
      }
      z[i * m + j] = z0;
      z[i1 * m + j] = z1;
      z[i2 * m + j] = z2;
      z[i3 * m + j] = z3;
    }
  }
  return z;
}

/** g W, a multiple of a row of W at a time; what relu has set to zero costs nothing. */
function backThrough(
  g: Float32Array,
  rows: number,
  { inFeatures: n, outFeatures: m, weights: { kernel } }: Layer,
): Float32Array {
  const d = new Float32Array(rows * n);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < m; j++) {
      const factor = g[i * m + j] ?? 0;
      if (factor === 0) continue;
      for (let k = 0; k < n; k++) d[i * n + k] = (d[i * n + k] ?? 0) + factor * (kernel[j * n + k] ?? 0);
    }
  }
  return d;
}

/** The inputs of every layer and the logits, (rows × features) each. */
export function forward(
  layers: readonly Layer[],
  x: Float32Array,
  rows: number,
): { inputs: Float32Array[]; logits: Float32Array } {
  const inputs: Float32Array[] = [];
  let a = x;
  layers.forEach((layer, l) => {
    inputs.push(a);
    a = affine(a, rows, layer);
    if (l < layers.length - 1) a = a.map((z) => Math.max(z, 0));
  });
  return { inputs, logits: a };
}

/** The gradients with respect to every layer's pre-activations, from those of the logits of the first `rows` rows. */
export function backward(
  layers: readonly Layer[],
  inputs: readonly Float32Array[],
  errors: Float32Array,
  rows: number,
): Float32Array[] {
  const gradients = [errors];
  for (let l = layers.length - 1; l > 0; l--) {
    const [layer, a, g] = [layers[l], inputs[l], gradients[0]];
    if (layer && a && g)
      gradients.unshift(backThrough(g, rows, layer).map((d, index) => ((a[index] ?? 0) > 0 ? d : 0)));
  }
  return gradients;
}

// --- Softmax and cross-entropy -------------------------------------------------------------------------------

/** p = exp(z)/Σ exp(z) of each row. */
export function softmax(logits: Float32Array): Float32Array {
  const p = new Float32Array(logits.length);
  for (let start = 0; start < logits.length; start += CLASSES) {
    const row = logits.subarray(start, start + CLASSES);
    const largest = Math.max(...row);
    const total = row.reduce((sum, z) => sum + Math.exp(z - largest), 0);
    p.set(
      row.map((z) => Math.exp(z - largest) / total),
      start,
    );
  }
  return p;
}

/** The mean of −log p of the labels over the rows. */
export function crossEntropy(p: Float32Array, labels: Uint8Array): number {
  return (
    labels.reduce((sum, label, i) => sum - Math.log(Math.max(p[i * CLASSES + label] ?? 0, 1e-38)), 0) / labels.length
  );
}

/**
 * The gradient of the mean cross-entropy with respect to the logits of the labelled rows, which are the first: (p −
 * y)/rows.
 */
export function errorsOf(p: Float32Array, labels: Uint8Array): Float32Array {
  const errors = p.slice(0, labels.length * CLASSES);
  for (const [i, label] of labels.entries()) errors[i * CLASSES + label] = (errors[i * CLASSES + label] ?? 0) - 1;
  return errors.map((error) => error / labels.length);
}

/** A label for each of the first `rows` rows, drawn from the model's own distribution. */
function sampleLabels(p: Float32Array, rows: number, uniform: () => number): Uint8Array {
  return Uint8Array.from({ length: rows }, (_, i) => {
    let rest = uniform();
    const label = p.subarray(i * CLASSES, (i + 1) * CLASSES).findIndex((share) => {
      rest -= share;
      return rest < 0;
    });
    return label < 0 ? CLASSES - 1 : label; // in float32 the shares do not sum to 1 exactly
  });
}

// --- Training ------------------------------------------------------------------------------------------------

/** A preconditioner that updates the layers in place. */
export function precondition(layers: readonly Layer[], seed: number): Preconditioner {
  const preconditioner = new Preconditioner({ preset: 'safe', lossReduction: 'mean', seed });
  for (const { name, ...layer } of layers) preconditioner.registerDense(name, layer);
  return preconditioner;
}

/** One step on a batch. @returns The loss before it. */
export function trainStep(
  layers: readonly Layer[],
  preconditioner: Preconditioner,
  x: Float32Array,
  labels: Uint8Array,
): number {
  const batch = labels.length;
  const { inputs, logits } = forward(layers, x, batch);
  const p = softmax(logits);
  const lossGrads = backward(layers, inputs, errorsOf(p, labels), batch);
  layers.forEach(({ name }, l) => {
    preconditioner.record(name, { inputs: inputs[l] ?? x, lossGrads: lossGrads[l] ?? logits, batch });
  });
  if (preconditioner.refreshDue) {
    const sampled = Math.ceil(preconditioner.fisherFraction * batch);
    const sampledLabels = sampleLabels(p, sampled, preconditioner.uniforms());
    const outputGrads = backward(layers, inputs, errorsOf(p, sampledLabels), sampled);
    layers.forEach(({ name }, l) => {
      preconditioner.recordFisher(name, { outputGrads: outputGrads[l] ?? logits, batch: sampled });
    });
  }
  const loss = crossEntropy(p, labels);
  preconditioner.naturalGradientsSync({ loss });
  return loss;
}

/** Mean cross-entropy and share of the labels that are the likeliest class. */
export function evaluate(
  layers: readonly Layer[],
  x: Float32Array,
  labels: Uint8Array,
): { loss: number; accuracy: number } {
  const p = softmax(forward(layers, x, labels.length).logits);
  const likeliest = (i: number) => {
    const row = p.subarray(i * CLASSES, (i + 1) * CLASSES);
    return row.indexOf(Math.max(...row));
  };
  return {
    loss: crossEntropy(p, labels),
    accuracy: labels.reduce((count, label, i) => count + Number(likeliest(i) === label), 0) / labels.length,
  };
}

async function main(signal: AbortSignal): Promise<void> {
  const { steps, seed } = new Command('mlp-from-scratch')
    .description(
      'Trains a classifier (784-500-300-10, relu) of handwritten digits ' +
        'with forward and backward passes in plain JavaScript.',
    )
    .addOption(
      new Option('--steps <n>', 'training steps, one batch of 256 digits each')
        .default(50)
        .argParser(integer(1, 1_000_000)),
    )
    .addOption(seedOption('the initial weights and of sampling'))
    .parse()
    .opts<{ steps: number; seed: number }>();
  const { training, heldOut } = loadDigits();
  const { pixels, labels } = training;
  const held = [heldOut.pixels, heldOut.labels] as const;
  const layers = createLayers(WIDTHS, seed);
  const preconditioner = precondition(layers, seed);
  console.log(
    `Classifier ${WIDTHS.join('-')}, ${steps} steps of ${BATCH} digits, seed ${seed}; ` +
      `on ${HELD_OUT_DIGITS} held-out digits, averaged weights:`,
  );

  const progress = startProgress('train', steps);
  let milliseconds = 0;
  try {
    for (let step = 1; step <= steps; step++) {
      const first = ((step - 1) % TRAINING_BATCHES) * BATCH;
      const before = performance.now();
      const loss = trainStep(
        layers,
        preconditioner,
        pixels.subarray(first * PIXELS, (first + BATCH) * PIXELS),
        labels.subarray(first, first + BATCH),
      );
      milliseconds += performance.now() - before;
      progress.update(step, loss, milliseconds / step);
      // A step is one block of computation: give the display and Ctrl-C their turn.
      await setImmediate();
      signal.throwIfAborted();
      if (step % EVALUATION_STEPS !== 0 && step !== steps) continue;
      const found = await preconditioner.withAveragedWeights(() => evaluate(layers, ...held));
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[K'); // the bar's line, which is drawn anew below
      console.log(
        `step ${String(step).padStart(4)}  loss ${found.loss.toFixed(4)}  ` +
          `accuracy ${(100 * found.accuracy).toFixed(1)} %  ` +
          `${(milliseconds / 1000).toFixed(1)} s of training`,
      );
    }
  } finally {
    progress.stop();
  }
}

if (require.main === module) runInterruptibly(main);
