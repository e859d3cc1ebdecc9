/** What `cgfac doctor` says of an installation. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as Package from '../index';
import { type Check, selfTest } from './self-test';

/** Takes a line of the report. */
type Print = (line: string) => void;

const row = (name: string, text: string) => `  ${name.padEnd(16)} ${text}`;

/** The version of TensorFlow.js that a program of the current folder finds. */
function tensorflowVersion(): string {
  try {
    const find = createRequire(join(process.cwd(), 'package.json'));
    const { version } = find('@tensorflow/tfjs-core/package.json') as { version: string };
    return version;
  } catch {
    return 'not found from here (it is needed for cgfac/tfjs alone)';
  }
}

/** The C library, which Node's report names where it is glibc. */
function libraryOf(): string {
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime === undefined ? 'no glibc' : `glibc ${header.glibcVersionRuntime}`;
}

function printVersions(info: Package.Info, print: Print): void {
  print('Versions');
  print(row('cgfac', info.version));
  print(row('Node.js', `${process.versions.node}, Node-API ${info.napi} of ${process.versions.napi}`));
  print(row('system', `${process.platform}-${process.arch}, ${libraryOf()}`));
  print(row(info.blas.vendor, info.blas.version));
  print(row('TensorFlow.js', tensorflowVersion()));
}

/** A variable of the environment that changes what is reported. */
const setting = (name: string) => (process.env[name] === undefined ? '' : `; ${name}=${process.env[name]}`);

function printProcessor(info: Package.Info, print: Print): void {
  const { threads, threadsAllowed, threadsRefused } = info;
  print('Processor');
  print(row('kernel', `${info.blas.core}${setting('OPENBLAS_CORETYPE')}`));
  print(row('threads', `${threads} used, ${threadsAllowed} allowed${setting('CGFAC_NUM_THREADS')}`));
  if (threadsRefused > 0) print(row('', `the system refused to start ${threadsRefused} more (ulimit -u, a cgroup)`));
  if (threads > threadsAllowed) print(row('', 'more threads than the system runs at once make solves slower'));
}

function printChecks(checks: readonly Check[], print: Print): void {
  print('Self-test');
  for (const { name, passed, found } of checks) print(row(name, `${passed ? 'passed' : 'FAILED'}, ${found}`));
}

/** Solves of one layer for a second, and the median of their times. */
function printBenchmark({ LayerPreconditioner }: typeof Package, print: Print): void {
  const [features, batch] = [512, 256];
  const layer = { inFeatures: features, outFeatures: features, damping: 1e-2, lossReduction: 'sum', method: 'exact' };
  const numbers = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * i));
  const preconditioner = new LayerPreconditioner(layer as ConstructorParameters<typeof LayerPreconditioner>[0]);
  preconditioner.record({ inputs: numbers(batch * features), outputGrads: numbers(batch * features), batch });
  const v = numbers(features * features);
  const out = new Float32Array(v.length);
  const times: number[] = [];
  const end = performance.now() + 1000;
  for (let start = performance.now(); start < end; start = performance.now()) {
    preconditioner.preconditionSync(v, { out });
    times.push(performance.now() - start);
  }
  preconditioner.dispose();
  times.sort((a, b) => a - b);
  const median = times[times.length >> 1] ?? 0;
  print('Benchmark of one second');
  print(
    row('exact solve', `${median.toFixed(2)} ms, median of ${times.length}: ${features} × ${features}, ${batch} rows`),
  );
}

/** Prints the report; whether cgfac works here. */
export async function doctor(print: Print): Promise<boolean> {
  let cgfac: typeof Package;
  try {
    cgfac = await import('../index.js');
  } catch (error) {
    print(`cgfac cannot be loaded by Node.js ${process.versions.node} on ${process.platform}-${process.arch}:`);
    print(String((error as { message?: unknown })?.message ?? error));
    return false;
  }
  const info = cgfac.info();
  printVersions(info, print);
  printProcessor(info, print);
  const checks = await selfTest(cgfac);
  printChecks(checks, print);
  if (checks.some(({ passed }) => !passed)) {
    print('cgfac computes wrong results here; please report it with the lines above.');
    return false;
  }
  printBenchmark(cgfac, print);
  print('cgfac works here.');
  return true;
}
