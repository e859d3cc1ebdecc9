// Steps that make the binaries and the tarball of this machine, and look at them.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, scratch } from './tools.mjs';

/** Makes the addons of this platform, and loads them. */
export function prebuilds() {
  run('npm', ['run', 'prebuilds']);
  const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  const found = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.node'));
  if (found.length !== 2) throw new Error(`Expected two addons in ${folder} but found ${found.join(', ')}`);
  const program = "const { version, blas } = require('cgfac').info(); console.log(version, blas.version, blas.core)";
  run('sh', ['scripts/setup.sh']);
  return `${found.sort().join(', ')}: ${run('node', ['--eval', program], { PREBUILDS_ONLY: '1' }).trim()}`;
}

let packed;

/** The tarball of the checkout, made once. */
function tarball() {
  if (packed === undefined) {
    const output = run('npm', ['pack', '--silent', '--pack-destination', scratch()]);
    packed = join(scratch(), output.trim().split('\n').at(-1));
  }
  return packed;
}

/** Builds the addon of an installed tarball that has no binary, by its own command, and tests it. */
export function builtFromSources() {
  const project = join(scratch(), 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'project', private: true }));
  run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball()], {}, project);
  run('rm', ['-r', 'node_modules/cgfac/prebuilds'], {}, project);
  run('npx', ['cgfac', 'build'], {}, project);
  const report = run('npx', ['cgfac', 'doctor'], {}, project);
  for (const line of [/addon +build.Release.cgfac\.node$/m, /addon of MPI +build.Release.mpi.cgfac_mpi\.node$/m]) {
    if (!line.test(report)) throw new Error(`Expected ${line} in the report but received\n${report}`);
  }
  return report.trim().split('\n').at(-1);
}
