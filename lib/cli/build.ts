/** What `cgfac build` does: makes the addon of the sources in the package, where the loader looks for it first. */
import { spawn, spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  copyFileSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { packageRoot } from '../native/folder';
import { type Command, type Print, UsageError, type Values } from './command';
import { missingLibrary, toolchain, wordsOf } from './toolchain';

/** What is built, as paths below the folder of a build, which are those below build/Release of the package, too. */
const addons = ['cgfac.node', join('mpi', 'cgfac_mpi.node')];

/** A build that cannot go on, in lines for its user. */
class BuildError extends Error {}

/** How a program ended, and all that it printed. */
interface Ending {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a program, with what it prints in a file and, line by line, at `onLine`. */
function run(
  command: string,
  args: readonly string[],
  log: string,
  onLine: (line: string) => void = () => {},
): Promise<Ending> {
  const file = createWriteStream(log, { flags: 'a' });
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let rest = '';
  const take = (text: string) => {
    output += text;
    file.write(text);
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(onLine);
  };
  child.stdout.setEncoding('utf8').on('data', take);
  child.stderr.setEncoding('utf8').on('data', take);
  return new Promise((settle, fail) => {
    child.once('error', fail);
    child.once('close', (code) => file.end(() => settle({ code, output })));
  });
}

/** Prints how far a build is, at each tenth of it; the output of make has percentages, that of ninja counts. */
function progress(print: Print): (line: string) => void {
  let told = 0;
  return (line) => {
    const [, percent, done, all] = /^\[\s*(?:(\d+)%|(\d+)\/(\d+))\]/.exec(line) ?? [];
    const part = percent === undefined ? Number(done) / Number(all) : Number(percent) / 100;
    const tenth = Math.floor(part * 10);
    if (!(tenth > told)) return;
    told = tenth;
    print(`  ${tenth * 10} %`);
  };
}

/** The folder that takes the addons; throws where it cannot be written to. */
function destination(root: string): string {
  const folder = join(root, 'build', 'Release');
  let existing = folder;
  while (!existsSync(existing)) existing = dirname(existing);
  try {
    accessSync(existing, constants.W_OK);
  } catch {
    throw new BuildError(
      `Expected to write the addon to ${folder}, but ${existing} is read-only for this user; ` +
        'run the command as the owner of that folder, or in a copy of the project that can be written to',
    );
  }
  return folder;
}

/** The folder of the headers that the package has of others; throws in a checkout, which has a build of its own. */
function headers(root: string): string {
  const folder = join(root, 'dist', 'include');
  const checkout = existsSync(join(root, 'scripts', 'setup.sh'));
  if (!checkout && existsSync(folder) && existsSync(join(root, 'CMakeLists.txt'))) return folder;
  const found = checkout ? 'a checkout of the repository, whose addon npm run build makes' : 'them incomplete';
  throw new BuildError(`Expected the sources of the installed package in ${root} but found ${found}`);
}

/** The arguments of CMake that configure a build of the addons alone. */
function configuration(root: string, include: string, folder: string, generator: string): string[] {
  return [
    ...['-S', root, '-B', folder, '-G', generator],
    '-DCMAKE_BUILD_TYPE=Release',
    `-DCMAKE_LIBRARY_OUTPUT_DIRECTORY=${join(folder, 'Release')}`,
    '-DCMAKE_SHARED_LINKER_FLAGS=-s',
    `-DCMAKE_JS_INC=${join(include, 'node-api')}`,
    `-DCGFAC_NODE_ADDON_API=${join(include, 'node-addon-api')}`,
    '-DCGFAC_BUILD_TESTS=OFF',
  ];
}

function failure(step: string, { code, output }: Ending, log: string): BuildError {
  const lines = output.trimEnd().split('\n');
  const errors = lines.filter((line) => /\berror\b/i.test(line)).slice(0, 10);
  const shown = (errors.length > 0 ? errors : lines.slice(-20)).map((line) => `  ${line}`);
  const elsewhere = process.platform === 'linux' ? [] : ['The sources have been built on Linux alone so far.'];
  return new BuildError([`${step} ended with ${code}:`, ...shown, ...elsewhere, `All of it: ${log}`].join('\n'));
}

/** What the new addon says of itself in a process of its own, where it cannot take this one down. */
function check(file: string): string {
  const program = 'const { blas } = require(process.argv[1]).info(); console.log(blas.vendor, blas.version, blas.core)';
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--eval', program, file], {
    encoding: 'utf8',
  });
  if (status === 0) return stdout.trim();
  throw new BuildError(`The addon was built, but does not load (${signal ?? status}):\n${stderr.trim()}`);
}

