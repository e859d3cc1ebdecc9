import { CgfacError, info } from 'cgfac';
import type { CgfacOptimizer, RecipeOptions } from 'cgfac/tfjs';
import { median } from '../../harness/measure';
import type { BenchRow } from '../../harness/rows';
import type { Suite, SuiteContext } from '../../harness/suite';

// Loaded by the run alone: the other suites have no use for it.
type Tfjs = typeof import('@tensorflow/tfjs-core');
type Layers = typeof import('@tensorflow/tfjs-layers');
type Own = typeof import('cgfac/tfjs');
type Tensor = import('@tensorflow/tfjs-core').Tensor;
type Tensor2D = import('@tensorflow/tfjs-core').Tensor2D;
type Scalar = import('@tensorflow/tfjs-core').Scalar;
type Optimizer = import('@tensorflow/tfjs-core').Optimizer;

const pixelsPerImage = 784;
const widths = [1000, 500, 250, 30, 250, 500, 1000, pixelsPerImage];
const code = 3;
const network = [pixelsPerImage, ...widths].join('-');
const usualBatch = 256;
const steps = 50;
const seed = 1;
/** Adam's learning rate, and the share of its loss that no variation is to exceed. */
const adamRate = 1e-3;
const allowed = 0.5;

interface Variation {
  readonly name: string;
  readonly options?: RecipeOptions;
  readonly batch?: number;
  /** What the loss is multiplied by. */
  readonly scale?: number;
}

/**
 * One change each of what the preset 'reconstruction' has: ρ 0.3, φ 0.5, μ 0.5, T 2, targets sampled for half of the
 * batch.
 */
const variations: readonly Variation[] = [
  { name: 'default' },
  { name: 'rho=0.1', options: { damping: { relative: 0.1 } } },
  { name: 'rho=0.9', options: { damping: { relative: 0.9 } } },
  { name: 'phi=1/6', options: { polyakFraction: 1 / 6 } },
  { name: 'phi=1.5', options: { polyakFraction: 1.5 } },
  { name: 'T=1', options: { factorUpdateSteps: 1 } },
  { name: 'T=6', options: { factorUpdateSteps: 6 } },
  { name: 'fisher=1/6', options: { fisherFraction: 1 / 6 } },
  { name: 'fisher=1', options: { fisherFraction: 1 } },
  { name: 'momentum=0', options: { momentum: 0 } },
  { name: 'momentum=0.8', options: { momentum: 0.8 } },
  { name: 'batch=85', batch: 85 },
  { name: 'batch=768', batch: 768 },
  { name: 'loss=1e-3', scale: 1e-3 },
  { name: 'loss=10', scale: 10 },
];

interface Digits {
  readonly pixels: Float32Array;
}

/**
 * The digits of the examples, which are another project of TypeScript: compiled beside this one, and found when it
 * runs.
 */
function loadImages(): { readonly training: Digits; readonly heldOut: Digits } {
  const { loadDigits } = require('../../../datasets/digits') as { loadDigits: () => ReturnType<typeof loadImages> };
  return loadDigits();
}

async function load(): Promise<{ tf: Tfjs; tfl: Layers; own: Own }> {
  const tf = await import('@tensorflow/tfjs-core');
  const tfl = await import('@tensorflow/tfjs-layers');
  await import('@tensorflow/tfjs-backend-wasm');
  const own = await import('cgfac/tfjs');
  await tf.setBackend('wasm');
  await tf.ready();
  return { tf, tfl, own };
}

interface Trained {
  /** The loss of each step's batch before it, in nats per image. */
  readonly losses: readonly number[];
  /** The held-out loss after the last step, in nats per image; NaN of a run that diverged. */
  readonly nats: number;
  /** The same with averaged weights. */
  readonly averaged?: number;
  /** Median milliseconds of a step. */
  readonly ms: number;
  /** Steps that were as long as they may be, 1, and steps that were skipped. */
  readonly atCap: number;
  readonly skipped: number;
}

class Bench {
  readonly #digits = loadImages();

  constructor(
    readonly tf: Tfjs,
    readonly tfl: Layers,
    readonly tick: () => void,
  ) {}

