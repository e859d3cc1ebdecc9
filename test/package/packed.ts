/**
 * The package as its users get it: prebuilt and packed. The binary is that of `npm run prebuilds` where it is as new as
 * the sources; else it is built in a copy of the checkout, because prebuildify moves it out of build/.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, delimiter, join, relative, resolve, sep } from 'node:path';

/** The checkout. */
export const ROOT = resolve(__dirname, '../..');

/** Not part of a clean checkout; node_modules is linked instead. */
const NOT_COPIED = ['.git', 'build', 'dist', 'node_modules', 'out', 'prebuilds'];

/** How a program is started. */
export interface Start {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a program to its end. */
export function run(command: string, args: readonly string[], options: Start): SpawnSyncReturns<string> {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 << 20, ...options });
  if (result.error) throw result.error;
  return result;
}

/** Runs a program that has to end with 0; what it printed. */
export function runWell(command: string, args: readonly string[], options: Start): string {
  const { status, stdout, stderr } = run(command, args, options);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}\n${stderr}`);
  return stdout;
}

/** The npm that runs the tests, else the one on PATH, as a script for Node. */
export function npmScript(): string {
  const running = process.env.npm_execpath;
  if (running && basename(running).startsWith('npm')) return running;
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .map((directory) => join(directory, 'npm'))
    .find((file) => existsSync(file));
  if (!found) throw new Error('There is no npm on PATH.');
  return realpathSync(found);
}

/** What a user without development tools has: a folder of Node alone as PATH, and prebuilt binaries as the choice. */
export function bareEnvironment(bin: string): NodeJS.ProcessEnv {
  const dropped =
    /^(CC|CXX|CFLAGS|CXXFLAGS|LDFLAGS|LD_LIBRARY_PATH|LD_PRELOAD|NODE_OPTIONS|NODE_PATH|(CGFAC|OPENBLAS|CMAKE)_.*)$/;
  const kept = Object.entries(process.env).filter(([name]) => !dropped.test(name));
  return { ...Object.fromEntries(kept), PATH: bin, PREBUILDS_ONLY: '1' };
}

/** The addon of the core, and the one that calls MPI. */
export function prebuiltFiles(root: string): string[] {
  const directory = join(root, 'prebuilds/linux-x64');
  const found = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.node'));
  if (found.length !== 2) throw new Error(`Expected two addons in ${directory} but found ${found.join(', ')}`);
  return found.map((name) => join(directory, name));
}

/** Whether a binary was made of the sources as they are. */
function prebuiltIsNew(): boolean {
  if (!existsSync(join(ROOT, 'prebuilds/linux-x64'))) return false;
  const made = Math.min(...prebuiltFiles(ROOT).map((file) => statSync(file).mtimeMs));
  const sources = readdirSync(join(ROOT, 'binding'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  const paths = [
    ...sources,
    ...['CMakeLists.txt', 'package.json', 'package-lock.json'].map((name) => join(ROOT, name)),
  ];
  return paths.every((path) => statSync(path).mtimeMs < made);
}

/** A tarball, and what `npm pack` says of it. */
export interface Packed {
  readonly tarball: string;
  readonly files: readonly string[];
  readonly bytes: number;
  readonly unpackedBytes: number;
}

/** Packs a clean copy of the checkout, which is made in `checkout`, into `destination`. */
export function pack(checkout: string, destination: string): Packed {
  const copied = (path: string) => !NOT_COPIED.includes(relative(ROOT, path).split(sep)[0] ?? '');
  cpSync(ROOT, checkout, { recursive: true, filter: copied });
  symlinkSync(join(ROOT, 'node_modules'), join(checkout, 'node_modules'));
  if (prebuiltIsNew()) cpSync(join(ROOT, 'prebuilds'), join(checkout, 'prebuilds'), { recursive: true });
  else runWell(process.execPath, [npmScript(), 'run', 'prebuilds'], { cwd: checkout });
  const [report] = JSON.parse(
    runWell(process.execPath, [npmScript(), 'pack', '--json', '--pack-destination', destination], { cwd: checkout }),
  );
  return {
    tarball: join(destination, report.filename),
    files: report.files.map(({ path }: { path: string }) => path),
    bytes: report.size,
    unpackedBytes: report.unpackedSize,
  };
}

/** A new project that has installed a tarball by npm, and the programs of the folder `consumer`. */
export function install(directory: string, tarball: string, env: NodeJS.ProcessEnv): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ name: basename(directory), private: true }));
  const args = ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', tarball];
  runWell(process.execPath, [npmScript(), ...args], { cwd: directory, env });
  cpSync(join(__dirname, 'consumer'), directory, { recursive: true });
}
