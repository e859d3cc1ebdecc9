/** Runs of a comparison: each method's grid from the first seed, its best setting from the others. */
import { join } from 'node:path';
import { info } from 'cgfac';
import { machine } from '../harness/rows';
import { fingerprint } from '../suites/training/result-file';
import type { Figure } from '../suites/training/runs';
import { build } from '../suites/training/tasks';
import { loadTools, runOf, type Tools, type Trained } from '../suites/training/training';
import { type Entry, type Journal, keyOf } from './journal';
import { layerRows } from './layers';
import { Lbfgs } from './lbfgs';
import type { Method, Setting } from './methods';
import type { Progress } from './progress';
import type { Course, Task } from './tasks';

/** What is to be compared. */
export interface Plan {
  readonly tasks: readonly Task[];
  readonly methods: readonly Method[];
  /** The first of them is that of the grids. */
  readonly seeds: readonly number[];
  readonly quick: boolean;
}

/** A setting with the runs that there are of it. */
export interface Tried {
  readonly setting: Setting;
  readonly entries: readonly Entry[];
}

/** A method on a task: its grid by the first seed, and the chosen setting by all of them. */
export interface Played {
  readonly method: Method;
  readonly grid: readonly Tried[];
  readonly chosen: Tried;
}

/** A task with what came of it, or why it was not run. */
export interface TaskEntries {
  readonly task: Task;
  readonly course: Course;
  readonly played: readonly Played[];
  readonly unavailable?: string;
}

/** The settings of a plan: of a quick one, some. */
export const settingsOf = (method: Method, quick: boolean): readonly Setting[] =>
  quick ? method.quick.flatMap((place) => method.settings[place] ?? []) : method.settings;

/** The training loss after the last step; infinite where it is not a number, so that any other is better. */
function lastLoss({ run }: Entry): number {
  const last: Figure = run.told.at(-1)?.train ?? null;
  return last === null || run.diverged !== undefined ? Number.POSITIVE_INFINITY : last;
}

/** The setting with the least training loss after the last step, the first of equals. */
export function best(grid: readonly Tried[]): Tried | undefined {
  const lossOf = ({ entries: [first] }: Tried) => (first ? lastLoss(first) : Number.POSITIVE_INFINITY);
  return grid.reduce<Tried | undefined>(
    (least, tried) => (least === undefined || lossOf(tried) < lossOf(least) ? tried : least),
    undefined,
  );
}

/** How many runs a plan is at the most. */
export const runsOf = ({ tasks, methods, seeds, quick }: Plan): number =>
  tasks.length * methods.reduce((sum, method) => sum + settingsOf(method, quick).length + seeds.length - 1, 0);

/** What the pictures of a task are, one byte a pixel: the first ten of what is held out. */
const SHOWN = 10;

const bytesOf = (numbers: ArrayLike<number>) =>
  Buffer.from(Uint8Array.from(numbers, (value) => Math.round(255 * Math.min(1, Math.max(0, value))))).toString(
    'base64',
  );

async function picturesOf({ tf }: Tools, { optimizer, ready }: Trained): Promise<NonNullable<Entry['pictures']>> {
  const [first] = ready.data.heldOut;
  const outputs = ready.outputs;
  if (first === undefined || outputs === undefined) throw new Error('there is nothing to reconstruct');
  const shown = tf.tidy(() => tf.slice(first[0], [0, 0], [SHOWN, first[0].shape[1] ?? 0]));
  const seen = () => bytesOf(tf.tidy(() => outputs(shown)).dataSync());
  const isOurs = 'withAveragedWeights' in optimizer;
  const result = {
    inputs: bytesOf(shown.dataSync()),
    outputs: isOurs ? await (optimizer as import('cgfac/tfjs').CgfacOptimizer).withAveragedWeights(seen) : seen(),
  };
  shown.dispose();
  return result;
}

/** Bytes that an optimizer keeps between steps, averages of the weights apart. */
async function bytesKept(tools: Tools, { optimizer }: Trained): Promise<number> {
  if (optimizer instanceof tools.CgfacOptimizer) {
    const { total, averages } = optimizer.memoryUsage();
    return total - averages;
  }
  if (optimizer instanceof Lbfgs) return optimizer.bytes;
  const kept = await optimizer.getWeights();
  // the count of steps is no state of a weight
  return kept.reduce((sum, { tensor }) => sum + (tensor.size > 1 ? 4 * tensor.size : 0), 0);
}

/** What decides runs besides the package, the programs and settings: L-BFGS, and what is told of them. */
const OWN = ['lbfgs', 'layers', 'session', 'tasks'].map((name) => join(__dirname, `${name}.js`));

