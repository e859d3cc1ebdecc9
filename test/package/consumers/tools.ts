/** Package managers, compilers, bundlers and Nodes that the rows use, installed once for a checkout. */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { npmScript, ROOT, run, runWell } from '../packed';

const locks = join(ROOT, 'test/package/tools');

/** Whether what is installed in a folder is what a lock file asks for; npm writes the folder's own lock at its end. */
function isInstalled(folder: string, lock: string): boolean {
  const [wanted, made] = [join(locks, lock, 'package-lock.json'), join(folder, 'package-lock.json')];
  const done = join(folder, 'node_modules/.package-lock.json');
  return existsSync(done) && existsSync(made) && readFileSync(wanted, 'utf8') === readFileSync(made, 'utf8');
}

/** The node_modules of a set of tools, `always` or `all`; they stay in the folder out of the checkout. */
export function toolsOf(lock: 'always' | 'all'): string {
  const folder = join(ROOT, 'out/consumers', lock);
  const modules = join(folder, 'node_modules');
  if (isInstalled(folder, lock)) return modules;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(join(locks, lock), folder, { recursive: true });
  const args = ['ci', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  runWell(process.execPath, [npmScript(), ...args], { cwd: folder });
  return modules;
}

/** A folder for what package managers keep between runs. */
export function cacheOf(manager: string): string {
  return join(ROOT, 'out/consumers', manager);
}

/** A setting of npm, `undefined` where it has none. */
function setting(name: string): string | undefined {
  const value = run(process.execPath, [npmScript(), 'config', 'get', name], { cwd: ROOT }).stdout.trim();
  return value === '' || value === 'null' || value === 'undefined' ? undefined : value;
}

/** The registry of npm and its certificates, in the words of each package manager. */
export function registryEnvironment(): NodeJS.ProcessEnv {
  const [registry, cafile] = [setting('registry'), setting('cafile')];
  const env: NodeJS.ProcessEnv = {};
  if (registry !== undefined) {
    env.npm_config_registry = registry;
    env.YARN_NPM_REGISTRY_SERVER = registry;
    if (registry.startsWith('http:')) env.YARN_UNSAFE_HTTP_WHITELIST = new URL(registry).hostname;
  }
  if (cafile !== undefined) {
    env.npm_config_cafile = cafile;
    env.YARN_HTTPS_CA_FILE_PATH = cafile;
  }
  return env;
}
