/** A journal of finished runs, a line of JSON each, so that a comparison that was cut off goes on where it was. */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Run } from '../suites/training/runs';
import type { LayerRow } from './layers';

/** What a run left. */
export interface Entry {
  /** What decided it, as {@link keyOf} has it. */
  readonly key: string;
  readonly run: Run;
  /** Seconds of training until each step that is told, evaluations apart; null where it was not reached. */
  readonly seconds: readonly (number | null)[];
  /** Weights of the model. */
  readonly weights: number;
  /** Bytes that the optimizer kept between steps in the end, averages of the weights apart. */
  readonly bytes: number;
  /** Method, damping, step rule and factors in a sentence, where the optimizer is this package's. */
  readonly recipe?: string;
  /** The layers in the last step, where the optimizer is this package's. */
  readonly layers?: readonly LayerRow[];
  /** Pictures that went in and those that came out, one byte a pixel, as base64. */
  readonly pictures?: { readonly inputs: string; readonly outputs: string };
}

/** Everything that decides what comes of a run and how long it takes. */
export interface Decided {
  readonly program: string;
  readonly about: string;
  readonly told: readonly number[];
  readonly batchFactor: number;
  readonly setting: string;
  readonly seed: number;
  /** The package, its addon, the programs, and how they are trained. */
  readonly build: string;
  readonly cpu: string;
  readonly blasCore: string;
  readonly threads: number;
  readonly node: string;
}

/** A digest of what decides a run. */
export function keyOf(decided: Decided): string {
  const sorted = Object.entries(decided).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 24);
}

function entryOf(line: string): Entry | undefined {
  try {
    const entry = JSON.parse(line) as Partial<Entry> | null;
    return typeof entry?.key === 'string' && entry.run !== undefined ? (entry as Entry) : undefined;
  } catch {
    return undefined; // the line that was being written when the program was cut off
  }
}

/** The journal of a file. Runs of other builds, machines and settings stay in it and are none of this one's. */
export class Journal {
  readonly #file: string;
  readonly #entries = new Map<string, Entry>();

  /** Reads a file that is there; a line that was cut off counts for nothing. */
  constructor(file: string) {
    this.#file = file;
    if (!existsSync(file)) return;
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const entry = entryOf(line);
      if (entry !== undefined) this.#entries.set(entry.key, entry);
    }
  }

  /** A run that is there already. */
  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** Keeps a run that has ended: it is on the disk when this returns. One that failed by an error is not kept. */
  add(entry: Entry): void {
    if (entry.run.failed !== undefined) return;
    this.#entries.set(entry.key, entry);
    mkdirSync(dirname(this.#file), { recursive: true });
    const file = openSync(this.#file, 'a');
    try {
      // a line of its own, whatever the last one was cut off at
      writeSync(file, `\n${JSON.stringify(entry)}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }
}
