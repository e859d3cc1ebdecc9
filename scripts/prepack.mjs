// Before `npm pack` and `npm publish`: compiles the facade afresh, so that no output of a file since removed is
// shipped, and refuses a tarball without the binary.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const path = (name) => fileURLToPath(new URL(name, root));

const prebuilds = path('prebuilds/linux-x64');
if (!existsSync(prebuilds) || !readdirSync(prebuilds).some((name) => name.endsWith('.node'))) {
  console.error('There is no prebuilt addon in prebuilds/linux-x64; run `npm run prebuilds` first.');
  process.exit(1);
}
rmSync(path('dist'), { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  [path('node_modules/typescript/bin/tsc'), '--build', path('tsconfig.build.json')],
  {
    stdio: 'inherit',
  },
);
process.exitCode = status ?? 1;
