/** A file of runs, written as each of them ends, so that a suite that was stopped goes on where it was. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Machine } from '../../harness/rows';
import { keyOf, type Run } from './runs';

/** What all runs of a file have in common. */
export interface Origin {
  readonly machine: Machine;
  /** Pool threads. */
  readonly threads: number;
  /** What decides losses, as {@link fingerprint} tells it. */
  readonly build: string;
}

interface Content extends Origin {
  readonly runs: readonly Run[];
}

/** The files below folders that end in one of the endings, in an order that does not depend on the file system. */
function filesBelow(folders: readonly string[], endings: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => endings.some((ending) => name.endsWith(ending)))
      .sort()
      .map((name) => join(folder, name)),
  );
}

/** A digest of compiled files: it differs where a rerun could have other losses. */
export function fingerprint(folders: readonly string[], files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of [...filesBelow(folders, ['.js']), ...files]) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
}

/** What a file was made with, one word each, where it is not what it should be. */
function differences(found: Content, wanted: Origin): string[] {
  const parts: readonly (readonly [name: string, of: (origin: Origin) => unknown])[] = [
    ['build', ({ build }) => build],
    ['OpenBLAS kernel', ({ machine }) => machine?.blasCore],
    ['processor', ({ machine }) => machine?.cpu],
    ['pool threads', ({ threads }) => threads],
  ];
  return parts
    .filter(([, of]) => of(found) !== of(wanted))
    .map(([name, of]) => `${name} ${String(of(found))} instead of ${String(of(wanted))}`);
}

function readContent(file: string): Content {
  let content: Partial<Content> | undefined;
  try {
    content = JSON.parse(readFileSync(file, 'utf8')) as Partial<Content>;
  } catch (error) {
    throw new Error(`Expected runs of this suite in ${file} but received no JSON`, { cause: error });
  }
  if (!Array.isArray(content?.runs)) {
    throw new Error(`Expected runs of this suite in ${file} but received another JSON file`);
  }
  return content as Content;
}

/** Runs that ended, in a file where there is one. */
export class ResultFile {
  readonly #file: string | undefined;
  readonly #origin: Origin;
  readonly #runs = new Map<string, Run>();

  /**
   * Takes over the runs of a file that is there. One that failed by an error is not taken over, and is done again.
   *
   * @param file - Where runs are kept; none are kept without it.
   * @throws Error where the file has something else, or runs that another build or another machine made.
   */
  constructor(file: string | undefined, origin: Origin) {
    this.#file = file;
    this.#origin = origin;
    if (file === undefined || !existsSync(file)) return;
    const found = readContent(file);
    const differing = differences(found, origin);
    if (differing.length > 0) {
      throw new Error(
        `Expected runs of this build and machine in ${file} but received those of another: ${differing.join(', ')}. ` +
          'Name a file that is not there to begin anew',
      );
    }
    for (const run of found.runs) if (run.failed === undefined) this.#runs.set(keyOf(run), run);
  }

  /** A run that is there already. */
  get(run: Pick<Run, 'task' | 'contender' | 'seed'>): Run | undefined {
    return this.#runs.get(keyOf(run));
  }

  /** Keeps a run that has ended, and writes the file at once: whole, or not at all. */
  add(run: Run): void {
    this.#runs.set(keyOf(run), run);
    if (this.#file === undefined) return;
    const content: Content = { ...this.#origin, runs: [...this.#runs.values()] };
    const beside = join(dirname(this.#file), `.${process.pid}.tmp`);
    writeFileSync(beside, `${JSON.stringify(content, null, 1)}\n`);
    renameSync(beside, this.#file);
  }
}
