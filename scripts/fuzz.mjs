// The targets of test/fuzz: the committed inputs, which are the same ones at every run, and new ones where minutes are
// given; or the corpus under valgrind. What a target finds is kept in out/fuzz, and its report is printed.
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../', import.meta.url));
const corpora = join(root, 'test/fuzz/corpus');
const grown = join(root, 'test/fuzz/grown');
const found = join(root, 'out/fuzz');
const targets = readdirSync(corpora).sort();

/** Runs a program; its exit code, and all that it printed. */
function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.on('error', reject).on('close', (status) => resolve({ status: status ?? 1, output }));
  });
}

/** Calls `work` for each item, as many at a time as there are processors. */
async function inParallel(items, work) {
  const left = [...items];
  const results = [];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) results.push(await work(item));
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return results.flat();
}

/** Prints what a run ended with, and whether it is well. */
function told(name, { status, output }) {
  const statistics = [...output.matchAll(/^stat::(number_of_executed_units|peak_rss_mb):\s+(\d+)$/gm)];
  const coverage = [...output.matchAll(/\bcov: (\d+)/g)].at(-1);
  const figures = [...statistics.map(([, key, value]) => `${key} ${value}`), `edges ${coverage?.[1] ?? 'not counted'}`];
  console.log(`fuzz: ${name}: ${status === 0 ? figures.join(', ') : `FAILED with ${status}\n${output}`}`);
  return status === 0;
}

const filesOf = (target) => readdirSync(join(corpora, target)).map((name) => join(corpora, target, name));

const programOf = (target, build = 'fuzz') => join(root, `build/${build}/test/fuzz/fuzz_${target}`);

/** The file of what a target's searches have kept; that of a new target begins empty. */
const grownOf = (target) => join(grown, `${target}.txt`);

/** Calls `work` with a new folder, and removes it. */
async function withFolder(work) {
  const folder = mkdtempSync(join(tmpdir(), 'cgfac-fuzz-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Calls `work` with a folder of what a target's searches have kept, an input a file. */
const withGrown = (target, work) =>
  withFolder((folder) => {
    const lines = readFileSync(grownOf(target), 'utf8').split('\n').filter(Boolean);
    for (const [i, line] of lines.entries()) writeFileSync(join(folder, String(i)), Buffer.from(line, 'base64'));
    return work(folder);
  });

/** The committed inputs of a target, then new ones for some seconds, which go on from what was found before. */
function fuzzed(target, seconds) {
  const own = join(found, target);
  mkdirSync(own, { recursive: true });
  const always = ['-print_final_stats=1', '-timeout=20', '-rss_limit_mb=2048', `-artifact_prefix=${found}/${target}-`];
  return withGrown(target, async (kept) => {
    const inputs = [join(corpora, target), kept];
    const known = told(`${target}, corpus`, await run(programOf(target), [...always, '-runs=0', ...inputs]));
    if (seconds === undefined) return [known];
    const limits = ['-max_len=512', `-max_total_time=${seconds}`];
    const made = await run(programOf(target), [...always, ...limits, own, ...inputs]);
    return [known, told(`${target}, ${seconds} s`, made)];
  });
}

/** Keeps of all that is known of a target the shortest inputs that cover what its corpus does not. */
function grow(target) {
  return withGrown(target, (kept) =>
    withFolder(async (merged) => {
      const names = new Set(readdirSync(join(corpora, target)));
      cpSync(join(corpora, target), merged, { recursive: true });
      const { status, output } = await run(programOf(target), ['-merge=1', merged, kept, join(found, target)]);
      const lines = readdirSync(merged)
        .filter((name) => !names.has(name))
        .map((name) => readFileSync(join(merged, name)).toString('base64'))
        .sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
      if (status === 0) writeFileSync(grownOf(target), lines.map((line) => `${line}\n`).join(''));
      console.log(`fuzz: ${target}, grown: ${status === 0 ? `${lines.length} inputs kept` : `FAILED\n${output}`}`);
      return status === 0;
    }),
  );
}

/** The corpus of a target under valgrind. */
async function checked(target) {
  const options = ['--quiet', '--error-exitcode=9', '--leak-check=full', '--errors-for-leak-kinds=definite'];
  return told(
    `${target}, valgrind`,
    await run('valgrind', [...options, programOf(target, 'replay'), ...filesOf(target)]),
  );
}

/** The counts of the runs that the arguments ask for; `setUp` brings the targets up to date. */
export async function fuzz(args, setUp) {
  const boolean = { type: 'boolean', default: false };
  const options = { minutes: { type: 'string' }, grow: boolean, valgrind: boolean };
  const asked = parseArgs({ args, options }).values;
  const minutes = asked.minutes === undefined ? undefined : Number(asked.minutes);
  if (minutes !== undefined && !(minutes > 0))
    throw new RangeError(`Expected a number > 0 for --minutes but received ${asked.minutes}`);
  if (asked.valgrind && (minutes !== undefined || asked.grow))
    throw new RangeError('Expected --valgrind alone, which runs the corpus, but received --minutes or --grow besides');
  if (!setUp(asked.valgrind ? '--replay' : '--fuzz')) return { passed: 0, failed: 1 };
  const seconds = minutes === undefined ? undefined : Math.ceil((60 * minutes) / targets.length);
  const runs = await inParallel(targets, (target) => (asked.valgrind ? checked(target) : fuzzed(target, seconds)));
  if (asked.grow && runs.every(Boolean)) runs.push(...(await inParallel(targets, grow)));
  const passed = runs.filter(Boolean).length;
  return { passed, failed: runs.length - passed };
}
