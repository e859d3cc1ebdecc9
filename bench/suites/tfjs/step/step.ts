import { info } from 'cgfac';
import { median } from '../../../harness/measure';
import type { BenchRow } from '../../../harness/rows';
import type { Progress, Suite, SuiteContext } from '../../../harness/suite';
import { programs } from '../../training/programs/list';
import type { Program } from '../../training/programs/making';
import { type Trainable, trainable } from '../../training/trainable';
import { loadTools, type Tools } from '../../training/training';
import { type StepTime, stepOf, stepOfCgfac } from './parts';
import { floorOf, gigaflops, ownProducts, type Product, productsDuring } from './products';
import { PyTorch, pythonWithTorch } from './pytorch';

/** The programs whose steps are measured, and whether their loss is one that has a length for each layer. */
const measured: readonly { readonly name: string; readonly soft: boolean }[] = [
  { name: 'deep-autoencoder', soft: true },
  { name: 'digits', soft: false },
  { name: 'convnet', soft: false },
  { name: 'convnet-batchnorm', soft: false },
  { name: 'addition-lstm', soft: false },
  { name: 'embedding-mean', soft: false },
];

/** Steps before any is timed: factors are refreshed at each of the first ten, and code is compiled. */
const WARM = 12;
/** Refreshes of factors come every so many steps, of convolutions every twentieth. */
const LEAST = 20;
const MOST = 200;
const RATE = 1e-3;

/** One of the two that take turns. */
interface Contestant {
  readonly method: 'adam' | 'cgfac';
  readonly ready: Trainable;
  readonly timed: (step: () => Promise<unknown>) => Promise<StepTime>;
  readonly times: StepTime[];
  /** Milliseconds of the products alone, beside each step. */
  readonly floors: number[];
}

/** A program whose steps are measured. */
interface Measured {
  readonly program: Program;
  readonly soft: boolean;
  /** The interpreter that has PyTorch. */
  readonly python: string | undefined;
}

function contestants(tools: Tools, program: Program): [Contestant, Contestant] {
  const made = (optimizer: Parameters<typeof trainable>[2]) =>
    trainable({ ...tools, seed: 1, batchFactor: 1 }, program, optimizer, 1);
  const adam = tools.tf.train.adam(RATE);
  const cgfac = tools.cgfac({ seed: 1 });
  const none = { times: [], floors: [] };
  return [
    { method: 'adam', ready: made(adam), timed: (step) => stepOf(adam, step), ...none },
    { method: 'cgfac', ready: made(cgfac), timed: stepOfCgfac, ...structuredClone(none) },
  ];
}

const next = ({ ready }: Contestant, step: number) => ready.step(step % ready.data.batches.length);

/** Steps that fill about `budget` milliseconds, those of both together. */
function stepsWithin(budget: number, both: readonly Contestant[]): number {
  const round = both.reduce((sum, { times }) => sum + median(times.slice(-3).map(({ ms }) => ms)), 0);
  return Math.max(LEAST, Math.min(MOST, Math.round(budget / round)));
}

const time = (call: () => void) => {
  const begin = performance.now();
  call();
  return performance.now() - begin;
};

/** The median of each part over the steps. */
function partsOf(times: readonly StepTime[]): Record<string, number> {
  const names = new Set(times.flatMap(({ parts }) => Object.keys(parts)));
  return Object.fromEntries([...names].map((name) => [name, median(times.map(({ parts }) => parts[name] ?? 0))]));
}

/** Ratios of neighbours in time. */
const ratios = (a: readonly number[], b: readonly number[]) => a.map((each, at) => each / (b[at] ?? Number.NaN));

