import { reading, readOptions, type StepSummary, typeError, valueError } from '../../adapter-kit';
import { CgfacOptimizer } from '../optimizer';
import { type FitCallback, fitCallback, type Logs, numbersOf } from './callback';

/** What a {@link trainingLine} is written to: `process.stdout`, `process.stderr`, or anything with such a method. */
export interface LineStream {
  /** Whether it is a terminal, whose lines can be written anew. */
  readonly isTTY?: boolean;
  /** How many characters a line of the terminal has. */
  readonly columns?: number;
  /** Takes a piece of text. */
  write(text: string): unknown;
}

/** Where a {@link trainingLine} is written, and how often. */
export interface TrainingLineOptions {
  /**
   * Where it is written: on a terminal one line that is written anew, elsewhere a line for each epoch. Default:
   * `process.stderr`.
   */
  readonly stream?: LineStream;
  /** The least milliseconds between two lines of a terminal. Default: 100. */
  readonly interval?: number;
}

const three = (value: number) => {
  const size = Math.abs(value);
  return size !== 0 && (size >= 1e5 || size < 1e-3) ? value.toExponential(1) : value.toPrecision(3);
};

/** η, φ and the coefficients of layers, the least and the most with their layers. */
function stepWords(summary: StepSummary | undefined): string[] {
  if (summary === undefined) return [];
  if (summary.skipped !== undefined) return [`skipped: ${summary.skipped}`];
  const words = [`η ${three(summary.stepSize)}`];
  if (summary.fraction !== undefined) words.push(`φ ${three(summary.fraction)}`);
  const layers = summary.layers.flatMap(({ name, stepSize }) => (stepSize === undefined ? [] : [{ name, stepSize }]));
  const sorted = [...layers].sort((a, b) => a.stepSize - b.stepSize);
  const [least, most] = [sorted[0], sorted.at(-1)];
  if (least && most && least.stepSize !== most.stepSize)
    words.push(`coefficients ${three(least.stepSize)} (${least.name}) – ${three(most.stepSize)} (${most.name})`);
  return words;
}

function requireOptimizer(value: unknown, owner: string): asserts value is CgfacOptimizer {
  if (!(value instanceof CgfacOptimizer)) throw typeError('a CgfacOptimizer', `optimizer of ${owner}`, value);
}

interface Resolved {
  readonly stream: LineStream;
  readonly interval: number;
}

/** What a stream of the caller's tells or does. */
const ofStream = <T>(ask: () => T): T => reading('a stream that can be written to', 'the stream of trainingLine', ask);

function resolved(options: TrainingLineOptions): Resolved {
  const { stream = process.stderr, interval = 100 } = readOptions(options, 'trainingLine', ['stream', 'interval']);
  if (!ofStream(() => typeof stream?.write === 'function')) throw typeError('a stream with write()', 'stream', stream);
  if (typeof interval !== 'number') throw typeError('a number', 'interval', interval);
  if (!(interval >= 0 && Number.isFinite(interval))) throw valueError('a number ≥ 0', 'interval', interval);
  return { stream, interval };
}

/** The display of one training run. */
class Line {
  readonly #optimizer: CgfacOptimizer;
  readonly #out: Resolved;
  readonly #said = new Set<string>();
  #epochs: unknown;
  #batches: unknown;
  #epoch = 0;
  #last = Number.NEGATIVE_INFINITY;
  #width = 0;

  constructor(optimizer: CgfacOptimizer, out: Resolved) {
    this.#optimizer = optimizer;
    this.#out = out;
  }

