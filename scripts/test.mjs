// npm test, after the set-up: the tests of the core (ctest), then everything else (Jest). Arguments go to Jest, so
// `npm test -- test/lib` runs a part of it. Ends with one line that adds up both: "N passed, N failed".
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const reports = mkdtempSync(join(tmpdir(), 'cgfac-test-'));
const jobs = String(availableParallelism());

function run(command, args, options = {}) {
  const { error, status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) throw error;
  return status ?? 1;
}

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

/** The counts, with one failure added where the program ended badly and its report shows none. */
function honest(name, status, counts) {
  if (!(counts.passed + counts.failed > 0)) {
    console.error(`${name} ran no test`);
    return { passed: 0, failed: 1 };
  }
  if (status !== 0 && counts.failed === 0) {
    console.error(`${name} ended with exit code ${status} although its report shows no failure`);
    return { ...counts, failed: 1 };
  }
  return counts;
}

function core() {
  const built = run('cmake', ['--build', 'build', '--parallel', jobs]);
  if (built !== 0) return { passed: 0, failed: 1 };
  const report = join(reports, 'ctest.xml');
  const status = run('ctest', [
    '--test-dir',
    'build',
    '--no-tests=error',
    '--output-on-failure',
    '--output-junit',
    report,
  ]);
  return honest('ctest', status, ctestCounts(report));
}

function node() {
  const report = join(reports, 'jest.json');
  const jest = join(root, 'node_modules/jest/bin/jest.js');
  const status = run(process.execPath, [jest, '--json', `--outputFile=${report}`, ...process.argv.slice(2)], {
    stdio: ['inherit', 'ignore', 'inherit'],
  });
  return honest('jest', status, jestCounts(report));
}

try {
  const parts = [core(), node()];
  const total = (key) => parts.reduce((sum, counts) => sum + counts[key], 0);
  console.log(`${total('passed')} passed, ${total('failed')} failed`);
  process.exitCode = total('failed') === 0 ? 0 : 1;
} finally {
  rmSync(reports, { recursive: true });
}