function row(
  program: string,
  batch: number,
  { method, times, floors }: Contestant,
  products: readonly Product[],
  ofAdam: readonly number[],
  ofPyTorch: readonly number[],
): BenchRow {
  const all = times.map(({ ms }) => ms);
  const toFloor = ratios(all, floors);
  return {
    suite: 'step',
    layer: program,
    batch,
    method,
    threads: info().threads,
    floorMs: median(floors),
    ms: median(all),
    ratio: median(toFloor),
    ratioMin: Math.min(...toFloor),
    figures: {
      ...(method === 'adam' ? {} : { 'of adam': median(ratios(all, ofAdam)) }),
      ...(ofPyTorch.length === 0 || method !== 'adam'
        ? {}
        : { pytorch: median(ofPyTorch), 'of pytorch': median(ratios(all, ofPyTorch)) }),
      gigaflops: gigaflops(products),
      ...partsOf(times),
    },
  };
}

/** Adam and cgfac() take turns at a program, each beside the products of its own step. */
async function stepsOf(
  tools: Tools,
  { program, soft, python }: Measured,
  budget: number,
  progress: Progress,
): Promise<BenchRow[]> {
  progress.next(program.name);
  const both = contestants(tools, program);
  const [adam, cgfac] = both;
  const { threads } = info();
  const pytorch = python ? await PyTorch.of(python, program.name, threads) : undefined;
  const ofPyTorch: number[] = [];
  try {
    for (let step = 0; step < WARM; step++) {
      await pytorch?.step();
      for (const each of both) each.times.push(await each.timed(() => next(each, step)));
      progress.tick();
    }
    const steps = stepsWithin(budget, both);
    const [framework, own] = [
      await productsDuring(tools.tf, () => next(adam, WARM)),
      await productsDuring(tools.tf, () => next(cgfac, WARM)),
    ];
    const lists = [framework, ownProducts(framework, own, soft)];
    const floors = lists.map((products) => floorOf(products, threads));
    for (const each of both) each.times.length = 0;
    for (let step = 0; step < steps; step++) {
      for (const [which, each] of both.entries()) {
        each.floors.push(time(floors[which] ?? (() => {})));
        each.times.push(await each.timed(() => next(each, WARM + 1 + step)));
      }
      if (pytorch) ofPyTorch.push(await pytorch.step());
      progress.tick();
    }
    const batch = adam.ready.data.batches[0]?.[0].shape[0] ?? 0;
    const ofAdam = adam.times.map(({ ms }) => ms);
    return both.map((each, which) => row(program.name, batch, each, lists[which] ?? [], ofAdam, ofPyTorch));
  } finally {
    pytorch?.end();
    for (const { ready } of both) ready.dispose();
  }
}

async function run({ tasks, budget, progress }: SuiteContext): Promise<BenchRow[]> {
  const { warn, info: say } = console;
  Object.assign(console, { warn: () => {}, info: () => {} });
  const tools = await loadTools();
  const rows: BenchRow[] = [];
  const python = pythonWithTorch();
  if (python === undefined)
    progress.say("\n*** PyTorch is LEFT OUT: python3 has no module torch (Debian's is python3-torch) ***\n");
  try {
    for (const { name, soft } of measured) {
      const program = programs.find((each) => each.name === name);
      if (!tasks.includes(name) || program === undefined) continue;
      const why = program.unavailable?.();
      if (why === undefined) rows.push(...(await stepsOf(tools, { program, soft, python }, budget, progress)));
      else progress.say(`${name} is left out: ${why}`);
    }
    return rows;
  } finally {
    tools.uninstall();
    Object.assign(console, { warn, info: say });
  }
}

/** Where the time of a training step goes. */
export const step: Suite = {
  name: 'step',
  summary:
    'training steps with installKernels, in ms and as a ratio to the matrix products of the step by sgemm alone ' +
    '(floor ms); "of adam": to the step of Adam beside it; "of pytorch": of Adam, to that of PyTorch with as many ' +
    'threads, where python3 has it; then the ms of each part of the step, medians all',
  tasks: measured.map(({ name }) => name),
  budget: 8000,
  run,
};
