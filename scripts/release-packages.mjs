// node scripts/release-packages.mjs TARBALL PREBUILDS OUT [PLATFORM…]: what a release publishes, as tarballs in the
// folder OUT: of TARBALL (npm pack) the package itself, which now names the packages of platforms as optional
// dependencies, and each of these, with its addons of the folder PREBUILDS. Of all platforms, or of those that are
// named; one whose addons are missing is an error. The dependencies are not in the package.json of the checkout, where
// `npm ci` would look for versions that are not published yet.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { addonsOf, platforms } from './platforms.mjs';

const [tarball, prebuilds, out, ...names] = process.argv.slice(2);
if (out === undefined) throw new Error('Expected TARBALL PREBUILDS OUT [PLATFORM…] but received fewer arguments');
const others = platforms.filter(({ own }) => !own);
for (const name of names) {
  const known = others.map((each) => each.name);
  if (!known.includes(name)) throw new RangeError(`Expected platforms of ${known.join(', ')} but received ${name}`);
}
const chosen = names.length === 0 ? others : others.filter(({ name }) => names.includes(name));

function run(command, args, cwd) {
  const { status, error, stdout } = spawnSync(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
  return String(stdout);
}

/** Packs a folder, without the scripts of its package.json, which are a checkout's; the name of the tarball. */
const pack = (folder) =>
  run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', resolve(out)], folder).trim();
const writeJson = (file, value) => writeFileSync(file, `${JSON.stringify(value, undefined, 2)}\n`);

/** The package of a platform: its addons, and who made it. */
function packPlatform(platform, main, scratch) {
  const folder = join(scratch, platform.name);
  for (const addon of addonsOf(platform)) {
    const source = join(prebuilds, addon);
    if (!existsSync(source)) throw new Error(`Expected the addon of ${platform.name} in ${source} but found none`);
    const target = join(folder, 'prebuilds', addon);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(source, target);
  }
  const papers = ['LICENSE', 'THIRD_PARTY_NOTICES'].filter((name) => existsSync(join(scratch, 'package', name)));
  for (const name of papers) copyFileSync(join(scratch, 'package', name), join(folder, name));
  const { version, license, homepage, repository, bugs, engines } = main;
  const { name, os, cpu, libc } = platform;
  writeJson(join(folder, 'package.json'), {
    name: `@cgfac/${name}`,
    version,
    description: `The native addons of cgfac for ${name}`,
    ...{ license, homepage, repository, bugs, engines },
    os: [os],
    cpu: [cpu],
    ...(libc === undefined ? {} : { libc: [libc] }),
    files: ['prebuilds', 'THIRD_PARTY_NOTICES'],
    preferUnplugged: true,
    publishConfig: { access: 'public' },
  });
  const text = `The native addons of [cgfac](https://www.npmjs.com/package/cgfac) for ${name}.`;
  writeFileSync(join(folder, 'README.md'), `# @cgfac/${name}\n\n${text} Install cgfac, which brings them.\n`);
  return pack(folder);
}

/** The package itself, with the others as optional dependencies of the same version. */
function packMain(main, folder) {
  const own = addonsOf(platforms.find((each) => each.own)).map((addon) => `package/prebuilds/${addon}`);
  const addons = run('tar', ['-tzf', resolve(tarball)]).split('\n');
  const found = addons.filter((path) => path.endsWith('.node')).sort();
  if (found.join() !== own.sort().join()) throw new Error(`Expected ${own} in ${tarball} but found ${found}`);
  const entries = chosen.map(({ name }) => [`@cgfac/${name}`, main.version]);
  writeJson(join(folder, 'package.json'), { ...main, optionalDependencies: Object.fromEntries(entries) });
  return pack(folder);
}

const scratch = mkdtempSync(join(tmpdir(), 'cgfac-release-'));
try {
  mkdirSync(out, { recursive: true });
  run('tar', ['-xzf', resolve(tarball)], scratch);
  const main = JSON.parse(readFileSync(join(scratch, 'package/package.json'), 'utf8'));
  for (const platform of chosen) console.log(packPlatform(platform, main, scratch));
  console.log(packMain(main, join(scratch, 'package')));
} finally {
  rmSync(scratch, { recursive: true });
}
