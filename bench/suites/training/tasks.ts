import { CgfacError, info, type PreconditionerOptions } from 'cgfac';
import { median } from '../../harness/measure';
import type { BenchRow } from '../../harness/rows';
import type { Suite, SuiteContext } from '../../harness/suite';
import { tasks as known, type Task } from './classification';
import { Network } from './network';
import { trainerOf } from './trainers';

// Loaded by the run alone: the other suites have no use for it.
type Tfjs = typeof import('@tensorflow/tfjs-core');

const BATCH = 256;
const RATES = [1e-3, 3e-3, 1e-2];

/** Who trains: a preconditioner by its options, or Adam by its learning rate. */
const contenders: Readonly<Record<string, Partial<PreconditionerOptions> | number>> = {
  safe: {},
  'image-classifier': { preset: 'image-classifier' },
  ...Object.fromEntries(RATES.map((rate) => [`adam ${rate}`, rate])),
};

async function trained(tf: Tfjs, task: Task, name: string, tick: () => void): Promise<BenchRow> {
  const contender = contenders[name] ?? {};
  const network = new Network(tf, task);
  const trainer = trainerOf(network, contender);
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

/** Presets against Adam on tasks that differ in what is hard about them. */
export const tasks: Suite = {
  name: 'tasks',
  summary:
    'held-out cross-entropy, in nats, with averaged weights, after so many steps of 256: ' +
    'a tanh network of ten layers, a recurrent one over the rows of digits, digits with 30 % random labels, ' +
    'a Markov source (entropy: the floor of its loss). ' +
    'ms: median step of Preconditioner with rows read back from TensorFlow.js, and of Adam',
  methods: Object.keys(contenders),
  run: measured,
};
