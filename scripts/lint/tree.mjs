// What the checks of this folder share: the files that people write, the exceptions, and how findings are told.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The tree that is checked: the repository, or the folder that the command line names. */
export const root = process.argv[2] ?? fileURLToPath(new URL('../../', import.meta.url));

/** What is built, installed, fetched or made by other programs. */
const aside = new Set(['.git', 'node_modules', 'build', 'dist', 'out', 'prebuilds', 'docs/site', 'test/fixtures']);

function walk(folder, found) {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (aside.has(path) || aside.has(entry.name)) continue;
    if (entry.isDirectory()) walk(path, found);
    else if (entry.isFile()) found.push(path);
  }
  return found;
}

/** The paths of all files whose path matches, relative to the root, in order. */
export function filesOf(pattern) {
  return walk('', [])
    .filter((path) => pattern.test(path))
    .sort();
}

/** The lines of a file, without the empty one that its last newline begins. */
export function linesOf(path) {
  const lines = readFileSync(join(root, path), 'utf8').split('\n');
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

/** The one list of exceptions from the checks of this folder: short, and each of them with its reason. */
const exceptions = JSON.parse(readFileSync(new URL('exceptions.json', import.meta.url), 'utf8'));
const mostExceptions = 5;
if (exceptions.length > mostExceptions) throw new Error(`exceptions.json: more than ${mostExceptions} entries`);
for (const { rule, files, reason } of exceptions)
  if (!rule || !files || !/^\p{Lu}.{30,}\.$/u.test(reason ?? ''))
    throw new Error(`exceptions.json: an entry needs a rule, files, and a reason that is a sentence: ${files}`);

/** Whether an entry of the list excepts a finding: in that file, of a function called or passed to that name. */
export function isExcepted(rule, path, name = '') {
  return exceptions.some(
    (entry) =>
      entry.rule === rule &&
      new RegExp(entry.files).test(path) &&
      (entry.functions === undefined || new RegExp(entry.functions).test(name)),
  );
}

/** Prints findings, each with its place, and makes the program fail where there are any. */
export function report(findings) {
  for (const { path, line, message } of findings) console.error(`${path}:${line}: ${message}`);
  if (findings.length > 0) process.exitCode = 1;
}
