/** Steps of Adam with the kernels of the package, and without them. */
import { info } from 'cgfac';
import type { InstalledKernels } from 'cgfac/tfjs';
import { median } from '../../harness/measure';
import type { BenchRow } from '../../harness/rows';
import type { Progress } from '../../harness/suite';
import { programs } from '../training/programs/list';
import type { Program } from '../training/programs/making';
import { type Trainable, trainable } from '../training/trainable';
import type { Tools } from '../training/training';

/** What users without the package train such a program on: the wasm backend has no gradient of a convolution. */
const COMPARED = [
  { name: 'deep-autoencoder', beside: 'wasm' },
  { name: 'convnet', beside: 'cpu' },
] as const;

const RATE = 1e-3;
/** Steps with the kernels before any is timed; of the others, which take longer, one is enough. */
const WARM = 5;
/** A step of a convnet takes most of a minute on the cpu backend. */
const LEAST = 2;
const MOST = 40;

/** One of the two that take turns. */
interface Side {
  readonly ready: Trainable;
  /** Whatever has to be in place before a step; not timed. */
  readonly before: () => Promise<unknown>;
  readonly times: number[];
}

async function step({ ready, before, times }: Side, which: number): Promise<number> {
  await before();
  const begin = performance.now();
  await ready.step(which % ready.data.batches.length);
  const ms = performance.now() - begin;
  times.push(ms);
  return ms;
}

/** TensorFlow.js without the kernels, and what installs them. */
type Parts = Pick<Tools, 'tf' | 'tfl'> & Pick<typeof import('cgfac/tfjs'), 'installKernels'>;

/** Steps of a program with `installKernels`, each beside one without, on the backend `beside`. */
async function stepsBeside(
  { tf, tfl, installKernels }: Parts,
  { name, beside }: (typeof COMPARED)[number],
  budget: number,
  progress: Progress,
): Promise<BenchRow | undefined> {
  const program: Program | undefined = programs.find((each) => each.name === name);
  if (program === undefined) throw new RangeError(`Expected a program but received '${name}'`);
  const why = program.unavailable?.();
  if (why !== undefined) {
    progress.say(`${name} is left out: ${why}`);
    return undefined;
  }
  progress.next(`${name} beside the backend ${beside}`);
  const installed: { kernels?: InstalledKernels } = {};
  const made = () => trainable({ tf, tfl, seed: 1, batchFactor: 1 }, program, tf.train.adam(RATE), 1);
  const own: Side = {
    ready: made(),
    before: async () => {
      await tf.setBackend('wasm');
      installed.kernels = installKernels(tf);
    },
    times: [],
  };
  const stock: Side = {
    ready: made(),
    before: async () => {
      installed.kernels?.uninstall();
      await tf.setBackend(beside);
    },
    times: [],
  };
  try {
    const ratios: number[] = [];
    const round = async (which: number) => {
      const first = await step(own, which);
      ratios.push((await step(stock, which)) / first);
      progress.tick();
    };
    for (let which = 1; which < WARM; which++) await step(own, which);
    await round(WARM);
    const took = (own.times.at(-1) ?? 0) + (stock.times.at(-1) ?? 0);
    const rounds = Math.max(LEAST, Math.min(MOST, Math.round(budget / took)));
    for (const list of [own.times, stock.times, ratios]) list.length = 0;
    for (let which = 0; which < rounds; which++) await round(WARM + 1 + which);
    const batch = own.ready.data.batches[0]?.[0].shape[0] ?? 0;
    const paired = { ratio: median(ratios), ratioMin: Math.min(...ratios) };
    const times = { floorMs: median(own.times), ms: median(stock.times), ...paired };
    const method = `adam, ${beside}`;
    return { suite: 'kernels', layer: name, batch, method, threads: info().threads, ...times, figures: { rounds } };
  } finally {
    for (const { before, ready } of [stock, own]) {
      await before();
      ready.dispose();
    }
    installed.kernels?.uninstall();
  }
}

/** Steps of programs with `installKernels` as ratios to the same without. */
export async function programsBeside(parts: Parts, budget: number, progress: Progress): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const program of COMPARED) {
    const row = await stepsBeside(parts, program, budget, progress);
    if (row) rows.push(row);
  }
  return rows;
}
