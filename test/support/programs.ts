/** The compiled programs of examples, started as a user starts them. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

/** The root of the repository. */
export const repository = resolve(__dirname, '../..');

/** Where a program of examples is compiled to, by its path below examples. */
export function programFile(name: string): string {
  return join(repository, 'dist/examples', name);
}

/** Brings what a configuration compiles up to date. */
function build(configuration: string): void {
  const compiler = join(repository, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [compiler, '--build', configuration], {
    cwd: repository,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stdout);
}

/** Brings the compiled programs up to date. */
export const buildExamples = (): void => build('tsconfig.examples.json');

/** Brings the compiled benchmarks up to date. */
export const buildBenchmarks = (): void => build('tsconfig.bench.json');

/** Runs a compiled program to its end, in a directory. */
export function startProgram(name: string, args: readonly string[] = [], cwd = repository): SpawnSyncReturns<string> {
  const result = spawnSync(process.execPath, [programFile(name), ...args], { cwd, encoding: 'utf8' });
  if (result.error) throw result.error;
  return result;
}
