/** A run: workers that are started, terminated at random, and brought to rest now and then. */
import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { heap } from './heap';
import type { MemorySample } from './memory';
import type { State } from './progress';
import type { Heap, Order, Word, WorkerData } from './protocol';
import { Random } from './random';
import { add, type Fault, type Tally, total } from './tally';

/** What a run is asked for. */
export interface RunOptions {
  readonly seconds: number;
  /** The first lives as long as the run, the others are terminated at random. */
  readonly workers: number;
  readonly seed: number;
  /** The seed of the one case that is made. */
  readonly only: number | undefined;
  readonly signal: AbortSignal;
  readonly onState: (state: State, rested: boolean) => void;
}

/** What came of it. */
export interface RunResult {
  readonly seconds: number;
  readonly tally: Tally;
  readonly faults: readonly Fault[];
  /** Workers that were terminated at work. */
  readonly terminated: number;
  /** Milliseconds of the longest `terminate()`. */
  readonly longestTerminate: number;
  readonly memory: readonly MemorySample[];
}

/** Faults that are kept; the counts have them all. */
const MOST_FAULTS = 50;
/** Seconds that a worker may take to come to rest, or to find the references. */
const PATIENCE = 60;

/** Rejects once it takes too long. */
async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Expected ${what} within ${PATIENCE} s but it hangs`)), PATIENCE * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Workers and what they have told. */
export class Run {
  readonly #options: RunOptions;
  readonly #random: Random;
  #start = performance.now();
  readonly #tally: Tally = {};
  readonly #faults: Fault[] = [];
  readonly #memory: MemorySample[] = [];
  #workers: Worker[] = [];
  #terminated = 0;
  #longest = 0;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
  }

  /** Runs for the time that it was asked for, or until its signal; a worker that dies or hangs is a fault. */
  async toEnd(): Promise<RunResult> {
    try {
      await this.#work();
    } catch (error) {
      if (!this.#options.signal.aborted) this.#fault(error instanceof Error ? error.message : String(error));
    }
    const { seconds } = this;
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
    const [terminated, longestTerminate] = [this.#terminated, this.#longest];
    return { seconds, tally: this.#tally, faults: this.#faults, terminated, longestTerminate, memory: this.#memory };
  }

  /** Seconds since the work began. */
  get seconds(): number {
    return (performance.now() - this.#start) / 1000;
  }

  async #work(): Promise<void> {
    const { signal, seconds, workers } = this.#options;
    const first = this.#started(undefined);
    const references = await within('the references of training', this.#referencesOf(first));
    this.#start = performance.now();
    const fill = () => {
      while (this.#workers.length < workers) this.#started(references);
    };
    // so often that a short run has some, too
    const between = Math.min(15, Math.max(seconds / 20, 2));
    for (let rests = 1; this.seconds < seconds && !signal.aborted; rests++) {
      fill();
      await this.#busyUntil(Math.min(seconds, rests * between), between, fill);
      if (!signal.aborted) await within('rest', this.#rest());
    }
  }

  /** Lets the workers work, and terminates one of the younger ones now and then. */
  async #busyUntil(end: number, span: number, fill: () => void): Promise<void> {
    const { signal, onState } = this.#options;
    const soon = () => this.seconds + (0.2 + 0.6 * this.#random.next()) * Math.min(4, span);
    let next = soon();
    while (this.seconds < end && !signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      onState(this.#state(), false);
      const victim = this.#workers.length < 2 ? undefined : this.#random.pick(this.#workers.slice(1));
      if (this.seconds < next || victim === undefined) continue;
      await this.#terminate(victim);
      this.#terminated++;
      fill();
      next = soon();
    }
  }

  /** All calls come to their end, the younger workers are dismissed, and memory is looked at. */
  async #rest(): Promise<void> {
    const [first, ...others] = this.#workers;
    if (first === undefined) return;
    const worker = await this.#rested(first);
    for (const each of others) await this.#terminate(each);
    const main = await heap();
    const { rss: resident } = process.memoryUsage();
    this.#memory.push({ seconds: this.seconds, resident, worker, main });
    this.#options.onState(this.#state(), true);
    first.postMessage('go on' satisfies Order);
  }

  async #rested(worker: Worker): Promise<Heap> {
    worker.postMessage('rest' satisfies Order);
    return (await this.#word(worker, 'resting')).heap;
  }

  async #terminate(worker: Worker): Promise<void> {
    this.#workers = this.#workers.filter((each) => each !== worker);
    const start = performance.now();
    await worker.terminate();
    this.#longest = Math.max(this.#longest, performance.now() - start);
  }

  async #referencesOf(worker: Worker) {
    const { references, tally } = await this.#word(worker, 'references');
    add(this.#tally, tally);
    return references;
  }

  /** The next word of a kind; rejects where the worker ends before. */
  async #word<Kind extends Word['kind']>(worker: Worker, kind: Kind): Promise<Extract<Word, { kind: Kind }>> {
    const over = new AbortController();
    const { signal } = over;
    const ended = once(worker, 'exit', { signal }).then(() => {
      throw new Error('Expected a worker at work but it has ended');
    });
    try {
      for (;;) {
        const [word] = (await Promise.race([once(worker, 'message', { signal }), ended])) as [Word];
        if (word.kind === kind) return word as Extract<Word, { kind: Kind }>;
      }
    } finally {
      ended.catch(() => undefined);
      over.abort();
    }
  }

  #started(references: WorkerData['references']): Worker {
    const data: WorkerData = { seed: this.#random.seed(), only: this.#options.only, ...(references && { references }) };
    const worker = new Worker(join(__dirname, 'worker.js'), { workerData: data });
    worker.on('message', (word: Word) => {
      if (word.kind !== 'counts') return;
      add(this.#tally, word.tally);
      for (const fault of word.faults) this.#keep(fault);
    });
    worker.on('error', (error) => this.#fault(`a worker died: ${error instanceof Error ? error.stack : error}`));
    this.#workers.push(worker);
    return worker;
  }

  #fault(what: string): void {
    add(this.#tally, { 'the life of a worker': { right: 0, aborted: 0, refused: 0, wrong: 0, unexpected: 1 } });
    this.#keep({ seed: this.#options.seed, what });
  }

  #keep(fault: Fault): void {
    if (this.#faults.length < MOST_FAULTS) this.#faults.push(fault);
  }

  #state(): State {
    const { right, aborted, refused, wrong, unexpected } = total(this.#tally);
    const failed = wrong + unexpected;
    const calls = right + aborted + refused + failed;
    return { seconds: this.seconds, calls, failed, resident: this.#memory.at(-1)?.resident };
  }
}
