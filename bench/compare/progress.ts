import { SingleBar } from 'cli-progress';

/** A display of how far a comparison is. */
export interface Progress {
  /** A run begins: what it is, what it may cost beside others, and its steps. */
  begin(what: string, cost: number, steps: number): void;
  /** A step of the run was taken. */
  step(): void;
  /** The run has ended, after so many seconds. */
  end(seconds: number): void;
  /** A run was there already. */
  found(): void;
  /** So many runs cannot be done. */
  leftOut(runs: number): void;
  stop(): void;
}

/** "3 min left", by what the runs so far took beside what is to come. */
export function timeLeft(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'time left not known yet';
  if (seconds < 90) return `${Math.round(seconds)} s left`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min left` : `${(minutes / 60).toFixed(1)} h left`;
}

/** Runs done and to come, and the seconds that they cost. */
class Count {
  done = 0;
  #seconds = 0;
  #cost = 0;
  #runs = 0;

  constructor(
    public total: number,
    readonly meanCost: number,
  ) {}

  ended(cost: number, seconds: number): void {
    this.done++;
    this.#runs++;
    this.#cost += cost;
    this.#seconds += seconds;
  }

  /** What is to come costs what a run costs on the average, a unit of cost as many seconds as so far. */
  left(): number {
    if (this.#runs === 0) return Number.POSITIVE_INFINITY;
    const perRun = (this.#seconds / this.#cost) * this.meanCost;
    return (this.total - this.done) * perRun;
  }
}

/**
 * A bar on a terminal; elsewhere a line for each run.
 *
 * @param total - Runs in all.
 * @param meanCost - What one of them costs on the average.
 */
export function startProgress(total: number, meanCost: number): Progress {
  const count = new Count(total, meanCost);
  let [cost, steps, done] = [0, 1, 0];
  const shown = { what: '', left: '' };
  const bar = process.stderr.isTTY
    ? new SingleBar({
        format: '[{bar}] {percentage} % of the runs, {left}  {what}',
        barsize: 24,
        hideCursor: true,
        clearOnComplete: true,
        stream: process.stderr,
      })
    : undefined;
  bar?.start(total, 0, shown);
  const update = () => {
    shown.left = timeLeft(count.left());
    bar?.update(Math.min(count.total, count.done + (steps === 0 ? 0 : done / steps)), { ...shown });
  };
  return {
    begin(what, itsCost, itsSteps) {
      [cost, steps, done] = [itsCost, itsSteps, 0];
      shown.what = what;
      update();
      if (!bar) process.stderr.write(`${count.done + 1} of ${count.total}, ${shown.left}: ${what}\n`);
    },
    step() {
      done++;
      update();
    },
    end(seconds) {
      [steps, done] = [1, 0];
      count.ended(cost, seconds);
      update();
    },
    found() {
      count.done++;
      update();
    },
    leftOut(runs) {
      count.total -= runs;
      bar?.setTotal(count.total);
      update();
    },
    stop: () => bar?.stop(),
  };
}