/** A run that is to be done. */
interface Order {
  readonly task: Task;
  readonly course: Course;
  readonly setting: Setting;
  readonly seed: number;
}

/** Trains what the journal does not have, and gives back what it has. */
export class Session {
  readonly #plan: Plan;
  readonly #journal: Journal;
  readonly #progress: Progress;
  readonly #build = `${build()}-${fingerprint([], OWN)}`;
  readonly #machine = machine();
  #tools: Tools | undefined;
  /** Runs that were done here, and not taken from the journal. */
  trained = 0;

  constructor(plan: Plan, journal: Journal, progress: Progress) {
    this.#plan = plan;
    this.#journal = journal;
    this.#progress = progress;
  }

  /** What decides the losses of all runs. */
  get build(): string {
    return this.#build;
  }

  /** Trains all that is missing, task by task. */
  async all(): Promise<TaskEntries[]> {
    const results: TaskEntries[] = [];
    try {
      for (const task of this.#plan.tasks) results.push(await this.#task(task));
    } finally {
      this.#tools?.uninstall();
    }
    return results;
  }

  async #task(task: Task): Promise<TaskEntries> {
    const course = this.#plan.quick ? task.quick : task.full;
    const unavailable = course.program.unavailable?.();
    if (unavailable !== undefined) {
      this.#progress.leftOut(runsOf({ ...this.#plan, tasks: [task] }));
      return { task, course, played: [], unavailable };
    }
    const played: Played[] = [];
    for (const method of this.#plan.methods) played.push(await this.#method(task, course, method));
    return { task, course, played };
  }

  async #method(task: Task, course: Course, method: Method): Promise<Played> {
    const [first = 1, ...others] = this.#plan.seeds;
    const grid: Tried[] = [];
    for (const setting of settingsOf(method, this.#plan.quick))
      grid.push({ setting, entries: [await this.#entry({ task, course, setting, seed: first })] });
    const winner = best(grid);
    if (winner === undefined) throw new Error(`there is no setting of ${method.name}`);
    const entries = [...winner.entries];
    for (const seed of others) entries.push(await this.#entry({ task, course, setting: winner.setting, seed }));
    return { method, grid, chosen: { setting: winner.setting, entries } };
  }

  async #entry(order: Order): Promise<Entry> {
    const { program, told, batchFactor } = order.course;
    const { cpu, blasCore, node } = this.#machine;
    const key = keyOf({
      program: program.name,
      about: program.about,
      told,
      batchFactor,
      setting: order.setting.decided,
      seed: order.seed,
      build: this.#build,
      cpu,
      blasCore,
      threads: info().threads,
      node,
    });
    const found = this.#journal.get(key);
    if (found !== undefined) {
      this.#progress.found();
      return found;
    }
    const entry = await this.#train(order, key);
    this.#journal.add(entry);
    this.trained++;
    return entry;
  }

  async #train({ task, course, setting, seed }: Order, key: string): Promise<Entry> {
    this.#tools ??= await loadTools();
    const tools = this.#tools;
    const { program, told, batchFactor } = course;
    const cost = program.cost * Math.max(...told) * batchFactor;
    this.#progress.begin(`${task.title}: ${setting.name}, seed ${seed}`, cost, Math.max(...told));
    let left: Omit<Entry, 'key' | 'run'> | undefined;
    const run = await runOf(tools, {
      program,
      contender: { ...setting, batchFactor },
      seed,
      steps: told,
      onStep: () => this.#progress.step(),
      closing: async (trained) => {
        left = await this.#left(task, course, trained, tools);
      },
    });
    this.#progress.end(run.seconds);
    if (run.failed !== undefined) throw new Error(`${program.name}, ${setting.name}, seed ${seed}: ${run.failed}`);
    if (left === undefined) throw new Error(`${program.name}, ${setting.name}, seed ${seed} left nothing`);
    return { key, run, ...left };
  }

  async #left(task: Task, { told }: Course, trained: Trained, tools: Tools): Promise<Omit<Entry, 'key' | 'run'>> {
    const { optimizer, ready, times } = trained;
    const until = (step: number) => times.slice(0, step).reduce((sum, ms) => sum + ms, 0) / 1000;
    const own = optimizer instanceof tools.CgfacOptimizer ? optimizer : undefined;
    const recipe = own?.report()?.recipe;
    return {
      seconds: told.map((step) => (step <= times.length ? until(step) : null)),
      weights: ready.weights.reduce((sum, { size }) => sum + size, 0),
      bytes: await bytesKept(tools, trained),
      ...(own ? { layers: layerRows(own) } : {}),
      ...(recipe === undefined ? {} : { recipe }),
      ...(task.reconstructs ? { pictures: await picturesOf(tools, trained) } : {}),
    };
  }
}
