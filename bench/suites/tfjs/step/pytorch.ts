/** The same training steps by PyTorch, where it is installed. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';

/** The programs that steps.py has. */
const PROGRAMS: readonly string[] = ['deep-autoencoder', 'digits', 'convnet'];
const file = join(__dirname, '..', '..', '..', '..', '..', 'bench', 'suites', 'tfjs', 'step', 'steps.py');

/** Why PyTorch cannot be asked; `undefined` where it can. */
export function lacksPyTorch(): string | undefined {
  const { status, error } = spawnSync('python3', ['-c', 'import torch'], { stdio: 'ignore' });
  if (error) return `python3 does not start: ${error.message}`;
  return status === 0 ? undefined : "python3 has no module torch (Debian's is the package python3-torch)";
}

/** A process that trains the model of a program with Adam, step by step. */
export class PyTorch {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;
  readonly #answers: AsyncIterator<string>;

  private constructor(program: string, threads: number) {
    this.#process = spawn('python3', [file, program, String(threads)], { stdio: ['pipe', 'pipe', 'inherit'] as never });
    this.#lines = createInterface({ input: this.#process.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  /** Makes the model; `undefined` of a program that steps.py does not have. */
  static async of(program: string, threads: number): Promise<PyTorch | undefined> {
    if (!PROGRAMS.includes(program)) return undefined;
    const made = new PyTorch(program, threads);
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
