import { SingleBar } from 'cli-progress';

/** A display of how far a run is. */
export interface Progress {
  /**
   * After step `step`: the loss on its batch, and the mean milliseconds of a step so far, from which the time left
   * follows.
   */
  update(step: number, loss: number, millisecondsPerStep: number): void;
  /** Prints a line on the standard output, below the display, which goes on under it. */
  say(line: string): void;
  /** Ends the display and leaves the terminal as it was. */
  stop(): void;
}

const NAME_WIDTH = 8;

/** A bar on a terminal; elsewhere (a pipe, a log) one plain line every ten steps. */
export function startProgress(name: string, steps: number): Progress {
  return process.stderr.isTTY ? bar(name, steps) : lines(name, steps);
}

function bar(name: string, steps: number): Progress {
  const display = new SingleBar({
    format: '{name} [{bar}] step {value}/{total}  loss {loss}  {speed}  {left}',
    barsize: 30,
    hideCursor: true,
    stream: process.stderr,
  });
  let [reached, shown] = [0, { name: name.padEnd(NAME_WIDTH), loss: '-', speed: '-', left: '' }];
  display.start(steps, reached, shown);
  return {
    update: (step, loss, milliseconds) => {
      reached = step;
      shown = {
        ...shown,
        loss: loss.toFixed(4),
        speed: `${milliseconds.toFixed(0)} ms/step`,
        left: `${Math.round(((steps - step) * milliseconds) / 1000)} s left`,
      };
      display.update(step, shown);
    },
    say(line) {
      display.stop();
      console.log(line);
      if (reached < steps) display.start(steps, reached, shown);
    },
    stop: () => display.stop(),
  };
}

function lines(name: string, steps: number): Progress {
  return {
    update(step, loss, milliseconds) {
      if (step % 10 !== 0 && step !== steps) return;
      process.stderr.write(
        `${name.padEnd(NAME_WIDTH)} step ${step}/${steps}  ` +
          `loss ${loss.toFixed(4)}  ${milliseconds.toFixed(0)} ms/step\n`,
      );
    },
    say: (line) => console.log(line),
    stop() {},
  };
}
