// What prebuildify calls after a build: puts the addon that calls MPI beside the one that prebuildify takes, with the
// same tags, in a folder that node-gyp-build does not look into. prebuildify knows one addon of a package.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const { PREBUILD_PLATFORM, PREBUILD_ARCH, PREBUILD_LIBC, PREBUILD_STRIP, PREBUILD_STRIP_BIN } = process.env;
if (!PREBUILD_PLATFORM || !PREBUILD_ARCH || !PREBUILD_LIBC)
  throw new Error('Expected the environment of prebuildify but received none of it; run `npm run prebuilds`');

const folder = new URL(`prebuilds/${PREBUILD_PLATFORM}-${PREBUILD_ARCH}/mpi/`, root);
const file = fileURLToPath(new URL(`cgfac_mpi.${PREBUILD_LIBC}.node`, folder));
mkdirSync(folder, { recursive: true });
copyFileSync(new URL('build/Release/mpi/cgfac_mpi.node', root), file);
if (PREBUILD_STRIP === '1') execFileSync(PREBUILD_STRIP_BIN ?? 'strip', ['--strip-all', file]);
