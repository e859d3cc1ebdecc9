// What somebody with a fresh system gets: the root folder of a Debian release that has nothing but Node besides what
// debootstrap puts there, in which the package is installed from its tarball, and README's programs run, without any
// network. The bare roots are kept in the folder for temporary files; each run has a copy of its own.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const releases = { bookworm: 'Debian 12', trixie: 'Debian 13' };
const kept = join(tmpdir(), 'cgfac-roots');

function run(command, args, cwd = root) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 64 << 20 });
  if (error) throw error;
  return { status, stdout, stderr };
}

function runWell(command, args, cwd) {
  const { status, stdout, stderr } = run(command, args, cwd);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stdout}${stderr}`);
  return stdout.trim();
}

const npm = (...args) => runWell('npm', args);

/** Where this machine's apt has Debian from. */
function mirror() {
  const targets = ['indextargets', '--format', '$(REPO_URI) $(ORIGIN) $(COMPONENT)', 'Created-By: Packages'];
  const lines = runWell('apt-get', targets).split('\n');
  const main = lines.find((line) => / Debian main$/.test(line) && !line.includes('security'));
  if (main === undefined) throw new Error(`Expected a source of Debian among those of apt but received ${lines}`);
  return main.split(' ')[0];
}

/** The bare root of a release. */
function bareRoot(release) {
  const folder = join(kept, release);
  if (existsSync(folder)) return folder;
  mkdirSync(kept, { recursive: true });
  const scratch = mkdtempSync(join(kept, 'making-'));
  runWell('debootstrap', ['--variant=minbase', release, scratch, mirror()]);
  renameSync(scratch, folder);
  return folder;
}

/** Runs a command in a root, as its own processes and mounts, and, if so wished, without any network. */
function within(folder, network, env, ...command) {
  const variables = Object.entries({ PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/root', ...env });
  const apart = ['--mount', '--pid', '--fork', '--kill-child', `--mount-proc=${join(folder, 'proc')}`];
  const words = [...apart, ...(network ? [] : ['--net']), 'chroot', folder, 'env', '-i', '--chdir=/root/program'];
  return run('unshare', [...words, ...variables.map(([name, value]) => `${name}=${value}`), ...command]);
}

/** Puts Node with its npm into a root, and what this machine's npm knows of its registry; the variables that say so. */
function putNode(folder) {
  cpSync(process.execPath, join(folder, 'usr/local/bin/node'));
  const script = process.env.npm_execpath ?? runWell('sh', ['-c', 'readlink -f "$(command -v npm)"']);
  const npmFolder = dirname(dirname(script));
  cpSync(npmFolder, join(folder, 'usr/local/lib/node_modules/npm'), { recursive: true });
  for (const name of ['npm', 'npx']) {
    const file = `../lib/node_modules/npm/bin/${name}-cli.js`;
    runWell('ln', ['-s', file, join(folder, 'usr/local/bin', name)]);
  }
  cpSync('/etc/resolv.conf', join(folder, 'etc/resolv.conf'), { dereference: true });
  const env = { npm_config_registry: npm('config', 'get', 'registry'), npm_config_update_notifier: 'false' };
  const certificates = npm('config', 'get', 'cafile');
  if (certificates === 'null') return env;
  cpSync(certificates, join(folder, 'root/certificates.pem'), { dereference: true });
  return { ...env, npm_config_cafile: '/root/certificates.pem' };
}

const readme = readFileSync(join(root, 'README.md'), 'utf8');
const programs = [...readme.matchAll(/^```js\n(.*?)^```/gms)].map(({ 1: code }) => code);
/** What README has people install beside the package. */
const others = /^npm install (@tensorflow\/.*?)(?: #.*)?$/m.exec(readme)?.[1]?.split(' ') ?? [];
if (programs.length < 2 || others.length < 2) throw new Error('Expected two programs and their packages in README.md');
const builders = ['cc', 'gcc', 'g++', 'clang', 'cmake', 'make', 'ninja', 'python3'];

/** What is looked at in a root: name, whether it is so, and what was printed. */
function checksOf(folder, env, tarball) {
  const program = join(folder, 'root/program');
  mkdirSync(program);
  cpSync(tarball, join(folder, 'root/cgfac.tgz'));
  writeFileSync(join(program, 'package.json'), '{ "private": true }\n');
  for (const [i, code] of programs.entries()) writeFileSync(join(program, `program-${i}.mjs`), code);
  const silent = ({ status, stderr }) => status === 0 && stderr === '';
  const check = (name, result, well) => [name, well(result), result.stdout + result.stderr];
  const found = `for each in ${builders.join(' ')}; do command -v $each; done; true`;
  const apart = (...command) => within(folder, false, {}, ...command);
  const install = () => within(folder, true, env, 'npm', 'install', '/root/cgfac.tgz', ...others);
  return [
    () => check('has no compiler', apart('sh', '-c', found), ({ status, stdout }) => status === 0 && stdout === ''),
    () => check(`installs the tarball with ${others.length} others`, install(), ({ status }) => status === 0),
    () => check('doctor is content', apart('npx', 'cgfac', 'doctor'), ({ status }) => status === 0),
    ...programs.map((code, i) => () => {
      const imported = [...code.matchAll(/from '(cgfac[^']*)'/g)].map((match) => match[1]).join(', ');
      return check(`README's program with ${imported} runs`, apart('node', `program-${i}.mjs`), silent);
    }),
  ];
}

/** Runs all of it in the root of a release; the counts. */
function testRoot(release, tarball) {
  const began = performance.now();
  const bare = bareRoot(release);
  const made = performance.now();
  const scratch = mkdtempSync(join(tmpdir(), 'cgfac-root-'));
  try {
    const folder = join(scratch, release);
    runWell('cp', ['--archive', '--reflink=auto', bare, folder]);
    const counts = { passed: 0, failed: 0 };
    for (const check of checksOf(folder, putNode(folder), tarball)) {
      const start = performance.now();
      const [name, well, output] = check();
      counts[well ? 'passed' : 'failed']++;
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      console.error(`${well ? 'ok' : 'FAILED'}: ${releases[release]} ${name} (${seconds} s)`);
      if (!well) console.error(output);
    }
    const [making, all] = [made - began, performance.now() - began].map((time) => (time / 1000).toFixed(0));
    console.error(`${releases[release]}: ${all} s, ${making} of them for the bare root`);
    return counts;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** The counts of all releases. */
export function testRoots(setUp) {
  if (process.getuid?.() !== 0) throw new Error('Expected to be root, who alone may make roots of other systems');
  if (!setUp('--roots')) return [{ passed: 0, failed: 1 }];
  npm('run', 'prebuilds');
  const scratch = mkdtempSync(join(tmpdir(), 'cgfac-tarball-'));
  try {
    const name = npm('pack', '--silent', '--ignore-scripts', '--pack-destination', scratch);
    return Object.keys(releases).map((release) => testRoot(release, join(scratch, name)));
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