/** Puts the addons where they are looked for: each appears as a whole. */
function put(from: string, folder: string): void {
  for (const addon of addons) {
    const target = join(folder, addon);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(join(from, addon), `${target}.new`);
    renameSync(`${target}.new`, target);
  }
}

async function make(root: string, jobs: number, verbose: boolean, print: Print): Promise<void> {
  const include = headers(root);
  const folder = destination(root);
  const { found, generator, missing } = toolchain();
  if (missing.length > 0) throw new BuildError(wordsOf(missing).join('\n'));
  print(`Building the addon of ${root} with ${found.join(', ')}`);
  const work = mkdtempSync(join(tmpdir(), 'cgfac-build-'));
  const log = join(work, 'build.log');
  const tell = verbose ? print : undefined;
  const configured = await run('cmake', configuration(root, include, work, generator), log, tell);
  if (configured.code !== 0) {
    const library = missingLibrary(configured.output);
    if (library === undefined) throw failure('The configuration by CMake', configured, log);
    rmSync(work, { recursive: true });
    throw new BuildError(wordsOf([library]).join('\n'));
  }
  const args = ['--build', work, '--parallel', String(jobs), '--target', 'cgfac'];
  print(`Compiling with ${jobs} ${jobs === 1 ? 'process' : 'processes'}, a few minutes of one processor`);
  const built = await run('cmake', args, log, tell ?? progress(print));
  if (built.code !== 0) throw failure('The build', built, log);
  const blas = check(join(work, 'Release', 'cgfac.node'));
  put(join(work, 'Release'), folder);
  rmSync(work, { recursive: true });
  const megabytes = (statSync(join(folder, 'cgfac.node')).size / 1e6).toFixed(1);
  print(`Built ${join(folder, 'cgfac.node')} (${megabytes} MB, ${blas}).`);
  print('It is loaded from now on, until the package is installed anew; cgfac doctor tests it.');
}

function jobsOf(value: string | boolean | undefined): number {
  if (value === undefined) return availableParallelism();
  const jobs = Number(value);
  if (Number.isInteger(jobs) && jobs >= 1 && jobs <= 1024) return jobs;
  throw new UsageError(`Expected an integer from 1 to 1024 for --jobs but received '${value}'`);
}

async function runBuild(values: Values, print: Print): Promise<boolean> {
  try {
    await make(packageRoot(), jobsOf(values.jobs), values.verbose === true, print);
    return true;
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return false;
  }
}

/** The command `cgfac build`. */
export const build: Command = {
  summary: 'builds the addon for a platform that the package has no binary for',
  text: `Builds the addon of the sources in the package, with CMake, a compiler of C++20 and a static OpenBLAS, which it
names where they are missing. Nothing is downloaded. The addon is put into the folder of the package, under
build/Release, where it is loaded instead of a binary of the package. An installation never runs this by itself.`,
  options: {
    jobs: { type: 'string', short: 'j', value: 'N', does: 'compile with N processes at once; default: all processors' },
    verbose: { type: 'boolean', does: 'print all that CMake and the compiler print' },
  },
  run: runBuild,
};
