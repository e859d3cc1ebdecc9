// node scripts/prebuild-platform.mjs PLATFORM [BUILD] [STRIP]: puts the addons that CMake has built in a folder
// (default: build) into prebuilds, where prebuildify would put those of this machine, by the names that the platform's
// have, without their symbols. `strip` of another processor is named.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addonsOf, platforms } from './platforms.mjs';

const [name, build = 'build', strip = 'strip'] = process.argv.slice(2);
const platform = platforms.find((each) => each.name === name);
if (platform === undefined) {
  throw new RangeError(`Expected one of ${platforms.map((each) => each.name)} but received ${name}`);
}

const root = new URL('../', import.meta.url);
const path = (file) => fileURLToPath(new URL(file, root));
// that of Apple leaves what other libraries look for
const options = platform.os === 'darwin' ? ['-Sx'] : ['--strip-all'];

for (const addon of addonsOf(platform)) {
  const source = addon.includes('/mpi/') ? 'mpi/cgfac_mpi.node' : 'cgfac.node';
  const target = path(`prebuilds/${addon}`);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(path(`${build}/Release/${source}`), target);
  const { status, error } = spawnSync(strip, [...options, target], { stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${strip} ended with ${status}`);
}
