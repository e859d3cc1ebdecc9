// What the steps of a release share: programs, files, and a folder that is removed at the end.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/** The text of a file of the checkout. */
export const read = (path) => readFileSync(join(root, path), 'utf8');

/** The manifest of the package. */
export const manifest = JSON.parse(read('package.json'));

/** Runs a program in the checkout, or in another folder; all that it printed. Throws where it does not end with 0. */
export function run(command, args, env = {}, cwd = root) {
  const result = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, ...env },
  });
  if (result.error) throw result.error;
  const output = result.stdout + result.stderr;
  if (result.status === 0) return output;
  const end = output.trimEnd().split('\n').slice(-60).join('\n');
  throw new Error(`${command} ${args.join(' ')} ended with ${result.signal ?? result.status}:\n${end}`);
}

let folder;

/** A folder for what the steps make. */
export function scratch() {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'cgfac-release-'));
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  return folder;
}
