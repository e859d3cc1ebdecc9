import { SingleBar } from 'cli-progress';
import type { Progress } from './suite';

/** A counter on a terminal; elsewhere a line for each part. */
export function startProgress(name: string): Progress {
  if (!process.stderr.isTTY) {
    return {
      next: (part) => process.stderr.write(`${name}: ${part}\n`),
      tick: () => {},
      say: (text) => console.log(text),
      stop: () => {},
    };
  }
  const bar = new SingleBar({
    format: '{name}: {part}, {value} timed',
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  });
  bar.start(1, 0, { name, part: '' });
  return {
    next: (part) => {
      bar.update(0, { name, part });
    },
    tick: () => bar.increment(),
    say: (text) => {
      process.stderr.write('\r\x1b[K'); // the counter's line, which is drawn anew
      console.log(text);
    },
    stop: () => bar.stop(),
  };
}
