/** The same training steps by PyTorch, where it is installed. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** The programs that steps.py has. */
const PROGRAMS: readonly string[] = ['deep-autoencoder', 'digits', 'convnet'];
const file = join(__dirname, '..', '..', '..', '..', '..', 'bench', 'suites', 'tfjs', 'step', 'steps.py');

/** The interpreters that are tried: another one may stand in front of the system's. */
const INTERPRETERS: readonly string[] = ['python3', '/usr/bin/python3'];

/** Its threads sleep between their pieces of work: those that spin take the cores of the other one, and their own. */
const PASSIVE = { OMP_WAIT_POLICY: 'PASSIVE', GOMP_SPINCOUNT: '0' };

/** The first interpreter that has PyTorch; `undefined` where none has. */
export function pythonWithTorch(): string | undefined {
  return INTERPRETERS.find((python) => spawnSync(python, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0);
}

/** A process that trains the model of a program with Adam, step by step. */
export class PyTorch {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;
  readonly #answers: AsyncIterator<string>;

  private constructor(python: string, program: string, threads: number) {
    this.#process = spawn(python, [file, program, String(threads)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...PASSIVE },
    });
    this.#lines = createInterface({ input: this.#process.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  /** Makes the model; `undefined` of a program that steps.py does not have. */
  static async of(python: string, program: string, threads: number): Promise<PyTorch | undefined> {
    if (!PROGRAMS.includes(program)) return undefined;
    const made = new PyTorch(python, program, threads);
    await made.#answer();
    return made;
  }

  /** The milliseconds of a step. */
  async step(): Promise<number> {
    this.#process.stdin.write('\n');
    return Number(await this.#answer());
  }

  end(): void {
    this.#lines.close();
    this.#process.stdin.end();
  }

  async #answer(): Promise<string> {
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error('Expected an answer of steps.py but it ended');
    return value;
  }
}
