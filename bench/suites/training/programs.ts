import type { Optimizer, Tensor } from '@tensorflow/tfjs-core';
import { CgfacError, info } from 'cgfac';
import type { BenchRow } from '../../harness/rows';
import type { Suite, SuiteContext } from '../../harness/suite';
import { programs as known, lossOf, type Made, type Making, type Program } from './programs-list';

/** Steps whose losses are told. */
const TOLD = [10, 25, 50, 100];
const STEPS = 100;
const SEEDS = [1, 2, 3];
const RATES = [1e-3, 3e-3, 1e-2];

type Make = (tf: Making['tf'], cgfac: typeof import('cgfac/tfjs').cgfac) => Optimizer;

/** Who trains: cgfac() without options, the paper's algorithm, and Adam at each rate. */
const contenders: Readonly<Record<string, Make>> = {
  cgfac: (_, cgfac) => cgfac({ seed: 1 }),
  cg: (_, cgfac) => cgfac({ method: 'cg', seed: 1 }),
  ...Object.fromEntries(RATES.map((rate): [string, Make] => [`adam ${rate}`, (tf) => tf.train.adam(rate)])),
};

/** The loss over all batches after each of the steps that are told; NaN from where a run diverged. */
async function losses(making: Making, program: Program, optimizer: Optimizer, tick: () => void): Promise<number[]> {
  const { tf } = making;
  // what a tidy is given back it searches for tensors: the model is none of its types
  const { model, batches } = tf.tidy(() => program.make(making) as never) as Made;
  const found: number[] = [];
  model.compile({ optimizer, loss: lossOf(program, tf) });
  try {
    for (let step = 0; step < STEPS; step++) {
      const [x, y] = batches[step % batches.length] as readonly [Tensor, Tensor];
      await model.trainOnBatch(x, y);
      tick();
      if (!TOLD.includes(step + 1)) continue;
      // over all batches: one batch alone says little of a step
      const each = batches.map(([input, target]) => model.evaluate(input, target) as Tensor);
      found.push(each.reduce((sum, loss) => sum + (loss.dataSync()[0] ?? Number.NaN), 0) / each.length);
      tf.dispose(each);
    }
  } catch (error) {
    if (!(error instanceof CgfacError) || error.code !== 'ERR_CGFAC_DIVERGED') throw error;
    while (found.length < TOLD.length) found.push(Number.NaN);
  }
  model.dispose();
  optimizer.dispose();
  tf.dispose(batches.flat());
  return found;
}

const mean = (values: readonly number[]) => values.reduce((sum, each) => sum + each, 0) / values.length;

async function measured({ methods, progress }: SuiteContext): Promise<BenchRow[]> {
  const tf = await import('@tensorflow/tfjs-core');
  const tfl = await import('@tensorflow/tfjs-layers');
  await import('@tensorflow/tfjs-backend-wasm');
  const { cgfac, installKernels } = await import('cgfac/tfjs');
  await tf.setBackend('wasm');
  await tf.ready();
  const kernels = installKernels(tf);
  const rows: BenchRow[] = [];
  try {
    for (const program of known) {
      for (const name of methods) {
        progress.next(`${program.name}, ${name}`);
        const runs: number[][] = [];
        for (const seed of SEEDS) {
          const make = contenders[name];
          if (make === undefined) throw new Error(`no contender ${name}`);
          runs.push(await losses({ tf, tfl, seed }, program, make(tf, cgfac), progress.tick));
        }
        const figures = Object.fromEntries(
          TOLD.map((step, at) => [`@${step}`, mean(runs.map((run) => run[at] ?? Number.NaN))]),
        );
        rows.push({ suite: 'programs', layer: program.name, batch: 0, method: name, threads: info().threads, figures });
      }
      rows.push(...verdicts(rows.filter(({ layer }) => layer === program.name)));
    }
  } finally {
    kernels.uninstall();
  }
  return rows;
}

/** How cgfac() stands against the best of Adam's rates at each step: "won" or "lost", by how much of that loss. */
function verdicts(rows: readonly BenchRow[]): BenchRow[] {
  const [first] = rows;
  const own = rows.find(({ method }) => method === 'cgfac');
  const adams = rows.filter(({ method }) => method.startsWith('adam'));
  if (first === undefined || own === undefined || adams.length === 0) return [];
  const figures = Object.fromEntries(
    TOLD.map((step) => {
      const loss = (row: BenchRow) => Number(row.figures?.[`@${step}`]);
      const best = Math.min(...adams.map(loss).filter(Number.isFinite));
      const part = (100 * (loss(own) - best)) / Math.abs(best);
      return [`@${step}`, `${part <= 0 ? 'won' : 'LOST'} ${part.toFixed(0)} %`];
    }),
  );
  return [{ ...first, method: 'against the best Adam', figures }];
}

/** Programs of users, cgfac() in the place of their optimizer against Adam at the best of three rates. */
export const programs: Suite = {
  name: 'programs',
  summary:
    'mean training loss over all batches after so many steps, mean of three seeds: programs of TensorFlow.js with ' +
    'cgfac() and with Adam at three rates, of which the best counts at each step',
  methods: Object.keys(contenders),
  run: measured,
};
