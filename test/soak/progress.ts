/** How far a run is. */
import { SingleBar } from 'cli-progress';

/** What is told of a run under way. */
export interface State {
  /** Seconds since its start. */
  readonly seconds: number;
  readonly calls: number;
  readonly failed: number;
  /** Bytes of memory at the last rest. */
  readonly resident: number | undefined;
}

/** A display of a run. */
export interface Progress {
  /** Shows how far it is. */
  show(state: State): void;
  /** Shows it at a rest, which a log has a line for. */
  rested(state: State): void;
  stop(): void;
}

const megabytes = (bytes: number | undefined) => (bytes === undefined ? '' : `, ${(bytes / 1e6).toFixed(1)} MB`);

/** A bar on a terminal; elsewhere a line for each rest. */
export function startProgress(name: string, seconds: number): Progress {
  const words = ({ calls, failed, resident }: State) => `${calls} calls, ${failed} failed${megabytes(resident)}`;
  if (!process.stderr.isTTY) {
    const rested = (state: State) => process.stderr.write(`${name}: ${state.seconds.toFixed(0)} s, ${words(state)}\n`);
    return { show: () => undefined, rested, stop: () => undefined };
  }
  const bar = new SingleBar({
    format: '{name} [{bar}] {value}/{total} s  {words}',
    barsize: 30,
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  });
  bar.start(Math.round(seconds), 0, { name, words: '' });
  const show = (state: State) =>
    bar.update(Math.min(Math.round(state.seconds), Math.round(seconds)), { name, words: words(state) });
  return { show, rested: show, stop: () => bar.stop() };
}
