// Before `npm pack` and `npm publish`: compiles the facade afresh, so that no output of a file since removed is
// shipped, writes its types for TypeScript 5.0, adds the headers that `cgfac build` compiles with, and refuses a
// tarball without both binaries.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const path = (name) => fileURLToPath(new URL(name, root));

for (const folder of ['prebuilds/linux-x64', 'prebuilds/linux-x64/mpi']) {
  if (!existsSync(path(folder)) || !readdirSync(path(folder)).some((name) => name.endsWith('.node'))) {
    console.error(`There is no prebuilt addon in ${folder}; run \`npm run prebuilds\` first.`);
    process.exit(1);
  }
}
rmSync(path('dist'), { recursive: true, force: true });
for (const [from, to] of [
  ['node_modules/node-addon-api', 'dist/include/node-addon-api'],
  ['node_modules/node-api-headers/include', 'dist/include/node-api'],
]) {
  const headers = readdirSync(path(from)).filter((name) => name.endsWith('.h'));
  for (const name of headers) cpSync(path(`${from}/${name}`), path(`${to}/${name}`));
}
const { status } = spawnSync(
  process.execPath,
  [path('node_modules/typescript/bin/tsc'), '--build', path('tsconfig.build.json')],
  {
    stdio: 'inherit',
  },
);
if (status !== 0) process.exit(status ?? 1);

// Since TypeScript 5.7 the types of arrays have arguments, which it writes into declarations, and older ones refuse.
const typeArguments = /\b(\w+Array)<ArrayBuffer(Like)?>/g;
for (const name of readdirSync(path('dist/lib'), { recursive: true })) {
  const file = path(`dist/lib/${name}`);
  if (/\.d\.m?ts$/.test(name)) writeFileSync(file, readFileSync(file, 'utf8').replace(typeArguments, '$1'));
}