  /** Totals, which TensorFlow.js tells a callback alone that stands beside one of its own. */
  begin({ epochs, steps, samples, batchSize }: Readonly<Record<string, unknown>>): void {
    const counted = typeof samples === 'number' && typeof batchSize === 'number';
    [this.#epochs, this.#batches] = [epochs, steps ?? (counted ? Math.ceil(samples / batchSize) : undefined)];
  }

  beginEpoch(epoch: number): void {
    this.#epoch = epoch;
  }

  async endBatch(batch: number, logs: Logs | undefined): Promise<void> {
    for (const sentence of this.#optimizer.lastStep?.summary?.diagnoses ?? []) this.#say(sentence);
    const now = performance.now();
    if (!this.#isTerminal || now - this.#last < this.#out.interval) return;
    this.#last = now;
    this.#draw([this.#place(batch), ...(await figures(logs)), ...this.#step()].join('  '));
  }

  async endEpoch(logs: Logs | undefined): Promise<void> {
    const text = [this.#place(), ...(await figures(logs)), ...this.#step()].join('  ');
    const isTerminal = this.#isTerminal;
    if (isTerminal) this.#draw(text);
    this.#write(isTerminal ? '\n' : `${text}\n`);
    [this.#width, this.#last] = [0, Number.NEGATIVE_INFINITY];
  }

  /** Leaves the terminal with a line of its own, where training ended within an epoch. */
  end(): void {
    if (this.#width > 0) this.#write('\n');
    this.#width = 0;
  }

  get #isTerminal(): boolean {
    return ofStream(() => this.#out.stream.isTTY === true);
  }

  #write(text: string): void {
    ofStream(() => this.#out.stream.write(text));
  }

  #step(): string[] {
    return stepWords(this.#optimizer.lastStep?.summary);
  }

  #place(batch?: number): string {
    const of = (total: unknown) => (typeof total === 'number' ? `/${total}` : '');
    const epoch = `epoch ${this.#epoch + 1}${of(this.#epochs)}`;
    return batch === undefined ? epoch : `${epoch}  step ${batch + 1}${of(this.#batches)}`;
  }

  /** A line over the one that is there, cut where the terminal ends. */
  #draw(text: string): void {
    const columns = ofStream(() => Number(this.#out.stream.columns ?? 0));
    const cut = text.slice(0, Math.max((columns || 120) - 1, 20));
    this.#write(`\r${cut.padEnd(this.#width)}`);
    this.#width = cut.length;
  }

  /** A line that stays, once for each sentence, the numbers of steps in it apart. */
  #say(sentence: string): void {
    const kind = sentence.replace(/\d+/g, '#');
    if (this.#said.has(kind)) return;
    this.#said.add(kind);
    this.#write(this.#isTerminal ? `\r${`cgfac: ${sentence}`.padEnd(this.#width)}\n` : `cgfac: ${sentence}\n`);
    this.#width = 0;
  }
}

async function figures(logs: Logs | undefined): Promise<string[]> {
  return [...(await numbersOf(logs))].map(([name, value]) => `${name} ${three(value)}`);
}

/**
 * Makes a callback for `model.fit` that shows the loss, the length of the step (η), the part of the loss that it takes
 * off (φ), the coefficients of layers where each has its own, and every diagnosis once, in a line of the terminal.
 *
 * @param optimizer - The optimizer that the model is compiled with.
 * @param options - See {@link TrainingLineOptions}.
 * @throws {@link CgfacError} `ERR_CGFAC_INVALID_ARG_TYPE` for an optimizer of another class,
 * `ERR_CGFAC_UNKNOWN_OPTION`, `ERR_CGFAC_INVALID_ARG_TYPE`, `ERR_CGFAC_INVALID_ARG_VALUE` for the options. Training
 * fails with `ERR_CGFAC_INVALID_ARG_VALUE` where the stream throws.
 */
export function trainingLine(optimizer: CgfacOptimizer, options: TrainingLineOptions = {}): FitCallback {
  requireOptimizer(optimizer, 'trainingLine');
  const line = new Line(optimizer, resolved(options));
  const done = (call: () => void) => {
    call();
    return Promise.resolve();
  };
  return fitCallback({
    setParams: (params) => line.begin(params),
    onEpochBegin: (epoch) => done(() => line.beginEpoch(epoch)),
    onBatchEnd: (batch, logs) => line.endBatch(batch, logs),
    onEpochEnd: (_, logs) => line.endEpoch(logs),
    onTrainEnd: () => done(() => line.end()),
  });
}
