// node test/platforms/installed.mjs PACKAGES PLATFORM: on a machine of that platform, installs the tarballs of a
// release from the folder PACKAGES into an empty one, and solves golden cases there. Nothing of the checkout is used
// but those cases and the program that solves them, and no compiler. Ends with 1 where a result is wrong.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [packages, platform] = process.argv.slice(2);
const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'cgfac-installed-')));
// npm is a script of the shell on Windows
const shell = process.platform === 'win32';

function run(command, ...args) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8', shell });
  if (error) throw error;
  assert.equal(status, 0, `${command} ${args.join(' ')} ended with ${status}: ${stdout}${stderr}`);
  return stdout;
}

const tarballs = readdirSync(packages);
/** The package itself, and that of the platform, unless it is in the former. */
const wanted = [/^cgfac-\d/, new RegExp(`^cgfac-${platform}-\\d`)].flatMap((name) =>
  tarballs.filter((each) => name.test(each)),
);
assert.equal(wanted.length, platform === 'linux-x64' ? 1 : 2, `wrong tarballs for ${platform}: ${wanted}`);

try {
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  run('npm', 'install', '--no-audit', '--no-fund', ...wanted.map((name) => join(realpathSync(packages), name)));
  cpSync(join(root, 'test/package/consumer'), folder, { recursive: true });
  const golden = join(root, 'test/golden');
  const { info, results } = JSON.parse(run('node', 'solve.cjs', golden, 'tiny', 'real-encoder-layer'));
  const all = Object.values(results).flat();
  for (const { applyError, solveError, asyncError, goldenResidual } of all) {
    assert.ok(applyError < 2e-6, `an application is off by ${applyError}`);
    // below this residual an iterate is the result of cancellation, and no two programs agree on it
    if (goldenResidual > 1e-3) assert.ok(Math.max(solveError, asyncError) < 2e-5, `a solve is off by ${solveError}`);
  }
  assert.ok(all.some(({ goldenResidual }) => goldenResidual > 1e-3));
  console.log(`${platform}: cgfac ${info.version}, kernel ${info.blas.core}, ${all.length} golden results`);
  run('npx', 'cgfac', 'doctor');
  console.log('1 passed, 0 failed');
} finally {
  rmSync(folder, { recursive: true });
}
