// node scripts/test.mjs PART [ARGUMENTS]: sets up what the part needs, runs it, and ends with one line that adds up
// what it ran, "N passed, N failed". PART is one of
//   all   the tests of the core (ctest), then everything else (Jest); with arguments, Jest alone, as `lib`
//   core  ctest alone, after building no more than it needs; an argument is a pattern of names, as for ctest -R
//   lib   Jest alone; arguments go to it, such as a path: test/lib/layer/kfac.test.ts
//   asan  under AddressSanitizer and UndefinedBehaviorSanitizer the tests of the core, then those of Jest that call the
//         addon; with arguments, Jest alone, as `lib`
//   arm64 the addon of linux-arm64 under qemu-user: tests of Jest, and the packages of a release, installed
//   roots the package, installed in bare systems of Debian 12 and 13 with Node alone; as root
//   pages a quick comparison and the site of the documents are made, and opened in a browser
//   fuzz  the targets of test/fuzz: their committed inputs, and new ones with `--minutes M`, of which `--grow` keeps
//         those that cover more; with `--valgrind` the corpus alone, under valgrind
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fuzz } from './fuzz.mjs';
import { testArm64 } from './test-arm64.mjs';
import { testRoots } from './test-roots.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const reports = mkdtempSync(join(tmpdir(), 'cgfac-test-'));
const jobs = String(availableParallelism());
/** What calls the addon, and neither builds the package nor spends its time in TensorFlow.js or in float64 oracles. */
const asanPaths = [
  'test/native',
  'test/property',
  'test/lib/hostile',
  'test/lib/kernels',
  'test/lib/layer',
  'test/lib/network/kinds',
  '--testPathIgnorePatterns=/lib/\\w+/(table|same-bits)',
];

function run(command, args, options = {}) {
  const { error, status, signal } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) throw error;
  if (signal) console.error(`${command} was ended by ${signal}`);
  return status ?? 1;
}

const setUp = (...args) => run('sh', ['scripts/setup.sh', ...args]) === 0;
const failure = { passed: 0, failed: 1 };

/** The counts of a JUnit report; a test that was skipped has not passed. */
function ctestCounts(file) {
  const suite = /<testsuite\b[^>]*>/.exec(readFileSync(file, 'utf8'))?.[0] ?? '';
  const attribute = (name) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(suite)?.[1]);
  const failed = attribute('failures') + attribute('disabled') + attribute('skipped');
  return { passed: attribute('tests') - failed, failed };
}

/** The counts of a Jest report; a suite that could not run counts as one failure. */
function jestCounts(file) {
  const report = JSON.parse(readFileSync(file, 'utf8'));
  return { passed: report.numPassedTests, failed: report.numFailedTests + report.numRuntimeErrorTestSuites };
}

/**
 * The counts of a report, with one failure added where the program ended badly and its report shows none; one failure
 * where there is no report, because the program died.
 */
function honest(name, status, file, countsOf) {
  const counts = existsSync(file) ? countsOf(file) : { passed: 0, failed: 0 };
  if (!(counts.passed + counts.failed > 0)) {
    console.error(`${name} ended with exit code ${status} and reported no test`);
    return failure;
  }
  if (status !== 0 && counts.failed === 0) {
    console.error(`${name} ended with exit code ${status} although its report shows no failure`);
    return { ...counts, failed: 1 };
  }
  return counts;
}

