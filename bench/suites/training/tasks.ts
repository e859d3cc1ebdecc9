import { dirname, join } from 'node:path';
import { info } from 'cgfac';
import type { Report, Suite, SuiteContext } from '../../harness/suite';
import { type Contender, contenders, groups } from './contenders';
import { programs } from './programs/list';
import type { Program } from './programs/making';
import { closing, markdownReport, type TaskRuns, taskText } from './report';
import { fingerprint, ResultFile } from './result-file';
import { keyOf, type Run } from './runs';
import { loadTools, runOf, type Tools } from './training';

const SEEDS = [1, 2, 3];

/** What decides losses: the package's own sources and addon, and how it is trained here. */
export function build(): string {
  const library = dirname(require.resolve('cgfac'));
  const nodeGypBuild = require('node-gyp-build') as { path: (folder: string) => string };
  const addon = nodeGypBuild.path(join(library, '..', '..'));
  const own = ['contenders', 'trainable', 'training'].map((name) => join(__dirname, `${name}.js`));
  return fingerprint([library, join(__dirname, 'programs')], [...own, addon]);
}

/** One run of many: what is asked for, and what it may cost. */
interface Order {
  readonly program: Program;
  readonly contender: Contender;
  readonly seed: number;
}

/** A run of cgfac() is about so many times as long as one of Adam. */
const OURS = 2.2;
const costOf = ({ program, contender }: Order) =>
  program.cost * Math.max(...program.told) * (contender.family === 'adam' || contender.family === 'sgd' ? 1 : OURS);

/** How long what is left will take, by what was done so far. */
class TimeLeft {
  #cost: number;
  #done = 0;
  #seconds = 0;

  constructor(orders: readonly Order[]) {
    this.#cost = orders.reduce((sum, order) => sum + costOf(order), 0);
  }

  took(order: Order, seconds: number): void {
    this.#done += costOf(order);
    this.#cost -= costOf(order);
    this.#seconds += seconds;
  }

  toString(): string {
    if (this.#done === 0) return 'time left not known yet';
    const minutes = (this.#cost * this.#seconds) / this.#done / 60;
    return minutes < 1 ? 'less than a minute left' : `about ${Math.ceil(minutes)} min left`;
  }
}

const keyOfOrder = ({ program, contender, seed }: Order) => ({
  task: program.name,
  contender: contender.name,
  seed,
});

/** Trains what is not in the file yet, task by task, and tells of each task when it is done. */
class Session {
  readonly #context: SuiteContext;
  readonly #chosen: readonly Contender[];
  readonly #file: ResultFile;
  #tools: Tools | undefined;
  #left: TimeLeft;
  #number = 0;
  #total: number;

  constructor(context: SuiteContext) {
    this.#context = context;
    this.#chosen = contenders.filter(({ name }) => context.methods.includes(name));
    this.#file = new ResultFile(context.file, {
      machine: context.machine,
      threads: info().threads,
      build: build(),
    });
    const missing = this.#programs()
      .flatMap((program) => this.#orders(program))
      .filter((order) => !this.#file.get(keyOfOrder(order)));
    this.#left = new TimeLeft(missing);
    this.#total = missing.length;
  }

  async all(): Promise<Report> {
    const { markdown, progress } = this.#context;
    const tasks: TaskRuns[] = [];
    try {
      for (const program of this.#programs()) {
        const task = await this.#task(program);
        tasks.push(task);
        if (!markdown) progress.say(`${taskText(task, this.#chosen)}\n`);
      }
    } finally {
      this.#tools?.uninstall();
    }
    const failed = tasks.some(({ runs }) => runs.some((run) => run.failed !== undefined));
    const text = markdown ? markdownReport(tasks, this.#chosen) : closing(tasks, this.#chosen).join('\n');
    return { text, failed };
  }

  #programs(): readonly Program[] {
    return programs.filter(({ name }) => this.#context.tasks.includes(name));
  }

  #orders(program: Program): Order[] {
    return this.#context.seeds.flatMap((seed) => this.#chosen.map((contender) => ({ program, contender, seed })));
  }

  async #task(program: Program): Promise<TaskRuns> {
    const orders = this.#orders(program);
    const missing = orders.filter((order) => !this.#file.get(keyOfOrder(order)));
    const unavailable = missing.length > 0 ? program.unavailable?.() : undefined;
    if (unavailable !== undefined) return { program, runs: [], unavailable };
    for (const order of missing) await this.#run(order);
    const runs = orders.flatMap((order) => this.#file.get(keyOfOrder(order)) ?? []);
    return { program, runs };
  }

  async #run(order: Order): Promise<Run> {
    const { progress } = this.#context;
    this.#tools ??= await loadTools();
    progress.next(`${keyOf(keyOfOrder(order))} (${++this.#number} of ${this.#total}, ${this.#left})`);
    const run = await runOf(this.#tools, { ...order, steps: order.program.told, onStep: progress.tick });
    this.#left.took(order, run.seconds);
    this.#file.add(run);
    return run;
  }
}

/** Programs of many kinds with cgfac(), against Adam and SGD at the best of three rates each. */
export const tasks: Suite = {
  name: 'tasks',
  summary:
    'losses of programs of TensorFlow.js after so many steps, mean of the seeds: over the batches that are trained ' +
    'on, and held out with averages of the weights. The best rate counts for Adam and for SGD in each cell, held out ' +
    'with the averages of their weights or with the weights themselves, whichever is better',
  tasks: programs.map(({ name }) => name),
  seeds: SEEDS,
  methods: contenders.map(({ name }) => name),
  methodGroups: groups,
  usualMethods: groups.usual,
  markdown: true,
  resumes: true,
  run: (context) => new Session(context).all(),
};