  /** Some of the images, all of them by default. */
  #images({ pixels }: Digits, first = 0, count = pixels.length / pixelsPerImage): Tensor2D {
    return this.tf.tensor2d(pixels.subarray(first * pixelsPerImage, (first + count) * pixelsPerImage), [
      count,
      pixelsPerImage,
    ]);
  }

  #model(optimizer: Optimizer, scale: number) {
    const { tf, tfl } = this;
    const model = tfl.sequential();
    widths.forEach((units, i) => {
      const activation = i === widths.length - 1 ? 'sigmoid' : i === code ? 'linear' : 'tanh';
      const kernelInitializer = tfl.initializers.glorotUniform({ seed: seed * widths.length + i });
      model.add(
        tfl.layers.dense({
          units,
          activation,
          kernelInitializer,
          ...(i === 0 ? { inputShape: [pixelsPerImage] } : {}),
        }),
      );
    });
    const scaled = (y: Tensor, p: Tensor) => tf.mul(tfl.metrics.binaryCrossentropy(y, p), scale);
    model.compile({ optimizer, loss: scale === 1 ? 'binaryCrossentropy' : scaled });
    return model;
  }

  /** Trains from the same weights; `own` is the optimizer where it keeps averages and a report of its steps. */
  async train(
    optimizer: Optimizer,
    own: CgfacOptimizer | undefined,
    { batch = usualBatch, scale = 1 }: Partial<Variation>,
  ): Promise<Trained> {
    const model = this.#model(optimizer, scale);
    const { training, heldOut } = this.#digits;
    const held = this.#images(heldOut);
    const natsOf = (loss: number) => (loss * pixelsPerImage) / scale;
    const evaluate = async () => {
      const loss = model.evaluate(held, held, { batchSize: held.shape[0] }) as Scalar;
      const [value = Number.NaN] = await loss.data();
      loss.dispose();
      return natsOf(value);
    };
    const batches = Math.floor(training.pixels.length / pixelsPerImage / batch);
    const losses: number[] = [];
    const times: number[] = [];
    let atCap = 0;
    const trained = () => ({
      losses,
      ms: median(times),
      atCap,
      skipped: own?.lastStep?.summary?.skippedSteps.total ?? 0,
    });
    try {
      for (let step = 0; step < steps; step++) {
        const images = this.#images(training, (step % batches) * batch, batch);
        const begin = performance.now();
        losses.push(natsOf((await model.trainOnBatch(images, images)) as number));
        times.push(performance.now() - begin);
        images.dispose();
        if (own?.lastStep?.summary?.stepSize === 1) atCap++;
        this.tick();
      }
      const nats = await evaluate();
      return { ...trained(), nats, ...(own && { averaged: await own.withAveragedWeights(evaluate) }) };
    } catch (error) {
      if (!(error instanceof CgfacError) || error.code !== 'ERR_CGFAC_DIVERGED') throw error;
      return { ...trained(), nats: Number.NaN };
    } finally {
      held.dispose();
      model.dispose();
      optimizer.dispose();
    }
  }
}

/** The largest difference between two courses of the loss, relative to the first. */
function drift(reference: readonly number[], losses: readonly number[]): number {
  return Math.max(...reference.map((loss, step) => Math.abs((losses[step] ?? Number.NaN) / loss - 1)));
}

function rowOf(
  method: string,
  batch: number,
  { nats, averaged, ms, atCap, skipped }: Trained,
  more: BenchRow['figures'],
): BenchRow {
  const figures = { nats, ...(averaged === undefined ? {} : { averaged, atCap, skipped }), ...more };
  return { suite: 'robustness', layer: network, batch, method, threads: info().threads, ms, figures };
}

/** A line for a row that is there, before the table of them all. */
function announce({ method, ms = Number.NaN, figures = {} }: BenchRow): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K'); // the counter's line, which is drawn anew
  const shown = Object.entries(figures).map(
    ([name, value]) => `${name} ${typeof value === 'number' ? value.toPrecision(3) : value}`,
  );
  console.log(`${method.padEnd(14)}${ms.toFixed(0).padStart(5)} ms/step  ${shown.join('  ')}`);
}

async function measured({ methods, progress }: SuiteContext): Promise<BenchRow[]> {
  const { tf, tfl, own } = await load();
  const kernels = own.installKernels(tf);
  const bench = new Bench(tf, tfl, progress.tick);
  const rows: BenchRow[] = [];
  const add = (row: BenchRow) => {
    rows.push(row);
    announce(row);
  };
  try {
    progress.next('adam');
    const adam = await bench.train(tf.train.adam(adamRate), undefined, {});
    add(rowOf('adam', usualBatch, adam, {}));
    let reference: Trained | undefined;
    for (const variation of variations.filter(({ name }) => methods.includes(name))) {
      progress.next(variation.name);
      const optimizer = own.cgfac({ seed, ...variation.options });
      const trained = await bench.train(optimizer, optimizer, variation);
      if (variation.name === 'default') reference = trained;
      const ofAdam = trained.nats / adam.nats;
      const held = ofAdam <= allowed ? 'yes' : 'NO';
      const scaled =
        reference && variation.scale !== undefined ? { drift: drift(reference.losses, trained.losses) } : {};
      add(rowOf(variation.name, variation.batch ?? usualBatch, trained, { ofAdam, belowHalf: held, ...scaled }));
    }
    console.log('');
    return rows;
  } finally {
    kernels.uninstall();
  }
}

/** The default recipe with one thing changed at a time, against Adam. */
export const robustness: Suite = {
  name: 'robustness',
  summary:
    `held-out loss, in nats per image, of the deep autoencoder after ${steps} steps on the digits, ` +
    `with one thing changed at a time; whether it is below ${allowed} × that of Adam(${adamRate}) there. ` +
    'averaged: with averaged weights; atCap: steps of length 1; drift: the largest relative ' +
    'difference of the loss at a step to that of default, once divided by what it was multiplied by',
  methods: variations.map(({ name }) => name),
  run: measured,
};
