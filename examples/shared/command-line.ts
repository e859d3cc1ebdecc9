/** What the programs' command lines have in common. */
import { accessSync, constants, statSync } from 'node:fs';
import { constants as system } from 'node:os';
import { dirname, resolve } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';

/** Reads an integer in a range. */
export function integer(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`Expected an integer from ${minimum} to ${maximum}.`);
  };
}

/** The option of a seed, 1 by default; `of` says what follows from it. */
export function seedOption(of: string): Option {
  return new Option('--seed <s>', `seed of ${of}`).default(1).argParser(integer(0, 1_000_000));
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** A file that can be written when the run is over: better to know before it begins. */
export function writableFile(text: string): string {
  const file = resolve(text);
  const found = statSync(file, { throwIfNoEntry: false });
  if (found?.isDirectory()) throw new InvalidArgumentError('It is a directory.');
  if (!isWritable(found ? file : dirname(file)))
    throw new InvalidArgumentError('It cannot be written, or its directory does not exist.');
  return file;
}

/**
 * Runs a program until it ends, or is told to: an interrupted one ends with the exit code that shells expect, a failed
 * one with 1.
 */
export function runInterruptibly(main: (signal: AbortSignal) => Promise<void>): void {
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      process.exitCode = 128 + system.signals[signal]; // as shells have it
      interruption.abort();
    });
  }
  main(interruption.signal).catch((error: unknown) => {
    if (interruption.signal.aborted && error === interruption.signal.reason) {
      console.error('Stopped.');
      return;
    }
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
}
