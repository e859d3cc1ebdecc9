/** Packages of others, fetched from the npm registry without what they depend on. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './programs';

/** A version of a package, and the SHA-512 sum of its archive as the registry and lock files have it. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  readonly integrity: string;
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stdout}${stderr}`);
}

/** The archive of a package that `npm pack` puts into a folder. */
function archiveOf({ name, version, integrity }: NpmPackage, folder: string): string {
  run('npm', ['pack', `${name}@${version}`, '--silent'], folder);
  const [archive = ''] = readdirSync(folder);
  const sum = `sha512-${createHash('sha512')
    .update(readFileSync(join(folder, archive)))
    .digest('base64')}`;
  if (sum !== integrity) throw new Error(`${name}@${version} has the sum ${sum} instead of ${integrity}`);
  return archive;
}

/** The folder of a package's files, below out/packages: they are fetched once. */
export function fetchPackage(wanted: NpmPackage): string {
  const packages = join(repository, 'out/packages');
  const folder = join(packages, `${wanted.name.replace('/', '-')}-${wanted.version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(packages, { recursive: true });
  const scratch = mkdtempSync(join(packages, 'fetching-'));
  try {
    run('tar', ['-xzf', archiveOf(wanted, scratch)], scratch);
    renameSync(join(scratch, 'package'), folder);
  } finally {
    rmSync(scratch, { recursive: true });
  }
  return folder;
}
