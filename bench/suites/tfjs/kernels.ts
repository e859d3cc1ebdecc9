import { info } from 'cgfac';
import type { InstalledKernels } from 'cgfac/tfjs';
import { type PairedTiming, pairedTimings, type Turn } from '../../harness/measure';
import type { BenchRow } from '../../harness/rows';
import { type Suite, type SuiteContext, usualBudget } from '../../harness/suite';
import { programsBeside } from './kernel-steps';

// Loaded by the run alone: the other suites have no use for it.
type Tfjs = typeof import('@tensorflow/tfjs-core');
type Tensor = import('@tensorflow/tfjs-core').Tensor;
type Variable = import('@tensorflow/tfjs-core').Variable;
type Scalar = import('@tensorflow/tfjs-core').Scalar;

const batch = 256;
const widths = [784, 1000, 500, 250, 30, 250, 500, 1000, 784];
const layers = widths.slice(1).map((outFeatures, index): [number, number] => [widths[index] ?? 0, outFeatures]);
/** Layers whose three products are measured: the largest one, and the smallest. */
const measuredLayers: readonly [number, number][] = [
  [784, 1000],
  [250, 30],
];

async function load() {
  const tf = await import('@tensorflow/tfjs-core');
  const tfl = await import('@tensorflow/tfjs-layers'); // registers the gradients, too
  await import('@tensorflow/tfjs-backend-cpu');
  await import('@tensorflow/tfjs-backend-wasm');
  const { installKernels } = await import('cgfac/tfjs');
  await tf.setBackend('wasm');
  await tf.ready();
  return { tf, tfl, installKernels };
}

/** The deep autoencoder: tanh in every layer but the last, sigmoid cross-entropy with its own input. */
function autoencoder(tf: Tfjs) {
  const x = tf.randomUniform([batch, 784], 0, 1, 'float32', 1);
  const kernels = layers.map(([n, m], index) =>
    tf.tidy(() => tf.variable(tf.randomNormal([n, m], 0, Math.sqrt(2 / (n + m)), 'float32', 2 + index))),
  );
  const biases = layers.map(([, m]) => tf.tidy(() => tf.variable(tf.zeros([m]))));
  const logits = (): Tensor =>
    kernels.reduce((input: Tensor, kernel, index) => {
      const z = tf.add(tf.matMul(input, kernel), biases[index] as Variable);
      return index === kernels.length - 1 ? z : tf.tanh(z);
    }, x);
  const loss = () => tf.losses.sigmoidCrossEntropy(x, logits()) as Scalar;
  return { loss, variables: [...kernels, ...biases] };
}

type Model = ReturnType<typeof autoencoder>;

/** ‖g − g_cpu‖ / ‖g_cpu‖ over all variables. */
async function gradientError(tf: Tfjs, { loss, variables }: Model): Promise<number> {
  const gradients = async () => {
    const { value, grads } = tf.variableGrads(loss, variables);
    const arrays = await Promise.all(variables.map((variable) => (grads[variable.name] as Tensor).data()));
    tf.dispose([value, grads]);
    return arrays.map((array) => Float64Array.from(array));
  };
  const own = await gradients();
  await tf.setBackend('cpu');
  const reference = await gradients();
  await tf.setBackend('wasm');
  let [difference, size] = [0, 0];
  reference.forEach((array, which) => {
    array.forEach((value, at) => {
      difference += ((own[which]?.[at] ?? Number.NaN) - value) ** 2;
      size += value ** 2;
    });
  });
  return Math.sqrt(difference / size);
}

function row(layer: string, method: string, timing: PairedTiming, figures: Record<string, number>): BenchRow {
  const { referenceMs: floorMs, ms, ratio, ratioMin } = timing;
  return { suite: 'kernels', layer, batch, method, threads: info().threads, floorMs, ms, ratio, ratioMin, figures };
}

async function measured({ budget, progress }: SuiteContext): Promise<BenchRow[]> {
  const { warn } = console;
  console.warn = () => {}; // TensorFlow.js's advertisement
  const { tf, tfl, installKernels } = await load();
  let installed: InstalledKernels | undefined;
  const beforeReference = () => {
    installed = installKernels(tf);
  };
  const beforeCall = () => installed?.uninstall();
  const timed = (call: Turn, leastMs = 1): PairedTiming => {
    const [timing] = pairedTimings(call, [call], budget, {
      onTurn: progress.tick,
      beforeReference,
      beforeCall,
      leastMs,
    });
    if (!timing) throw new RangeError('nothing was timed');
    return timing;
  };
  const product = (layer: string, method: string, flops: number, call: () => Tensor): BenchRow => {
    progress.next(`${layer} ${method}`);
    const timing = timed(() => call().dispose(), 2);
    return row(layer, method, timing, {
      gflops: flops / timing.referenceMs / 1e6,
      stockGflops: flops / timing.ms / 1e6,
    });
  };
  const productsOf = ([n, m]: [number, number]): BenchRow[] => {
    const [x, w, dy] = [tf.randomNormal([batch, n]), tf.randomNormal([n, m]), tf.randomNormal([batch, m])];
    const [layer, flops] = [`${m}x${n}`, 2 * batch * n * m];
    const rows = [
      product(layer, 'x W', flops, () => tf.matMul(x, w)),
      product(layer, 'dy Wᵀ', flops, () => tf.matMul(dy, w, false, true)),
      product(layer, 'xᵀ dy', flops, () => tf.matMul(x, dy, true)),
    ];
    tf.dispose([x, w, dy]);
    return rows;
  };

  try {
    const products = measuredLayers.flatMap(productsOf);
    const model = autoencoder(tf);
    const optimizer = tf.train.adam(1e-3);
    progress.next('gradients against the cpu backend');
    beforeReference();
    const error = await gradientError(tf, model);
    progress.next('steps of Adam');
    const step = timed(() => {
      optimizer.minimize(model.loss, false, model.variables);
    });
    installed?.uninstall();
    const own = row(widths.join('-'), 'adam', step, { gradientError: error });
    return [...products, own, ...(await programsBeside({ tf, tfl, installKernels }, budget, progress))];
  } finally {
    console.warn = warn;
    installed?.uninstall();
  }
}

/** The matrix products of `installKernels` against those of the wasm backend. */
export const kernels: Suite = {
  name: 'kernels',
  summary:
    'products of the TensorFlow.js wasm backend, and steps of Adam: with the stock kernels (ms) as a ratio to the ' +
    'same with installKernels (floor ms); "adam, cpu": without them, on the cpu backend, for the stock wasm ' +
    'backend cannot train. ' +
    "gradientError: relative to the cpu backend's gradients",
  budget: usualBudget,
  run: measured,
};
