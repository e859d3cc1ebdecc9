/** What `cgfac doctor` says of an installation. */
import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import type * as Package from '../index';
import { addonFile, mpiFile, packageRoot } from '../native/folder';
import type { Command, Print } from './command';
import { type Check, selfTest } from './self-test';

const row = (name: string, text: string) => `  ${name.padEnd(16)} ${text}`;

/** A package as a program in some folder finds it. */
interface Found {
  readonly version: string;
  readonly path: string;
}

/** TensorFlow.js as it is found from a file; `undefined` where there is none. */
function tensorflowFrom(file: string): Found | undefined {
  try {
    const find = createRequire(file);
    const path = find.resolve('@tensorflow/tfjs-core/package.json');
    return { version: (find(path) as { version: string }).version, path: realpathSync(path) };
  } catch {
    return undefined;
  }
}

/** TensorFlow.js as a program of the current folder has it, and whether cgfac has the same one. */
function printTensorflow(print: Print): void {
  const programs = tensorflowFrom(join(process.cwd(), 'package.json'));
  const own = tensorflowFrom(join(packageRoot(), 'package.json'));
  if (programs === undefined && own === undefined) {
    print(row('TensorFlow.js', 'not found from here (it is needed for cgfac/tfjs alone)'));
    return;
  }
  print(row('TensorFlow.js', (programs ?? own)?.version ?? ''));
  if (programs === undefined || own === undefined) {
    const whose = programs === undefined ? 'programs in this folder' : 'cgfac';
    print(row('', `not found by ${whose}; install @tensorflow/tfjs-core in this project for cgfac/tfjs`));
  } else if (programs.path !== own.path) {
    print(row('', 'two copies: a model that is saved with its optimizer is not loaded with it'));
    print(row('of cgfac', `${own.version}, ${dirname(own.path)}`));
    print(row('of programs here', `${programs.version}, ${dirname(programs.path)}`));
    print(row('', 'npm ls @tensorflow/tfjs-core shows who brings them, npm dedupe makes them one'));
  }
}

/** The C library, which Node's report names where it is glibc. */
function libraryOf(): string {
  if (process.platform !== 'linux') return '';
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime === undefined ? ', no glibc' : `, glibc ${header.glibcVersionRuntime}`;
}

/** What the file of an addon is called, seen from the package; in words where there is none. */
function nameOf(file: () => string): string {
  try {
    return relative(packageRoot(), file());
  } catch {
    return 'none for this platform';
  }
}

function printInstallation(print: Print): void {
  const { version } = createRequire(__filename)('cgfac/package.json') as { version: string };
  print('Installation');
  print(row('cgfac', version));
  print(row('folder', packageRoot()));
  print(row('addon', nameOf(addonFile)));
  print(row('addon of MPI', nameOf(mpiFile)));
  print(row('Node.js', `${process.versions.node}, Node-API ${process.versions.napi}`));
  print(row('system', `${process.platform}-${process.arch}${libraryOf()}`));
  printTensorflow(print);
}

/** A variable of the environment that changes what is reported. */
const setting = (name: string) => (process.env[name] === undefined ? '' : `; ${name}=${process.env[name]}`);

function printProcessor(info: Package.Info, print: Print): void {
  const { blas, threads, threadsAllowed, threadsRefused } = info;
  print('Processor');
  print(row(blas.vendor, `${blas.version}, ${blas.threads} thread`));
  print(row('kernel', `${blas.core}${setting('OPENBLAS_CORETYPE')}`));
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
async function examine(print: Print): Promise<boolean> {
  printInstallation(print);
  let cgfac: typeof Package;
  try {
    cgfac = await import('../index.js');
  } catch (error) {
    print(`cgfac cannot be loaded here. ${String((error as { message?: unknown })?.message ?? error)}`);
    return false;
  }
  printProcessor(cgfac.info(), print);
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

/** The command `cgfac doctor`. */
export const doctor: Command = {
  summary: 'says whether cgfac works here, and with what',
  text: `Prints what a bug report needs, in five seconds at most: versions and the files that are loaded, the copy of
TensorFlow.js that programs of this folder find, kernel and threads, a self-test of each method, and a
benchmark of one second. Ends with 0 where cgfac works here, else with 1 and the cause.`,
  options: {},
  run: (_values, print) => examine(print),
};