/** Whether build/ is configured here, with the tests of the core; then CMake alone brings them up to date. */
function coreIsConfigured() {
  const cache = join(root, 'build/CMakeCache.txt');
  if (!existsSync(cache)) return false;
  const lines = readFileSync(cache, 'utf8').split('\n');
  return (
    lines.includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${realpathSync(root)}`) && lines.includes('CGFAC_BUILD_TESTS:BOOL=ON')
  );
}

function ctest(patterns, folder = 'build', options = []) {
  const built = run('cmake', ['--build', folder, '--parallel', jobs, '--target', 'test_core']);
  if (built !== 0) return failure;
  const report = join(reports, 'ctest.xml');
  const names = patterns.length > 0 ? ['--tests-regex', patterns.join('|')] : [];
  const always = ['--no-tests=error', '--output-on-failure', '--output-junit', report];
  const status = run('ctest', ['--test-dir', folder, ...always, ...options, ...names]);
  return honest('ctest', status, report, ctestCounts);
}

function jest(args, env = process.env, node = process.execPath) {
  const report = join(reports, 'jest.json');
  const program = join(root, 'node_modules/jest/bin/jest.js');
  const status = run(node, [program, '--json', `--outputFile=${report}`, ...args], {
    stdio: ['inherit', 'ignore', 'inherit'],
    env,
  });
  return honest('jest', status, report, jestCounts);
}

/** The path of a library of the compiler's that has to be there before any other. */
function compilerLibrary(name) {
  const { error, stdout } = spawnSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' });
  if (error) throw error;
  return stdout.trim();
}

/**
 * What loads the addon of build/asan-addon: the variable is node-gyp-build's, which takes the folder instead of the
 * package's own. Node is not instrumented, so the run-time libraries are loaded with it; what Node never frees is no
 * leak of ours. Reports go to files, so that none is lost with a process that a test started and gave up.
 */
function sanitizedEnvironment() {
  const log = `log_path=${join(reports, 'sanitizer')}`;
  return {
    ...process.env,
    CGFAC_PREBUILD: join(root, 'build/asan-addon'),
    LD_PRELOAD: ['libasan.so.8', 'libubsan.so.1', 'libstdc++.so.6'].map(compilerLibrary).join(' '),
    ASAN_OPTIONS: `detect_leaks=0:${log}`,
    UBSAN_OPTIONS: `print_stacktrace=1:${log}`,
  };
}

/** Throws where a program that imports the package does not run the sanitized addon. */
function requireSanitizedAddon(env) {
  const program =
    "require('cgfac').info(); process.stdout.write(require('fs').readFileSync('/proc/self/maps', 'utf8'))";
  const { stdout, stderr } = spawnSync(process.execPath, ['--eval', program], { cwd: root, env, encoding: 'utf8' });
  const addons = new Set(stdout.match(/\S*\/cgfac[^/\n]*\.node$/gm));
  const wanted = join(root, 'build/asan-addon/build/Release/cgfac.node');
  if (addons.size !== 1 || !addons.has(wanted) || !/\/libasan\.so\S*$/m.test(stdout)) {
    throw new Error(`Expected ${wanted} under libasan to be loaded but received ${[...addons]}\n${stderr}`);
  }
  console.error(`test:asan: programs load ${wanted}`);
}

function asan(args) {
  const env = sanitizedEnvironment();
  requireSanitizedAddon(env);
  const counts = jest(args, env);
  const found = readdirSync(reports).filter((name) => name.startsWith('sanitizer'));
  for (const name of found) console.error(readFileSync(join(reports, name), 'utf8'));
  return { ...counts, failed: Math.max(counts.failed, found.length) };
}

const parts = {
  all: (args) => {
    if (args.length > 0) return parts.lib(args);
    return setUp('--test') ? [ctest([]), jest([])] : [failure];
  },
  core: (patterns) => [coreIsConfigured() || setUp('--test') ? ctest(patterns) : failure],
  lib: (args) => [setUp() ? jest(args) : failure],
  arm64: () => testArm64(setUp, jest),
  roots: () => testRoots(setUp),
  pages: (args) => {
    if (!setUp('--pages')) return [failure];
    const made = ['dist/bench/compare/main.js --quick', 'scripts/docs/build.mjs'].map((line) =>
      run(process.execPath, line.split(' ')) === 0 ? { passed: 1, failed: 0 } : failure,
    );
    if (made.some(({ failed }) => failed > 0)) return made;
    // the paths of test/pages, which other runs leave out
    return [...made, jest([...(args.length > 0 ? args : ['test/pages']), '--testPathIgnorePatterns=/node_modules/'])];
  },
  fuzz: async (args) => [await fuzz(args, setUp)],
  asan: (args) => {
    if (!setUp('--asan')) return [failure];
    if (args.length > 0) return [asan(args)];
    return [ctest([], 'build/asan-addon/build', ['--parallel', jobs, '--timeout', '300']), asan(asanPaths)];
  },
};

try {
  const [part, ...args] = process.argv.slice(2);
  if (!Object.hasOwn(parts, part)) throw new RangeError(`Expected one of ${Object.keys(parts)} but received ${part}`);
  const counts = await parts[part](args);
  const total = (key) => counts.reduce((sum, one) => sum + one[key], 0);
  console.log(`${total('passed')} passed, ${total('failed')} failed`);
  process.exitCode = total('failed') === 0 ? 0 : 1;
} finally {
  rmSync(reports, { recursive: true });
}
