// After `sh scripts/setup.sh --arm64`: puts both addons of the cross build where prebuildify puts those of this
// machine, by the names that it gives them, without their symbols.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const path = (name) => fileURLToPath(new URL(name, root));

mkdirSync(path('prebuilds/linux-arm64/mpi'), { recursive: true });
for (const name of ['cgfac', 'mpi/cgfac_mpi']) {
  const files = [path(`prebuilds/linux-arm64/${name}.glibc.node`), path(`build/arm64/Release/${name}.node`)];
  const { status, error } = spawnSync('aarch64-linux-gnu-strip', ['--strip-all', '-o', ...files], { stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) throw new Error(`aarch64-linux-gnu-strip ended with ${status}`);
}
